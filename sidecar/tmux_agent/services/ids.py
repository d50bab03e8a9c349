"""ULIDs: names that sort by the time they were given. Owns nothing else.

Format: https://github.com/ulid/spec, 48 bits of milliseconds and 80 random bits in Crockford's base 32, 26 characters.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_STEP = (1 << 64) - 1
_RANDOM = 10  # bytes of an id
_AHEAD = 64  # ids for which random bytes are got at once
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)  # every request gets an id: two at a time


class Ids:
    """A source of ULIDs that never go backwards, whatever the wall clock does. For one thread."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._last = 0
        self._bytes = b""
        self._at = 0

    def after(self, known: str) -> None:
        """Give ids that sort after this one: it was given before, perhaps by a clock that was ahead."""
        value = 0
        for letter in known:
            value = value << 5 | _ALPHABET.index(letter)
        self._last = max(self._last, value)

    def __call__(self) -> str:
        """A new id. Within one millisecond (or after the clock was set back) it is the last one plus some: who knows
        an id knows what may be asked of it (human.status), so nobody may guess their neighbour's from their own."""
        fresh = int(self._now() * 1000) << 80 | self._random()
        self._last = fresh if fresh >> 80 > self._last >> 80 else self._last + 1 + (fresh & _STEP)
        last = self._last
        return "".join([_PAIRS[last >> shift & 1023] for shift in range(120, -1, -10)])

    def _random(self) -> int:
        start, self._at = self._at, self._at + _RANDOM
        if self._at > len(self._bytes):
            self._bytes = os.urandom(_RANDOM * _AHEAD)
            start, self._at = 0, _RANDOM
        return int.from_bytes(self._bytes[start : self._at])


new_id = Ids()
