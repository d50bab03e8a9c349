"""One group of changes and their records, durable in both places or in neither: the journal's writer, without threads.

Owns the connection, the audit file and the order of their steps. Must not own: threads, futures, subscribers
(journal.py), what a change does (store.py's callers). For one thread only.

A group is written so:

    1  BEGIN IMMEDIATE
    2  every change in a savepoint of its own, its records sealed behind it (a change that raises undoes only itself)
    3  the sealed lines and the new chain head into the database
    4  the same lines into the file: one append, one fdatasync
    5  COMMIT (synchronous=FULL)
    6  only now is anybody told, and only then does anybody act

The file is written before the commit, not after it, because then "the record could not be written" can still undo the
change itself: on an error in 4 the lines are taken back (ftruncate) and the transaction is rolled back, so that no
answer exists whose record does not. Killed, or without power, at any instant:

    before 4        the database has nothing, the file has nothing; nobody was told
    within 4        a torn line and perhaps whole ones stand behind the database's head: the torn one is cut off, the
                    whole ones stay in the chain and a record calls them void (recovery.py); nobody was told
    between 4 and 5 likewise: SQLite rolls back, the records are void; nobody was told
    within 5        SQLite makes it the one or the other
    after 5         both have it; the caller asks again by its id and learns of it

So the file never lacks what the database has unless somebody took it away; the outbox (the newest lines, kept in the
database) then puts it back. It is also what late subscribers are replayed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ..core import chain
from ..core.chain import Head
from ..core.errors import Unavailable
from ..core.model import Event
from ..core.redact import redact
from . import store
from .audit_file import AuditFile
from .recovery import DAMAGED, LOST, Finding, reconcile, rotation
from .restoring import open_or_restore
from .schema import damage_in


class Heard(msgspec.Struct, frozen=True):
    """An event as it was recorded (secrets redacted), with its record's number (0: it is not recorded) and time."""

    seq: int
    timestamp: str
    event: Event


class Entry:
    """One caller's change and the events it makes; after the group `error`, or `result` and `heard`, are set."""

    __slots__ = ("change", "error", "events", "heard", "result")

    def __init__(self, change: Callable[[sqlite3.Connection], Any] | None, events: Sequence[Event]) -> None:
        self.change = change
        self.events = events
        self.result: Any = None
        self.error: Exception | None = None
        self.heard: list[Heard] = []


class Ledger:
    """Database and log as one.

    `unwell` says why nothing can be written ("" if it can), `warnings` what of the log was found lost or tampered with,
    `losses` what of the database was. `damaged`: the database is; nothing is written any more until the next start.
    """

    def __init__(
        self, database: Path, audit: Path, now: Callable[[], datetime], rotate_bytes: int, keep_lines: int
    ) -> None:
        self._database = database
        self._now = now
        self._rotate_bytes = rotate_bytes
        self._keep_lines = keep_lines
        self._file = AuditFile(audit)
        self._findings: list[Finding] = []
        self._agree = False  # file and head are known to agree
        self._lines: list[tuple[int, bytes]] = []  # of the group being written
        self.head = Head()
        self.unwell = ""
        self.damaged = ""
        self.warnings: tuple[str, ...] = ()
        self.losses: tuple[str, ...] = ()
        self.db: sqlite3.Connection

    def open(self) -> None:
        """Open both and mend what a crash left. An unwritable log is no error here: `unwell` says it.

        Raises Unavailable where the database cannot be opened.
        """
        self.db = open_or_restore(self._database, self._file.path, self._now())
        self.write([])

    def close(self) -> None:
        self._file.close()
        self.db.close()

    def note_damage(self, found: str) -> None:
        """The database was found damaged while it was in use: from now on nothing is written, and so nothing done."""
        if not self.damaged:
            self.damaged = found
            self.unwell = (
                f"the state database {self._database} is damaged ({found}): a backup is used at the next start"
            )

    def write(self, entries: Sequence[Entry]) -> None:
        """Write one group; every entry has its result or its error afterwards."""
        if self.damaged:
            for entry in entries:
                entry.error = Unavailable(f"{self.unwell}; nothing was done")
            return
        try:
            self._prepare()
            if entries or self._findings:
                self._write(entries)
            self.unwell = ""
        except (OSError, sqlite3.Error) as error:
            self.unwell = f"the audit log {self._file.path} or the state database cannot be written: {error}"
            self._undo()
            if isinstance(error, sqlite3.Error) and damage_in(error):
                self.note_damage(str(error))
            for entry in entries:
                entry.heard = []
                entry.error = entry.error or Unavailable(f"{self.unwell}; nothing was done")

    def _prepare(self) -> None:
        """Make file and head agree, and begin a new file where this one is full."""
        why = self._file.disturbed() if self._agree else ""
        if why or not self._agree:
            self._agree = False
            reconcile(self.db, self._file, why)
            self.head = store.head(self.db)
            self._findings += [found for found in store.findings(self.db) if found not in self._findings]
            harm = [found["data"]["why"] for found in self._findings if found["type"] == DAMAGED]
            self.warnings += tuple(why for why in harm if why not in self.warnings)
            lost = [found["data"]["why"] for found in self._findings if LOST in found["data"]]
            self.losses += tuple(why for why in lost if why not in self.losses)
            self._agree = True
        if self._file.size >= self._rotate_bytes:
            name = self._file.rotate(self.head.seq)
            self._findings.append(rotation(name, self.head))

    def _write(self, entries: Sequence[Entry]) -> None:
        timestamp = self._now().astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        head, self._lines = self.head, []
        self.db.execute("BEGIN IMMEDIATE")
        found = Entry(None, [Event(type=one["type"], data=one["data"]) for one in self._findings])
        for entry in (found, *entries):
            head = self._apply(entry, head, timestamp)
        if self._findings:
            store.set_findings(self.db, [])
        if self._lines:
            store.add_lines(self.db, self._lines, self._keep_lines)
            store.set_head(self.db, head)
            self._file.append(b"".join(line for _, line in self._lines))
        self.db.execute("COMMIT")
        self._file.keep()
        self.head, self._findings = head, []

    def _apply(self, entry: Entry, head: Head, timestamp: str) -> Head:
        """Do one change and seal its records behind `head`; the new head. What it raises is kept for its caller."""
        if entry.change is None:
            return self._seal_or_fail(entry, head, timestamp)
        self.db.execute("SAVEPOINT entry")
        try:
            entry.result = entry.change(self.db)
        except sqlite3.Error as error:
            # no space, I/O error: SQLite has rolled back the whole group
            if not self.db.in_transaction or damage_in(error):
                raise
            entry.error = Unavailable(f"the state database cannot take it: {error}; nothing was done")
        except Exception as error:  # noqa: BLE001  it is the caller's to handle, on the caller's side
            entry.error = error
        else:
            head = self._seal_or_fail(entry, head, timestamp)
        if entry.error is not None:
            self.db.execute("ROLLBACK TO entry")
        self.db.execute("RELEASE entry")
        return head

    def _seal_or_fail(self, entry: Entry, head: Head, timestamp: str) -> Head:
        try:
            heard = [self._redacted(event) for event in entry.events]
            lines = []
            for event in heard:
                line = chain.seal(head.seq + 1, timestamp, event, head.hash)
                head = Head(head.seq + 1, chain.hash_of(line))
                lines.append((head.seq, line))
        except (TypeError, ValueError, RecursionError) as error:
            entry.error = Unavailable(f"it cannot be recorded ({error}); nothing was done")
            return self._head_of_lines()
        self._lines += lines
        entry.heard = [Heard(seq, timestamp, event) for (seq, _), event in zip(lines, heard, strict=True)]
        return head

    def _head_of_lines(self) -> Head:
        if not self._lines:
            return self.head
        seq, line = self._lines[-1]
        return Head(seq, chain.hash_of(line))

    @staticmethod
    def _redacted(event: Event) -> Event:
        data = redact(msgspec.to_builtins(event.data, str_keys=True))
        return msgspec.structs.replace(event, data=data)

    def _undo(self) -> None:
        """Take back what the group wrote; where that fails too, the next group begins with recovery."""
        try:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            self._file.take_back()
        except (OSError, sqlite3.Error):
            self._agree = False  # `unwell` says already that nothing can be written
