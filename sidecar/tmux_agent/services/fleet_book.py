"""The fleet's rows: which agents there are, how each is, and that what is done to one is done by one at a time.

Owns rows, states and their records. Must not own: what is done (fleet.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from ..core import errors
from ..core.fleet import FleetAgent, FleetState
from ..core.model import Event
from . import fleet_rows
from .ids import new_id
from .journal import Journal


class Book:
    """Built by the fleet; used in the event loop only."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._agents: dict[str, FleetAgent] = {}
        self._doing: dict[str, tuple[asyncio.Lock, int]] = {}  # by what is held; how many have it or wait for it

    async def read(self) -> None:
        """Take up what an earlier sidecar kept. Raises Unavailable."""
        for one in await self._journal.read(fleet_rows.every):
            new_id.after(one.fleet_id)
            self._agents[one.name] = one

    def every(self, *, finished: bool = False) -> list[FleetAgent]:
        """Oldest first; without those whose worktree is gone, but where they are wanted."""
        return [one for one in self._agents.values() if finished or one.state is not FleetState.FINISHED]

    def get(self, name: str) -> FleetAgent:
        """Raises NotFound."""
        if (one := self._agents.get(name)) is None:
            raise errors.NotFound(f"no agent of the fleet is called {name!r}: `tmux-agent sessions` lists them")
        return one

    def running(self, name: str) -> FleetAgent:
        """Raises NotFound, Conflict where it does not run."""
        one = self.get(name)
        if one.state is not FleetState.RUNNING:
            raise errors.Conflict(f"{name} is {one.state.value}: `tmux-agent resume {name}` has it go on")
        return one

    def is_free(self, name: str) -> bool:
        return name not in self._agents or self._agents[name].state is FleetState.FINISHED

    @contextlib.asynccontextmanager
    async def held(self, key: str) -> AsyncIterator[None]:
        """One at a time of an agent, a branch, or a repository."""
        lock, others = self._doing.get(key, (asyncio.Lock(), 0))
        self._doing[key] = lock, others + 1
        try:
            async with lock:
                yield
        finally:  # a lock that is free is not one for which nobody waits: it has been handed over, and not taken yet
            lock, others = self._doing.pop(key)
            if others > 1:
                self._doing[key] = lock, others - 1

    async def put(self, one: FleetAgent, event: str = "fleet.changed") -> None:
        """Keep it as it is now. Raises Unavailable."""

        def take(_: None) -> None:
            self._agents[one.name] = one

        told = Event(type=event, data={**_named(one), "state": one.state.value, "task": one.task_state.value})
        await self._journal.commit(lambda db: fleet_rows.put(db, one), told, then=take)

    async def change(self, name: str, **changes: Any) -> None:
        """Raises Unavailable."""
        if (one := self._agents.get(name)) is not None:
            after = msgspec.structs.replace(one, **changes)
            if after != one:
                await self.put(after)

    async def drop(self, one: FleetAgent, why: str, left: list[str]) -> None:
        """Forget one that was undone. Raises Unavailable."""
        event = Event(type="fleet.undone", data={**_named(one), "why": why, "left": left})
        self._agents.pop(one.name, None)
        await self._journal.commit(lambda db: fleet_rows.drop(db, one), event)


def _named(one: FleetAgent) -> dict[str, Any]:
    return {"name": one.name, "branch": one.branch, "worktree": one.worktree, "agent": one.agent}
