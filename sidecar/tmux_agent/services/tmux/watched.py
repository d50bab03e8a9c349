"""One pane that is watched: its name for good, what was seen of it, and what is still to be kept.

Owns these values, and the bounds of what one pane may tell. Must not own: reading it (watch.py), keeping what it told
(watch_records.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from ...core import markers, readings
from ...core.marker_stream import Found, MarkerStream
from ...core.model import Event
from ...core.output_lines import OutputLines
from ...core.pipeline_run import Place
from ...core.rate import Bucket
from .control import TmuxServer
from .pipe import Pipe
from .snapshot import Pane

SEEN = 64  # markers of a pane that are remembered
MARKERS, MARKERS_A_SECOND = 1000, 100.0  # of one pane at once, and in the long run: more are not told
ASKS, ASKS_A_SECOND = 20, 0.1  # questions of one pane: people read slowly
PIPES_A_MINUTE = 6.0  # tries to pipe one pane again that somebody else's pipe ended


def place_of(server: TmuxServer, pane: Pane) -> Place:
    """A pane, named for good."""
    return Place(server=server.socket, server_pid=server.pid, pane=pane.id, pane_pid=pane.pid)


class Heard(Struct, frozen=True):
    """A marker that a pane printed, and how it was read ("raw" or "screen")."""

    place: Place
    found: Found
    by: str
    asks: bool = True  # false: that pane has asked too much already


class Tap(Protocol):
    """Whoever is given a pane's raw output. Called in the loop; must not block."""

    def came(self, data: bytes) -> None: ...

    def cut(self) -> None:
        """Some output went by unheard."""

    def ended(self, why: str) -> None:
        """No more comes."""


class Watched:
    """What is known of it. Read and changed by the two modules above only."""

    __slots__ = (
        "asks", "begun", "busy", "changed", "drawn", "invalid", "keeping", "last", "lines", "noted", "notices", "pane",
        "pipe", "place", "rate", "repipe", "screen", "screens", "seen", "server", "silent", "stream", "tail", "taps",
        "text", "timer", "unkept",
    )  # fmt: skip

    def __init__(self, server: TmuxServer, pane: Pane, now: float, *, silent: bool) -> None:
        self.server, self.pane = server, pane
        self.silent = silent  # it is recorded and nothing else: its markers and lines are nobody's
        self.taps: list[Tap] = []
        self.screens: Callable[[list[str]], None] | None = None  # told of each capture of its screen
        self.place = place_of(server, pane)
        self.pipe: Pipe | None = None
        self.begun = asyncio.Event()
        self.stream, self.lines, self.notices = MarkerStream(), OutputLines(), readings.Notices()
        self.tail = b""  # the end of its output
        self.stream.full_screen = pane.alternate
        self.seen: deque[bytes] = deque(maxlen=SEEN)  # markers on the screen at the last capture, or told since
        self.drawn: set[bytes] = set()  # told of the full screen program that is there
        self.screen = False  # it is read from the screen
        self.text: tuple[str, ...] = ()  # the last capture
        self.timer: asyncio.TimerHandle | None = None
        self.busy = asyncio.Lock()
        self.unkept: list[Event] = []  # records of what was told that are not kept yet
        self.noted = asyncio.Event()  # something of it is kept
        self.keeping = self.changed = False  # they are being kept; and something is new since
        self.last = 0.0
        self.rate = Bucket(MARKERS, MARKERS_A_SECOND, now)
        self.asks = Bucket(ASKS, ASKS_A_SECOND, now)
        self.repipe = Bucket(PIPES_A_MINUTE, PIPES_A_MINUTE / 60, now)
        self.invalid: deque[markers.Invalid] = deque(maxlen=8)
