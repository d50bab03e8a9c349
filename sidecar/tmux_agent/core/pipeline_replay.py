"""A recorded session, told to a pipeline: how it would have gone on, by the recording's own clock. Pure.

Nothing is done: what the pipeline would do counts as done at once, what it would ask is answered with yes, and a check
stays pending. Must not own: reading the file (recording.py), printing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from . import markers
from .pipeline import advance
from .pipeline_begin import begin
from .pipeline_file import PipelineFile
from .pipeline_look import next_due
from .pipeline_run import (
    Acted,
    Answered,
    AskPerson,
    Begun,
    Clock,
    Do,
    Happening,
    Place,
    Printed,
    Run,
    RunState,
    Said,
    Wanted,
)
from .pipeline_words import action_line
from .recording import End, Entry, Output, Session, pane_of

PANE = Place(server="", server_pid=0, pane="%0", pane_pid=0)
START = datetime(2000, 1, 1, tzinfo=UTC)


class Step(Struct, frozen=True):
    """What happened to a stage ("" the run), `at` seconds after the recording's beginning, in words."""

    at: float
    stage: str
    words: str


def replay(spec: PipelineFile, entries: Iterable[Entry], pane: str = "") -> Iterator[Step]:
    """Every step of a run that begins with the recording. Only what `pane` printed counts, where one is named.

    Raises ValueError where the pipeline cannot begin so.
    """
    panes = {stage.name: (PANE,) for stage in spec.stages if stage.panes is not None}
    told = _Told(begin(spec, "replay", PANE, START, panes=panes))
    yield from told.take(0.0, Begun())
    for entry in entries:
        if isinstance(entry, Session):
            continue
        yield from told.until(entry.at)
        if not isinstance(entry, End) and pane in ("", pane_of(entry)) and (event := _event(entry)):
            yield from told.take(entry.at, event)


class _Told:
    """A run to which the recording is told."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def until(self, at: float) -> Iterator[Step]:
        """Time passes."""
        while (due := next_due(self._run)) is not None and (seconds := (due - START).total_seconds()) <= at:
            yield from self.take(seconds, Clock())

    def take(self, at: float, *events: Happening) -> Iterator[Step]:
        left = list(events)
        while left:
            before = self._run
            self._run, wanted = advance(before, left.pop(0), START + timedelta(seconds=at))
            yield from _changes(before, self._run, at)
            for one in wanted:
                yield from _wanted(one, at)
                left += _follows(one)


def _event(entry: Entry) -> Happening | None:
    if isinstance(entry, Output):
        return Printed(PANE, entry.text if entry.text.endswith("\n") else f"{entry.text}\n")
    data = getattr(entry, "data", {})
    if getattr(entry, "type", "") != "marker":
        return None
    said = markers.of({**data, "type": data.get("kind", "")})
    return None if isinstance(said, markers.Invalid) else Said(PANE, said, signed=True)


def _follows(wanted: Wanted) -> list[Happening]:
    """What would come of it: nothing fails, and everybody says yes."""
    match wanted:
        case Do() as do if do.action.external_check is None:
            code = 0 if do.action.run is not None else None
            done = Acted(stage=do.stage, attempt=do.attempt, index=do.index, ok=True, exit_code=code, later=do.later)
            return [done]
        case AskPerson(stage=stage):
            return [Answered(stage, ok=True)]
    return []


def _wanted(wanted: Wanted, at: float) -> Iterator[Step]:
    match wanted:
        case Do() as do:
            yield Step(at, do.stage, action_line(do.action))
        case AskPerson(stage=stage):
            yield Step(at, stage, "asks for approval (taken for given)")


def _changes(before: Run, run: Run, at: float) -> Iterator[Step]:
    was = {one.name: one for one in before.stages}
    for one in run.stages:
        if one.state is not was[one.name].state:
            why = f": {one.reason}" if one.reason else ""
            yield Step(at, one.name, f"{was[one.name].state.value} → {one.state.value}{why}")
    if run.state is not before.state and run.state is not RunState.RUNNING:
        yield Step(at, "", f"{run.state.value}{': ' if run.note else ''}{run.note}")
