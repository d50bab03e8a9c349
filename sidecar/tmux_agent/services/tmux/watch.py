"""What watched panes print: markers and lines, nothing lost and nothing twice, at no cost while they are silent.

Owns how each pane is read: the raw output of shells and scripts through a pipe (pipe.py), the screen of programs that
draw one (agents; full-screen programs; panes whose pipe is somebody else's), captured a moment after they wrote.
Whoever records a pane is given its raw output by the same pipe (`tap`). Must not own: which panes (watching.py),
keeping what was seen over a restart (watch_records.py), what a marker moves (pipelines.py), recordings (casts.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from ...core import errors, marker_screen, markers, readings
from ...core.marker_stream import Found, MarkerStream
from ...core.model import Event
from ...core.output_lines import OutputLines, plain
from ...core.pipeline_run import Place
from ...core.readings import Reading
from .. import watch_rows
from ..foreground import foreground
from ..journal import Journal
from ..processes import processes_here
from ..tty_watch import TtyWatch
from .control import TmuxServer
from .pipe import Pipe, clean, open_pipe, release
from .snapshot import Pane
from .watch_records import WatchRecords
from .watched import MARKERS, SEEN, Heard, Tap, Watched, place_of

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.1  # after something was written: what is drawn in several writes is whole by then
LEAST_SECONDS = 0.4  # between two captures of a pane that goes on drawing
HISTORY = 500  # lines above the screen that a capture holds
CATCH_UP = 2000  # and the first one after a restart
TAIL = 4 << 10  # bytes of a pane's output that are kept for whoever asks how it went
LAST_SECONDS = 1.0  # in which a pane's last output comes once the pane is gone


class Watch:
    """Built by the system. `heard` and `printed` are called in the loop and must not block; `heard` gives the record of
    it, which is kept together with what was seen. `wants_lines` says for which panes `printed` is wanted."""

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        heard: Callable[[Heard], Event],
        printed: Callable[[Place, str, tuple[str, ...]], None],
        wants_lines: Callable[[Place], bool],
        kept: Callable[[Place], Coroutine[Any, Any, None]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        since: int,
    ) -> None:
        """`kept` waits until those who heard have kept it. `since`: when this sidecar began, in the kernel's ticks."""
        self._since = since
        self._folder = folder
        self._journal = journal
        self._records = WatchRecords(journal, heard, kept, spawn)
        self._printed, self._wants_lines = printed, wants_lines
        self._spawn = spawn
        self._table = processes_here()
        self._tty = TtyWatch(self._wrote)
        self._panes: dict[Place, Watched] = {}
        self._kept: dict[Place, tuple[bytes, ...]] = {}  # what an earlier sidecar has seen

    async def start(self) -> None:
        """Raises Unavailable."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        clean(self._folder)
        self._kept = await self._journal.read(watch_rows.all_seen)
        self._tty.start()

    async def close(self) -> None:
        """Let go of every pane."""
        self._tty.close()
        await asyncio.gather(*(self._leave(place) for place in list(self._panes)))

    @property
    def places(self) -> frozenset[Place]:
        """The panes that are watched."""
        return frozenset(place for place, one in self._panes.items() if not one.silent)

    @property
    def reads(self) -> bool:
        """Whether any pane is read, watched or recorded."""
        return bool(self._panes)

    def how(self, server: str, pane: str) -> str:
        """How a pane is read, in words; "" where it is not."""
        one = self._at(server, pane)
        return "" if one is None else "from its screen" if one.screen else "its output" if one.pipe else "not yet"

    def invalid(self, server: str, pane: str) -> tuple[markers.Invalid, ...]:
        """Lines of a pane that began as markers and were none, the last ones."""
        one = self._at(server, pane)
        return tuple(one.invalid) if one is not None else ()

    def reading(self, server: str, pane: str) -> Reading:
        """What a pane's output said last, by its words; unknown where it said nothing, or is not watched."""
        one = self._at(server, pane)
        if one is None:
            return readings.UNKNOWN
        if one.screen:
            return readings.last("\n".join(one.text[-SEEN:]))
        return readings.last(plain(one.tail), readings.Notices().feed(one.tail))

    def _at(self, server: str, pane: str) -> Watched | None:
        places = self._panes.items()
        return next((one for place, one in places if (place.server, place.pane) == (server, pane)), None)

    # --- which panes ---

    def set(self, server: TmuxServer, wanted: tuple[Pane, ...], recorded: tuple[Pane, ...] = ()) -> None:
        """Watch exactly these panes of a server from now on, and read those besides that are only recorded."""
        silent = {place_of(server, pane) for pane in recorded}
        places = {place_of(server, pane): pane for pane in (*wanted, *recorded)}
        silent -= {place_of(server, pane) for pane in wanted}
        for place in list(self._panes):
            if place.server == server.socket and place not in places:
                self._spawn(self._leave(place))
        now = asyncio.get_running_loop().time()
        for place, pane in places.items():
            if place not in self._panes:
                one = self._panes[place] = Watched(server, pane, now, silent=place in silent)
                self._spawn(self._begin(one))
            else:
                one = self._panes[place]
                was, one.pane, one.silent = one.silent, pane, place in silent
                if was and not one.silent:
                    self._hear(one)

    def _hear(self, one: Watched) -> None:
        """A pane that was only recorded is watched from here on: what it showed until now is old."""
        one.begun.clear()
        one.noted.clear()
        self._records.keep(one, [])
        self._spawn(self._begun(one))
        if one.screen:
            self._soon(one)

    async def _begun(self, one: Watched) -> None:
        await one.noted.wait()
        one.begun.set()

    async def _leave(self, place: Place) -> None:
        one = self._panes.pop(place, None)
        if one is None:
            return
        if one.timer is not None:
            one.timer.cancel()
        self._tty.disarm(one.pane.tty)
        if one.taps:  # its pane is gone: what it printed last is on its way
            await _drained(one.pipe)
            for tap in list(one.taps):
                tap.ended("its pane was closed")
        if one.pipe is not None and one.pipe.open:
            one.pipe.close()
            await release(one.server, place.pane)

    # --- recording ---

    async def tap(self, place: Place, tap: Tap) -> None:
        """Give `tap` the raw output of a pane that is read, from now on.

        Raises NotFound, Conflict (the pane's pipe is somebody else's).
        """
        await self.ready(place)
        one = self._panes.get(place)
        if one is None:
            raise errors.NotFound(f"pane {place.pane} is gone")
        async with one.busy:
            if one.pipe is None:
                await self._pipe(one)
                if self._draws(one):
                    self._from_screen(one)
        if one.pipe is None:
            raise errors.Conflict(
                f"the output of pane {place.pane} goes into a pipe already, and it has only one: "
                f"end that first (tmux pipe-pane -t {place.pane})"
            )
        one.pipe.widen()
        if tap not in one.taps:
            one.taps.append(tap)

    def untap(self, place: Place, tap: Tap) -> None:
        """`tap` wants no more of it."""
        if (one := self._panes.get(place)) and tap in one.taps:
            one.taps.remove(tap)

    def screens(self, place: Place, drew: Callable[[list[str]], None]) -> None:
        """Have `drew` told of all that a watched pane shows, whenever that is looked at: where nothing raw is had."""
        if one := self._panes.get(place):
            one.screens = drew
            self._from_screen(one)
            self._soon(one)

    # --- beginning ---

    async def _begin(self, one: Watched) -> None:
        """What was printed while nobody looked, then what is printed from now on. Kept before anything is typed there:
        the next sidecar would take what it does not know of a pane for old."""
        try:
            if await self._catch_up(one):
                await one.noted.wait()
        finally:
            one.begun.set()

    async def _catch_up(self, one: Watched) -> bool:
        """False where the pane is gone."""
        async with one.busy:
            # Of a pane that is as old as we are, what stands there is old; of one that is new it is not.
            known = self._kept.pop(one.place, () if self._is_new(one) else None)
            lines = await (self._capture(one, CATCH_UP) if self._draws(one) else self._pipe(one))
            if lines is None:
                return False
            found = marker_screen.find(lines)
            events = self._records.tell(one, [] if known is None else marker_screen.new(known, found), "screen")
            one.seen.extendleft(reversed([markers.payload(each.marker) for each in found]))
            one.text = tuple(lines)
            self._records.keep(one, events)
            if one.pipe is None:
                self._from_screen(one)
            return True

    def _is_new(self, one: Watched) -> bool:
        process = self._table.read(one.place.pane_pid)
        return process is not None and process.started >= self._since

    async def _pipe(self, one: Watched) -> list[str] | None:
        """Read the pane's output through its pipe, if nobody else has it; what it showed until then."""
        try:
            one.pipe, lines, column = await open_pipe(
                one.server, one.place, self._folder, CATCH_UP, lambda data: self._came(one, data),
                lambda: self._ended(one),
            )  # fmt: skip
        except (errors.TmuxAgentError, OSError) as why:
            log.warning("pane %s is read from its screen: %s", one.place.pane, why)
            return await self._capture(one, CATCH_UP)
        program = foreground(self._table, one.place.pane_pid)
        prompt = column > 0 and (program is None or program.reads)
        full_screen, one.stream = one.stream.full_screen, MarkerStream(prompt=prompt)
        one.stream.full_screen, one.lines = full_screen, OutputLines(prompt=prompt)
        return _trimmed(lines)

    def _draws(self, one: Watched) -> bool:
        """Whether the program in the pane draws a screen, so that its raw output tells little."""
        program = foreground(self._table, one.place.pane_pid)
        return one.stream.full_screen or (program is not None and program.agent is not None)

    # --- raw output ---

    def _came(self, one: Watched, data: bytes) -> None:
        for tap in one.taps:
            tap.came(data)
        said = one.stream.feed(data)
        if one.screen:
            return
        if said:
            one.seen.extend(markers.payload(found.marker) for found in said)
            self._records.keep(one, self._records.tell(one, said, "raw"))
            one.drawn = {markers.payload(found.marker) for found in said}
        one.tail = (one.tail + data)[-TAIL:]
        if not one.silent and self._wants_lines(one.place):
            text, notices = one.lines.feed(data), one.notices.feed(data)
            if text or notices:
                self._printed(one.place, text, tuple(notices))
        if b"\x1b[?" in data and self._draws(one):
            self._from_screen(one)

    def _ended(self, one: Watched) -> None:
        """The pane is gone, or somebody else took its pipe."""
        one.pipe = None
        if one.place in self._panes:
            self._spawn(self._again(one))

    async def _again(self, one: Watched) -> None:
        async with one.busy:
            if one.place in self._panes and one.pipe is None:
                if one.repipe.take(asyncio.get_running_loop().time()) and (lines := await self._pipe(one)):
                    new = marker_screen.new(tuple(one.seen), marker_screen.find(lines))
                    one.seen.extend(markers.payload(each.marker) for each in new)
                    self._records.keep(one, self._records.tell(one, new, "screen"))
                if one.pipe is not None:
                    for tap in one.taps:
                        one.pipe.widen()
                        tap.cut()
                else:
                    self._from_screen(one)
                    taps = list(one.taps)
                    if taps and await self._capture(one, 0) is not None:
                        for tap in taps:
                            tap.ended("its output was piped elsewhere (pipe-pane)")

    # --- the screen ---

    def _from_screen(self, one: Watched) -> None:
        if not one.screen:
            one.screen = True
            self._soon(one)

    def _wrote(self, tty: str, gone: bool) -> None:
        for one in self._panes.values():
            if one.pane.tty == tty and not gone and one.screen:
                self._soon(one)

    def _soon(self, one: Watched) -> None:
        if one.timer is None and (not one.silent or one.screens is not None):
            loop = asyncio.get_running_loop()
            one.timer = loop.call_later(max(SETTLE_SECONDS, one.last + LEAST_SECONDS - loop.time()), self._due, one)

    def _due(self, one: Watched) -> None:
        one.timer, one.last = None, asyncio.get_running_loop().time()
        if one.place in self._panes:
            self._tty.arm(one.pane.tty)  # before it is looked at: what is written from here on tells again
            self._spawn(self._look(one))

    async def _look(self, one: Watched) -> None:
        async with one.busy:
            lines = await self._capture(one, HISTORY)
            if lines is None or one.place not in self._panes:
                return
            if one.screens is not None:
                one.screens(lines)
            found = marker_screen.find(lines)
            events = self._records.tell(one, self._undrawn(one, marker_screen.new(tuple(one.seen), found)), "screen")
            now = [markers.payload(each.marker) for each in found]
            if now != list(one.seen):
                one.seen.clear()
                one.seen.extend(now)
                self._records.keep(one, events)
            if not one.silent and self._wants_lines(one.place) and (text := _added(one.text, lines)):
                self._printed(one.place, text, ())
            one.text = tuple(lines)
            if not self._draws(one) and one.pipe is not None and one.pipe.open:
                # Its program has ended: a shell is there again.
                one.screen, one.lines, one.drawn = False, OutputLines(), set()

    def _undrawn(self, one: Watched, new: list[Found]) -> list[Found]:
        """Without what a pager scrolls to again. An agent may say the same twice: what it says is not on file."""
        program = foreground(self._table, one.place.pane_pid)
        if not one.stream.full_screen or (program is not None and program.agent is not None):
            return new
        found = [each for each in new if markers.payload(each.marker) not in one.drawn]
        one.drawn |= {markers.payload(each.marker) for each in found[:MARKERS]}
        return found

    async def _capture(self, one: Watched, above: int) -> list[str] | None:
        """The pane's lines, joined where tmux wrapped them; None where it is gone."""
        try:
            lines = await one.server.foreign("capture-pane", "-p", "-J", "-S", f"-{above}", "-t", one.place.pane)
        except errors.TmuxAgentError:
            return None
        return _trimmed(lines)

    async def ready(self, place: Place) -> None:
        """Wait until what a pane prints is heard; at once where it is not watched."""
        if one := self._panes.get(place):
            await one.begun.wait()

    async def lines(self, place: Place) -> str:
        """All that a watched pane still shows, with its history; "" where it is not watched."""
        one = self._panes.get(place)
        lines = await self._capture(one, CATCH_UP) if one else None
        return "\n".join(lines or ())


async def _drained(pipe: Pipe | None) -> None:
    if pipe is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await pipe.ended.wait()


def _trimmed(lines: list[str]) -> list[str]:
    """Without blanks at the ends of lines, and the empty rest of the screen."""
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.rstrip() for line in lines]


def _added(before: tuple[str, ...], now: list[str]) -> str:
    """The lines that were not there before, each as often as it is there more often."""
    left = Counter(before)
    found = []
    for line in now:
        if left[line] > 0:
            left[line] -= 1
        else:
            found.append(line)
    return "".join(f"{line}\n" for line in found if line)
