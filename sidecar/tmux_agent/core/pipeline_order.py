"""The order in which the stages of a run are shown, and what one that has not begun waits for. Pure."""

from __future__ import annotations

from .pipeline import stage_of
from .pipeline_file import PipelineFile, after_failure, needs
from .pipeline_run import ENDED, Run, StageRun, StageState


def ordered(run: Run) -> tuple[StageRun, ...]:
    """Each stage after those that it needs; else as in the file."""
    depth = depths(run.spec)
    return tuple(sorted(run.stages, key=lambda one: depth[one.stage]))  # a stable sort: the file's order stays


def depths(spec: PipelineFile) -> dict[str, int]:
    """How many stages have to end one after the other before each can begin."""
    before = {stage.name: (*needs(stage), *after_failure(stage)) for stage in spec.stages}
    found: dict[str, int] = {}
    while left := [name for name in before if name not in found]:
        known = {name: max((found[other] + 1 for other in before[name]), default=0) for name in left
                 if all(other in found for other in before[name])}  # fmt: skip
        assert known, "circles are errors of the file"
        found |= known
    return found


def awaited(run: Run, one: StageRun) -> str:
    """The stages that a stage which has not begun waits for: "lint, test", "the failure of deploy"; "" for others."""
    if one.state is not StageState.WAITING:
        return ""
    spec = stage_of(run, one)
    open_ = {other.stage for other in run.stages if other.state not in ENDED}
    good = [name for name in needs(spec) if name in open_]
    bad = [f"the failure of {name}" for name in after_failure(spec) if name in open_]
    return ", ".join([*good, *bad])
