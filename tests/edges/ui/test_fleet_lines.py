"""How agents of the fleet look: the columns meet whatever is in them, and what one waits for has room."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.edges.ui.scripted import NOW

from tmux_agent.core import display
from tmux_agent.core.replies_fleet import FleetData
from tmux_agent.edges.ui import fleet_lines
from tmux_agent.edges.ui.desk import Look
from tmux_agent.edges.ui.styles import Lines
from tmux_agent.edges.ui.text import Line


def agent(name: str, **more: Any) -> FleetData:
    given: dict[str, Any] = {
        "repository": "/r", "worktree": f"/r-worktrees/{name}", "branch": name, "base": "main", "server": "/s",
        "session": name, "agent": "claude", "state": "running", "agent_state": "working", "pane": "%1",
        "created": NOW - timedelta(minutes=9), "since": NOW - timedelta(seconds=30),
    }  # fmt: skip
    return FleetData(name=name, **{**given, **more})


AGENTS = [
    agent("fix-a", agent_state="waiting", waiting_on="git push origin feat/login"),
    agent("修正-購物車の価格-検証-と-合計-の-確認", agent="codex", tier="sandbox"),
    agent("feat-login-form-with-a-very-long-name-that-nobody-types", agent="an-agent-of-a-very-long-name"),
    agent("docs", agent_state="waiting", detail="a dialog of its own"),
    agent("perf", agent_state="error", detail="You have hit your limit"),
]
LOOKS = {"fix-a": Look(added=123_456, removed=98_765, files=3), "docs": Look(), "perf": Look(added=1, last="done")}


def plain(line: Line) -> str:
    return "".join(text for _, text in line)


def rows(width: int, *, utf8: bool = True) -> list[Line]:
    columns = fleet_lines.Columns(AGENTS, LOOKS, width)
    signs = Lines(utf8)
    return [
        fleet_lines.row(one, LOOKS.get(one.name), columns, width, NOW, signs, asked=False, chosen=False)
        for one in AGENTS
    ]


@pytest.mark.parametrize("width", [36, 60, 76, 96, 196])
@pytest.mark.parametrize("utf8", [True, False])
def test_the_columns_meet(width: int, utf8: bool) -> None:
    shown = [plain(line) for line in rows(width, utf8=utf8)]
    assert all(display.width(line) <= width for line in shown)
    states = ("waiting", "working", "working", "waiting", "error")
    assert len({display.width(line[: line.index(said)]) for line, said in zip(shown, states, strict=True)}) == 1


def test_what_it_waits_for_has_room() -> None:
    """In a popup of 100 columns."""
    shown = [plain(line) for line in rows(96)]
    assert "+123k −98k" in shown[0]
    assert "waits for you  git push" in shown[0]
    assert "codex ▣" in shown[1]
    assert "asks in its pane  a dial" in shown[3]
    assert "You have hit your limit" in shown[4]
