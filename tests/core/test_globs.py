"""What patterns may match in some tool, and what they match in every one."""

from __future__ import annotations

import pytest

from tmux_agent.core import globs


@pytest.mark.parametrize(
    "glob",
    [".env", "[^x]env", "[!x]env", r"\.env", "[[:punct:]]env", "[[.period.]]env", ".e*", ".EN?", "[.]env", ".e[n]v"],
)
def test_a_pattern_that_some_tool_takes_for_the_name_perhaps_matches(glob: str) -> None:
    """Classes, negations, escapes and case: each of these names .env to find, grep, rg or a shell."""
    assert globs.perhaps(".env", glob)


@pytest.mark.parametrize("glob", ["*.py", "env", ".env.*", ".e[xy]v", "*.[ch]"])
def test_a_pattern_for_other_names_does_not(glob: str) -> None:
    """Usual patterns stay useful."""
    assert not globs.perhaps(".env", glob)


@pytest.mark.parametrize(
    ("glob", "sure"),
    [(".env", True), (".e*", True), ("*.py", False), ("[^.]env", False), ("[.]env", False), (r"\.env", False)],
)
def test_only_plain_patterns_exclude_for_sure(glob: str, sure: bool) -> None:
    """What tools read in different ways excludes nothing."""
    assert globs.surely(".env", glob) is sure
