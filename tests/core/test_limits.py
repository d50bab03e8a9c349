"""When a usage limit ends: every form in which agents say it, and nothing that is not sure to lie ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core.limits import HORIZON, at, reset_time, said, same
from tmux_agent.core.model import Limit

BERLIN, YORK, LOS_ANGELES = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("America/Los_Angeles")
NOW = datetime(2026, 11, 29, 23, 20, 30, tzinfo=UTC)  # 0:20:30 on the 30th in Berlin
ZONES = {"Europe/Berlin": BERLIN, "America/New_York": YORK, "America/Los_Angeles": LOS_ANGELES}
times = st.datetimes(datetime(2026, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
zones = st.sampled_from([BERLIN, YORK, LOS_ANGELES, ZoneInfo("Asia/Kolkata"), ZoneInfo("Australia/Lord_Howe"), UTC])


def read(words: str, now: datetime = NOW, here: tzinfo = BERLIN) -> datetime | None:
    return reset_time(words, now, here, ZONES.get)


@pytest.mark.parametrize(
    ("words", "ends"),
    [
        ("You've hit your session limit · resets 2:28am (Europe/Berlin)", "2026-11-30T02:28+01:00"),
        ("You've hit your weekly limit · resets Dec 3, 12:40am (Europe/Berlin)", "2026-12-03T00:40+01:00"),
        ("You've hit your weekly limit · resets Jan 2, 2027, 9am (America/New_York)", "2027-01-02T09:00-05:00"),
        ("5-hour limit reached ∙ resets 3pm", "2026-11-30T15:00+01:00"),
        ("Your limit will reset at 3:15 pm (Europe/Berlin).", "2026-11-30T15:15+01:00"),
        ("Claude AI usage limit reached|1796000000", "2026-11-30T00:53:20+00:00"),
        ("limit reached|1796000000000", "2026-11-30T00:53:20+00:00"),
        ("You’ve hit your usage limit. Visit … or try again at 4:02 AM.", "2026-11-30T04:02+01:00"),
        ("You’ve hit your usage limit. Try again at Dec 2nd, 2026 9:15 AM.", "2026-12-02T09:15+01:00"),
        ("Try again in 3 hours 42 minutes.", "2026-11-30T03:02:30+00:00"),
        ("try again in 6 days 3 hours 2 minutes", "2026-12-06T02:22:30+00:00"),
        ("try again in 1 hour, 5 minutes and 7 seconds", "2026-11-30T00:25:37+00:00"),
        ("Please retry in 3h41m12s.", "2026-11-30T03:01:42+00:00"),
        ("Please retry in 40.5s", "2026-11-29T23:21:10.500+00:00"),
        ("[retrying in 3h 41m attempt #1]", "2026-11-30T03:01:30+00:00"),
        ("Access resets at 4:07 AM GMT+1.", "2026-11-30T04:07+01:00"),
        ("Access resets at 4:07 AM GMT+5:30.", "2026-12-01T04:07+05:30"),
        ("Access resets at 4:07 AM CET.", "2026-11-30T04:07+01:00"),
        ("resets at 2026-11-30T09:00:00Z", "2026-11-30T09:00+00:00"),
        ("resets 2026-11-30 09:00", "2026-11-30T09:00+01:00"),
        ("available again; available at 14:05", "2026-11-30T14:05+01:00"),
        ("resets 1 Dec 9:00", "2026-12-01T09:00+01:00"),
        ("resets Dec 1", "2026-12-01T00:00+01:00"),
        ("resets 12am", "2026-12-01T00:00+01:00"),
        ("resets 12:30pm", "2026-11-30T12:30+01:00"),
        ("resets Jan 2, 9am", "2027-01-02T09:00+01:00"),
        ("resets 12:20am", "2026-11-30T00:21+01:00"),  # this minute, whose seconds were cut off: its end
        ("resets 12:19am", "2026-12-01T00:19+01:00"),
        ("Try again later, resets 3pm", "2026-11-30T15:00+01:00"),
    ],
)
def test_what_agents_say(words: str, ends: str) -> None:
    """Each form, in the zone that is told, else in the person's."""
    assert read(words) == datetime.fromisoformat(ends)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "5-hour limit reached",
        "Try again later",
        "resets soon",
        "resets 5",
        "resets 25:61",
        "resets 13pm",
        "resets Nov 31, 9am",
        "resets Feb 29, 2027, 9am",
        "resets Nov 28, 9am",  # over
        "resets Jun 1, 2028, 9am",  # no limit is that long
        "resets in 0s",
        "resets in 999999999 days",
        "resets 9999999999",
        "resets at 2020-01-01T00:00:00Z",
        "resets at 2026-99-99T00:00:00Z",
        "resets 3pm PST",  # whose? here it is CET
        "resets 3pm (Mars/Olympus)",
        "resets 3pm GMT+99",
        "resets in 3 parsecs",
        "resets " + "9" * 400,
    ],
)
def test_what_is_not_sure(words: str) -> None:
    """No guess."""
    assert read(words) is None


def test_daylight_saving() -> None:
    """The wall clock's own day, whatever its length; where it shows a time twice, the later one."""
    before = datetime(2026, 10, 24, 20, tzinfo=UTC)  # 22:00 in Berlin; that night the clock is put back at 3:00
    assert read("resets 9am", before) == datetime(2026, 10, 25, 8, tzinfo=UTC)
    assert read("resets 2:30am", before) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert read("resets in 12 hours", before) == before + timedelta(hours=12)
    spring = datetime(2026, 3, 28, 21, tzinfo=UTC)  # that night it jumps from 2:00 to 3:00
    assert read("resets 9am", spring) == datetime(2026, 3, 29, 7, tzinfo=UTC)
    assert read("resets 2:30am", spring) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@given(times, zones, st.integers(0, 1439))
def test_every_clock_time(now: datetime, here: tzinfo, minutes: int) -> None:
    """What a wall clock is to show is ahead, within a day or little more, and what it then shows."""
    hour, minute = divmod(minutes, 60)
    found = at(f"{hour}:{minute:02d}", now, here, ZONES.get)
    assert found is not None
    assert timedelta() < found - now <= timedelta(hours=26)
    shown = found.astimezone(here)
    again = shown.replace(tzinfo=None) - timedelta(minutes=1)
    jumps = shown.utcoffset() != (found - timedelta(hours=2)).astimezone(here).utcoffset()
    assert (hour, minute) in ((shown.hour, shown.minute), (again.hour, again.minute)) or jumps


@given(times, zones, st.timedeltas(timedelta(minutes=2), HORIZON - timedelta(days=1)))
def test_every_date_that_claude_writes(now: datetime, here: tzinfo, away: timedelta) -> None:
    """What is written of a time is read as that time, to the minute; twice in a year it may be an hour later."""
    ends = (now + away).replace(second=0, microsecond=0)
    local = ends.astimezone(here)
    text = f"resets {local:%b} {local.day}, {local.hour % 12 or 12}:{local:%M}{'am' if local.hour < 12 else 'pm'}"
    found = read(text, now, here)
    assert found is not None
    assert timedelta() <= found - ends <= timedelta(hours=1)


@given(st.text(max_size=300), times, zones)
def test_nothing_breaks_it(text: str, now: datetime, here: tzinfo) -> None:
    """Whatever an agent says, the time is ahead and not far, or there is none."""
    for words in (f"resets {text}", f"try again in {text}", text):
        found = read(words, now, here)
        assert found is None or now < found <= now + HORIZON


@given(st.from_regex(r"resets (in )?[0-9 .:,adhms|T+-]{1,40}(am|pm)?( \([A-Za-z/]{1,20}\))?", fullmatch=True), times)
def test_nothing_like_a_time_breaks_it(text: str, now: datetime) -> None:
    """The same, of what looks like a time."""
    found = read(text, now)
    assert found is None or now < found <= now + HORIZON


def test_the_same_limit_again() -> None:
    """Words that count down tell of one limit; another end is another."""
    one = Limit(words="retrying in 3h 41m", noticed=NOW, resets=NOW + timedelta(hours=3, minutes=41))
    assert same(one, "retrying in 3h 40m", NOW + timedelta(hours=3, minutes=41, seconds=20))
    assert same(one, "retrying in 3h 41m", None)
    assert not same(one, "retrying in 5h", NOW + timedelta(hours=5))
    assert not same(one, "another", None)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({}, "usage limit; it does not say until when"),
        ({"resets": NOW + timedelta(hours=2, minutes=8)}, "usage limit until 02:28, in 2 h 8 min"),
        ({"resets": NOW + timedelta(days=3)}, "usage limit until Dec 3 00:20, in 3 d"),
        ({"resets": NOW - timedelta(minutes=1)}, "usage limit until 00:19"),
        (
            {"resets": NOW + timedelta(seconds=40), "resumes": NOW + timedelta(seconds=160)},
            "usage limit until 00:21, in 40 s; told to go on at 00:23",
        ),
        (
            {"resets": NOW + timedelta(minutes=9, seconds=1), "alone": True},
            "usage limit until 00:29, in 10 min; it goes on by itself",
        ),
    ],
)
def test_said_to_people(more: dict[str, datetime], line: str) -> None:
    """Until when, in the person's time, and what follows."""
    assert said(Limit(words="", noticed=NOW, **more), NOW, BERLIN) == line  # type: ignore[arg-type]
