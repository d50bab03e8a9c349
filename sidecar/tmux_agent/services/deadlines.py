"""One timer for many deadlines, on the loop's monotonic clock. Owns nothing of what they are for."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable


class Deadlines:
    """Calls `ring(key)` in the loop once a key's time has come. One timer at a time: at the nearest."""

    def __init__(self, ring: Callable[[str], None]) -> None:
        self._ring = ring
        self._heap: list[tuple[float, str]] = []
        self._at: dict[str, float] = {}  # what counts; heap entries that differ are stale
        self._timer: asyncio.TimerHandle | None = None

    def set(self, key: str, seconds: float) -> None:
        """Ring for `key` in `seconds`, instead of when it was to ring before."""
        self._at[key] = asyncio.get_running_loop().time() + seconds
        heapq.heappush(self._heap, (self._at[key], key))
        self._arm()

    def drop(self, key: str) -> None:
        """Do not ring for `key`."""
        if self._at.pop(key, None) is not None:
            self._arm()

    def close(self) -> None:
        """Ring for nothing any more."""
        self._at.clear()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        if self._heap:
            self._timer = asyncio.get_running_loop().call_at(self._heap[0][0], self._fire)

    def _fire(self) -> None:
        at, key = heapq.heappop(self._heap)
        if self._at.get(key) == at:
            del self._at[key]
            self._ring(key)
        self._arm()
