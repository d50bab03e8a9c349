"""What is known of agents, kept over a restart: rows that follow the states, and taking them up again.

Owns when rows are written: soon after a change, many changes at once; nobody waits for it. Lost with a kill is at most
the last of them, and the next hook, or the screen, tells that again. Must not own: states (agents.py), SQL (store.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any

from ..core.errors import Unavailable
from . import store
from .agents import Agents, Kept
from .journal import Journal

MISSING = object()


class AgentRows:
    """Built by the system; used in the event loop only. `spawn` lets something go on by itself."""

    def __init__(self, journal: Journal, agents: Agents, spawn: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._journal = journal
        self._agents = agents
        self._spawn = spawn
        self._rows: dict[str, Kept] = {}  # as they are in the database, by session
        self._changed: set[str] = set()
        self._writing = False
        agents.changed = self._note

    async def recover(self, lives: Callable[[str], bool]) -> None:
        """Take up what an earlier sidecar left, of agents whose process `lives` ("pid:started"). Raises Unavailable."""
        rows = await self._journal.read(lambda db: store.agents(db, Kept))
        self._rows = {session: kept for session, kept in rows.items() if kept}
        for session, kept in rows.items():
            if kept and kept.process and lives(kept.process):
                self._agents.restore(kept)
            else:
                self._note(session)

    async def flush(self) -> None:
        """Write what has changed. What cannot be written now is written with the next change."""
        while self._changed:
            now = {session: self._agents.kept(session) for session in self._changed}
            self._changed.clear()
            rows = {session: kept for session, kept in now.items() if kept != self._rows.get(session, MISSING)}
            try:
                await self._journal.commit(functools.partial(store.put_agents, rows=rows))
            except Unavailable:
                self._changed.update(rows)
                return
            self._rows = {session: kept for session, kept in (self._rows | rows).items() if kept is not None}

    # --- inside ---

    def _note(self, session: str) -> None:
        self._changed.add(session)
        if not self._writing:
            self._writing = True
            self._spawn(self._write())

    async def _write(self) -> None:
        try:
            await self.flush()
        finally:
            self._writing = False
