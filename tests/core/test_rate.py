"""Token buckets: a burst, then a rate, whatever the clock does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core.rate import Bucket


def test_a_burst_then_the_rate() -> None:
    """200 at once, then one a second."""
    bucket = Bucket(200, 1.0, 0.0)
    assert sum(bucket.take(0.0) for _ in range(500)) == 200
    assert not bucket.take(0.5)
    assert bucket.take(1.1)
    assert not bucket.take(1.2)


@given(st.lists(st.floats(0, 1000), max_size=300))
def test_never_more_than_burst_and_rate_allow(times: list[float]) -> None:
    """Over any span, no more than the burst and what came in meanwhile; a clock that goes back gives nothing."""
    bucket = Bucket(5, 2.0, 0.0)
    taken = sum(bucket.take(now) for now in sorted(times))
    assert taken <= 5 + 2.0 * (max(times, default=0.0)) + 1e-6
    back = Bucket(1, 1.0, 100.0)
    assert back.take(100.0)
    assert not back.take(50.0)
