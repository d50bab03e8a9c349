"""Standard input and output as MCP's transport: bytes to the bridge, lines to the client.

A thread each, since either may be a file, a terminal or a pipe that nobody reads. Owns the two descriptors: whatever
else prints to standard output goes to standard error. Must not own: what the lines mean (bridge.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections.abc import Callable

from .bridge import Bridge
from .messages import Lines

FLUSH_SECONDS = 5.0  # that a client which has closed its side may take to read the rest
_CHUNK = 1 << 16


class Stdio:
    """Two descriptors, for one event loop."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink
        self._loop = asyncio.get_running_loop()
        self._room = threading.Semaphore(2)  # chunks that have come and are not taken yet
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._outgoing: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        for work in (self._read, self._write):
            threading.Thread(target=work, daemon=True).start()

    async def chunk(self) -> bytes:
        """What has come next; b"" at the end, and where nobody reads what we say any more."""
        chunk = await self._chunks.get()
        self._room.release()
        return chunk

    async def send(self, line: bytes) -> None:
        """Write a line; returns when it is written, or cannot be any more."""
        written = self._loop.create_future()
        self._outgoing.put((line, written))
        await written

    def _read(self) -> None:
        chunk = b"more"
        while chunk:
            try:
                chunk = os.read(self._source, _CHUNK)
            except OSError:
                chunk = b""
            self._room.acquire()
            self._tell(self._chunks.put_nowait, chunk)

    def _write(self) -> None:
        heard = True
        while True:
            line, written = self._outgoing.get()
            try:
                while line and heard:
                    line = line[os.write(self._sink, line) :]
            except OSError:
                heard = False
                self._tell(self._chunks.put_nowait, b"")
            self._tell(_settle, written)

    def _tell(self, what: Callable[..., None], *values: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(what, *values)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def serve(source: int, sink: int) -> None:
    """Answer the client at these descriptors until it closes its side."""
    stdio, lines = Stdio(source, sink), Lines()
    bridge = Bridge(stdio.send)
    chunk = b"more"
    while chunk:
        chunk = await stdio.chunk()
        for line in lines.feed(chunk or b"\n"):  # the last line may have no newline
            await bridge.take(line)
    await bridge.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stdio.send(b""), FLUSH_SECONDS)
