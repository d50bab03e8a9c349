"""The world as a mapping of facts: each is looked at when a decision comes to it.

Owns which facts one decision rests on. Must not own how they are found out (observe.py), nor what they are worth
(core/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.facts import Fact, Key
from .moment import Moment
from .observe import Observer


class Seen(dict[Key, Fact]):
    """For one decision, all as of `moment`; it holds those that were asked for. `looked`: some that were looked at in
    this moment already."""

    def __init__(self, observer: Observer, moment: Moment, looked: Mapping[Key, Fact]) -> None:
        super().__init__()
        self._observer = observer
        self._moment = moment
        self._looked = looked

    def get(self, key: Key, _: Any = None) -> Any:
        if key in self:
            return self[key]
        fact = self._looked[key] if key in self._looked else self._observer.look(key, self._moment)
        self[key] = fact
        return fact
