"""The beginning of a run: the instances of each stage, by its matrix and its panes. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from datetime import datetime

from .pipeline_file import PipelineFile, StageFile
from .pipeline_run import Place, Run, StageRun

INSTANCES = 200  # stages of one run, with all their instances


def begin(
    spec: PipelineFile,
    run_id: str,
    place: Place | None,
    now: datetime,
    *,
    token: str = "",
    facts: Mapping[str, str] | None = None,
    panes: Mapping[str, tuple[Place, ...]] | None = None,
) -> Run:
    """A run that has not begun anything. `panes`: for stages with `panes`, those that match now.

    Raises ValueError where it would have too many stages, or a stage no pane.
    """
    every = (one for stage in spec.stages for one in _instances(stage, place, (panes or {}).get(stage.name), now))
    stages = tuple(itertools.islice(every, INSTANCES + 1))  # a few lines of a matrix can mean billions
    if len(stages) > INSTANCES:
        raise ValueError(f"{spec.name} would have more than {INSTANCES} stages: narrow its matrix")
    return Run(
        run_id=run_id, spec=spec, created=now, stages=stages, place=place, token=token, facts=dict(facts or {})
    )


def _instances(
    stage: StageFile, place: Place | None, panes: tuple[Place, ...] | None, now: datetime
) -> Iterator[StageRun]:
    if stage.panes is not None and not panes:
        raise ValueError(f"no pane matches stage {stage.name!r} at this moment")
    for combination in itertools.product(*stage.matrix.values()):
        variables = {name: str(value) for name, value in zip(stage.matrix, combination, strict=True)}
        for one in panes if stage.panes is not None and panes else (place,):
            words = [*variables.values(), *([one.pane] if stage.panes is not None and one else [])]
            name = f"{stage.name} ({', '.join(words)})" if words else stage.name
            yield StageRun(name=name, stage=stage.name, place=one, variables=variables, since=now)
