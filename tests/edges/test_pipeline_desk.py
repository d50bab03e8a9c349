"""What the page of pipelines shows and does, on real services without tmux: who may, what is recorded, what is seen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from tests.edges.ui.scripted import origin, shell
from tests.patience import PATIENCE

from tmux_agent.core import errors
from tmux_agent.core.model import Origin, Role
from tmux_agent.core.pipeline_begin import begin
from tmux_agent.core.pipeline_run import Place, StageState
from tmux_agent.core.protocol import PipelineCancel, PipelineSkip, PipelineStart
from tmux_agent.edges.desk import ServiceDesk
from tmux_agent.services import lifecycle, places
from tmux_agent.services.system import System

PERSON = Origin(role=Role.OPERATOR, why="", uid=0, pid=1, server="/s", client="/dev/pts/1", door="popup")
FILE = """
pipelines:
  - name: p
    stages:
      - {name: last, needs: first}
      - {name: first, require_approval: true, actions_on_start: [{run: ["true"]}]}
"""


class World:
    def __init__(self, system: System, desk: ServiceDesk) -> None:
        self.system, self.desk, self.page = system, desk, desk.pipelines

    def records(self, type_: str) -> list[dict[str, Any]]:
        lines = Path(self.system.journal.audit).read_text().splitlines()
        return [one for one in map(json.loads, lines) if one["type"] == type_]

    async def until(self, holds: Callable[[], object]) -> None:
        """Looks again after each event."""
        heard = await self.system.journal.subscribe()
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await anext(heard)
        heard.close()


def play(tmp_path: Path, scene: Callable[[World], Awaitable[None]]) -> None:
    environ = {name: str(tmp_path / name.lower()) for name in ("HOME", "XDG_RUNTIME_DIR", "TMUX_AGENT_CONFIG_DIR")}
    where = places.find(environ)
    (where.config / "pipelines").mkdir(parents=True)
    (where.config / "pipelines" / "p.yaml").write_text(FILE)

    async def story() -> None:
        system = await lifecycle.begin(environ, where)
        try:
            await scene(World(system, ServiceDesk(system)))
        finally:
            await lifecycle.end(system)

    asyncio.run(asyncio.wait_for(story(), 2 * PATIENCE))


def a_person(world: World) -> None:
    """The kernel has nothing against who sits there."""
    world.system.identity = SimpleNamespace(  # type: ignore[assignment]
        client_is_persons=lambda *_: None, nobody_types=lambda *_: None
    )
    world.desk.bind(PERSON, "nonce")


START = PipelineStart(pipeline="p")


def test_before_a_relay_has_come_it_shows_and_does_nothing(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        assert [one.name for one in world.page.declared()] == ["p"]
        with pytest.raises(errors.Forbidden, match="nobody sits in front"):
            await world.page.act(START)
        assert world.page.runs() == []

    play(tmp_path, scene)


def test_a_client_that_is_no_persons_any_more_is_refused_on_record(tmp_path: Path) -> None:
    """Looked at again with each wish: the relay was checked, but the client is gone since."""

    async def scene(world: World) -> None:
        world.desk.bind(PERSON, "nonce")  # and the real identity knows no such client
        with pytest.raises(errors.Forbidden, match="may not answer any more"):
            await world.page.act(START)
        assert world.page.runs() == []
        await world.until(lambda: world.records("refused"))
        assert "pipeline.start" in str(world.records("refused")[0])
        assert not world.records("pipeline.run")

    play(tmp_path, scene)


def test_what_a_person_wants_is_recorded_and_seen(tmp_path: Path) -> None:
    """Its request is found by its stage; skipped, cancelled and ended runs are what they are."""

    async def scene(world: World) -> None:
        a_person(world)
        await world.page.act(START)
        await world.until(world.page.requests)
        (run,) = world.page.runs()
        assert [(one.name, one.state, one.waits_for) for one in run.stages] == [
            ("first", "approval", "your approval"), ("last", "waiting", "first"),
        ]  # fmt: skip
        (asked,) = world.system.approvals.pending()
        assert world.page.requests() == {(run.run_id, "first"): asked.request_id}
        assert world.page.runs()[0] is run  # as long as nothing of it changes
        whole = await world.page.whole(run.run_id)
        assert whole.stages[0].does == ("run: true",)
        await world.page.act(PipelineSkip(run_id=run.run_id, stage="first"))
        await world.until(lambda: not world.page.runs() and not world.page.requests())
        (ended,) = await world.page.ended(8)
        assert (ended.state, [one.state for one in ended.stages]) == ("success", ["skipped", "success"])
        with pytest.raises(errors.Conflict, match="has ended"):
            await world.page.act(PipelineCancel(run_id=run.run_id))
        told = [one for one in world.records("decision") if one["data"]["action"]["type"] == "pipeline"]
        said = [(one["data"]["action"]["verb"], one["data"]["rule"], one["origin"]["door"]) for one in told]
        assert said[:2] == [("start", "a person", "popup"), ("skip", "a person", "popup")]
        assert told[1]["data"]["action"]["pipeline"] == "p"

    play(tmp_path, scene)


def test_markers_are_those_of_the_runs_panes_while_it_ran(tmp_path: Path) -> None:
    """Of a run without a pane there are none; an approval of another asker is none of a stage's."""

    async def scene(world: World) -> None:
        a_person(world)
        await world.page.act(START)
        await world.until(world.page.requests)
        (run,) = world.page.runs()
        assert await world.page.markers(run, 5) == []

    play(tmp_path, scene)


def test_a_stage_that_runs_waits_for_what_asks_in_its_pane(tmp_path: Path) -> None:
    """A marker's question, or an agent that the stage started; not for what asks elsewhere, nor one that has ended."""

    async def scene(world: World) -> None:
        place = Place(server="/s", server_pid=1, pane="%7", pane_pid=70)
        spec = world.system.pipelines.files.get("p")
        run = begin(spec, "R" * 26, place, datetime.now(UTC))
        first, last = run.stages
        running = replace(
            run, stages=(replace(first, state=StageState.RUNNING), replace(last, state=StageState.SUCCESS))
        )
        world.system.pipelines._runs[run.run_id] = running
        here, there = origin(server="/s"), replace(origin(server="/s"), pane="%8")
        asking = {"%7": shell("rm x", 1, origin=here), "%8": shell("rm y", 2, origin=there)}
        for panes, found in ((("%8",), {}), (("%8", "%7"), {(run.run_id, first.name): asking["%7"].request_id})):
            waiting = tuple(asking[pane] for pane in panes)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(world.system, "approvals", SimpleNamespace(pending=lambda of=waiting: of))
                assert world.page.requests() == found

    play(tmp_path, scene)
