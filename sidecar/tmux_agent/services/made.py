"""How much of tmux each caller has for itself: sessions and panes that it made through us and that live, output read.

Owns the counts and their limits. Must not own: who counts as one (core/callers.py), making anything. A restart of the
sidecar forgets them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from ..core import errors
from ..core.callers import family
from ..core.model import Origin
from ..core.settings import Limits

CALLERS = 10_000  # they come and go: all are forgotten rather than all kept
Name = tuple[str, int, str]  # a session or pane: server, its pid, id


class Made:
    """Built by the toolbox; used in the event loop only."""

    def __init__(self, limits: Callable[[], Limits], now: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._now = limits, now
        self._made: dict[tuple[str, str], set[Name]] = {}
        self._read: dict[str, tuple[float, int]] = {}  # caller → beginning of its minute, bytes in it

    def check(self, origin: Origin, kind: str, alive: Callable[[Name], bool]) -> None:
        """Raises LimitExceeded where a caller has as many "sessions" or "panes" as it may."""
        key = (family(origin), kind)
        found = self._made[key] = {name for name in self._made.get(key, ()) if alive(name)}
        most = self._limits().sessions_per_caller if kind == "sessions" else self._limits().panes_per_caller
        if len(found) >= most:
            what = kind.removesuffix("s")
            raise errors.LimitExceeded(
                f"you have made {most} {kind} that are still there: end one that you need no more (tmux.kill_{what}), "
                f"or use it again (limits.{kind}_per_caller)"
            )

    def note(self, origin: Origin, kind: str, names: Collection[Name]) -> None:
        """A caller has made these."""
        if len(self._made) > CALLERS:
            self._made.clear()
        self._made.setdefault((family(origin), kind), set()).update(names)

    def reads(self, origin: Origin, size: int) -> None:
        """A caller is given `size` bytes of output. Raises LimitExceeded."""
        if len(self._read) > CALLERS:
            self._read.clear()
        caller, now, most = family(origin), self._now(), self._limits().output_per_minute
        began, before = self._read.get(caller, (now, 0))
        if now - began >= 60.0:
            began, before = now, 0
        if before + size > most:
            left = 60.0 - (now - began)
            raise errors.LimitExceeded(
                f"you have read {before} bytes of output in this minute, and {most} is the most: wait {left:.0f} s, or "
                "read what is new since a cursor only (limits.output_per_minute)"
            )
        self._read[caller] = (began, before + size)
