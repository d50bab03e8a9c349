"""What agents say they will do: kept, and changed by their owner. Must not own: transitions (core/plan.py)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from ..core import plan as plans
from ..core.errors import Forbidden, LimitExceeded, NotFound
from ..core.model import Event, Origin, Plan, Role
from . import store
from .approval_records import asker
from .ids import new_id
from .journal import Journal, utc_now

KEEP = 1000  # plans; the oldest that has ended makes room
ACTIVE_PER_ASKER = 50


class Plans:
    """Built by the daemon; all methods belong to the event loop. `recover` comes first."""

    def __init__(self, journal: Journal, now: Callable[[], datetime] = utc_now) -> None:
        self._journal = journal
        self._now = now
        self._all: dict[str, Plan] = {}
        self._changing = asyncio.Lock()  # a change begins with what the one before it has made

    async def recover(self) -> None:
        """Read what an earlier sidecar kept. Raises Unavailable."""
        self._all = {plan.plan_id: plan for plan in await self._journal.read(store.plans)}

    async def create(self, name: str, steps: Sequence[str], origin: Origin, description: str = "") -> Plan:
        """Raises InvalidParams, LimitExceeded (sizes, too many active), Unavailable."""
        owner = msgspec.structs.replace(origin, session=asker(origin))
        async with self._changing:
            active = sum(one.status == "active" and one.session == owner.session for one in self._all.values())
            if active >= ACTIVE_PER_ASKER or (len(self._all) >= KEEP and self._oldest_ended() is None):
                raise LimitExceeded(f"{active} plans of this agent are active: finish or abort some first")
            return await self._keep(plans.create(new_id(), name, steps, description, owner, self._now()), origin)

    def list(self, session: str | None = None, cursor: str | None = None, limit: int = 100) -> tuple[Plan, ...]:
        """Newest first; of one asker; older than the id `cursor`."""
        found = (
            plan
            for plan in sorted(self._all.values(), key=lambda plan: plan.plan_id, reverse=True)
            if session in (None, plan.session) and (cursor is None or plan.plan_id < cursor)
        )
        return tuple(found)[:limit]

    def get(self, plan_id: str) -> Plan:
        """Raises NotFound."""
        if plan_id not in self._all:
            raise NotFound(f"there is no plan {plan_id}; plan.list shows those there are")
        return self._all[plan_id]

    def current(self, origin: Origin) -> Plan | None:
        """The active plan of an asker that was touched last: what is shown beside its requests."""
        mine = (one for one in self._all.values() if one.status == "active" and one.session == asker(origin))
        return max(mine, key=lambda plan: plan.updated, default=None)

    async def update(
        self, plan_id: str, step: int, origin: Origin, status: plans.StepStatus | None = None, notes: str | None = None
    ) -> Plan:
        """Raises NotFound, Forbidden (another's plan), Conflict (ended), InvalidParams, LimitExceeded, Unavailable."""
        async with self._changing:
            return await self._keep(plans.update(self._own(plan_id, origin), step, status, notes, self._now()), origin)

    async def advance(self, plan_id: str, origin: Origin, notes: str | None = None) -> Plan:
        """Raises as `update`."""
        async with self._changing:
            return await self._keep(plans.advance(self._own(plan_id, origin), notes, self._now()), origin)

    async def abort(self, plan_id: str, origin: Origin, reason: str = "") -> Plan:
        """Raises as `update`."""
        async with self._changing:
            return await self._keep(plans.abort(self._own(plan_id, origin), reason, self._now()), origin)

    def _own(self, plan_id: str, origin: Origin) -> Plan:
        plan = self.get(plan_id)
        if origin.role is not Role.OPERATOR and plan.session != asker(origin):
            raise Forbidden(f"plan {plan_id} belongs to another agent")
        return plan

    async def _keep(self, plan: Plan, by: Origin) -> Plan:
        gone = self._oldest_ended() if plan.plan_id not in self._all and len(self._all) >= KEEP else None

        def change(db: sqlite3.Connection) -> None:
            store.put_plan(db, plan)
            if gone is not None:
                store.delete_plan(db, gone)

        def then(_: None) -> None:
            self._all[plan.plan_id] = plan
            if gone is not None:
                self._all.pop(gone, None)

        event = Event(type="plan.changed", origin=by, data={"plan": msgspec.to_builtins(plan)})
        await self._journal.commit(change, event, then=then)
        return plan

    def _oldest_ended(self) -> str | None:
        return min((one.plan_id for one in self._all.values() if one.status != "active"), default=None)
