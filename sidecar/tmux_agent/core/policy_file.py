"""The policy file's form: every key, what it means, its default. policy.md tells the same to people.

Owns the typed file (config.load reads it). Must not own matching (rules.py) or layers (services/judgement.py).
Unknown keys are errors; `line` is filled in by the loader.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from .channels import Notify
from .pipeline_file import PipelineFile

Words = tuple[str, ...]


class Fetching(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`host`: names, `*` for one label or more in front (*.example.org). `method`: GET, POST, …"""

    host: Words = ()
    method: Words = ()


class Mcping(Struct, frozen=True, kw_only=True, omit_defaults=True):
    server: Words = ()  # names; * and ? as in globs
    tool: Words = ()


class Asking(Struct, frozen=True, kw_only=True, omit_defaults=True):
    action_type: Words = ()
    urgency: Words = ()


class When(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is given has to hold. One of command, file, tmux, fetch, mcp, ask, tool, fleet says what kind
    of action it is."""

    # Program and fixed words; a list is a choice; `...` at the end: anything may follow.
    command: tuple[str | Words, ...] = ()
    options: Words | None = None  # closed list, in the notation of core/argv/options.py, or names of option_sets
    any_option: Words = ()  # at least one of these is there
    operands: Words | None = None  # kinds, in order (core/operands.py)
    program_path: Words = ()  # patterns of the file that runs
    absent: Words = ()  # no file of these names in the folder or above it
    file: tuple[Literal["read", "write", "edit", "copy", "delete", "list"], ...] = ()
    path: Words = ()  # patterns (core/paths.py) of real paths
    inside: str | Words = ()  # folders: every path (for commands: also the working folder) lies in one
    tmux: Words = ()  # verbs: read, send_keys, …
    fetch: Fetching | None = None
    mcp: Mcping | None = None
    ask: Asking | None = None
    tool: Words = ()
    fleet: Words = ()  # verbs: spawn, send, pause, resume, kill, finish, queue
    agent: str | Words = ()  # claude, codex, …; * and ? as in globs, here and in the next four
    kind: str | Words = ()  # command, shell, file, tmux, fetch, mcp, ask, tool, pipeline, fleet
    session: str | Words = ()
    window: str | Words = ()
    pane_title: str | Words = ()  # only for ask and deny: an agent sets its pane's title itself
    branch: str | Words = ()
    time: str | Words = ()  # 09:00-18:00, mon-fri 09:00-18:00, in the person's own time
    risk: Literal["low", "medium", "high"] | None = None  # at least this; only for ask and deny


class Uses(Struct, frozen=True, kw_only=True):
    """An allow rule that runs out: at most `uses` times within `per` seconds, counted since the sidecar started."""

    uses: int
    per: float = 3600.0


class RuleFile(Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"for_": "for"}):
    name: str
    when: When
    verdict: Literal["allow", "ask", "deny"]
    reason: str = ""
    risk: Literal["low", "medium", "high"] | None = None
    match: tuple[str | dict[str, Any], ...] = ()  # shell text, or {file: read, path: x}, {tool: X}, {tmux: read}, …
    not_match: tuple[str | dict[str, Any], ...] = ()
    for_: Uses | None = None
    timeout: float | None = None
    on_timeout: Literal["deny"] | None = None
    step_up: Words = ()
    line: int = 0


class Defaults(Struct, frozen=True, kw_only=True):
    unmatched: Literal["ask", "deny"] = "ask"
    timeout: float = 300.0
    on_timeout: Literal["deny"] = "deny"
    on_unavailable: Literal["ask", "deny"] = "ask"


class PolicyFile(Struct, frozen=True, kw_only=True):
    version: Literal["1"] | int = 1
    roots: Words | None = None
    secrets: Words | None = None  # instead of core/paths.SECRETS; "shipped" in it stands for those
    environment: dict[str, str] | None = None  # variables a command may set: name → regular expression of its values
    option_sets: dict[str, Words] = {}
    defaults: Defaults | None = None
    notify: Notify | None = None  # instead of the one in config.yaml; not in a repository's file
    rules: tuple[RuleFile, ...] = ()
    pipelines: tuple[PipelineFile, ...] = ()  # besides those of the folder pipelines; not in a repository's file


def words(value: str | Words) -> Words:
    return (value,) if isinstance(value, str) else value


def as_data(rule: RuleFile) -> dict[str, Any]:
    """A rule as plain data, as a file may hold it: what was read, without the line it was read from."""
    data: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(rule, line=0))
    return data


def as_rule(data: dict[str, Any]) -> RuleFile:
    """A grant's rule (plain data, as in the file) as a typed one. Raises msgspec.ValidationError."""
    return msgspec.convert(data, RuleFile)
