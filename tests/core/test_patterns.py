"""core/patterns.py: patterns of files take linear time, or are an error of the file."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core.patterns import LENGTH, pattern


def test_a_pattern_finds_what_fits_and_its_groups() -> None:
    """The seeds' own pattern, names of groups, and text that UTF-8 cannot hold."""
    assert pattern("(?i)0 problems").fits("x: 0 PROBLEMS")
    found = pattern(r"(?P<done>\d+)/(?P<all>\d+)(?P<unit>px)?").search("step 3/10 ü")
    assert found is not None
    assert (found.text, found.groups) == ("3/10", {"done": "3", "all": "10", "unit": ""})
    assert pattern("b").search("a") is None
    assert pattern("b\\?").fits("\udcffb?")


@pytest.mark.parametrize("text", ["(?=x)", r"(a)\1", "(", "[z-a]", "a{2000}", "x" * (LENGTH + 1), "\\"])
def test_what_the_engine_does_not_know_is_said(text: str) -> None:
    """As a ValueError with the pattern's own words, not on standard error."""
    with pytest.raises(ValueError, match=r"no pattern|too long"):
        pattern(text)


@pytest.mark.parametrize("text", ["(a+)+$", "(a|a)*$", "(.*)*b", "(a?){50}a{50}$"])
def test_no_pattern_hangs(text: str) -> None:
    """What takes a backtracking engine years is done at once."""
    began = time.process_time()
    pattern(text).fits("a" * 50_000 + "!")
    assert time.process_time() - began < 5


@given(st.text(), st.text())
def test_nothing_else_is_raised(text: str, searched: str) -> None:
    """Any text is a pattern or a ValueError; any text can be searched."""
    try:
        found = pattern(text)
    except ValueError:
        return
    found.search(searched)
