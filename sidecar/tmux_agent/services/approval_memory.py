"""Approvals that are held in memory: all that wait, and those settled lately. The database is the truth.

Owns looking them up. Must not own: what may become of them (approvals.py).
"""

from __future__ import annotations

from collections import OrderedDict

from ..core.model import Approval, Origin
from .approval_records import asker, kin


class Held:
    """`recent` settled ones are kept; the oldest go."""

    def __init__(self, recent: int) -> None:
        self._recent = recent
        self.waiting: dict[str, Approval] = {}
        self._settled: OrderedDict[str, Approval] = OrderedDict()

    def settle(self, approval: Approval) -> None:
        """Take one up that does not wait (any more), or what has become of it since."""
        self.waiting.pop(approval.request_id, None)
        self._settled[approval.request_id] = approval
        self._settled.move_to_end(approval.request_id)
        if len(self._settled) > self._recent:
            self._settled.popitem(last=False)

    def get(self, request_id: str) -> Approval | None:
        """One that is held."""
        return self.waiting.get(request_id) or self._settled.get(request_id)

    def find(self, hook_key: str) -> Approval | None:
        """The newest that is held with this key."""
        both = (*self.waiting.values(), *self._settled.values())
        found = (one for one in both if one.hook_key == hook_key)
        return max(found, key=lambda one: one.request_id, default=None)

    def of_door(self, door: str) -> tuple[Approval, ...]:
        """Those that are held and came in by a door, oldest first."""
        both = (*self.waiting.values(), *self._settled.values())
        return tuple(sorted((one for one in both if one.origin.door == door), key=lambda one: one.request_id))

    def count(self, whose: str) -> int:
        """How many of an asker's wait."""
        return sum(asker(one.origin) == whose for one in self.waiting.values())

    def count_kin(self, whose: str) -> int:
        """How many of all its kin's wait."""
        return sum(kin(one.origin) == whose for one in self.waiting.values())

    def pending(self, origin: Origin | None, cursor: str | None, limit: int | None) -> tuple[Approval, ...]:
        """Those that wait, oldest first; of one asker; after the id `cursor`; at most `limit`."""
        whose = None if origin is None else asker(origin)
        found = (
            one
            for one in self.waiting.values()
            if (whose is None or asker(one.origin) == whose) and (cursor is None or one.request_id > cursor)
        )
        return tuple(sorted(found, key=lambda one: one.request_id)[:limit])
