"""When the state database is backed up: so long after the last copy, and only if it has changed since.

Owns the one timer. Nothing tells that six hours have passed, so this is a slow timer (docs/architecture.md). Must not
own: how a copy is made and checked (state_backups.py). The copy is made in a thread, from a connection of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ..core.errors import Conflict, Unavailable
from ..core.settings import State
from . import state_backups
from .journal import Journal
from .schema import Damaged

log = logging.getLogger(__name__)

SETTLE = 10.0  # seconds from the start to a copy that is due: a start has enough to do
RETRY = 600.0  # seconds after a copy that could not be made, at the most


class BackupTimes:
    """Built by the system; used in the event loop only. `wrong` says why the last copy could not be made, else ""."""

    def __init__(
        self, journal: Journal, database: Path, settings: Callable[[], State], changed: Callable[[], object]
    ) -> None:
        """`changed` is called when `wrong` has become another."""
        self._journal = journal
        self._database = database
        self._settings = settings
        self._changed = changed
        self._timer: asyncio.TimerHandle | None = None
        self._making: asyncio.Task[None] | None = None
        self.wrong = ""

    def start(self) -> None:
        """Wait for the next time; again after the settings have changed."""
        self._cancel()
        every = self._settings().backup_every
        if every > 0 and self._making is None:
            self._after(max(self._due(every), min(SETTLE, every)))

    async def close(self) -> None:
        """Make no more; one that is being made is finished first."""
        self._cancel()
        if self._making is not None:
            await asyncio.gather(self._making, return_exceptions=True)

    def _due(self, every: float) -> float:
        """Seconds until the next one; where there is none, or one of the future (the clock was set back), 0."""
        there = state_backups.listed(self._database)
        if not there:
            return 0.0
        age = (datetime.now(UTC) - state_backups.made_at(there[0])).total_seconds()
        return every - age if 0 <= age < every else 0.0

    def _after(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._begin)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        self._timer = None
        self._making = asyncio.get_running_loop().create_task(self._make())
        self._making.add_done_callback(self._made)

    def _made(self, task: asyncio.Task[None]) -> None:
        self._making = None
        if not task.cancelled() and (error := task.exception()):
            log.error("no backup: a defect", exc_info=error)
        every = self._settings().backup_every
        if every > 0:
            self._after(min(RETRY, every) if self.wrong else every)

    async def _make(self) -> None:
        settings, before = self._settings(), self.wrong
        there = state_backups.listed(self._database)
        if there and state_backups.known_head(there[0]) == self._journal.head.seq and not before:
            return  # nothing was recorded since
        now = datetime.now(UTC)
        keep, room = max(settings.backups_keep, 1), settings.backups_bytes
        try:
            made = await asyncio.to_thread(state_backups.make, self._database, now, keep, room)
            self.wrong = ""
            log.info("state backup %s, %d bytes", made.name, made.size)
        except Conflict:
            return  # somebody makes one by hand
        except Unavailable as why:
            self.wrong = f"no backup: {why}"
            log.warning("%s", self.wrong)
        except Damaged as found:
            with contextlib.suppress(Unavailable):  # it stops anyway
                await self._journal.note_damage(str(found))
        if self.wrong != before:
            self._changed()
