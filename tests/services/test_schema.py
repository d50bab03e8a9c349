"""Tests of services/schema.py: the views that docs/state.md promises, with rows in them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.services.sidecar_values import PERSON, in_loop, question, started

from tmux_agent.core.model import Agent, AgentState, Answer, ApprovalState, Event, Grant
from tmux_agent.services import store
from tmux_agent.services.agents import Kept
from tmux_agent.services.schema import read_only


def seen(folder: Path, query: str) -> list[Any]:
    """As a person's sqlite3 sees it, while the sidecar writes."""
    with contextlib.closing(read_only(folder / "state.db")) as db:
        return db.execute(query).fetchall()


AT = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


@in_loop
async def test_pane_states(tmp_path: Path) -> None:
    """One row for each agent in a pane; what has no pane is not there; texts are as they were told."""
    journal = await started(tmp_path)
    agent = Agent(
        session="s1", kind="claude", state=AgentState.WAITING, since=AT, server="/tmp/t", pane="%7", place="shop:1",
        detail='a "quoted" — thing', cwd="/src", pid=41,
    )  # fmt: skip
    kept = {
        "s1": Kept(agent=agent, base=AgentState.WORKING, process="41:7"),
        "s2": Kept(agent=replace(agent, session="s2", pane=None), base=AgentState.IDLE, process=""),
    }
    await journal.commit(lambda db: store.put_agents(db, kept))
    rows = seen(tmp_path, "SELECT * FROM pane_states")
    told = ("%7", "/tmp/t", "shop:1", "claude", "waiting", "2026-11-20T10:30:00Z", 'a "quoted" — thing', "/src", "", 41)
    assert rows == [(*told, "s1")]
    await journal.close()


@in_loop
async def test_requests_and_permissions(tmp_path: Path) -> None:
    """What waits, what was answered and how; what was given ahead."""
    journal = await started(tmp_path)
    answer = Answer(approved=False, at=AT, by=PERSON, comment="no")
    denied = question(state=ApprovalState.DENIED, answer=answer, created=AT, rule="push")
    running = question(state=ApprovalState.APPROVED, phase="running", created=AT)
    grant = Grant(id="g1", scope="exact", created=AT, by=PERSON, agent="claude", uses_left=2, text="git push")
    for one in (denied, running):
        await journal.commit(lambda db, one=one: store.add_approval(db, one), Event(type="x"))  # type: ignore[misc]
    await journal.commit(lambda db: store.add_grant(db, grant))
    rows = seen(tmp_path, "SELECT * FROM requests ORDER BY request_id")
    at = "2026-11-20T10:30:00Z"
    assert rows == [
        (denied.request_id, "denied", at, "claude", None, "command", "low", "push", "", at, "no"),
        (running.request_id, "running", at, "claude", None, "command", "low", "", "", None, ""),
    ]
    rows = seen(tmp_path, "SELECT * FROM permissions")
    assert rows == [("g1", "exact", at, "claude", None, 2, 0, "git push")]
    await journal.close()
