"""The order in which the stages of a run are shown, and what one that has not begun waits for. Pure."""

from __future__ import annotations

from graphlib import TopologicalSorter

from .pipeline_file import StageFile, after_failure, needs
from .pipeline_run import ENDED, Run, StageRun, StageState


def ordered(run: Run) -> tuple[StageRun, ...]:
    """Each stage after those that it needs; else as in the file."""
    before = {stage.name: (*needs(stage), *after_failure(stage)) for stage in run.spec.stages}
    depth: dict[str, int] = {}
    for name in TopologicalSorter(before).static_order():
        depth[name] = max((depth[other] + 1 for other in before[name]), default=0)
    return tuple(sorted(run.stages, key=lambda one: depth[one.stage]))  # a stable sort: the file's order stays


def awaited(run: Run) -> dict[str, str]:
    """The stages that each stage which has not begun waits for: "lint, test", "the failure of deploy"."""
    left = {one.stage for one in run.stages if one.state not in ENDED}
    files = {stage.name: stage for stage in run.spec.stages}
    return {one.name: _awaited(files[one.stage], left) for one in run.stages if one.state is StageState.WAITING}


def _awaited(stage: StageFile, left: set[str]) -> str:
    good = [name for name in needs(stage) if name in left]
    return ", ".join([*good, *(f"the failure of {name}" for name in after_failure(stage) if name in left)])
