"""Params of the methods `tmux.*`: sessions, windows and panes. Must not own: what they do."""

from __future__ import annotations

from typing import Literal

import msgspec

from . import protocol_terminals
from .params import Params


class TmuxSessions(Params, frozen=True):
    """Sessions of a tmux server."""

    server: str | None = None


class TmuxWindows(Params, frozen=True):
    """Windows of a tmux server."""

    server: str | None = None


class TmuxPanes(Params, frozen=True):
    """Panes of a tmux server, with the agent and its state where one runs there."""

    server: str | None = None


class TmuxRead(Params, frozen=True):
    """The text of a pane (or of a session's active pane): what it shows, `all` of its history, or what it printed since
    a cursor. An empty `since` gives the first cursor beside what is shown; from then on each reply to a cursor holds
    what came after it, nothing twice, and the next cursor.
    """

    pane_id: str | None = None
    session: str | None = None
    last_n_lines: int | None = None
    from_history: bool = False
    ansi: bool = False
    all: bool = False
    since: str | None = None
    server: str | None = None


class TmuxSwitch(Params, frozen=True):
    """Make a pane the current one, on one client or on all that show its session."""

    pane_id: str
    client: str | None = None
    server: str | None = None


class TmuxCreateSession(Params, frozen=True):
    """A new session, detached."""

    session_name: str
    cwd: str | None = None
    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    server: str | None = None


class TmuxCreatePane(Params, frozen=True):
    """A new pane beside `target`, or a new window in its session."""

    target: str
    direction: Literal["horizontal", "vertical"] = "vertical"
    new_window: bool = False
    command: str | None = None
    args: tuple[str, ...] = ()
    cwd: str | None = None
    server: str | None = None


class TmuxSendKeys(Params, frozen=True):
    """Press keys, by approved names only (Enter, C-c, Up, …)."""

    pane_id: str
    keys: tuple[str, ...]
    server: str | None = None


class TmuxSendText(Params, frozen=True):
    """Paste text into a pane (bracketed where the program asked for it); always judged."""

    pane_id: str
    text: str
    enter: bool = False
    server: str | None = None


class TmuxKillSession(Params, frozen=True):
    """End a session."""

    session: str
    server: str | None = None


class TmuxKillPane(Params, frozen=True):
    """End a pane."""

    pane_id: str
    server: str | None = None


class TmuxAttach(Params, frozen=True):
    """Tell the sidecar of a tmux server of this user, by its socket; the plugin calls it at start."""

    socket: str


METHODS: dict[str, type[Params]] = {
    "tmux.sessions": TmuxSessions,
    "tmux.windows": TmuxWindows,
    "tmux.panes": TmuxPanes,
    "tmux.read": TmuxRead,
    "tmux.switch": TmuxSwitch,
    "tmux.create_session": TmuxCreateSession,
    "tmux.create_pane": TmuxCreatePane,
    "tmux.send_keys": TmuxSendKeys,
    "tmux.send_text": TmuxSendText,
    **protocol_terminals.METHODS,
    "tmux.kill_session": TmuxKillSession,
    "tmux.kill_pane": TmuxKillPane,
    "tmux.attach": TmuxAttach,
}
# Sent again with the same `key`, these are the same request: nothing is asked or run twice.
KEYED: frozenset[type[Params]] = frozenset(
    {
        TmuxRead,
        TmuxSwitch,
        TmuxCreateSession,
        TmuxCreatePane,
        TmuxSendKeys,
        TmuxSendText,
        TmuxKillSession,
        TmuxKillPane,
    }
)
