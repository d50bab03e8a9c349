"""What runs because a rule allows it, without a question: known to the next sidecar if this one dies meanwhile.

Owns the rows of what has begun and not ended. Must not own: what was asked first (approvals.py), running (guard.py).
"""

from __future__ import annotations

import contextlib

from msgspec.structs import replace

from ..core.errors import Unavailable
from ..core.model import Event
from . import store
from .journal import Journal


class Runs:
    """Built by the daemon; used in the event loop. `recover` comes first."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def recover(self) -> None:
        """Record as action.unknown what was running when an earlier sidecar died; it may or may not be done.

        Where nothing can be recorded yet, the next start tells of it.
        """
        cut = await self._journal.read(store.runs)

        def change(db: store.Connection) -> None:
            for one in cut:
                store.end_run(db, one.request_id)

        with contextlib.suppress(Unavailable):
            if cut:
                await self._journal.commit(change, *(replace(one, type="action.unknown") for one in cut))

    def begin(self, db: store.Connection, started: Event) -> None:
        """For the transaction that records `started`."""
        store.add_run(db, started)

    async def end(self, finished: Event) -> None:
        """Record that it ended. Raises Unavailable (it stays begun)."""
        await self._journal.commit(lambda db: store.end_run(db, finished.request_id), finished)
