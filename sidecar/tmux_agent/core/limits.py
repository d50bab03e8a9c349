"""When a usage limit of an agent ends, read from the agent's own words; and how that is said to people.

Owns the forms in which agents tell the time (Claude Code 2.1.197, Codex 0.169.0, Gemini CLI 0.61.0, opencode 1.18.33,
and what is reported of older ones). Pure: the time now and the time zones are passed in. What cannot be read, lies in
the past or too far ahead is None, never a guess. Must not own: noticing a limit, what follows (services/limits.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from msgspec import Struct

from . import display
from .model import Agent, AgentState, Limit

HORIZON = timedelta(days=40)  # limits are of hours, a week or a month: what is further ahead was misread
WORDS = 400  # characters of what an agent says that are kept and read
NEAR = timedelta(minutes=10)  # two readings of the same limit differ by less: "in 3h 41m", told again a minute later

Zones = Callable[[str], tzinfo | None]  # the time zone of an IANA name; None where there is none


class Notice(Struct, frozen=True, kw_only=True):
    """What tells of a limit. `resets`: of its words, the time it ends, where a rule found that; `ends`: that time,
    where it was told as a number; `alone`: it then goes on by itself."""

    words: str
    resets: str = ""
    ends: datetime | None = None
    alone: bool = False


IN_ITS_PANE = "asks in its pane"  # by a dialog of its own that no request stands for
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?P<month>[A-Za-z]{3,9})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:,?\s+(?P<year>\d{4})(?!\d|:))?"
_CLOCK = r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?(?::(?P<second>\d{2}))?(?:\s*(?P<half>[AaPp])\.?[Mm]\b\.?)?"
_ZONE = r"(?:\s*\(?(?P<zone>Z\b|[A-Za-z]+(?:/[A-Za-z0-9_+-]+)+|[A-Z]{3,5}\b(?:[+-]\d{1,2}(?::?\d{2})?)?)\)?)?"
_LEAD = r"\s*(?:(?:at|on|in|after|by)\s+)?"
# Behind which words the time stands.
_MARKS = re.compile(
    r"(?:\breset(?:s|ting)?\b|\btry(?:ing)? again\b|\bretry(?:ing)?\b|\bavailable\b|\breached\|)[:|]?", re.I
)
_EPOCH = re.compile(_LEAD + r"(\d{13}|\d{10})(?!\d)")
_ISO = re.compile(
    _LEAD + r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.\d+)?\s?(Z|[+-]\d{2}:?\d{2})?(?![\d:])", re.I
)
_UNIT = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
_PIECE = r"\d{1,9}(?:\.\d{1,9})?\s*(?:d(?:ays?)?|h(?:(?:ou)?rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?|ms)(?![A-Za-z])"
_WITHIN = re.compile(_LEAD + rf"((?:{_PIECE}(?:\s*,)?\s*(?:and\s+)?|(?:\d{{1,4}}[dhm])(?=\d))+)", re.I)
_EACH = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|[dhms])", re.I)
_OFFSET = re.compile(r"(?:UTC|GMT)([+-])(\d{1,2})(?::?(\d{2}))?")
_DATES = (
    re.compile(rf"{_LEAD}{_MONTH}\s+{_DAY}{_YEAR}(?:,?\s+(?:at\s+)?{_CLOCK}{_ZONE})?"),
    re.compile(rf"{_LEAD}{_DAY}\s+{_MONTH}{_YEAR}(?:,?\s+(?:at\s+)?{_CLOCK}{_ZONE})?"),
)
_TIME = re.compile(_LEAD + _CLOCK + _ZONE)


def ends(notice: Notice, now: datetime, here: tzinfo, named: Zones) -> datetime | None:
    """When the limit ends that is told of, in UTC; None where that is not said, or not for sure."""
    if notice.ends is not None:
        return notice.ends if now < notice.ends <= now + HORIZON else None
    return at(notice.resets, now, here, named) or reset_time(notice.words, now, here, named)


# --- reading -----------------------------------------------------------------------------------------


def reset_time(words: str, now: datetime, here: tzinfo, named: Zones) -> datetime | None:
    """When the limit ends that an agent tells of, in UTC. `here`: the zone of times that name none."""
    text = words[:WORDS]
    for mark in _MARKS.finditer(text):
        found = at(text[mark.end() :], now, here, named)
        if found is not None:
            return found
    return None


def at(text: str, now: datetime, here: tzinfo, named: Zones) -> datetime | None:
    """The time that a text begins with ("3:15 pm (Europe/Berlin)", "in 3 hours 42 minutes"), in UTC."""
    try:
        found = _read(text[:WORDS], now, here, named)
        return found if found is not None and now < found <= now + HORIZON else None
    except (ValueError, OverflowError):
        return None  # no such day, hour or year


def _read(text: str, now: datetime, here: tzinfo, named: Zones) -> datetime | None:
    if found := _EPOCH.match(text):
        return datetime.fromtimestamp(int(found[1][:10]), UTC)
    if found := _ISO.match(text):
        told = datetime.fromisoformat(f"{found[1]}T{found[2]}{(found[3] or '').upper().replace('Z', '+00:00')}")
        return _instant(told if told.tzinfo else told.replace(tzinfo=here))
    if found := _WITHIN.match(text):
        seconds = sum(float(count) * _UNIT[unit.lower()] for count, unit in _EACH.findall(found[1]))
        return now.astimezone(UTC) + timedelta(seconds=seconds)
    for form in _DATES:
        if (found := form.match(text)) and found["month"][:3].lower() in _NAMES:
            return _on_date(found, now, here, named)
    found = _TIME.match(text)
    return _on_clock(found, now, here, named) if found and (found["half"] or found["minute"]) else None


def _on_date(found: re.Match[str], now: datetime, here: tzinfo, named: Zones) -> datetime | None:
    zone = _zone(found["zone"], now, here, named)
    if zone is None:
        return None
    local = now.astimezone(zone)
    year = int(found["year"] or local.year)
    month = _NAMES.index(found["month"][:3].lower()) + 1
    hour, minute, second = _clock(found) if found["hour"] else (0, 0, 0)
    told = datetime(year, month, int(found["day"]), hour, minute, second, tzinfo=zone)
    if not found["year"] and _instant(told) <= now - timedelta(days=300):
        told = told.replace(year=year + 1)
    return _ahead(told, now, exact=bool(found["second"]))


def _on_clock(found: re.Match[str], now: datetime, here: tzinfo, named: Zones) -> datetime | None:
    zone = _zone(found["zone"], now, here, named)
    if zone is None:
        return None
    hour, minute, second = _clock(found)
    told = now.astimezone(zone).replace(hour=hour, minute=minute, second=second, microsecond=0)
    today = _ahead(told, now, exact=bool(found["second"]))
    return today if today is not None else _instant(told + timedelta(days=1))


def _ahead(told: datetime, now: datetime, *, exact: bool) -> datetime | None:
    """A time that is not over. One told without seconds was cut to the minute: within that, it is the minute's end."""
    found = _instant(told)
    if found <= now and not exact:
        found += timedelta(minutes=1)
    return found if found > now else None


def _instant(told: datetime) -> datetime:
    """A wall clock's time in UTC. Where the clock shows it twice, or jumps over it, the later one."""
    return max(told.replace(fold=fold).astimezone(UTC) for fold in (0, 1))


def _clock(found: re.Match[str]) -> tuple[int, int, int]:
    """Raises ValueError for an hour that no clock has."""
    hour, half = int(found["hour"]), (found["half"] or "").lower()
    if half and not 1 <= hour <= 12:
        raise ValueError("no such hour")
    return hour % 12 + 12 * (half == "p") if half else hour, int(found["minute"] or 0), int(found["second"] or 0)


def _zone(name: str | None, now: datetime, here: tzinfo, named: Zones) -> tzinfo | None:
    """None: a zone that is not known, so that the time is not either. Letters alone ("PST", "IST") mean one zone to one
    and another to others: they count where the person's own clock goes by that name."""
    if not name or name == now.astimezone(here).tzname():
        return here
    if name in ("Z", "UTC", "GMT"):
        return UTC
    if found := _OFFSET.fullmatch(name):
        distance = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        return timezone(distance if found[1] == "+" else -distance)
    return named(name) if "/" in name else None


# --- the same ----------------------------------------------------------------------------------------


def same(one: Limit, words: str, resets: datetime | None) -> bool:
    """Whether what is told anew is the limit that is known."""
    if one.words == words:
        return True
    return one.resets is not None and resets is not None and abs(one.resets - resets) < NEAR


# --- saying ------------------------------------------------------------------------------------------


def said(limit: Limit, now: datetime, here: tzinfo) -> str:
    """One line: until when, and what follows by itself; the agent's own words are beside it."""
    if limit.resets is None:
        return "usage limit; it does not say until when"
    line = f"usage limit until {_moment(limit.resets, now, here)}"
    if limit.resets > now:
        line += f", in {display.ahead((limit.resets - now).total_seconds())}"
    if limit.alone:
        return f"{line}; it goes on by itself"
    return f"{line}; told to go on at {_moment(limit.resumes, now, here)}" if limit.resumes else line


def line(agent: Agent, now: datetime, here: tzinfo) -> str:
    """What an agent is about, for lists: its limit, what it waits for, or what it last said."""
    if agent.limit and not agent.waiting_on:
        return f"{said(agent.limit, now, here)} · {agent.limit.words}"
    if agent.state is AgentState.WAITING and not agent.waiting_on:
        return ": ".join(filter(None, (IN_ITS_PANE, agent.detail)))
    return agent.waiting_on or agent.detail


def _moment(when: datetime, now: datetime, here: tzinfo) -> str:
    local = when.astimezone(here)
    day = "" if local.date() == now.astimezone(here).date() else f"{_NAMES[local.month - 1].title()} {local.day} "
    return f"{day}{local:%H:%M}"
