"""core/remembered.py: bounded by how much there is, and by how long its names are."""

from __future__ import annotations

from tmux_agent.core.remembered import COUNT, LETTERS, Remembered


def test_nothing_grows_without_end() -> None:
    """Neither many short names nor a few long ones are kept for ever; the newest always is."""
    for length, most in ((1, COUNT), (LETTERS // 10, 10), (2 * LETTERS, 1)):
        kept: Remembered[int] = Remembered()
        for number in range(3 * COUNT):
            kept.put((str(number), "x" * length), number)
            assert kept.get((str(number), "x" * length)) == number
        assert len(kept._kept) <= most


def test_letters_of_other_names_are_told() -> None:
    """What a name of any kind takes counts as its caller says, and as many are kept as its owner wants."""
    kept: Remembered[int] = Remembered(2)
    kept.keep(("text", None), 1, LETTERS)
    kept.keep(("text", 5), 2, 1)
    assert (kept.get(("text", None)), kept.get(("text", 5))) == (None, 2)
    kept.keep("b", 3, 0)
    kept.keep("c", 4, 0)
    assert [kept.get(name) for name in (("text", 5), "b", "c")] == [None, None, 4]
