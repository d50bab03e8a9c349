"""Runs whose tmux server went while no sidecar was there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tmux_agent.core.pipeline_file import PipelineFile, StageFile
from tmux_agent.core.pipeline_run import Place, RunState
from tmux_agent.services import lifecycle, places

PANE = Place(server="/gone", server_pid=1, pane="%0", pane_pid=2)


def test_runs_whose_tmux_server_does_not_come_back_end_and_ask_nobody(tmp_path: Path) -> None:
    environ = {name: str(tmp_path / name.lower()) for name in ("HOME", "XDG_RUNTIME_DIR", "TMUX_AGENT_CONFIG_DIR")}
    where = places.find(environ)
    where.config.mkdir()
    spec = PipelineFile(name="p", stages=(StageFile(name="s", require_approval=True),))

    async def story() -> None:
        system = await lifecycle.begin(environ, where)
        heard = await system.journal.subscribe(["approval.opened"])
        run = await system.pipelines.start(spec, PANE)
        async for _ in heard:
            break
        await lifecycle.end(system)
        system = await lifecycle.begin(environ, where)
        try:
            assert len(system.approvals.pending()) == 1
            heard = await system.journal.subscribe(["approval.withdrawn"])
            await system.pipelines.drop_orphans(0)
            async for _ in heard:
                break
            assert not system.approvals.pending()
            found = await system.pipelines.get(run.run_id)
            assert (found.state, found.note) == (RunState.FAILED, "s: its tmux server is gone")
            assert system.pipelines.runs() == ()
        finally:
            await lifecycle.end(system)

    asyncio.run(asyncio.wait_for(story(), 60))
