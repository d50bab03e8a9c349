"""What a decision rests on besides the facts: the compiled policy, whose action it is, and what was found about it.

Owns these values and the order of matches. Must not own how any of them is made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from .channels import Notify
from .model import Match, Verdict
from .paths import Secrets
from .pipeline_file import PipelineFile
from .policy_file import Defaults
from .rules import Asker, Rule


class Policy(Struct, frozen=True, kw_only=True):
    """All layers together, compiled (policy_build.build)."""

    rules: tuple[Rule, ...]
    by_program: Mapping[str, tuple[Rule, ...]]  # program → rules; "program word" → allow rules for that first word
    by_kind: Mapping[
        str, tuple[Rule, ...]
    ]  # file, tmux, fetch, mcp, ask, tool; any: no kind; "file read": ask and deny
    by_name: Mapping[tuple[str, str], Rule]  # (where it stands, its name): names are each file's own
    defaults: Defaults
    secrets: Secrets
    environment: Mapping[str, re.Pattern[str]]
    roots: tuple[str, ...]  # as written: ~ and {worktree} are still in it
    timed: bool = False  # a rule speaks of the time of day
    notify: Notify | None = None  # None: config.yaml's
    pipelines: tuple[PipelineFile, ...] = ()

    def about(self, program: str, word: object) -> tuple[Rule, ...]:
        """The rules that can match a run of `program` whose first argument is `word`."""
        found = self.by_program.get(program, ())
        further = self.by_program.get(f"{program} {word}") if isinstance(word, str) else None
        return found + further if further else found

    def named(self, match: Match) -> Rule | None:
        """The rule that a match is of; None where a guardrail, a grant or the default is."""
        return self.by_name.get((match.where, match.rule))


class Situation(Struct, frozen=True, kw_only=True):
    """Whose action it is and where. All paths are real and absolute."""

    roots: tuple[str, ...]
    worktree: str  # "": none
    home: str
    asker: Asker = Asker()
    protected: tuple[str, ...] = ()  # files and folders of ours and of the person's policy
    hidden: tuple[str, ...] = ()  # of these, files that no agent may read either: secrets and their key
    asked: bool = False  # a person is asked whatever is decided: what is run is looked at in any case


class Finding(Struct, frozen=True, gc=False):
    """One part of an action and all that applies to it."""

    source: str
    matches: tuple[Match, ...]
    says: str = ""  # for people: what the part does


def strictest(matches: Sequence[Match]) -> Match:
    """The match that decides. Among equals a guardrail, then a rule, then the default; then the higher risk."""
    return matches[0] if len(matches) == 1 else max(matches, key=_strictness)


def _strictness(match: Match) -> tuple[int, int, int]:
    kind = 0 if match.where == "default" else 2 if match.where == "guardrail" else 1
    if match.verdict is Verdict.ALLOW:
        kind = 0
    return match.verdict.rank, kind, match.risk.rank
