"""Shells in which something was run that lasts (core/shell_changes.py): what is typed into one of them, or into a shell
that it has started, may mean something else than it says.

Owns which shells these are, over restarts. Must not own: what follows from it (core/judging.py), what lasts. A shell is
noted before it is typed into, so that a kill in between leaves one that is asked about for nothing, and never the other
way round. What a person types there themselves is theirs, as their own files are.
"""

from __future__ import annotations

import time

from msgspec import Struct

from . import execution_rows
from .journal import Journal
from .processes import Processes

_DEPTH = 64  # shells within shells


class Change(Struct, frozen=True):
    """What was run that lasts, cut for people, and when (seconds since the epoch)."""

    what: str = ""
    at: float = 0.0


_NONE = Change()


class ChangedShells:
    """Used in the event loop only."""

    def __init__(self, journal: Journal, table: Processes) -> None:
        self._journal, self._table = journal, table
        self._all: dict[tuple[int, int], Change] = {}  # by pid and start time

    async def recover(self) -> None:
        """Those that still run. Raises Unavailable."""
        rows = await self._journal.read(execution_rows.changed)
        self._all = {(pid, started): Change(what, at) for pid, started, what, at in rows if self._runs(pid, started)}
        if gone := [(pid, started) for pid, started, _, _ in rows if (pid, started) not in self._all]:
            await self._journal.commit(lambda db: execution_rows.forget_changed(db, gone))

    def _runs(self, pid: int, started: int) -> bool:
        process = self._table.read(pid)
        return process is not None and process.started == started

    def of(self, pid: int) -> Change:
        """The last change of a shell, or of one that it comes from; empty where there is none."""
        found, depth = _NONE, 0
        while self._all and pid > 1 and depth < _DEPTH:
            process = self._table.read(pid)
            if process is None:
                break
            found = max(found, self._all.get((pid, process.started), _NONE), key=lambda change: change.at)
            pid, depth = process.ppid, depth + 1
        return found

    async def note(self, pid: int, what: str) -> None:
        """Something that lasts is about to be typed into a shell, or into what it has started. Raises Unavailable."""
        process = self._table.read(pid)
        if process is None:
            return
        name, change = (pid, process.started), Change(what, time.time())
        await self._journal.commit(lambda db: execution_rows.put_changed(db, *name, change.what, change.at))
        self._all[name] = change
