"""Hooks in a JSON settings file, in the forms that several agents share: `hooks` → event → (groups →) handlers.

Owns putting our handlers into the text and taking them out, and telling them from the person's own. Must not own:
writing files (settings_file.py), which handlers (claude_setup.py and its kin).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from ...core import json_text
from ...core.errors import Failed
from ..settings_file import SettingsFile
from .setups import Change

RELAY = "tmux_agent/edges/hook_relay.py"  # a handler whose command holds this path is ours

Handlers = Mapping[str, dict[str, Any]]


class Form(Struct, frozen=True):
    """`empty`: a file without hooks; `flat`: an event's list holds its handlers themselves, not groups of them;
    `beyond`: what the agent takes that is no JSON."""

    empty: str = "{}\n"
    flat: bool = False
    beyond: json_text.Beyond = ""


GROUPS = Form()


def change(path: Path, wanted: Handlers, uninstall: bool, form: Form = GROUPS) -> Change:
    """What a settings file is to hold with these handlers of ours, or without any.

    Raises Failed where what it holds cannot be used, Unavailable where it cannot be read.
    """
    file = SettingsFile(path)
    try:
        if uninstall:
            return Change(file, _without(file, form))
        if file.text and file.text.strip():
            json_text.refuse(file.text, form.beyond)
        ours = bool(file.text and file.text.strip() and installed(json_text.read(file.text)))
        return Change(file, install(_or_empty(file.text, form), wanted, form), keep=not ours)
    except ValueError as why:
        raise Failed(f"{path} cannot be used, nothing was changed: {why}; mend it and run this again") from None


def _without(file: SettingsFile, form: Form) -> str | None:
    """What the file holds without us: its very bytes from before where nothing else changed, None where it was ours."""
    if file.text is None or not file.text.strip():
        return file.text
    handlers = installed(json_text.read(file.text))
    removed = remove(file.text)
    before = file.before()
    if handlers and before is not None and install(_or_empty(before, form), handlers, form) == file.text:
        return before
    return None if handlers and before is None and removed.strip() == form.empty.strip() else removed


def _or_empty(text: str | None, form: Form) -> str:
    return text if text and text.strip() else form.empty


def installed(settings: Any) -> dict[str, dict[str, Any]]:
    """Our handlers that parsed settings hold, by event (the last one, should there be several)."""
    return {path[1]: handler for path, handler in _ours(settings)}


def install(text: str, wanted: Handlers, form: Form = GROUPS) -> str:
    """Settings with exactly these handlers of ours; everything else keeps its bytes.

    Raises ValueError where the text is no JSON object, or `hooks` in it is not what the agent takes.
    """
    settings = json_text.read(text)
    check(settings)
    if installed(settings) == wanted and len(list(_ours(settings))) == len(wanted):
        return text
    text, indent = remove(text), json_text.indentation(text)
    settings = json_text.read(text)
    if "hooks" not in settings:
        text = json_text.put(text, ("hooks",), {}, indent)
    for event, handler in wanted.items():
        group = handler if form.flat else {"hooks": [handler]}
        if event in settings.get("hooks", {}):
            text = json_text.put(text, ("hooks", event, 0), group, indent)
        else:
            text = json_text.put(text, ("hooks", event), [group], indent)
    return text


def remove(text: str) -> str:
    """Settings without our handlers, and without the lists and objects that held nothing else."""
    while found := next(_ours(json_text.read(text)), None):
        path: json_text.Path = found[0]
        text = json_text.cut(text, path)
        while len(path) > 1 and not _at(json_text.read(text), path[:-1]):
            path = path[:-1]
            if isinstance(path[-1], str) and path[-1] == "hooks" and len(path) == 4:
                path = path[:-1]  # a group is its handlers; what else it says (a matcher) goes with them
            text = json_text.cut(text, path)
    return text


def check(settings: Any) -> None:
    """Raises ValueError where settings are not what hooks can be put into."""
    if not isinstance(settings, dict):
        raise ValueError("it holds no JSON object")
    hooks = settings.get("hooks", {})
    if not isinstance(hooks, dict):
        raise ValueError('"hooks" in it is no object')
    for event, groups in hooks.items():
        if not isinstance(groups, list):
            raise ValueError(f'"hooks" → {event!r} in it is no list')


def _ours(settings: Any) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """(path, handler) of each handler of ours; shapes that are no hooks are passed over."""
    hooks = settings.get("hooks") if isinstance(settings, dict) else None
    for event, groups in hooks.items() if isinstance(hooks, dict) else ():
        for at, group in enumerate(groups if isinstance(groups, list) else ()):
            if isinstance(group, dict) and RELAY in str(group.get("command", "")):
                yield ("hooks", event, at), group
            listed = group.get("hooks") if isinstance(group, dict) else None
            for number, handler in enumerate(listed if isinstance(listed, list) else ()):
                if isinstance(handler, dict) and RELAY in str(handler.get("command", "")):
                    yield ("hooks", event, at, "hooks", number), handler


def _at(value: Any, path: json_text.Path) -> Any:
    for name in path:
        value = value[name]
    return value
