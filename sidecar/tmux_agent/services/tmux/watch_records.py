"""What watched panes told: handed on, and kept together with what was seen, so that a restart tells none of it again.

Owns that order, and how much of one pane is told. Must not own: reading panes (watch.py), the rows (watch_rows.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from ...core import errors, markers
from ...core.marker_stream import Found
from ...core.model import Event
from ...core.pipeline_run import Place
from .. import watch_rows
from ..journal import Journal
from .watched import Heard, Watched

log = logging.getLogger(__name__)

RETRY = 1.0  # until what could not be recorded is tried again: there is no event for a freed disk
UNKEPT = 5000  # records of one pane that wait for a disk


class WatchRecords:
    """Used in the event loop only. `heard` gives the record of what it is told; `kept` waits until those who heard have
    kept it."""

    def __init__(
        self,
        journal: Journal,
        heard: Callable[[Heard], Event],
        kept: Callable[[Place], Coroutine[Any, Any, None]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._journal = journal
        self._heard = heard
        self._kept_by_all = kept
        self._spawn = spawn

    def tell(self, one: Watched, said: list[Found], by: str) -> list[Event]:
        """Tell of them; their records, which are still to be kept."""
        events: list[Event] = []
        for found in said if not one.silent else ():
            if not one.rate.take(asyncio.get_running_loop().time()):
                continue
            if isinstance(found.marker, markers.Invalid):
                if found.marker in one.invalid:
                    continue
                one.invalid.append(found.marker)
            asks = isinstance(found.marker, markers.Ask) and one.asks.take(asyncio.get_running_loop().time())
            events.append(self._heard(Heard(one.place, found, by, asks)))
        return events

    def keep(self, one: Watched, events: list[Event]) -> None:
        """What was seen and the records of it, together, so that a restart tells none of it again."""
        if one.silent:
            one.noted.set()
            return
        one.unkept += events
        if (over := len(one.unkept) - UNKEPT) > 0:
            del one.unkept[-over:]
            log.warning("%d records of markers of pane %s are lost: too many wait for the disk", over, one.place.pane)
        if one.keeping:
            one.changed = True
        else:
            one.keeping = True
            self._spawn(self._put(one))

    async def _put(self, one: Watched) -> None:
        """One after the other: what was seen later must not be overwritten."""
        one.changed = True
        try:
            while one.changed:
                one.changed = False
                seen, events = tuple(one.seen), one.unkept[:]
                await self._kept_by_all(one.place)
                await self._commit(one, seen, events)
        finally:
            one.keeping = False

    async def _commit(self, one: Watched, seen: tuple[bytes, ...], events: list[Event]) -> None:
        try:
            await self._journal.commit(lambda db: watch_rows.put_seen(db, one.place, seen), *events)
            del one.unkept[: len(events)]
            one.noted.set()
        except errors.Unavailable as why:  # after a restart it is told again: pipelines take it once
            log.warning("what was seen of pane %s waits to be kept: %s", one.place.pane, why.message)
            one.changed = True
            await asyncio.sleep(RETRY)
