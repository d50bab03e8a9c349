"""Recordings of panes: begun, ended, gone on with after a restart; each by the one reader that its pane's output has.

Owns which panes are recorded, their keyframes and sizes. Must not own: how a pane is read (tmux/watch.py), the disk
(cast_writer.py, cast_files.py), who may (edges/casts.py).

A recording begins with a keyframe, and has another one where a part begins, the size changes or output was lost. What
tmux says of a pane and what comes out of its pipe are not told in one order, so a keyframe is taken in a moment of
silence; of a pane that is never silent, after WAIT seconds as it is: then a little may be drawn twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..core import cast, cast_frame, display, errors
from ..core.cast_frame import Frame
from ..core.cast_stream import Stream
from ..core.model import Event
from ..core.pipeline_run import Place
from ..core.settings import Casts as Bounds
from .cast_files import CastFiles, Kept, Note
from .cast_writer import Told, Writer
from .ids import new_id
from .journal import Journal
from .tmux.control import TmuxServer
from .tmux.servers import Servers
from .tmux.snapshot import Pane
from .tmux.watch import Watch
from .tmux.watched import place_of
from .watching import Watching

log = logging.getLogger(__name__)

QUIET = 0.05  # seconds without output that are a silence
WAIT = 1.0  # seconds that one is waited for


class _Recording:
    """One pane that is recorded: the tap that its output comes to."""

    def __init__(self, casts: Casts, note: Note, server: TmuxServer) -> None:
        self._casts = casts
        self.note, self.server = note, server
        self.writer: Writer | None = None  # once its first keyframe is there
        self.shape = (0, 0)
        self.last = 0.0  # when output came
        self.framing = False
        self.changing = asyncio.Lock()  # it begins, or ends
        self._stream = Stream()

    def came(self, data: bytes) -> None:
        self.last = asyncio.get_running_loop().time()
        text = self._stream.feed(data)
        if text and self.writer is not None:
            self.writer.put("o", text)

    def cut(self) -> None:
        self._casts.wants_frame(self)

    def ended(self, why: str) -> None:
        self._casts.ended(self, why)

    def rest(self) -> None:
        """What never became whole."""
        if self.writer is not None and (text := self._stream.rest()):
            self.writer.put("o", text)


class Casts:
    """Built by the system; used in the event loop only."""

    def __init__(
        self,
        folder: Path,
        bounds: Callable[[], Bounds],
        watch: Watch,
        watching: Watching,
        servers: Servers,
        journal: Journal,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.files = CastFiles(folder)
        self._bounds, self._watch, self._watching, self._servers = bounds, watch, watching, servers
        self._journal, self._spawn = journal, spawn
        self._active: dict[Place, _Recording] = {}
        self._left: dict[str, Note] = {}  # of an earlier sidecar, whose tmux server has not come yet
        watching.recorded = lambda: self._active

    async def recover(self) -> None:
        """Raises Unavailable."""
        kept = await asyncio.to_thread(self.files.all)
        self._left = {one.note.id: one.note for one in kept if not one.note.ended}

    async def close(self) -> None:
        """Write what there is; they go on with the next sidecar."""
        active = list(self._active.values())
        self._active.clear()
        for one in active:
            self._watch.untap(one.note.place, one)
        await asyncio.gather(*(one.writer.close() for one in active if one.writer is not None))

    # --- what people and agents want ---

    async def start(self, place: Place, *, mask: bool = False, max_bytes: int = 0, by: str = "operator") -> Note:
        """Record a pane from now on. `max_bytes`: of the whole recording, 0 for no limit of its own.

        Raises NotFound (the pane is gone), Conflict (it is recorded, or its pipe is somebody else's), LimitExceeded,
        Unavailable.
        """
        server, pane = self._find(place)
        if known := self._active.get(place):
            raise errors.Conflict(f"pane {place.pane} is recorded already: {known.note.id}")
        if len(self._active) >= self._bounds().at_once:
            raise errors.LimitExceeded(f"{len(self._active)} panes are recorded already (casts.at_once in config.yaml)")
        title = display.safe(f"{pane.place} {pane.id}")
        note = Note(
            id=new_id(), place=place, started=time.time(), title=title, mask=mask, max_bytes=max_bytes, by=by
        )
        try:
            await self._begin(note, server)
        except BaseException:
            with contextlib.suppress(errors.NotFound):  # it had not come so far
                await asyncio.to_thread(lambda: self.files.remove(self.files.get(note.id)))
            raise
        await self._tell("cast.started", note)
        return note

    async def stop(self, name: str, why: str = "stopped") -> Note:
        """End a recording, by its id. Raises NotFound."""
        one = self._by_id(name)
        if one is None:
            raise errors.NotFound(f"recording {name} does not go on: it has ended, or was never there")
        return await self._end(one, why) or one.note

    def of(self, server: str, pane: str) -> str | None:
        """The id of the recording of a pane that goes on."""
        found = (one for place, one in self._active.items() if (place.server, place.pane) == (server, pane))
        return next((one.note.id for one in found), None)

    async def all(self) -> list[Kept]:
        """Every recording that is kept, the oldest first."""
        return await asyncio.to_thread(self.files.all)

    async def get(self, name: str) -> Kept:
        """Raises NotFound, InvalidParams."""
        return await asyncio.to_thread(self.files.get, name)

    def goes_on(self, name: str) -> bool:
        return self._by_id(name) is not None

    async def remove(self, kept: Kept) -> None:
        """Raises Conflict (it goes on), Unavailable."""
        if self.goes_on(kept.note.id):
            raise errors.Conflict(f"recording {kept.note.id} goes on: stop it first (tmux-agent cast stop)")
        self._left.pop(kept.note.id, None)
        await asyncio.to_thread(self.files.remove, kept)

    # --- what tmux tells ---

    async def look(self, server: TmuxServer) -> None:
        """The panes of a server may be others: sizes, and recordings of an earlier sidecar."""
        if not server.connected.is_set():
            return
        panes = {place_of(server, pane): pane for pane in server.panes if not pane.dead}
        for place, one in self._active.items():
            pane = panes.get(place)
            if pane is not None and one.writer is not None and one.shape != (pane.width, pane.height):
                one.shape = (pane.width, pane.height)
                one.writer.put("r", cast.size(*one.shape))
                self.wants_frame(one)
        for note in [note for note in self._left.values() if note.place.server == server.socket]:
            self._left.pop(note.id, None)
            await self._go_on(note, server, there=note.place in panes)

    async def lost(self, socket: str) -> None:
        """A tmux server is gone."""
        for one in [one for place, one in self._active.items() if place.server == socket]:
            await self._end(one, "its tmux server is gone")

    async def _go_on(self, note: Note, server: TmuxServer, *, there: bool) -> None:
        try:
            if not there:
                raise errors.NotFound("its pane was closed while no sidecar ran")
            await self._begin(note, server)
        except errors.TmuxAgentError as why:
            await self._put_end(note, why.message)

    def ended(self, one: _Recording, why: str) -> None:
        self._spawn(self._ended(one, why))

    async def _ended(self, one: _Recording, why: str) -> None:
        await self._end(one, why)

    # --- beginning, ending ---

    def _find(self, place: Place) -> tuple[TmuxServer, Pane]:
        server = self._servers.get(place.server)
        for pane in server.panes if server else ():
            if server is not None and place_of(server, pane) == place and not pane.dead:
                return server, pane
        raise errors.NotFound(f"pane {place.pane} is gone: tmux.panes lists them")

    def _by_id(self, name: str) -> _Recording | None:
        return next((one for one in self._active.values() if one.note.id == name), None)

    async def _begin(self, note: Note, server: TmuxServer) -> None:
        """Raises NotFound, Conflict, Unavailable; then nothing is recorded."""
        one = self._active[note.place] = _Recording(self, note, server)
        async with one.changing:
            writer: Writer | None = None
            try:
                await asyncio.to_thread(self.files.ready)
                await self._watching.look(server)
                await self._watch.tap(note.place, one)
                seen = await server.foreign_line(cast_frame.asked(note.place.pane))
                writer = self._writer(one, self._seen(seen, note))
                await asyncio.to_thread(self.files.put, note)
                await writer.begin()
                frame = self._seen(await self._frame(one), note)
            except BaseException:
                self._active.pop(note.place, None)
                self._watch.untap(note.place, one)
                if writer is not None:
                    await writer.close()
                await self._let_go(server)
                raise
            # Nothing is waited for from here on: what comes next goes behind the keyframe.
            if one.shape != (frame.columns, frame.rows):
                one.shape = (frame.columns, frame.rows)
                writer.put("r", cast.size(*one.shape))
            writer.put("o", cast_frame.drawn(frame))
            one.writer = writer

    def _writer(self, one: _Recording, frame: Frame) -> Writer:
        one.shape = (frame.columns, frame.rows)
        told = Told(lambda: self.wants_frame(one), lambda why: self.ended(one, why))
        return Writer(
            self.files, one.note, one.shape, frame.terminal, self._bounds, self._running, told, self._spawn
        )

    def _seen(self, answers: Sequence[Sequence[str]], note: Note) -> Frame:
        frame = cast_frame.frame(answers)
        if frame is None:
            raise errors.NotFound(f"pane {note.place.pane} is gone")
        return frame

    async def _end(self, one: _Recording, why: str) -> Note | None:
        """None where it has ended already."""
        async with one.changing:
            if self._active.get(one.note.place) is not one:
                return None
            del self._active[one.note.place]
            self._watch.untap(one.note.place, one)
            one.rest()
            if one.writer is not None:
                await one.writer.close()
            await self._let_go(one.server)
            return await self._put_end(one.note, why)

    async def _let_go(self, server: TmuxServer) -> None:
        with contextlib.suppress(errors.Unavailable):  # its server is gone: so is the pipe
            await self._watching.look(server)

    async def _put_end(self, note: Note, why: str) -> Note:
        note = msgspec.structs.replace(note, ended=time.time(), why=why)
        try:
            await asyncio.to_thread(self.files.put, note)
            await asyncio.to_thread(self.files.prune, self._bounds(), self._running())
        except (errors.Unavailable, OSError) as failed:
            log.warning("the end of recording %s is not kept: %s", note.id, failed)
        await self._tell("cast.ended", note)
        return note

    def _running(self) -> frozenset[str]:
        return frozenset((*(one.note.id for one in self._active.values()), *self._left))

    async def _tell(self, kind: str, note: Note) -> None:
        data = {"cast": note.id, "server": note.place.server, "pane": note.place.pane, "why": note.why}
        try:
            await self._journal.publish(Event(type=kind, data={key: value for key, value in data.items() if value}))
        except errors.Unavailable as why:  # it is recorded all the same: the audit log is no part of it
            log.warning("%s of %s is not in the audit log: %s", kind, note.id, why)

    # --- keyframes ---

    def wants_frame(self, one: _Recording) -> None:
        """Draw the whole pane again, once however often it is wanted."""
        if not one.framing:
            one.framing = True
            self._spawn(self._draw(one))

    async def _draw(self, one: _Recording) -> None:
        try:
            frame = self._seen(await self._frame(one), one.note)
        except errors.TmuxAgentError as why:  # the pane, or tmux, is gone: its end is told elsewhere
            log.info("no keyframe of pane %s: %s", one.note.place.pane, why)
            return
        finally:
            one.framing = False
        if one.writer is not None:
            one.writer.put("o", cast_frame.drawn(frame))

    async def _frame(self, one: _Recording) -> list[list[str]]:
        """What tmux says of the pane, in a moment of silence. Raises Failed, Unavailable."""
        loop = asyncio.get_running_loop()
        until = loop.time() + WAIT
        while True:
            await asyncio.sleep(max(0.0, min(one.last + QUIET, until) - loop.time()))
            asked = loop.time()
            answers = await one.server.foreign_line(cast_frame.asked(one.note.place.pane))
            if loop.time() >= until:
                return answers
            await asyncio.sleep(QUIET)  # what was printed before it was taken is here by then
            if one.last < asked:
                return answers
