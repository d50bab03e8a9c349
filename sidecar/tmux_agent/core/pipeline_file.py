"""A pipeline's file: every key, what it means, its default. docs/pipelines.md tells the same to people.

Owns the typed file (core/config.py reads it) and what types cannot say: names that exist, patterns that compile, no
circle. Pure. Must not own: how a run goes on (pipeline.py), where files are (services/pipeline_files.py).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from . import patterns
from .checks import Check
from .config import ConfigError, nearest

Words = tuple[str, ...]
STAGES = 200  # of one pipeline
ACTIONS = 50  # of one stage


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


def pattern_wrong(pattern: str) -> str:
    """What is wrong with a pattern, in words; "" where it can be used."""
    try:
        patterns.pattern(pattern)
    except ValueError as why:
        return str(why)
    return ""


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


# --- what types cannot say ---


def problems(pipeline: PipelineFile, file: str) -> tuple[ConfigError, ...]:
    """Everything that is wrong with a pipeline of a file whose form is right."""
    return tuple(ConfigError(file, line, f"{pipeline.name}.{path}", said) for line, path, said in _wrong(pipeline))


_Wrong = Iterator[tuple[int, str, str]]


def _wrong(pipeline: PipelineFile) -> _Wrong:
    names = [stage.name for stage in pipeline.stages]
    if not pipeline.name or len(pipeline.name) > 256:
        yield pipeline.line, "name", "has to be 1 to 256 characters"
    if not pipeline.stages or len(pipeline.stages) > STAGES:
        yield pipeline.line, "stages", f"has to be 1 to {STAGES} stages"
    if pipeline.match is not None:
        yield from _patterns(pipeline.match, pipeline.line, "match")
    for stage in pipeline.stages:
        if names.count(stage.name) > 1:
            yield stage.line, stage.name, "is the name of two stages"
        for name in (*needs(stage), *after_failure(stage)):
            if name not in names:
                yield stage.line, stage.name, f"needs a stage {name!r} that is not there{nearest(name, names)}"
        yield from _wrong_stage(stage)
    if circle := _circle(pipeline):
        yield pipeline.line, "stages", f"wait for each other in a circle: {' → '.join(circle)}"


def _wrong_stage(stage: StageFile) -> _Wrong:
    if not stage.name or len(stage.name) > 256:
        yield stage.line, "stages", "lacks a name of 1 to 256 characters"
    later = stage.on_failure if not isinstance(stage.on_failure, str) else ()
    for index, action in enumerate((*stage.actions_on_start, *later)):
        yield from _wrong_action(action, f"{stage.name}.actions_on_start[{index}]")
    if len(stage.actions_on_start) > ACTIONS:
        yield stage.line, stage.name, f"has more than {ACTIONS} actions"
    for name, conditions in (("success_when", stage.success_when), ("fail_when", stage.fail_when)):
        for index, one in enumerate(conditions):
            yield from _wrong_condition(one, stage, f"{stage.name}.{name}[{index}]")
    if stage.panes is not None:
        yield from _patterns(stage.panes, stage.line, f"{stage.name}.panes")
    if stage.when is not None:
        for text in (stage.when.branch, stage.when.command, *stage.when.env.values()):
            if said := pattern_wrong(text):
                yield stage.line, f"{stage.name}.when", said
    if retries(stage).max < 0 or retries(stage).max > 100:
        yield stage.line, f"{stage.name}.retries", "has to be 0 to 100"


def _wrong_action(action: ActionFile, path: str) -> _Wrong:
    given = [name for name in ACTIONS_KEYS if getattr(action, name) is not None]
    if len(given) != 1:
        yield action.line, path, f"has to have exactly one of {', '.join(ACTIONS_KEYS)}"
    for what in (action.run, action.spawn):
        command = what.command if isinstance(what, Running | Spawning) else what
        if command is not None:
            try:
                if not argv(command):
                    yield action.line, path, "names no program"
            except ValueError as why:
                yield action.line, path, str(why)


ACTIONS_KEYS = ("send_keys", "run", "notify", "ask", "external_check", "spawn")


def _wrong_condition(one: ConditionFile, stage: StageFile, path: str) -> _Wrong:
    if not any((one.log_regex, one.marker, one.external_status, one.exit_code != (), one.file, one.reading)):
        yield one.line, path, "names nothing to wait for"
    wanted = [one.log_regex, one.marker.message if isinstance(one.marker, MarkerWanted) else ""]
    for text in wanted:
        if said := pattern_wrong(text):
            yield one.line, path, said
    acts = stage.actions_on_start
    if one.external_status and not any(action.external_check is not None for action in acts):
        yield one.line, path, "waits for external_status, and the stage has no external_check"
    if one.exit_code != () and not any(action.run is not None for action in acts):
        yield one.line, path, "waits for an exit_code, and the stage runs no command (run)"


def _patterns(match: Match, line: int, path: str) -> _Wrong:
    for name in match.__struct_fields__:
        for pattern in words(getattr(match, name)):
            if said := pattern_wrong(pattern):
                yield line, f"{path}.{name}", said


def _circle(pipeline: PipelineFile) -> list[str]:
    """Stages that wait for each other, the first one twice; empty where there is none."""
    waits = {stage.name: (*needs(stage), *after_failure(stage)) for stage in pipeline.stages}
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in waits.get(name, ()):
            if found := walk(other, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in waits if (found := walk(name, []))), [])
