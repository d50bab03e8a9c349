"""What is said of a touch of a file: by guardrails, by the rules that speak of files, and because it holds secrets.

Owns which names of a file count, and what one run does to files. Must not own the guardrails and rules it calls, nor
what a program does with its words (effects.py).
"""

from __future__ import annotations

from . import effects, guardrails, paths, rules
from .calls import Invocation
from .facts import Lookup
from .guardrails import Protected
from .matching import Matching
from .model import File, Match, Risk, Verdict
from .reach import Reach
from .rules import Touch
from .situation import Finding, Situation


class FileJudging:
    """For one decision."""

    def __init__(
        self, matching: Matching, situation: Situation, look: Lookup, reach: Reach, protected: Protected
    ) -> None:
        self._rules = matching
        self._situation = situation
        self._look = look
        self._reach = reach
        self._protected = protected

    def action(self, action: File) -> list[Finding]:
        """One finding for each file that is read or changed."""
        folder = action.cwd or self._situation.worktree or "/"
        touches = [self.touch(action.verb, action.path, folder)]
        if action.verb == "copy":
            touches = [self.touch("read", action.path, folder), self.touch("copy", action.target or "", folder)]
        return [Finding(f"{touch.verb} {touch.path}", tuple(self.alone(touch))) for touch in touches]

    def touch(self, verb: str, path: str, folder: str) -> Touch:
        """What is done to a file, under the name given and the real one."""
        if path == "~" or path.startswith("~/"):
            path = self._situation.home + path[1:]
        whole = paths.absolute(folder, path)
        fact = self._look.path(whole)
        return Touch(verb, whole, fact.real)

    def of_run(self, call: Invocation, *, allowed: bool) -> list[Match]:
        """What one run does to files, as far as known: guardrails, and rules that speak of files.

        `allowed`: allow rules cover it, so they have told patterns from paths and judged what is read.
        """
        matches: list[Match] = []
        for verb, word in effects.touched(call):
            reads = verb in ("read", "use")
            touch = self.touch(verb, word, call.folder)
            fact = self._look.path(touch.path) if reads else None
            if fact is not None and fact.kind == "missing" and verb == "read":
                continue
            matches += guardrails.touch(touch, self._protected)
            if fact is not None and fact.kind == "missing":  # any word, perhaps
                continue
            is_folder = fact is not None and fact.kind == "folder" and call.program not in _NAMES_ONLY
            if is_folder and not (allowed and self._is_no_path(touch, call)):
                matches += guardrails.beneath(touch, self._protected)
            if verb == "read" and allowed and not self._rules.policy.by_kind.get("file read", ()):
                continue
            matches += self._file_rules(Touch("read", touch.path, touch.real) if reads else touch, stricter=True)
            if reads and not allowed and call.program not in _NAMES_ONLY and self._is_secret_file(touch):
                matches.append(_secret(touch.path))
        if call.program == "rm" and self._is_far_removal(call):
            matches.append(guardrails.far_removal(" ".join(str(word) for word in call.args[:4])))
        return matches

    def _is_no_path(self, touch: Touch, call: Invocation) -> bool:
        """Whether a word of a run that rules allow is none of its files, like that of `tr -d /`: a rule that tells what
        each word is lets no file in that is outside the roots. Of other programs nobody knows that a text is one."""
        known = call.program in _TAKE_TEXTS and not paths.inside(touch.real, self._situation.roots)
        return known and not self._rules.is_vague(call)

    def _is_secret_file(self, touch: Touch) -> bool:
        fact = self._look.path(touch.path)
        if fact.kind not in ("file", "other"):
            return False
        return fact.tells or self._reach.is_secret(touch.real) or self._reach.is_secret(paths.normal(touch.path))

    def _is_far_removal(self, call: Invocation) -> bool:
        words = [word for word in call.args if isinstance(word, str)]
        if not any(
            word in ("--recursive",) or (word[:1] == "-" and word[1:2] != "-" and set("rR") & set(word))
            for word in words
        ):
            return False
        touches = [self.touch(verb, word, call.folder) for verb, word in effects.touched(call)]
        tree = self._situation.worktree
        return any(not tree or t.real == tree or not paths.inside(t.real, (tree,)) for t in touches)

    def alone(self, touch: Touch) -> list[Match]:
        """All that applies to one touch of a file by itself (a file action, a redirection)."""
        guarded = list(guardrails.touch(touch, self._protected))
        risk = max((_grade(touch), *(match.risk for match in guarded)), key=lambda risk: risk.rank)
        matches = [*guarded, *self._file_rules(touch), *self._rules.general(risk)]
        return matches or [self._rules.unmatched(f"{_VERBS.get(touch.verb, touch.verb)} {touch.path}", Risk.MEDIUM)]

    def _file_rules(self, touch: Touch, *, stricter: bool = False) -> list[Match]:
        matches: list[Match] = []
        for rule in (*self._rules.policy.by_kind.get("file", ()), *(g for g in self._rules.granted if g.when.file)):
            allows = rule.verdict is Verdict.ALLOW
            if (stricter and allows) or not rules.fits_asker(rule, self._situation.asker, _grade(touch)):
                continue
            if rules.match_file(rule, touch, self._reach) is not None:
                continue
            miss = (
                (self._reach.name if touch.verb == "list" else self._reach.content)(touch.path, "/") if allows else None
            )
            if miss is None:
                matches.append(self._rules.by_rule(rule))
            else:
                matches.append(self._rules.asked_about(miss))
        return matches


def _secret(path: str) -> Match:
    return Match(
        rule="secrets",
        verdict=Verdict.ASK,
        reason=f"reads {path}, which holds secrets",
        where="guardrail",
        risk=Risk.HIGH,
    )


def _grade(touch: Touch) -> Risk:
    return Risk.LOW if touch.verb in ("read", "list") else Risk.MEDIUM


_VERBS = {
    "write": "writes",
    "edit": "edits",
    "copy": "copies to",
    "delete": "removes",
    "read": "reads",
    "list": "lists",
}
# They look at names alone.
# Words of these are patterns, separators and numbers, too.
_TAKE_TEXTS = frozenset(
    (
        *("grep", "egrep", "fgrep", "rg", "awk", "gawk", "mawk", "tr", "cut", "sort", "paste", "join", "column", "nl"),
        *("expr", "seq", "jq", "numfmt", "tac", "date"),
    )
)
_NAMES_ONLY = frozenset(
    {"ls", "stat", "test", "[", "find", "fd", "fdfind", "tree", "du", "realpath"}
    | {"readlink", "basename", "dirname", "echo", "printf", "git", "cd", "exa", "eza", "lsd"}
)
