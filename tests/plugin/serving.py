"""A TmuxServer on a test's tmux server, and what it tells, waited for rather than slept for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.patience import PATIENCE
from tests.plugin.terminal import Server

from tmux_agent.services.tmux.control import Event, TmuxServer


class Events:
    """Everything a TmuxServer told, waited for rather than slept for."""

    def __init__(self) -> None:
        self.seen: list[Event] = []
        self._news = asyncio.Event()

    def __call__(self, _server: TmuxServer, event: Event) -> None:
        self.seen.append(event)
        self._news.set()

    async def wait(self, holds: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not holds():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"did not come; what came: {self.seen}") from None

    async def wait_for(self, kind: type[Event]) -> Event:
        await self.wait(lambda: any(isinstance(event, kind) for event in self.seen))
        return next(event for event in self.seen if isinstance(event, kind))


@asynccontextmanager
async def serving(tmux: Server) -> AsyncIterator[tuple[TmuxServer, Events]]:
    events = Events()
    server = TmuxServer(tmux.socket, events, tmux=tmux.tmux, died="gone")
    await server.start()
    try:
        yield server, events
    finally:
        await server.close()
