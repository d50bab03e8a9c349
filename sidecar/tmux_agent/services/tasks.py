"""What goes on by itself, and nobody waits for. Owns that each task is kept to its end, and that a defect is logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from ..core import errors

log = logging.getLogger(__name__)


class Tasks:
    """Used in the event loop only."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Let something go on by itself; its defect is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            level = logging.WARNING if isinstance(error, errors.TmuxAgentError) else logging.ERROR
            log.log(level, "%s", error, exc_info=None if isinstance(error, errors.TmuxAgentError) else error)

    async def close(self) -> None:
        """Cancels what is left, and waits for its end."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
