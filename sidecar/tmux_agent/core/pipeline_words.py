"""What a pipeline's action or stage is, in words for people. Pure."""

from __future__ import annotations

import shlex
from typing import Any

from .pipeline_file import ActionFile, Running, Spawning, StageFile, Typing, argv
from .pipeline_look import variables
from .pipeline_run import Run, StageRun, StageState
from .pipeline_texts import filled


def does(stage: StageFile, run: Run, one: StageRun) -> tuple[str, ...]:
    """All that a stage will do, a line each, as a person who approves it has to see it."""
    return tuple(action_line(filled(action, variables(run, one.name))) for action in stage.actions_on_start)


def action_line(action: ActionFile) -> str:
    """ "type: npm test", "run: make", …"""
    match action:
        case ActionFile(send_keys=str() as text):
            return f"type: {text}"
        case ActionFile(send_keys=Typing(text=text, keys=keys)):
            return f"press: {' '.join(keys)}{', then type: ' if text else ''}{text}" if keys else f"type: {text}"
        case ActionFile(run=what) if what is not None:
            return f"run: {_command(what)}"
        case ActionFile(spawn=what) if what is not None:
            return f"open a window with: {_command(what)}"
        case ActionFile(notify=what) if what is not None:
            return f"tell: {what if isinstance(what, str) else what.channels or 'the default channels'}"
        case ActionFile(ask=what) if what is not None:
            return f"ask: {what if isinstance(what, str) else what.prompt}"
    check = action.external_check
    about = next((getattr(check, name) for name in ABOUT if getattr(check, name, "")), "")
    return f"wait for: {type(check).__name__.removesuffix('Check').lower()} {about}".rstrip()


ABOUT = ("repository", "url", "container", "image", "name", "argv")  # what a check is about, by its kind


def waits_for(stage: StageFile, one: StageRun) -> str:
    """What a stage under way waits for, in a few words; "" where it has ended."""
    if one.state is StageState.APPROVAL:
        return "your approval"
    if one.state is StageState.RETRYING:
        return "its next try"
    if one.state is not StageState.RUNNING:
        return ""
    doing = [action_line(spec) for spec, act in zip(stage.actions_on_start, one.actions, strict=True)
             if act.state.value == "doing"]  # fmt: skip
    if doing:
        return doing[0]
    if stage.success_when:
        item = stage.success_when[0]
        if item.log_regex:
            return f"output that matches {item.log_regex}"
        if item.reading:
            return f"output that says {item.reading if isinstance(item.reading, str) else item.reading.state}"
        if item.file:
            return f"the file {item.file if isinstance(item.file, str) else item.file.path}"
    return "a marker"


def _command(what: Any) -> str:
    command = what.command if isinstance(what, Running | Spawning) else what
    return shlex.join(argv(command))
