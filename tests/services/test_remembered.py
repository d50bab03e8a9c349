"""services/remembered.py: bounded by how much there is, and by how long its names are."""

from __future__ import annotations

from tmux_agent.services.remembered import COUNT, LETTERS, Remembered


def test_nothing_grows_without_end() -> None:
    """Neither many short names nor a few long ones are kept for ever; the newest always is."""
    for length, most in ((1, COUNT), (LETTERS // 10, 10), (2 * LETTERS, 1)):
        kept: Remembered[int] = Remembered()
        for number in range(3 * COUNT):
            kept.put((str(number), "x" * length), number)
            assert kept.get((str(number), "x" * length)) == number
        assert len(kept._kept) <= most
