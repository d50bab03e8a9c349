"""Windows and panes beside an agent's, by libtmux. Blocking: for a thread.

Owns the only use of libtmux, which is imported when the first layout is built. Commands are typed into the person's own
shell, so that a pane lives on when its command ends. Must not own: which windows (core/fleet_file.py), the agent's own
pane (fleet_spawn.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...core import errors
from ...core.fleet_file import WindowFile

if TYPE_CHECKING:
    import libtmux


def build(socket: str, session: str, windows: Iterable[WindowFile], folder: str) -> None:
    """Open these windows in the session of that id ("$3"), behind the one that is there. Raises Failed."""
    import libtmux
    from libtmux.exc import LibTmuxException

    try:
        there = libtmux.Server(socket_path=socket).sessions.get(session_id=session)
        if there is None:
            raise errors.Failed("the agent's session ended before the windows beside it were opened")
        for window in windows:
            _window(there, window, os.path.join(folder, window.cwd) if window.cwd else folder)
    except LibTmuxException as why:
        raise errors.Failed(f"the windows beside the agent could not be opened: {why}") from None


def end(socket: str, name: str, value: str) -> None:
    """End the sessions of a tmux server whose variable `name` has this value; none where no server is there."""
    import libtmux
    from libtmux.exc import LibTmuxException

    try:
        for session in libtmux.Server(socket_path=socket).sessions:
            if session.getenv(name) == value:
                session.kill()
    except LibTmuxException:
        return  # it is gone, and its sessions with it


def marked(socket: str, name: str, value: str, panes: int) -> list[tuple[str, str, int]]:
    """Of the sessions of a tmux server whose variable `name` has this value, and that have so many panes: their ids,
    and id and pid of the first pane. None where no server is there."""
    import libtmux
    from libtmux.exc import LibTmuxException

    found: list[tuple[str, str, int]] = []
    try:
        for session in libtmux.Server(socket_path=socket).sessions:
            there = list(session.panes) if session.getenv(name) == value else []
            if len(there) == panes and (pid := there[0].pane_pid):
                found.append((str(session.session_id), str(there[0].pane_id), int(pid)))
    except LibTmuxException:
        return []  # it is gone, and its sessions with it
    return found


def _window(session: libtmux.Session, window: WindowFile, folder: str) -> None:
    if not os.path.isdir(folder):  # tmux would open it in another one
        raise errors.Failed(f"the window {window.name} beside the agent could not be opened: there is no {folder}")
    here = _literal(folder)
    made = session.new_window(window_name=_literal(window.name), start_directory=here, attach=False)
    panes = list(made.panes)
    for _ in window.panes[1:]:
        panes.append(made.split(target=panes[-1].pane_id, start_directory=here, attach=False))
        made.select_layout(window.layout)  # at once: the last one alone would soon have no room
    for pane, text in zip(panes, window.panes, strict=True):
        if text:
            pane.send_keys(text, literal=True)


def _literal(text: str) -> str:
    """As tmux, which expands it as a format, takes it for just this."""
    return text.replace("#", "##")
