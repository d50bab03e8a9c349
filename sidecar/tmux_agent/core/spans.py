"""Times of the week as people write them: `09:00-18:00`, `mon-fri 09:00-18:00`, over midnight `22:00-07:00`.

Owns that notation. Must not own: what is done at such a time (rules.py, channels.py), the clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(?:(\w{3})(?:-(\w{3}))?\s+)?(\d\d):(\d\d)-(\d\d):(\d\d)")
_DAY = 24 * 60  # minutes


def bad_time(span: str) -> bool:
    """Whether it is none."""
    found = _SPAN.fullmatch(span.lower())
    return not found or any(day and day not in _DAYS for day in found.groups()[:2])


def in_time(now: datetime | None, span: str) -> bool:
    """Whether `now` (in the person's own time zone) is within the span; the day is that of `now`."""
    found = _SPAN.fullmatch(span.lower())
    if now is None or not found:
        return False
    first_day, last_day, *clock = found.groups()
    if first_day:
        begin, end = _DAYS.index(first_day), _DAYS.index(last_day or first_day)
        if (now.weekday() - begin) % 7 > (end - begin) % 7:
            return False
    hour, minute, hour2, minute2 = map(int, clock)
    at, begin, end = now.hour * 60 + now.minute, hour * 60 + minute, hour2 * 60 + minute2
    return begin <= at < end if begin <= end else at >= begin or at < end


def seconds_left(now: datetime, spans: Iterable[str]) -> float:
    """How long `now` is within one of the spans without a break; 0 where it is in none, a day at the most."""
    spans = tuple(spans)
    at = now
    for _ in range(_DAY):
        if not any(in_time(at, span) for span in spans):
            break
        at = at.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return (at - now).total_seconds()
