"""What is known of agents over a restart of the sidecar: of those that live, as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.services.test_agents import ORIGIN, S, call

from tmux_agent.services import store
from tmux_agent.services.agent_rows import AgentRows
from tmux_agent.services.agents import Agents, Kept
from tmux_agent.services.journal import Journal

CODEX = replace(ORIGIN, agent="codex", session="999999999:1", cwd="/home/u/\udcff")


async def with_rows(folder: Path, lives: bool, test: Callable[[Agents, Journal], Coroutine[Any, Any, None]]) -> None:
    """One life of the sidecar."""
    journal = Journal(folder / "db", folder / "audit.jsonl")
    await journal.start()
    tasks = []
    agents = Agents(journal)
    rows = AgentRows(journal, agents, lambda work: tasks.append(asyncio.ensure_future(work)))
    try:
        await rows.recover(lambda process: lives)
        await test(agents, journal)
        await asyncio.gather(*tasks)
        await rows.flush()
    finally:
        agents.close()
        await journal.close()


def test_a_restart_loses_nothing_of_who_lives_and_keeps_nothing_of_who_died(tmp_path: Path) -> None:
    """State, since when, and the turn that is over are as they were; without its process an agent is gone for good."""
    before = []

    async def first(agents: Agents, _: Journal) -> None:
        agents.on_hook(call("UserPromptSubmit", S.WORKING), CODEX)
        agents.on_hook(call("Stop", S.DONE, detail="all done"), CODEX)
        agents.shows("s", S.DONE, "its title", titled=True)
        before.extend(agents.list())

    async def second(agents: Agents, _: Journal) -> None:
        (one,) = agents.list()
        assert one == replace(before[0], why="kept over a restart")
        agents.on_hook(call("PostToolUse", S.WORKING), CODEX)
        assert agents.list()[0].state is S.DONE
        kept = agents.kept("s")
        assert kept
        assert kept.titled

    async def third(agents: Agents, journal: Journal) -> None:
        assert agents.list() == ()

    async def fourth(agents: Agents, journal: Journal) -> None:
        assert await journal.read(lambda db: store.agents(db, Kept)) == {}

    for lives, test in ((True, first), (True, second), (False, third), (True, fourth)):
        asyncio.run(with_rows(tmp_path, lives, test))


def test_a_row_of_another_version_is_dropped(tmp_path: Path) -> None:
    """It is not understood, so it is taken away, and nothing is said to be known."""

    async def first(_: Agents, journal: Journal) -> None:
        await journal.commit(lambda db: store.put_agents(db, {"s": {"agent": "?"}}))

    async def second(agents: Agents, _: Journal) -> None:
        assert agents.list() == ()

    async def third(_: Agents, journal: Journal) -> None:
        assert await journal.read(lambda db: store.agents(db, Kept)) == {}

    for test in (first, second, third):
        asyncio.run(with_rows(tmp_path, True, test))
