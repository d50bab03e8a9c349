"""A pipeline's file: every key, what it means, its default. docs/pipelines.md tells the same to people.

Owns the typed file (core/config.py reads it). Pure. Must not own: what types cannot say (pipeline_problems.py), how a
run goes on (pipeline.py), where files are (services/pipeline_files.py).
"""

from __future__ import annotations

import shlex
from typing import Literal

from msgspec import Struct

from . import patterns
from .checks import Check

Words = tuple[str, ...]


class Match(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which panes: all patterns that are given have to be found. A list holds alternatives."""

    session_name: str | Words = ()
    session: str | Words = ()
    window_name: str | Words = ()
    window: str | Words = ()
    pane_title: str | Words = ()
    pane_id: str | Words = ()
    command: str | Words = ()  # the program in the foreground, as tmux calls it
    agent: str | Words = ()  # claude, codex, …
    host: str | Words = ()


class Typing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    text: str = ""
    enter: bool = True
    keys: Words = ()  # approved key names, pressed before the text


class Running(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One program with arguments, run by the command tool; no shell."""

    command: str | Words
    cwd: str = ""
    timeout: float | None = None
    env: dict[str, str] = {}


class Telling(Struct, frozen=True, kw_only=True, omit_defaults=True):
    channels: str = ""
    title: str = ""
    body: str = ""
    severity: Literal["info", "success", "warning", "failure"] = "info"


class Asking(Struct, frozen=True, kw_only=True, omit_defaults=True):
    prompt: str = ""
    options: Words = ()
    details: str = ""
    timeout: float | None = None


class Spawning(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A program in a new window of the pane's session."""

    command: str | Words
    cwd: str = ""
    env: dict[str, str] = {}


class ActionFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to do; exactly one key."""

    send_keys: str | Typing | None = None
    run: str | Words | Running | None = None
    notify: str | Telling | None = None
    ask: str | Asking | None = None
    external_check: Check | None = None
    spawn: str | Words | Spawning | None = None
    line: int = 0


class MarkerWanted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    type: str = "STATUS"
    stage: str = ""
    ok: bool | None = None
    message: str = ""  # a pattern


class FileWanted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    path: str
    exists: bool = True


class ReadingWanted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the output says by its words (core/readings.py), if that is sure enough (0 to 1)."""

    state: Literal["success", "failure", "working", "waiting"]
    confidence: float = 0.6


class ConditionFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All keys of one item have to hold; of several items, one."""

    log_regex: str = ""
    marker: str | MarkerWanted | None = None
    external_status: str | Words = ()
    exit_code: int | tuple[int, ...] = ()
    file: str | FileWanted | None = None
    reading: Literal["success", "failure", "working", "waiting"] | ReadingWanted | None = None
    line: int = 0


class TriggerFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    after_stage_success: str | Words = ()
    after_stage_failure: str | Words = ()
    line: int = 0


class Retries(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`max` further tries after the first; the first of them `backoff` seconds later, each next one twice as long."""

    max: int
    backoff: float = 0.0


class Approval(Struct, frozen=True, kw_only=True, omit_defaults=True):
    prompt: str = ""
    timeout: float | None = None


class Escalation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tell somebody else where the stage still waits or runs `after` so long."""

    after: float
    notify: str
    title: str = ""


class WhenFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Patterns that have to be found, else the stage is skipped."""

    branch: str = ""
    env: dict[str, str] = {}
    command: str = ""


class StageFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    triggers: tuple[TriggerFile, ...] = ()
    needs: str | Words = ()
    when: WhenFile | None = None
    panes: Match | None = None  # one instance for each pane that matches when the run begins
    matrix: dict[str, tuple[str | int | float, ...]] = {}  # one instance for each combination; ${name} in texts
    require_approval: bool | Approval = False
    actions_on_start: tuple[ActionFile, ...] = ()
    success_when: tuple[ConditionFile, ...] = ()
    fail_when: tuple[ConditionFile, ...] = ()
    timeout: float | None = None
    retries: int | Retries = 0
    on_failure: Literal["stop", "continue"] | tuple[ActionFile, ...] = "stop"
    env: dict[str, str] = {}
    notify: str = ""
    escalation: tuple[Escalation, ...] = ()
    line: int = 0


class PipelineFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    stages: tuple[StageFile, ...]
    match: Match | None = None
    start: Literal["match", "manual"] = "match"
    markers: Literal["any", "signed"] = "any"
    env: dict[str, str] = {}
    notify: str = ""
    line: int = 0


class PipelinesFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file of the folder pipelines."""

    version: Literal["1"] | int = 1
    pipelines: tuple[PipelineFile, ...] = ()
    watch: tuple[Match, ...] = ()  # panes to watch besides those that pipelines match
    notify: str = ""  # for pipelines that name no channels


def found(pattern: str, text: str) -> bool:
    """Whether a pattern of a pipeline, which `problems` has looked at, is found in a text; `^` and `$` are ends of
    lines."""
    return patterns.pattern(f"(?m){pattern}").fits(text)


def words(value: str | Words) -> Words:
    return (value,) if isinstance(value, str) else value


def argv(command: str | Words) -> Words:
    """A command's words; text is taken apart as a shell would. Raises ValueError where it needs a shell."""
    if not isinstance(command, str):
        return command
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    lexer.commenters = ""
    found = tuple(lexer)
    if any(set(word) <= set("|&;<>()") for word in found) or any(sign in command for sign in ("$(", "`")):
        raise ValueError("needs a shell: use send_keys, or write [sh, -c, '…']")
    return found


def needs(stage: StageFile) -> Words:
    """The stages that have to succeed before it."""
    return (*words(stage.needs), *(name for one in stage.triggers for name in words(one.after_stage_success)))


def after_failure(stage: StageFile) -> Words:
    return tuple(name for one in stage.triggers for name in words(one.after_stage_failure))


def retries(stage: StageFile) -> Retries:
    return stage.retries if isinstance(stage.retries, Retries) else Retries(max=stage.retries)
