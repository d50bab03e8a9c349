"""Tests of services/ids.py."""

from __future__ import annotations

import itertools

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


def test_a_neighbour_cannot_be_guessed() -> None:
    """Ids of one millisecond lie apart by chance: nobody looks up a stranger's request from their own."""
    ids = Ids(lambda: 1.0)
    made = [ids() for _ in range(50)]
    assert not any(one[:18] == other[:18] for one, other in itertools.pairwise(made))
