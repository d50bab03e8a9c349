"""docs/agents.md says of each hook what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from tmux_agent.edges.adapters import claude, claude_setup

ROWS = re.findall(
    r"^\| `(\w+)` \| ([^|]+) \|",
    (Path(__file__).parents[1] / "docs" / "agents.md").read_text(),
    re.MULTILINE,
)
TIMES = {"60 s": 60, "1 day": claude_setup.DAY, "async": None}


def test_the_hooks_are_those_that_are_installed() -> None:
    """Each event has its row, in the same order, with its time-out."""
    installed = claude_setup.handlers("/python", "/relay")
    assert [name for name, _ in ROWS] == list(claude.EVENTS)
    for name, time in ROWS:
        assert TIMES[time] == (None if installed[name].get("async") else installed[name]["timeout"]), name
