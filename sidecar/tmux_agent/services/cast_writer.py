"""One recording on its way to the disk: what happened is kept a moment, then written by a thread, in whole lines.

Owns the buffer and its bound, the current part, when the next one begins, the recording's own size limit, and the mask.
Must not own: what is recorded (casts.py), names and what is kept (cast_files.py), the form of a line (core/cast.py).

The loop only appends to a list. Masking, encoding and writing happen in a thread, one at a time; while it is behind, at
most BUFFER characters wait, and what comes beyond is left out and said so: tmux would keep in its own memory what we do
not read. After `kill -9` what was not written yet is missing: FLUSH seconds, with a mask what it holds back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import IO, Any

from msgspec import Struct

from .. import __version__
from ..core import cast, errors
from ..core.cast import Happened, Header, Part
from ..core.cast_mask import Mask
from ..core.settings import Casts as Bounds
from .cast_files import CastFiles, Note

log = logging.getLogger(__name__)

FLUSH = 0.5  # seconds that something waits
FLUSH_CHARACTERS = 256 << 10  # for more it is not waited
BUFFER = 4 << 20  # characters that wait at the most
MASKED_BUFFER = 1 << 20  # the same where they have to be looked through: so many take some seconds
SETTLE = 5.0  # seconds of silence after which whole lines are no longer held back by the mask
LINE = 8 << 10  # characters of output in one line, so that bounds are kept closely
LEAST = 64 << 10  # bytes of a part, whatever the settings say
LEFT_OUT = "{} characters of output were left out here: they came faster than they could be written"


class Told(Struct, frozen=True):
    """Whom a writer tells, in the loop: a new part has begun or output was left out, so that a keyframe is wanted; no
    more can be written, and why."""

    wants_frame: Callable[[], None]
    full: Callable[[str], None]


class _Full(Exception):
    """The recording is as large as it may be."""


class Writer:
    """Used in the loop. `shape` and `terminal` are the pane's; `running`: recordings that must not be pruned away."""

    def __init__(
        self,
        files: CastFiles,
        note: Note,
        shape: tuple[int, int],
        terminal: str,
        bounds: Callable[[], Bounds],
        running: Callable[[], frozenset[str]],
        told: Told,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._files, self._note, self._shape, self._terminal = files, note, shape, terminal
        self._bounds, self._running, self._told, self._spawn = bounds, running, told, spawn
        self._began = time.monotonic() - max(0.0, time.time() - note.started)
        self._buffer: list[Happened] = []
        self._size = 0  # characters in it
        self._lost = 0
        self._timer: asyncio.TimerHandle | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._writing = asyncio.Lock()
        self._closed = False
        self._mask = Mask() if note.mask else None
        self._out: IO[bytes] | None = None
        self._part_began = 0.0
        self._part_bytes = 0
        self._total = 0  # of all parts, also of those that are gone since

    @property
    def waiting(self) -> int:
        """Characters that are not written yet."""
        return self._size

    def put(self, code: str, data: str) -> None:
        """Something happened now."""
        if self._closed:
            return
        if self._size + len(data) > (MASKED_BUFFER if self._mask else BUFFER):
            self._lost += len(data)
            return
        if self._lost:
            self._append("m", LEFT_OUT.format(self._lost))
            self._lost = 0
            self._told.wants_frame()
        self._append(code, data)
        loop = asyncio.get_running_loop()
        if self._size > FLUSH_CHARACTERS and not self._writing.locked():
            self._due()
        elif self._timer is None:
            self._timer = loop.call_later(FLUSH, self._due)

    def _append(self, code: str, data: str) -> None:
        self._buffer.append(Happened(time.monotonic() - self._began, code, data))
        self._size += len(data)

    def _due(self) -> None:
        self._cancel()
        self._spawn(self._flush("more"))

    def _settle(self) -> None:
        self._settling = None
        self._spawn(self._flush("settle"))

    def _cancel(self) -> None:
        for timer in (self._timer, self._settling):
            if timer is not None:
                timer.cancel()
        self._timer = self._settling = None

    async def _flush(self, how: str) -> None:
        async with self._writing:
            if self._closed and how != "end":
                return
            events, self._buffer, self._size = self._buffer, [], 0
            bounds, running = self._bounds(), self._running()
            try:
                new_part = await asyncio.to_thread(self._write, events, how, bounds, running)
            except _Full:
                self._stop("it is as large as it was to become")
            except (errors.Unavailable, OSError) as why:
                self._stop(f"it cannot be written: {why}")
            else:
                if new_part and not self._closed:
                    self._told.wants_frame()
        if self._mask is not None and self._mask.holds and not self._closed and self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(SETTLE, self._settle)

    def _stop(self, why: str) -> None:
        if not self._closed:
            self._closed = True
            self._told.full(why)

    async def begin(self) -> None:
        """Make the first part. Raises Unavailable."""
        kept = await asyncio.to_thread(self._files.all)
        self._total = next((one.bytes for one in kept if one.note.id == self._note.id), 0)
        await asyncio.to_thread(self._next_part, time.monotonic() - self._began, self._bounds(), self._running())

    async def close(self) -> None:
        """Write what waits, and end the part."""
        self._cancel()
        failed, self._closed = self._closed, True
        if not failed:
            await self._flush("end")
        async with self._writing:
            if self._out is not None:
                self._out.close()
                self._out = None

    # --- in the thread: one at a time, by the lock ---

    def _write(self, events: list[Happened], how: str, bounds: Bounds, running: frozenset[str]) -> bool:
        """Whether a new part was begun. Raises _Full, OSError, Unavailable."""
        if self._mask is not None:
            held = self._masked(events, breathes=how != "end")
            held += self._mask.end() if how == "end" else self._mask.settle() if how == "settle" else []
            events = held
        lines: list[bytes] = []
        size = 0
        new_part = full = False
        limit = max(LEAST, bounds.file_bytes)
        for one in _short(events):
            line = cast.line(max(0.0, one.at - self._part_began), one.code, one.data)
            if self._note.max_bytes and self._total + size + len(line) > self._note.max_bytes:
                full = True
                break
            if self._part_bytes + size and self._part_bytes + size + len(line) > limit:
                self._put(b"".join(lines))
                lines, size, new_part = [], 0, True
                self._next_part(one.at, bounds, running)
                line = cast.line(0.0, one.code, one.data)
            if one.code == "r":
                self._shape = cast.size_of(one.data) or self._shape
            lines.append(line)
            size += len(line)
        self._put(b"".join(lines))
        if full:
            raise _Full
        return new_part

    def _masked(self, events: list[Happened], *, breathes: bool) -> list[Happened]:
        """What the mask gives. While it looks, the loop has to wait for the interpreter, so between two looks it is
        left alone for as long as the last one took."""
        assert self._mask is not None
        given: list[Happened] = []
        began = time.monotonic()
        for one in events:
            for done in self._mask.feed(one):
                given += done
                if breathes:
                    time.sleep(time.monotonic() - began)
                    began = time.monotonic()
        return given

    def _put(self, data: bytes) -> None:
        while data and self._out is not None:
            written = self._out.write(data)
            self._part_bytes += written
            self._total += written
            data = data[written:]

    def _next_part(self, at: float, bounds: Bounds, running: frozenset[str]) -> None:
        if self._out is not None:
            self._out.close()
        number, self._out = self._files.next_part(self._note.id)
        self._part_began, self._part_bytes = at, 0
        note = self._note
        about = Part(id=note.id, part=number, at=round(at, 3), pane=note.place.pane, masked=note.mask)
        columns, rows = self._shape
        header = Header(
            version=cast.VERSION, width=columns, height=rows, timestamp=int(note.started + at), title=note.title,
            env={"TERM": self._terminal, "TMUX_AGENT": __version__}, tmux_agent=about,
        )  # fmt: skip
        self._put(cast.header_line(header))
        with contextlib.suppress(OSError):  # what cannot be removed is tried again with the next part
            self._files.prune(bounds, running)


def _short(events: list[Happened]) -> Iterator[Happened]:
    for one in events:
        if len(one.data) <= LINE:
            yield one
        else:
            for start in range(0, len(one.data), LINE):
                yield Happened(one.at, one.code, one.data[start : start + LINE])
