"""What a tmux server holds, as typed values: clients, sessions, windows, panes.

Owns the formats that are asked for and their parsing. Must not own: when to ask (control.py).

Fields are parted by tabs, ids and numbers first. tmux writes tabs and line ends in names and titles as escapes, so no
name can forge a field; a row that does not fit is left out, never guessed at. A pane's folder and command are not
among them: a program chooses those bytes freely (control.py asks for each by itself).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

_ID = {"%": re.compile(r"%\d+"), "@": re.compile(r"@\d+"), "$": re.compile(r"\$\d+")}


class Client(Struct, frozen=True):
    """A terminal, or a program in control mode, that is attached to a session."""

    name: str  # "/dev/pts/3", "client-512"
    pid: int
    tty: str
    session: str  # "$1"
    control: bool
    activity: int  # seconds since the epoch of the last key
    width: int
    height: int


class Session(Struct, frozen=True):
    id: str  # "$1"
    name: str
    created: int  # seconds since the epoch
    attached: int  # clients
    windows: int
    activity: int


class Window(Struct, frozen=True):
    id: str  # "@3"
    session: str
    index: int
    name: str
    active: bool
    panes: int
    width: int
    height: int
    flags: str


class Pane(Struct, frozen=True):
    id: str  # "%7"
    window: str
    session: str
    window_index: int
    index: int
    pid: int  # of the program that tmux started in it
    tty: str
    active: bool
    dead: bool
    in_mode: bool
    input_off: bool
    synchronized: bool
    alternate: bool  # the program draws on the alternate screen
    width: int
    height: int
    created: int  # of its session: tmux keeps no time of a pane
    session_name: str
    window_name: str
    title: str

    @property
    def place(self) -> str:
        """ "session:window", for people."""
        return f"{self.session_name}:{self.window_index}"


def is_id(text: str, kind: str) -> bool:
    """Whether `text` is a tmux id of `kind` ("%" pane, "@" window, "$" session) and nothing more."""
    return _ID[kind].fullmatch(text) is not None


def _format(*names: str) -> str:
    return "\t".join(f"#{{{name}}}" for name in names)


CLIENTS = (
    "list-clients",
    "-F",
    _format(
        "session_id", "client_pid", "client_control_mode", "client_activity", "client_width", "client_height",
        "client_tty", "client_name",
    ),
)  # fmt: skip
SESSIONS = (
    "list-sessions",
    "-F",
    _format("session_id", "session_created", "session_attached", "session_windows", "session_activity", "session_name"),
)
WINDOWS = (
    "list-windows",
    "-a",
    "-F",
    _format(
        "window_id", "session_id", "window_index", "window_active", "window_panes", "window_width", "window_height",
        "window_flags", "window_name",
    ),
)  # fmt: skip
PANES = (
    "list-panes",
    "-a",
    "-F",
    _format(
        "pane_id", "window_id", "session_id", "window_index", "pane_index", "pane_pid", "pane_active", "pane_dead",
        "pane_in_mode", "pane_input_off", "pane_synchronized", "alternate_on", "pane_width", "pane_height",
        "session_created", "pane_tty", "session_name", "window_name", "pane_title",
    ),
)  # fmt: skip


def _rows(lines: Iterable[str], fields: int, kinds: str) -> Iterator[list[str]]:
    for line in lines:
        row = line.split("\t")
        if len(row) == fields and all(is_id(field, kind) for field, kind in zip(row, kinds, strict=False)):
            yield row


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def clients(lines: Iterable[str]) -> tuple[Client, ...]:
    return tuple(
        Client(name, _number(pid), tty, session, control == "1", _number(activity), _number(width), _number(height))
        for session, pid, control, activity, width, height, tty, name in _rows(lines, 8, "$")
    )


def sessions(lines: Iterable[str]) -> tuple[Session, ...]:
    return tuple(
        Session(id_, name, _number(created), _number(attached), _number(windows), _number(activity))
        for id_, created, attached, windows, activity, name in _rows(lines, 6, "$")
    )


def windows(lines: Iterable[str]) -> tuple[Window, ...]:
    return tuple(
        Window(
            id_, session, _number(index), name, active == "1", _number(panes), _number(width), _number(height), flags
        )
        for id_, session, index, active, panes, width, height, flags, name in _rows(lines, 9, "@$")
    )


def panes(lines: Iterable[str]) -> tuple[Pane, ...]:
    """Every pane once, also where its window is linked into several sessions."""
    found: dict[str, Pane] = {}
    for row in _rows(lines, 19, "%@$"):
        numbers = [_number(field) for field in row[3:15]]
        window_index, index, pid, active, dead, mode, off, sync, alternate, width, height, created = numbers
        pane = Pane(
            id=row[0], window=row[1], session=row[2], window_index=window_index, index=index, pid=pid, tty=row[15],
            active=active == 1, dead=dead == 1, in_mode=mode > 0, input_off=off == 1, synchronized=sync == 1,
            alternate=alternate == 1, width=width, height=height, created=created, session_name=row[16],
            window_name=row[17], title=row[18],
        )  # fmt: skip
        found.setdefault(pane.id, pane)
    return tuple(found.values())
