"""docs/agents.md says of each hook what the code does."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tmux_agent.edges.adapters import (
    ADAPTERS,
    claude,
    claude_setup,
    codex,
    codex_setup,
    cursor,
    cursor_setup,
    gemini,
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
EVENTS = {"claude": claude.EVENTS, "codex": codex.EVENTS, "gemini": gemini.EVENTS, "cursor": cursor.EVENTS}
ENDS = {"over": "about th", "before": "earlier prompts", "turn": "those of this", "session": "all of the session"}
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


@pytest.mark.parametrize("agent", EVENTS)
def test_states_and_questions_after_each_hook(agent: str) -> None:
    """The state that the page names first is the one the hook tells, and so is which questions it ends."""
    row = re.compile(r"^\| `(\w+)` \|[^|]+\|[^|]*\| ?([^|]*)\| ?([^|]*)\|", re.MULTILINE)
    table = row.findall(SECTIONS[SETUPS[agent].title])
    assert [name for name, _, _ in table] == list(EVENTS[agent])
    for name, state, ends in table:
        told = EVENTS[agent][name]
        if told.state or told.withdraw == "session":
            assert state.startswith(told.state.value if told.state else "gone"), name
        else:
            assert state.strip() == "" or "waiting" in state, name
        assert ENDS[told.withdraw] in ends if told.withdraw else not ends.strip(), name


@pytest.mark.parametrize("agent", SETUPS)
def test_how_each_is_set_up_and_taken_out(agent: str) -> None:
    """Both commands stand in its section, and every file that they write."""
    section = SECTIONS[SETUPS[agent].title]
    assert f"`tmux-agent setup {agent}`" in section
    assert f"`tmux-agent setup {agent} --uninstall`" in section
    for change in SETUPS[agent].changes(os.environ, False):
        assert change.file.path.name in section


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
