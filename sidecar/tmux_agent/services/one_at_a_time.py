"""Whose turn it is at something that only one can use at a time: first come, first served.

Owns the line of those who wait. Must not own: what they wait for.
"""

from __future__ import annotations

import asyncio
from collections import deque

from ..core import errors


class OneAtATime:
    """One thing; used in the event loop only. `holder` is the name of who has it, or ""."""

    def __init__(self, most: int) -> None:
        """`most`: who may wait at once."""
        self.holder = ""
        self._most = most
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def take(self, name: str, seconds: float) -> None:
        """Wait until it is the turn of `name`, which may have it already; whoever is cancelled leaves the line.

        Raises LimitExceeded (too many wait), TimedOut.
        """
        if self.holder in ("", name) and (self.holder or not self._waiting):
            self.holder = name
            return
        if len(self._waiting) >= self._most:
            raise errors.LimitExceeded(f"{self._most} others wait for their turn there already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((name, turn))
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException as why:
            self._waiting = deque(one for one in self._waiting if one[1] is not turn)
            if self.holder == name:  # it came at the very moment
                self.leave(name)
            if isinstance(why, TimeoutError):
                raise errors.TimedOut(f"its turn did not come within {seconds:g} seconds") from None
            raise

    def leave(self, name: str) -> None:
        """`name` has no need of it any more; nothing where it has not got it."""
        if self.holder != name:
            return
        self.holder = ""
        while self._waiting and not self.holder:
            next_, turn = self._waiting.popleft()
            if not turn.done():
                self.holder = next_
                turn.set_result(None)
