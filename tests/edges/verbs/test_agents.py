"""`tmux-agent agents`: who needs somebody first, aligned, also where there is little room."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tmux_agent.core.model import Agent, AgentState, Limit
from tmux_agent.edges import out
from tmux_agent.edges.verbs.agents import table
from tmux_agent.services import local_time

NOW = datetime(2026, 11, 20, tzinfo=UTC)
AGENTS = [
    Agent(session="s-1", kind="claude", state=AgentState.WAITING, since=NOW - timedelta(seconds=83), pane="%12",
          place="main:1", waiting_on="git push origin 日本語の枝 --force-with-lease"),
    Agent(session="s-2", kind="codex", state=AgentState.IDLE, since=NOW + timedelta(days=1), detail="\x1b[2Jnasty"),
]  # fmt: skip


@pytest.mark.parametrize(("wide", "cells"), [(True, 120), (False, 40)])
def test_columns_stand_under_each_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, wide: bool, cells: int
) -> None:
    """Nothing hostile reaches the terminal, a clock that jumped back is 0:00, and each line has its room."""
    monkeypatch.setattr(out, "columns", lambda: cells)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    out.table(*table(AGENTS, NOW, wide=wide))
    head, first, second = capsys.readouterr().out.replace("\x1b[2m", "").replace("\x1b[0m", "").splitlines()
    assert head.index("STATE") == first.index("waiting") == second.index("idle")
    assert "1:23" in first
    assert "0:00" in second
    assert "\x1b" not in second
    assert all(out.display.width(line) <= cells for line in (head, first, second))


@pytest.mark.parametrize("wide", [True, False])
def test_a_usage_limit_says_until_when(monkeypatch: pytest.MonkeyPatch, *, wide: bool) -> None:
    """In the person's time, before the agent's own words; what it waits for comes first all the same."""
    monkeypatch.setattr(local_time, "mine", lambda: ZoneInfo("Europe/Berlin"))
    limit = Limit(words="You've hit your limit", noticed=NOW, resets=NOW + timedelta(hours=2))
    one = Agent(session="s-3", kind="claude", state=AgentState.ERROR, since=NOW, limit=limit)
    _, (row,) = table([one], NOW, wide=wide)
    assert row[1] == "limit"
    assert "usage limit until 03:00, in 2 h · You've hit your limit" in row[-1]
    waits = Agent(session="s", kind="c", state=AgentState.WAITING, since=NOW, limit=limit, waiting_on="git push")
    _, (row,) = table([waits], NOW, wide=wide)
    assert row[1] == "waiting"
    assert "git push" in row[-1]
