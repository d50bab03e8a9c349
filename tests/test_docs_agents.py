"""docs/agents.md says of each hook what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tmux_agent.edges.adapters import (
    ADAPTERS,
    claude_setup,
    codex_setup,
    cursor_setup,
    gemini_setup,
    opencode,
    opencode_setup,
)
from tmux_agent.edges.adapters.json_hooks import Handlers
from tmux_agent.edges.verbs.setup import SETUPS

PAGE = (Path(__file__).parents[1] / "docs" / "agents.md").read_text()
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
HANDLERS = {
    "claude": claude_setup.handlers,
    "codex": codex_setup.handlers,
    "gemini": gemini_setup.handlers,
    "cursor": cursor_setup.handlers,
}
UNITS = {"gemini": 1000}  # of time-outs, in a second


def rows(agent: str) -> list[tuple[str, str]]:
    """(hook, time-out) as the page has them."""
    return re.findall(r"^\| `(\w+)` \| ([^|]+) \|", SECTIONS[SETUPS[agent].title], re.MULTILINE)


def time_of(handler: dict[str, Any], unit: int) -> str:
    if handler.get("async"):
        return "async"
    seconds = handler["timeout"] // unit
    return "1 day" if seconds == claude_setup.DAY else f"{seconds} s"


@pytest.mark.parametrize("agent", HANDLERS)
def test_the_hooks_are_those_that_are_installed(agent: str) -> None:
    """Each event has its row, in the same order, with its time-out."""
    installed: Handlers = HANDLERS[agent]("/python", "/relay")
    assert rows(agent) == [(event, time_of(handler, UNITS.get(agent, 1))) for event, handler in installed.items()]


def test_opencodes_plugin_tells_what_the_page_says() -> None:
    """Each event has its row, in the same order, with the state after it, and what it is called in opencode."""
    table = re.findall(r"^\| `([\w.]+)` \| ([^|]+) \|[^|]*\| ?([^|]*)\|", SECTIONS["opencode"], re.MULTILINE)
    assert [name for name, _, _ in table] == list(opencode.EVENTS)
    source = opencode_setup.SOURCE.read_text()
    for name, own, state in table:
        assert f'"{name}"' in source
        assert all(f'"{one}"' in source for one in re.findall(r"`([\w.]+)`", own)), own
        told = opencode.EVENTS[name].state
        assert state.startswith(told.value if told else ("working" if name == "session.status" else "gone")), name


def test_every_agent_has_its_section_and_its_version() -> None:
    """What can be set up is told of, with the version that it was tried with."""
    assert set(ADAPTERS) <= set(SETUPS)
    for setup in SETUPS.values():
        assert f"`tmux-agent setup {setup.agent}`" in SECTIONS[setup.title]
        assert ".".join(map(str, setup.tried)) in PAGE
