"""The one stream of what happened: changes and their records made durable together, then told to everybody.

Owns the writer thread, the queue before it, and the subscribers. Must not own: how a group gets durable (ledger.py),
what a change does. Nobody may act on a change before `commit` has returned.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..core import chain
from ..core.errors import Internal, Unavailable
from ..core.model import Event, Origin
from . import store
from .ledger import Entry, Heard, Ledger
from .schema import damage_in
from .subscription import Subscription

T = TypeVar("T")

log = logging.getLogger(__name__)

GROUP = 1000  # callers whose changes share one transaction and one fsync at most
KEEP_LINES = 1000  # records that late subscribers can be replayed
ROTATE_BYTES = 64 << 20


def utc_now() -> datetime:
    return datetime.now(UTC)


class _Job:
    """A caller that waits: an entry of the next group, or (`entry` None) a look at the database after it."""

    __slots__ = ("entry", "future", "read", "then")

    def __init__(
        self, future: asyncio.Future[Any], entry: Entry | None, read: Callable[[sqlite3.Connection], Any] | None,
        then: Callable[[Any], None] | None,
    ) -> None:  # fmt: skip
        self.future, self.entry, self.read, self.then = future, entry, read, then


class Journal:
    """Built by the daemon; all methods belong to the event loop in which `start` ran.

    `database` and `audit` are files of this sidecar alone. `now` gives aware UTC times for the records.
    """

    def __init__(
        self,
        database: Path,
        audit: Path,
        *,
        now: Callable[[], datetime] = utc_now,
        rotate_bytes: int = ROTATE_BYTES,
        keep_lines: int = KEEP_LINES,
        health: Callable[[], object] = lambda: None,
    ) -> None:
        """`health` is called in the loop when `unwell` has become another: it cannot be an event, for none is kept."""
        self.audit = audit
        self._health = health
        self._told = ""
        self._ledger = Ledger(database, audit, now, rotate_bytes, keep_lines)
        self._now = now
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._subscribers: list[Subscription] = []
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._open = False

    # --- life ---

    async def start(self) -> None:
        """Open the files and mend what a crash left; `sidecar.recovered` and `audit.damaged` tell of it.

        Raises Unavailable where the state database cannot be opened. An unwritable log is no error yet: `unwell`.
        """
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread.start()
        await self._opened
        self._open = True

    async def close(self) -> None:
        """Finish what is queued, then close the files. Later calls raise Unavailable."""
        if self._open:
            self._open = False
            self._jobs.put(None)
            await self._ended
            self._thread.join()
        for subscription in list(self._subscribers):
            subscription.close()

    # --- health ---

    @property
    def unwell(self) -> str:
        """Why nothing can be recorded, and so nothing done; "" while it can."""
        return self._ledger.unwell

    @property
    def warnings(self) -> tuple[str, ...]:
        """What of the log was found tampered with or lost since the start, in words."""
        return self._ledger.warnings

    @property
    def losses(self) -> tuple[str, ...]:
        """What the state database was found to have lost at the start, in words."""
        return self._ledger.losses

    @property
    def damaged(self) -> str:
        """What was found damaged in the state database while it is in use ("" for nothing): start anew."""
        return self._ledger.damaged

    async def note_damage(self, found: str) -> None:
        """Somebody else found the state database damaged. `unwell` and `damaged` say so from now on."""
        await self._queue(None, lambda _: self._ledger.note_damage(found))

    @property
    def head(self) -> chain.Head:
        """Number and hash of the last record."""
        return self._ledger.head

    # --- writing ---

    async def commit(
        self,
        change: Callable[[sqlite3.Connection], T],
        *events: Event,
        then: Callable[[T], None] | None = None,
    ) -> T:
        """Make `change` and the records of `events` durable together; its result, once both are.

        `change` runs on the writer thread, inside a transaction; what it raises undoes it, drops the events and comes
        out here. `then` is called with the result in the loop before any subscriber hears of it, even where the
        caller was cancelled meanwhile. Raises Unavailable: nothing was done, and nothing may be acted upon.
        """
        result: T = await self._queue(Entry(change, events), None, then)
        return result

    async def publish(self, *events: Event) -> None:
        """Record events that change nothing. Raises Unavailable."""
        await self._queue(Entry(None, events), None)

    def note(self, event: Event) -> None:
        """Tell the subscribers of something that is not recorded (agent.state)."""
        timestamp = self._now().isoformat().replace("+00:00", "Z")
        self._tell([Heard(0, timestamp, event)])

    @property
    def output_wanted(self) -> bool:
        """Whether somebody wants to hear what panes print."""
        return any(one.output for one in self._subscribers)

    # --- reading ---

    async def read(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """What `look` returns, run on the writer thread after all that was committed before. It must not write."""
        result: T = await self._queue(None, look)
        return result

    async def subscribe(
        self, types: Iterable[str] | None = None, since: int | None = None, limit: int = 1000, *, output: bool = False
    ) -> Subscription:
        """Hear every event from now on (of `types`), or from the record after number `since`; close it when done.

        `output`: also what watched panes print (`pane.printed`), which only those hear who ask for it.

        `limit` is how many may wait unread. Where the records after `since` are no longer kept, `lost` says how many
        are missing at the least. Raises Unavailable (only with `since`).
        """
        wanted = None if types is None else frozenset(types)
        subscription = Subscription(wanted, limit, self._leave, output=output)
        if since is None:
            self._subscribers.append(subscription)
            return subscription
        after = since

        def attach(lines: list[tuple[int, bytes]]) -> None:
            if subscription.closed:
                return
            # in the loop, right after the group that was read: nothing is heard twice or missed between
            first = lines[0][0] if lines else self.head.seq + 1
            subscription.lost = max(first - after - 1, 0)
            subscription.offer(_heard(line) for _, line in lines)
            self._subscribers.append(subscription)

        try:
            await self._queue(None, lambda db: store.lines_after(db, after), attach)
        except asyncio.CancelledError:
            subscription.close()  # who asked has gone: it must not be attached any more
            raise
        return subscription

    def _leave(self, subscription: Subscription) -> None:
        if subscription in self._subscribers:
            self._subscribers.remove(subscription)

    # --- between loop and thread ---

    def _queue(
        self,
        entry: Entry | None,
        look: Callable[[sqlite3.Connection], Any] | None,
        then: Callable[[Any], None] | None = None,
    ) -> asyncio.Future[Any]:
        if not self._open:
            raise Unavailable("the sidecar is stopping (or has not started): nothing was done; try again")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._jobs.put(_Job(future, entry, look, then))
        return future

    def _run(self) -> None:
        """The writer thread."""
        try:
            self._ledger.open()
        except Exception as error:  # noqa: BLE001  raised again by start()
            self._call(_fail, self._opened, error)
            return
        self._call(_succeed, self._opened, None)
        going = True
        while going:
            going = self._group()
        self._ledger.close()
        self._call(_succeed, self._ended, None)

    def _group(self) -> bool:
        """Wait for work, do all that waits as one group; False once the journal is to end."""
        job = self._jobs.get()
        jobs: list[_Job] = []
        while job is not None:
            jobs.append(job)
            if len(jobs) >= GROUP or self._jobs.empty():
                break
            job = self._jobs.get()
        try:
            if entries := [one.entry for one in jobs if one.entry is not None]:
                self._ledger.write(entries)
            done = [(one, *self._outcome(one)) for one in jobs]
        except Exception as error:  # noqa: BLE001  a defect of ours: nobody may wait for ever
            done = [(one, None, Internal(f"the journal failed: {error!r}; nothing was acted upon")) for one in jobs]
        self._call(self._deliver, done)
        return job is not None

    def _outcome(self, job: _Job) -> tuple[Any, Exception | None]:
        if job.entry is not None:
            return job.entry.result, job.entry.error
        assert job.read is not None
        try:
            return job.read(self._ledger.db), None
        except sqlite3.Error as error:
            if damage_in(error):
                self._ledger.note_damage(str(error))
            return None, Unavailable(f"the state database cannot be read: {error}")
        except Exception as error:  # noqa: BLE001  the reader's own: raised where it waits
            return None, error

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    def _deliver(self, done: list[tuple[_Job, Any, Exception | None]]) -> None:
        """In the loop: first what the callers keep in memory, then all subscribers in order, then who waits."""
        heard: list[Heard] = []
        ends = [error for _, _, error in done]
        for at, (job, result, error) in enumerate(done):
            if job.entry is not None and error is None:
                heard += job.entry.heard
                ends[at] = _then(job, result)
        self._tell(heard)
        if self.unwell != self._told:
            self._told = self.unwell
            self._loop.call_soon(self._health)
        for (job, result, _), end in zip(done, ends, strict=True):
            end = _then(job, result) if job.entry is None and end is None else end
            if end is None:
                _succeed(job.future, result)
            else:
                _fail(job.future, end)

    def _tell(self, heard: list[Heard]) -> None:
        for subscription in self._subscribers:
            subscription.offer(heard)


def _then(job: _Job, result: Any) -> Exception | None:
    """What a caller keeps in memory is its own: a defect there is told to that caller, and nobody else waits for it."""
    try:
        if job.then is not None:
            job.then(result)
    except Exception as error:
        log.exception("what follows a record failed")
        return Internal(f"it is recorded, but this sidecar could not take it in: {error!r}; restart it")
    return None


def _succeed(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _heard(line: bytes) -> Heard:
    record = chain.read(line)
    origin = msgspec.convert(record.origin, Origin) if "shortened" not in record.origin and record.origin else None
    return Heard(
        record.seq,
        record.timestamp,
        Event(type=record.type, request_id=record.request_id, origin=origin, data=record.data),
    )


__all__ = ["Heard", "Journal", "Subscription", "utc_now"]
