"""Token buckets. Pure: the caller passes the time. Must not own: whose bucket it is."""

from __future__ import annotations


class Bucket:
    """Allows `burst` at once and `per_second` in the long run. Times are seconds of any clock that never goes back."""

    __slots__ = ("_at", "_burst", "_left", "_per_second")

    def __init__(self, burst: float, per_second: float, now: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._left = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take one token; False where there is none."""
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
