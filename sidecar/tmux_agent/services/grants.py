"""Permissions that people gave ahead: made, counted, revoked. Must not own: what a grant matches (core/policy.py).

All that are in force are held in memory, because the policy is asked in the event loop; the database is the truth.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from ..core.errors import InvalidParams, NotFound
from ..core.model import Approval, Decision, Event, Grant, Origin, Verdict
from . import store
from .ids import new_id
from .journal import Journal, utc_now

MINUTES_30 = timedelta(minutes=30)


class Grants:
    """Built by the daemon; all methods belong to the event loop. `recover` comes first."""

    def __init__(
        self,
        journal: Journal,
        now: Callable[[], datetime] = utc_now,
        own: Callable[[Origin], Collection[str]] = lambda origin: (origin.session,),
    ) -> None:
        """`own`: the names under which an asker's session may have been given a permission (Agents.own)."""
        self._journal = journal
        self._now = now
        self._own = own
        self._all: dict[str, Grant] = {}
        self._ends: dict[str, float] = {}  # on the monotonic clock: setting the other one back makes none longer

    async def recover(self) -> None:
        """Read what an earlier sidecar kept. Raises Unavailable."""
        for grant in await self._journal.read(store.grants):
            self.remember(grant)

    def all(self) -> tuple[Grant, ...]:
        """Those in force, oldest first."""
        now, ticks = self._now(), time.monotonic()
        ends = self._ends
        return tuple(one for one in self._all.values() if _in_force(one, now) and ticks < ends.get(one.id, math.inf))

    def active(self, origin: Origin) -> tuple[Grant, ...]:
        """Those in force for this asker; whether one covers an action is the policy's to say."""
        return tuple(
            grant
            for grant in self.all()
            if (grant.session is None or self._is_of(grant, origin)) and grant.agent in (None, origin.agent)
        )

    def _is_of(self, grant: Grant, origin: Origin) -> bool:
        """Whether a grant for one session is this asker's: by the process that the kernel names, where it named one."""
        return grant.session in self._own(origin) and grant.process in ("", origin.process or origin.session)

    def prepare(
        self, approval: Approval, wish: str | dict[str, Any], by: Origin, bound: dict[str, str] | None = None
    ) -> Grant | None:
        """The grant that a person's answer asks for, for Approvals.answer to make; None for "once".

        `wish` is a scope, or {"scope", "rule"?, "uses"?, "text"?} with the rule as it was shown. `bound` holds the
        hashes of what an interpreter would run. Raises InvalidParams where the approval does not offer that scope.
        """
        asked = {"scope": wish} if isinstance(wish, str) else wish
        scope, rule = asked.get("scope"), asked.get("rule")
        if scope not in approval.grants:
            offered = ", ".join(approval.grants) or "none"
            raise InvalidParams(f"params.grant: {scope!r} is not offered for this request (offered: {offered})")
        if scope == "once":
            return None
        if scope in ("shape", "always") and not isinstance(rule, dict):
            raise InvalidParams(f"params.grant.rule: a grant of scope {scope} needs the rule that was shown")
        now = self._now()
        values = {
            "id": new_id(), "scope": scope, "created": now, "by": by, "agent": approval.origin.agent,
            "session": None if scope == "always" else approval.origin.session,
            "process": "" if scope == "always" else _process(approval.origin),
            "rule": rule if scope != "exact" else None,
            "digest": None if rule and scope != "exact" else approval.digest,
            "bound": bound or {}, "expires": now + MINUTES_30 if scope == "30m" else None,
            "uses_left": asked.get("uses"), "text": asked.get("text", ""),
        }  # fmt: skip
        try:
            return msgspec.convert(values, Grant)
        except msgspec.ValidationError as error:
            raise InvalidParams(f"params.grant: {error}") from error

    async def used(
        self, decision: Decision, *events: Event, also: Callable[[sqlite3.Connection], None] | None = None
    ) -> None:
        """Record `events` of a decision, count the grants that it rests on and do `also`, all or nothing.

        Raises Conflict where a grant was revoked or used up meanwhile (judge again), Unavailable.
        """
        used = [
            grant for grant in self.all()
            if any(one.where == f"grant {grant.id}" and one.verdict is Verdict.ALLOW for one in decision.matched)
        ]  # fmt: skip
        if decision.verdict is not Verdict.ALLOW or not used:
            await (self._journal.commit(also, *events) if also else self._journal.publish(*events))
            return

        def change(db: sqlite3.Connection) -> None:
            for grant in used:
                store.use_grant(db, grant.id)
            if also is not None:
                also(db)

        counted = [
            Event(type="grant.used", request_id=events[0].request_id if events else "", data={"grant": grant.id})
            for grant in used
        ]
        await self._journal.commit(change, *events, *counted, then=lambda _: self._count(used))

    async def revoke(self, grant_id: str, by: Origin) -> Grant:
        """End a grant. Raises NotFound, Unavailable (it is in force still)."""
        grant = self._all.get(grant_id)
        if grant is None:
            raise NotFound(f"there is no grant {grant_id} in force; grant.list shows those that are")
        event = Event(type="grant.revoked", origin=by, data={"grant": grant_id, "text": grant.text})
        await self._journal.commit(
            lambda db: store.revoke_grant(db, grant_id), event, then=lambda _: self._forget(grant_id)
        )
        return replace(grant, revoked=True)

    def remember(self, grant: Grant) -> None:
        """Take up a grant that was just committed. For Approvals."""
        self._all[grant.id] = grant
        if grant.expires is not None:
            whole = (grant.expires - grant.created).total_seconds()
            left = (grant.expires - self._now()).total_seconds()
            self._ends[grant.id] = time.monotonic() + min(left, whole)

    def _forget(self, grant_id: str) -> None:
        self._all.pop(grant_id, None)
        self._ends.pop(grant_id, None)

    @staticmethod
    def made_event(grant: Grant, request_id: str) -> Event:
        """The record of a grant that is made with an answer. For Approvals."""
        data = msgspec.to_builtins(grant)
        data.pop("by")
        return Event(type="grant.made", request_id=request_id, origin=grant.by, data=data)

    def _count(self, used: list[Grant]) -> None:
        for one in used:
            grant = self._all.get(one.id)
            if grant is not None and grant.uses_left is not None:
                self._all[one.id] = replace(grant, uses_left=grant.uses_left - 1)


def _in_force(grant: Grant, now: datetime) -> bool:
    return (grant.expires is None or grant.created <= now < grant.expires) and grant.uses_left != 0


def _process(origin: Origin) -> str:
    return origin.process or (origin.session if origin.agent else "")
