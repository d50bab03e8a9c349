"""Pipelines: stages' transitions, each with its records and its state on disk before the next of its run."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from tests.bench.world import Row

from tmux_agent.core.markers import Status
from tmux_agent.core.model import Event
from tmux_agent.core.pipeline_file import ConditionFile, PipelineFile, StageFile
from tmux_agent.core.pipeline_run import Place
from tmux_agent.services import lifecycle, places
from tmux_agent.services.system import System

RUNS, STAGES = 100, 50  # each stage begins and succeeds: two transitions


def rows(quick: bool) -> list[Row]:
    runs = RUNS // 5 if quick else RUNS
    with tempfile.TemporaryDirectory(prefix="ta-bench-", dir="/var/tmp") as name:
        count, took, floor = asyncio.run(_measured(Path(name), runs))
    rate, bare = count / took, count / floor
    return [
        Row(
            name=f"pipelines: {count} transitions of {runs} runs, on disk",
            floor=f"{bare:.0f}/s", ours=f"{rate:.0f}/s", ratio=f"{bare / rate:.2f}×", bound="≥ 1000/s",
            held=rate >= 1000,
        )
    ]  # fmt: skip


def _spec() -> PipelineFile:
    stages = [
        StageFile(
            name=f"s{number}",
            needs=f"s{number - 1}" if number else (),
            success_when=(ConditionFile(marker="STATUS"),),
        )
        for number in range(STAGES)
    ]
    return PipelineFile(name="long", stages=tuple(stages))


async def _measured(folder: Path, runs: int) -> tuple[int, float, float]:
    """Transitions, seconds they took, and seconds that as many bare records of the same callers take."""
    environ = {name: str(folder / name.lower()) for name in ("HOME", "XDG_RUNTIME_DIR", "TMUX_AGENT_CONFIG_DIR")}
    where = places.find(environ)
    where.config.mkdir(parents=True)
    system = await lifecycle.begin(environ, where)
    try:
        await asyncio.gather(*(_bare(system, 2) for _ in range(runs)))
        start = time.perf_counter()
        await asyncio.gather(*(_bare(system, STAGES) for _ in range(runs)))
        floor = time.perf_counter() - start
        start = time.perf_counter()
        count = await _driven(system, runs)
        return count, time.perf_counter() - start, floor
    finally:
        await lifecycle.end(system)


async def _bare(system: System, count: int) -> None:
    data = {"run_id": "r", "pipeline": "long", "stage": "s", "state": "running", "attempt": 1, "reason": ""}
    for _ in range(count):
        await system.journal.publish(Event(type="bare", data=data), Event(type="bare", data=data))


async def _driven(system: System, runs: int) -> int:
    """Begin the runs, and say that a stage went well once it is told to run; how many transitions were told."""
    heard = await system.journal.subscribe(["pipeline.stage", "pipeline.run"], limit=1_000_000)
    spec = _spec()
    panes = [Place(server="bench", server_pid=1, pane=f"%{number}", pane_pid=number) for number in range(runs)]
    begun = await asyncio.gather(*(system.pipelines.start(spec, place) for place in panes))
    place_of = {run.run_id: place for run, place in zip(begun, panes, strict=True)}
    count, ended = 0, 0
    async for one in heard:
        data = one.event.data
        if one.event.type == "pipeline.run":
            ended += data["state"] == "success"
        else:
            count += 1
            if data["state"] == "running":
                system.pipelines.heard(place_of[data["run_id"]], Status(stage=data["stage"], ok=True))
        if ended == runs:
            break
    heard.close()
    return count
