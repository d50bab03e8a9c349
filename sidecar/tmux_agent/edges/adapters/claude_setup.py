"""Which hooks Claude Code's settings.json gets, and how they are told from the person's own.

Owns the installed handlers, putting them in and taking them out of the settings' text. Pure. Must not own: files,
asking (edges/verbs/setup.py), what the hooks say (claude.py).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ...core import json_text
from . import claude

RELAY = "tmux_agent/edges/hook_relay.py"  # a handler whose command holds this path is ours
DAY = 86_400
# Seconds. Claude goes on as if we had no opinion when they are over, so the relay is always the first to give up. All
# other hooks only tell something: they run beside Claude (async) and never make it wait.
TIMEOUTS = {"PreToolUse": 60, "PermissionRequest": DAY}
ASYNC_TIMEOUT = 30

Handlers = Mapping[str, dict[str, Any]]


def handlers(python: str, relay: str) -> Handlers:
    """What is to be installed, by event. `python`, `relay`: absolute paths.

    One command line for /bin/sh, not a program with `args`: a Claude that does not know `args` would start the bare
    interpreter, which would read the hook's input as a program.
    """
    return {event: _handler(f"{shlex.quote(python)} -I -S {shlex.quote(relay)}", event) for event in claude.EVENTS}


def _handler(command: str, event: str) -> dict[str, Any]:
    line = f"{command} {claude.AGENT} {event}"
    if event in TIMEOUTS:
        return {"type": "command", "command": line, "timeout": TIMEOUTS[event]}
    return {"type": "command", "command": line, "timeout": ASYNC_TIMEOUT, "async": True}


def installed(settings: Any) -> dict[str, dict[str, Any]]:
    """Our handlers that parsed settings hold, by event and in our order (the last one, should there be several)."""
    found = {path[1]: handler for path, handler in _ours(settings)}
    return {event: found[event] for event in (*claude.EVENTS, *found) if event in found}


def install(text: str, wanted: Handlers) -> str:
    """Settings with exactly these handlers of ours; everything else keeps its bytes.

    Raises ValueError where the text is no JSON object, or `hooks` in it is not what Claude takes.
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
        group = {"hooks": [handler]}
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
    """(path, handler) of each handler of ours; shapes that are not Claude's are passed over."""
    hooks = settings.get("hooks") if isinstance(settings, dict) else None
    for event, groups in (hooks.items() if isinstance(hooks, dict) else ()):
        for at, group in enumerate(groups if isinstance(groups, list) else ()):
            listed = group.get("hooks") if isinstance(group, dict) else None
            for number, handler in enumerate(listed if isinstance(listed, list) else ()):
                if isinstance(handler, dict) and RELAY in str(handler.get("command", "")):
                    yield ("hooks", event, at, "hooks", number), handler


def _at(value: Any, path: json_text.Path) -> Any:
    for name in path:
        value = value[name]
    return value
