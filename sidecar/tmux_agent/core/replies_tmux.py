"""What the methods `tmux.*` give back. Owns only shapes, as replies.py, whose REPLIES names them."""

from __future__ import annotations

from typing import Any

from . import replies_terminals
from .reply import Data, Nothing


class TmuxSession(Data, frozen=True):
    """A session. `created` and `activity` are seconds since the epoch, `attached` counts clients. `commands`: how many
    executions were typed there (tmux.execute), and when the last one."""

    id: str
    name: str
    created: int
    attached: int
    windows: int
    activity: int
    commands: int = 0
    last_command: float | None = None


class TmuxWindow(Data, frozen=True):
    """A window. `flags` are tmux's own (`*` current, `-` last, `Z` zoomed, …)."""

    id: str
    session: str
    index: int
    name: str
    active: bool
    panes: int
    width: int
    height: int
    flags: str


class TmuxPane(Data, frozen=True):
    """A pane. `pane_pid` is of the program that tmux started in it; `created` of its session: tmux keeps no other."""

    id: str
    window: str
    session: str
    window_index: int
    index: int
    pane_pid: int
    tty: str
    active: bool
    dead: bool
    in_mode: bool
    input_off: bool
    synchronized: bool
    alternate: bool
    width: int
    height: int
    created: int
    session_name: str
    window_name: str
    title: str
    current_path: str
    current_command: str
    agent: str | None = None
    state: str | None = None
    paused: bool = False  # what runs in it stands still (fleet.pause)


class SessionsData(Data, frozen=True):
    sessions: tuple[TmuxSession, ...]


class WindowsData(Data, frozen=True):
    windows: tuple[TmuxWindow, ...]


class PanesData(Data, frozen=True):
    panes: tuple[TmuxPane, ...]


class PaneText(Data, frozen=True):
    """Lines as people see them: what tmux wrapped is joined. With a cursor: as they were printed, so that lines joined
    by line ends are the text, and `lost` says how many bytes before them were no longer kept, `missed` whether any went
    by unheard (the pane's pipe was somebody else's for a while), `note` why no more comes."""

    lines: tuple[str, ...]
    truncated: bool
    alternate_screen: bool
    cursor: str = ""
    lost: int = 0
    missed: bool = False
    note: str = ""


class Switched(Data, frozen=True):
    client: str


class TmuxMade(Data, frozen=True):
    """Ids of what was made."""

    session_id: str
    window_id: str
    pane_id: str
    pane_pid: int


REPLIES: dict[str, Any] = {
    "tmux.sessions": SessionsData,
    "tmux.windows": WindowsData,
    "tmux.panes": PanesData,
    "tmux.read": PaneText,
    "tmux.switch": Switched,
    "tmux.create_session": TmuxMade,
    "tmux.create_pane": TmuxMade,
    "tmux.send_keys": Nothing,
    "tmux.send_text": Nothing,
    **replies_terminals.REPLIES,
    "tmux.kill_session": Nothing,
    "tmux.kill_pane": Nothing,
    "tmux.attach": Nothing,
}
