"""One listener's queue of events. Owns its bound; must not own what events are or when they happen (journal.py)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from ..core.recording import PRINTED
from .ledger import Heard


class Subscription:
    """An endless async iterator of Heard. `lost` counts those that came while `limit` waited unread: the oldest go."""

    def __init__(
        self, types: frozenset[str] | None, limit: int, leave: Callable[[Subscription], None], *, output: bool = False
    ) -> None:
        """`output`: also what panes print, which nobody is told of who does not ask for it."""
        self._types = types
        self.output = output
        self._waiting: deque[Heard] = deque()
        self._limit = limit
        self._leave = leave
        self._ready = asyncio.Event()
        self.closed = False
        self.lost = 0

    def offer(self, heard: Iterable[Heard]) -> None:
        """Queue those of the types that were asked for. For the journal."""
        for one in heard:
            if self._wants(one.event.type):
                self._waiting.append(one)
                if len(self._waiting) > self._limit:
                    self._waiting.popleft()
                    self.lost += 1
        if self._waiting:
            self._ready.set()

    def _wants(self, kind: str) -> bool:
        if kind == PRINTED:
            return self.output
        return self._types is None or kind in self._types

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
