"""Calls begun with `request` and asked after with `wait`, while the client does other things.

Owns the calls that run here and what came of them, a bounded number. Must not own: sending (bridge.py). Questions are
not kept here: the sidecar keeps them, under their own request_id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from ...core import errors
from ...services.ids import new_id

KEPT = 100  # calls that run or have ended; of those, the oldest are forgotten first


class LaterCalls:
    """One process's. For one event loop."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[msgspec.Raw]] = {}

    def begin(self, call: Coroutine[Any, Any, msgspec.Raw]) -> str:
        """Start a call; its request_id. Raises LimitExceeded."""
        if len(self._tasks) >= KEPT:
            ended = next((id for id, task in self._tasks.items() if task.done()), None)
            if ended is None:
                call.close()
                raise errors.LimitExceeded(f"{KEPT} requests wait already: wait for some of them first")
            del self._tasks[ended]
        request_id = new_id()
        task = self._tasks[request_id] = asyncio.get_running_loop().create_task(call)
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # nobody may ever ask
        return request_id

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._tasks

    async def wait(self, request_id: str, seconds: float) -> dict[str, Any]:
        """Its state, and its result once it has one. Raises what the call raised."""
        task = self._tasks[request_id]
        await asyncio.wait([task], timeout=seconds)
        if not task.done():
            return {"request_id": request_id, "state": "pending"}
        return {"request_id": request_id, "state": "done", "result": task.result()}

    async def close(self) -> None:
        """Withdraw what still waits."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
