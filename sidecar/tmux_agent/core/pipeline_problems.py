"""What is wrong with a pipeline's file that its types cannot say: names that are not there, patterns, circles.

Pure. Must not own: the file's keys (pipeline_file.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from . import patterns
from .config import ConfigError, nearest
from .pipeline_file import (
    ActionFile,
    ConditionFile,
    MarkerWanted,
    Match,
    PipelineFile,
    Running,
    Spawning,
    StageFile,
    after_failure,
    argv,
    needs,
    retries,
    words,
)

STAGES = 200  # of one pipeline
ACTIONS = 50  # of one stage


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
    if math.prod(map(len, stage.matrix.values())) > STAGES:
        yield stage.line, f"{stage.name}.matrix", f"means more than {STAGES} stages"
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


def pattern_wrong(pattern: str) -> str:
    """What is wrong with a pattern, in words; "" where it can be used."""
    try:
        patterns.pattern(pattern)
    except ValueError as why:
        return str(why)
    return ""
