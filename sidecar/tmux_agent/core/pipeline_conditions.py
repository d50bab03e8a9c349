"""What makes a stage succeed or fail: its conditions, held against what was heard. Pure.

Of several conditions one has to hold, of one condition all keys. What has held once in an attempt counts from then on.
Must not own: what follows (pipeline.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from . import markers
from .pipeline_file import ConditionFile, FileWanted, MarkerWanted, ReadingWanted, StageFile, found, words
from .pipeline_run import ActionState, FileSeen, StageRun
from .pipeline_texts import fill
from .readings import UNKNOWN, Reading


def conditions(stage: StageFile) -> tuple[ConditionFile, ...]:
    """All that a stage waits for, for better or worse."""
    return (*stage.success_when, *stage.fail_when)


def heard(
    stage: StageFile,
    *,
    text: str = "",
    reading: Reading = UNKNOWN,
    marker: markers.Marker | None = None,
    file: FileSeen | None = None,
    variables: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """The keys of the stage's conditions that hold by what came: success_when[0].log_regex, …"""
    keys = []
    for name, one in _keyed(stage):
        if text and one.log_regex and found(one.log_regex, text):
            keys.append(f"{name}.log_regex")
        if one.reading is not None and _says(reading, one.reading):
            keys.append(f"{name}.reading")
        if marker is not None and one.marker is not None and _is(marker, one.marker):
            keys.append(f"{name}.marker")
        if file is not None and one.file is not None and _file(one.file, variables) == file:
            keys.append(f"{name}.file")
    return tuple(keys)


def files_wanted(stage: StageFile, one: StageRun) -> tuple[str, ...]:
    """Paths whose coming or going some condition waits for."""
    return tuple(_file(item.file, one.variables).path for _, item in _keyed(stage) if item.file is not None)


def success(stage: StageFile, one: StageRun) -> bool:
    """Whether the stage has succeeded; all its actions are done, or checks that go on."""
    if any(_holds(f"success_when[{index}]", item, one) for index, item in enumerate(stage.success_when)):
        return True
    if any(item.external_status for item in stage.success_when):
        return False  # the outside decides, whatever a program prints
    if "told.success" in one.heard:
        return True
    if stage.success_when:
        return False
    checks = [action for spec, action in zip(stage.actions_on_start, one.actions, strict=True) if spec.external_check]
    if checks:
        return all(action.reading == "success" for action in checks)
    # Typing tells nothing of its end: a marker has to.
    return not any(action.send_keys is not None for action in stage.actions_on_start)


def failure(stage: StageFile, one: StageRun) -> str:
    """Why the stage has failed, in words; "" where it has not."""
    for index, item in enumerate(stage.fail_when):
        if _holds(f"fail_when[{index}]", item, one):
            return f"fail_when: {_words(item)}"
    if "told.failure" in one.heard:
        return "its program said so (marker)"
    codes = any(item.exit_code != () for item in conditions(stage))
    for spec, action in zip(stage.actions_on_start, one.actions, strict=True):
        if action.state is ActionState.FAILED and not (codes and spec.run is not None and action.exit_code is not None):
            return action.detail or "an action failed"
        if spec.external_check is not None and action.state is ActionState.DONE and action.reading != "success":
            wanted = [status for item in stage.success_when for status in words(item.external_status)]
            if action.reading not in wanted:
                return action.detail or f"the check said {action.reading}"
    ended = all(action.state in (ActionState.DONE, ActionState.FAILED) for action in one.actions)
    only_codes = stage.success_when and all(_only_code(item) for item in stage.success_when)
    if ended and only_codes and not success(stage, one):
        return "it ended with another exit code"
    return ""


def _only_code(item: ConditionFile) -> bool:
    others = (item.log_regex, item.marker, item.external_status, item.file, item.reading)
    return item.exit_code != () and not any(others)


def _keyed(stage: StageFile) -> list[tuple[str, ConditionFile]]:
    return [
        *((f"success_when[{index}]", one) for index, one in enumerate(stage.success_when)),
        *((f"fail_when[{index}]", one) for index, one in enumerate(stage.fail_when)),
    ]


def _holds(name: str, item: ConditionFile, one: StageRun) -> bool:
    wanted = [key for key in ("log_regex", "marker", "file", "reading") if getattr(item, key)]
    if not all(f"{name}.{key}" in one.heard for key in wanted):
        return False
    readings = [action.reading for action in one.actions if action.reading]
    if item.external_status and not (readings and all(r in words(item.external_status) for r in readings)):
        return False
    if item.exit_code != ():
        codes = item.exit_code if isinstance(item.exit_code, tuple) else (item.exit_code,)
        ended = [action.exit_code for action in one.actions if action.exit_code is not None]
        if not ended or not all(code in codes for code in ended):
            return False
    return True


def _is(marker: markers.Marker, wanted: str | MarkerWanted) -> bool:
    if isinstance(wanted, str):
        return markers.kind(marker) == wanted.upper()
    return (
        markers.kind(marker) == wanted.type.upper()
        and wanted.stage in ("", marker.stage)
        and (wanted.ok is None or getattr(marker, "ok", None) is wanted.ok)
        and (not wanted.message or found(wanted.message, marker.message))
    )


def _says(reading: Reading, wanted: str | ReadingWanted) -> bool:
    one = ReadingWanted(state=wanted) if isinstance(wanted, str) else wanted  # type: ignore[arg-type]  # as in the file
    return reading.state == one.state and reading.confidence >= one.confidence


def _file(wanted: str | FileWanted, variables: Mapping[str, str] | None) -> FileSeen:
    path, exists = (wanted, True) if isinstance(wanted, str) else (wanted.path, wanted.exists)
    return FileSeen(fill(path, variables or {}), exists)


def _words(item: ConditionFile) -> str:
    names = ("log_regex", "marker", "external_status", "exit_code", "file", "reading")
    given = [(name, getattr(item, name)) for name in names]
    return ", ".join(f"{name} {value}" for name, value in given if value or (name == "exit_code" and value == 0))
