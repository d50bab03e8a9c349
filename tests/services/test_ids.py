"""Tests of services/ids.py."""

from __future__ import annotations

from tmux_agent.services.ids import Ids


def test_ids_rise_whatever_the_clock_does() -> None:
    """Within a millisecond, over milliseconds, and when the clock is set back."""
    times = iter([1.0] * 500 + [2.0, 1.5, 1.5, 3.0])
    ids = Ids(lambda: next(times))
    made = [ids() for _ in range(504)]
    assert made == sorted(set(made))
    assert {len(one) for one in made} == {26}


def test_the_time_is_in_front() -> None:
    """The first ten characters are the milliseconds, as in the ULID specification's example."""
    assert Ids(lambda: 1469918176.385)().startswith("01ARYZ6S41")
