"""One listener's queue of events. Owns its bound; must not own what events are or when they happen (journal.py)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from .ledger import Heard


class Subscription:
    """An endless async iterator of Heard. `lost` counts those that came while `limit` waited unread: the oldest go."""

    def __init__(self, types: frozenset[str] | None, limit: int, leave: Callable[[Subscription], None]) -> None:
        self._types = types
        self._waiting: deque[Heard] = deque()
        self._limit = limit
        self._leave = leave
        self._ready = asyncio.Event()
        self.closed = False
        self.lost = 0

    def offer(self, heard: Iterable[Heard]) -> None:
        """Queue those of the types that were asked for. For the journal."""
        for one in heard:
            if self._types is None or one.event.type in self._types:
                self._waiting.append(one)
                if len(self._waiting) > self._limit:
                    self._waiting.popleft()
                    self.lost += 1
        if self._waiting:
            self._ready.set()

    def close(self) -> None:
        """End the iteration, after what waits already."""
        self.closed = True
        self._ready.set()
        self._leave(self)

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Heard:
        while not self._waiting:
            if self.closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._waiting.popleft()
