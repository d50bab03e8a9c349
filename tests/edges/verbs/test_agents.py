"""`tmux-agent agents`: who needs somebody first, aligned, also where there is little room."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tmux_agent.core.model import Agent, AgentState
from tmux_agent.edges import out
from tmux_agent.edges.verbs.agents import table

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
