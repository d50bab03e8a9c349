"""Pipelines that run: what happens is taken to their runs one after the other, kept, and then what they want is done.

Owns the runs under way, the order "kept, then done", timers, and taking runs up after a restart. Each change of a run
is in the database, with its records, before anything that it wants is begun. Must not own: what follows from what
(core/pipeline.py), doing it (pipeline_work.py), reading panes (tmux/watch.py).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ..core import errors, markers
from ..core.model import Event
from ..core.pipeline import advance
from ..core.pipeline_begin import begin
from ..core.pipeline_file import PipelineFile
from ..core.pipeline_look import after_echo, next_due, typed, under_way, wanted_files, wants_output
from ..core.pipeline_run import (
    Begun,
    Cancel,
    Clock,
    Gone,
    Happening,
    Place,
    Printed,
    Retry,
    Run,
    RunState,
    Said,
    Skip,
    StageRun,
    StageState,
    Wanted,
)
from . import pipeline_rows
from .ids import new_id
from .journal import Journal, utc_now
from .pipeline_acts import Acts
from .pipeline_files import PipelineFiles
from .pipeline_watch import Files, Followers
from .pipeline_work import RETRY_SECONDS, Work

log = logging.getLogger(__name__)

RUNS = 500  # under way at once
WAITING_TEXT = 1 << 20  # characters of a pane's output that wait to be looked at
ORPHANED = 40.0  # seconds after a restart until a tmux server that has not come back is taken for gone
SETTLE = 1.0  # until the questions of a run that is taken up are found


class Pipelines:
    """Built by the system; used in the event loop only. `shows` gives what a pane still shows, with its history."""

    def __init__(
        self,
        files: PipelineFiles,
        journal: Journal,
        acts: Acts,
        followers: Followers,
        shows: Callable[[Place], Coroutine[Any, Any, str]],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.files = files
        self._journal = journal
        self._shows = shows
        self._spawn = spawn
        self._now = now
        self._runs: dict[str, Run] = {}  # under way
        self._about: dict[Place, set[str]] = {}  # those that a pane is about
        self._files: dict[str, frozenset[str]] = {}  # that they wait for
        self._inbox: dict[str, list[Happening]] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._waiting: set[str] = set()  # of an earlier sidecar, until their tmux server is there again
        self._work = Work(acts, followers, spawn, self.tell)
        self._looked = Files(self._file_changed)
        self.signs: Callable[[Place, str], bool] = lambda _place, _run: False  # besides a run's own token

    # --- life ---

    async def recover(self) -> None:
        """Take up what an earlier sidecar left; runs in panes go on when their server is there. Raises Unavailable."""
        for run in await self._journal.read(pipeline_rows.open_runs):
            new_id.after(run.run_id)
            self._take(run)
            if run.place is None and all(one.place is None for one in run.stages):
                self._resume(run)
            else:
                self._waiting.add(run.run_id)

    async def drop_orphans(self, seconds: float = ORPHANED) -> None:
        """End what waits for a tmux server that has not come back `seconds` after this sidecar began."""
        await asyncio.sleep(seconds)
        left = [self._runs[run_id] for run_id in self._waiting]
        self._waiting.clear()
        for run in left:
            self._resume(run)  # its questions are known again, so that they can be withdrawn
        await asyncio.sleep(SETTLE)
        for run in left:
            places = {one.place for one in run.stages if one.place}
            self.tell(run.run_id, *(Gone(place, "its tmux server is gone") for place in places))

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._looked.close()

    def _resume(self, run: Run) -> None:
        for wanted in under_way(run):
            if not self._work.goes_on(run, getattr(wanted, "stage", "")):  # its pane may have moved it on already
                self._work.do(run, wanted)
        self.tell(run.run_id, Begun(), Clock())
        for one in run.stages:
            if one.state is StageState.RUNNING and one.place is not None and wants_output(run, one.place):
                self._spawn(self._catch_up(run, one, one.place))

    async def _catch_up(self, run: Run, one: StageRun, place: Place) -> None:
        """What a stage's command printed while nobody looked."""
        if text := after_echo(await self._shows(place), typed(run, one)):
            self.tell(run.run_id, Printed(place, text))

    # --- what there is ---

    def runs(self) -> tuple[Run, ...]:
        """Those under way, oldest first."""
        return tuple(self._runs.values())

    async def history(self, limit: int, pipeline: str = "", before: str = "") -> list[Run]:
        """Runs, newest first. Raises Unavailable."""
        return await self._journal.read(lambda db: pipeline_rows.newest(db, limit, pipeline, before))

    async def get(self, run_id: str) -> Run:
        """Raises NotFound, Unavailable."""
        found = self._runs.get(run_id) or await self._journal.read(lambda db: pipeline_rows.run(db, run_id))
        if found is None:
            raise errors.NotFound(f"there is no run {run_id}; `tmux-agent pipeline history` shows those that are kept")
        return found

    # --- panes ---

    async def panes(
        self, server: str, places: Mapping[Place, Mapping[str, str]], matching: Callable[[PipelineFile, Place], bool]
    ) -> None:
        """The panes of a server as they are now, with what is known of each: runs whose pane is gone end, those that
        wait for it go on, and pipelines begin that match a pane for the first time."""
        for run in list(self._runs.values()):
            mine = {one.place for one in run.stages if one.place} | ({run.place} if run.place else set())
            gone = [place for place in mine if place.server == server and place not in places]
            self.tell(run.run_id, *(Gone(place) for place in gone))
            if run.run_id in self._waiting and any(place.server == server for place in mine):
                self._waiting.discard(run.run_id)
                self._resume(run)
        for spec in self.files.all():
            if spec.start != "match" or spec.match is None:
                continue
            for place, facts in places.items():
                if matching(spec, place) and not await self._began(spec, place):
                    await self._first(spec, place, facts, list(places), matching)

    async def _began(self, spec: PipelineFile, place: Place) -> bool:
        if any(run.spec.name == spec.name and run.place == place for run in self._runs.values()):
            return True
        return await self._journal.read(lambda db: pipeline_rows.has_run(db, spec.name, place))

    async def _first(
        self, spec: PipelineFile, place: Place, facts: Mapping[str, str], places: list[Place],
        matching: Callable[[PipelineFile, Place], bool],
    ) -> None:  # fmt: skip
        try:
            await self.start(spec, place, facts, panes_of(spec, places, matching))
        except (errors.LimitExceeded, errors.InvalidParams) as why:
            log.warning("pipeline %s does not begin in pane %s: %s", spec.name, place.pane, why.message)

    def lost(self, server: str) -> None:
        """A tmux server is gone, and all panes of it."""
        for run in list(self._runs.values()):
            places = {one.place for one in run.stages if one.place and one.place.server == server}
            self.tell(run.run_id, *(Gone(place, "its tmux server is gone") for place in places))

    # --- what happens ---

    def heard(self, place: Place, marker: markers.Marker) -> None:
        """A pane printed a marker."""
        self.heard_by(place, marker, self.signed_for(place, marker.run))

    def heard_by(self, place: Place, marker: markers.Marker, signed: Collection[str]) -> None:
        """The same of one that is known to be signed for these runs, by their ids."""
        for run in self._of(place):
            self.tell(run.run_id, Said(place, marker, run.run_id in signed))

    def signed_for(self, place: Place, token: str) -> list[str]:
        """The runs, by their ids, that take a marker with this token in this pane for signed."""
        return [run.run_id for run in self._of(place) if self._signed(run, place, token)]

    def signed(self, place: Place, token: str) -> bool:
        """Whether a token is that of a run that is about this pane, or of an agent that was wrapped there."""
        return bool(self.signed_for(place, token)) or self.signs(place, token)

    def _signed(self, run: Run, place: Place, token: str) -> bool:
        own = bool(run.token) and secrets.compare_digest(token.encode(), run.token.encode())
        return own or self.signs(place, token)

    def printed(self, place: Place, text: str, notices: tuple[str, ...] = ()) -> None:
        """A pane printed these lines, and its program sent these notifications."""
        for run in self._of(place):
            if wants_output(run, place):
                self.tell(run.run_id, Printed(place, text, notices))

    def wants_lines(self, place: Place) -> bool:
        return any(wants_output(run, place) for run in self._of(place))

    def places(self) -> frozenset[Place]:
        """Panes that runs under way are about."""
        return frozenset(self._about)

    def _of(self, place: Place) -> list[Run]:
        """The runs under way that a pane is about, oldest first."""
        return [self._runs[run_id] for run_id in sorted(self._about.get(place, ()))]

    # --- what people want ---

    async def start(
        self,
        spec: PipelineFile,
        place: Place | None,
        facts: Mapping[str, str] | None = None,
        panes: Mapping[str, tuple[Place, ...]] | None = None,
    ) -> Run:
        """Begin a run. Raises LimitExceeded, InvalidParams (it cannot begin so), Unavailable."""
        if len(self._runs) >= RUNS:
            raise errors.LimitExceeded(f"{RUNS} runs are under way: cancel some first")
        token = f"tar1_{secrets.token_urlsafe(16)}"  # a shape that core/redact.py knows
        try:
            run = begin(spec, new_id(), place, self._now(), token=token, facts=facts, panes=panes)
        except ValueError as why:
            raise errors.InvalidParams(str(why)) from None
        data = {**_named(run), "state": run.state.value, "stages": [one.name for one in run.stages]}
        begun = Event(type="pipeline.run", data=data)
        await self._journal.commit(lambda db: pipeline_rows.begin(db, run), begun, then=lambda _: self._take(run))
        self.tell(run.run_id, Begun())
        return run

    async def want(self, run_id: str, event: Retry | Skip | Cancel) -> Run:
        """What a person wants of a run. Raises NotFound, Conflict (it has ended), Unavailable."""
        run = await self.get(run_id)
        stage = getattr(event, "stage", "")
        if stage and not any(stage in (one.name, one.stage) for one in run.stages):
            names = ", ".join(one.name for one in run.stages)
            raise errors.NotFound(f"run {run_id} has no stage {stage!r}: it has {names}")
        if run.state is not RunState.RUNNING:
            if isinstance(event, Cancel):
                raise errors.Conflict(f"run {run_id} has ended ({run.state.value})")
            self._take(run)
        self.tell(run_id, event)
        return run

    def _take(self, run: Run) -> None:
        if run.run_id not in self._runs:
            for place in {one.place for one in run.stages if one.place}:
                self._about.setdefault(place, set()).add(run.run_id)
        self._runs[run.run_id] = run

    async def kept(self, place: Place) -> None:
        """Wait until all that a pane has said so far is kept by the runs that it is about."""
        if tasks := [self._busy[run_id] for run_id in self._about.get(place, ()) if run_id in self._busy]:
            await asyncio.wait(tasks)

    # --- one after the other ---

    def tell(self, run_id: str, *events: Happening) -> None:
        """Something happened to a run. Taken in order; kept before anything follows."""
        if events and run_id in self._runs:
            _add(self._inbox.setdefault(run_id, []), events)
            if run_id not in self._busy:
                self._busy[run_id] = self._spawn(self._drain(run_id))

    async def _drain(self, run_id: str) -> None:
        try:
            while events := self._inbox.pop(run_id, None):
                before = self._runs[run_id]
                run = before
                wanted: list[Wanted] = []
                for event in events:
                    run, more = advance(run, event, self._now())
                    wanted += more
                if run != before and not await self._keep(before, run, events):
                    continue
                for one in wanted:
                    self._work.do(run, one)
                self._schedule(run)
                if run.state is not RunState.RUNNING and not run.telling:
                    self._leave(run)
        finally:
            del self._busy[run_id]

    async def _keep(self, before: Run, run: Run, events: list[Happening]) -> bool:
        """Make it durable; False where that failed, and the events wait."""
        try:
            await self._journal.commit(
                lambda db: pipeline_rows.put(db, run, before), *_changes(before, run), then=lambda _: self._take(run)
            )
        except errors.Unavailable as why:
            log.warning("run %s waits: %s", run.run_id, why.message)
            self._inbox[run.run_id] = [*events, *self._inbox.get(run.run_id, ())]
            await asyncio.sleep(RETRY_SECONDS)
            return False
        return True

    def _leave(self, run: Run) -> None:
        if self._runs.pop(run.run_id, None):
            for place in {one.place for one in run.stages if one.place}:
                self._about[place].discard(run.run_id)
                if not self._about[place]:
                    del self._about[place]
        self._waiting.discard(run.run_id)
        if timer := self._timers.pop(run.run_id, None):
            timer.cancel()
        self._look(run.run_id, frozenset())

    def _schedule(self, run: Run) -> None:
        if timer := self._timers.pop(run.run_id, None):
            timer.cancel()
        due = next_due(run)
        if due is not None:
            seconds = max((due - self._now()).total_seconds(), 0.0) + 0.001
            loop = asyncio.get_running_loop()
            # Not for longer than an hour at once: the clock may be set meanwhile.
            self._timers[run.run_id] = loop.call_later(min(seconds, 3600.0), self.tell, run.run_id, Clock())
        self._look(run.run_id, wanted_files(run))

    def _look(self, run_id: str, paths: frozenset[str]) -> None:
        """The files that a run waits for are these now."""
        if paths != self._files.pop(run_id, frozenset()):
            self._looked.want(paths.union(*self._files.values()))
        if paths:
            self._files[run_id] = paths

    def _file_changed(self, event: Happening) -> None:
        for run_id in list(self._runs):
            self.tell(run_id, event)


def panes_of(
    spec: PipelineFile, places: list[Place], matching: Callable[[PipelineFile, Place], bool]
) -> dict[str, tuple[Place, ...]]:
    """For the stages that run over panes, which panes those are now."""
    return {
        stage.name: tuple(place for place in places if matching(replace_match(spec, stage.panes), place))
        for stage in spec.stages
        if stage.panes is not None
    }


def replace_match(spec: PipelineFile, match: Any) -> PipelineFile:
    return msgspec.structs.replace(spec, match=match)


def _add(inbox: list[Happening], events: Sequence[Happening]) -> None:
    """Output that follows output is one with it, of bounded size: it may have to wait for a disk."""
    for event in events:
        last = inbox[-1] if inbox else None
        if isinstance(event, Printed) and isinstance(last, Printed) and event.place == last.place:
            inbox[-1] = Printed(event.place, (last.text + event.text)[-WAITING_TEXT:])
        else:
            inbox.append(event)


def _named(run: Run) -> dict[str, Any]:
    where = {"place": msgspec.to_builtins(run.place)} if run.place else {}
    return {"run_id": run.run_id, "pipeline": run.spec.name, **where}


def _changes(before: Run, run: Run) -> list[Event]:
    """The records of what has changed."""
    was = {one.name: one for one in before.stages}
    found = [
        Event(
            type="pipeline.stage",
            data={**_named(run), "stage": one.name, "state": one.state.value, "attempt": one.attempt,
                  "reason": one.reason},
        )
        for one in run.stages
        if (one.state, one.attempt) != (was[one.name].state, was[one.name].attempt)
    ]  # fmt: skip
    if run.state is not before.state:
        found.append(Event(type="pipeline.run", data={**_named(run), "state": run.state.value, "note": run.note}))
    return found
