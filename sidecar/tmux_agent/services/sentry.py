"""Markers, from panes and over the socket: recorded, handed to the runs that they are about, questions put to a person.

Owns what a marker sets off. A marker is what some program printed: it moves declared stages and asks, it never answers.
Must not own: finding markers (tmux/watch.py), what they move (pipelines.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import re
from collections.abc import Callable, Collection, Coroutine
from typing import Any

import msgspec
from msgspec import Struct

from ..core import errors, markers, redact
from ..core.model import Approval, ApprovalState, Ask, Event, Origin, Role
from ..core.pipeline_run import Place
from . import watch_rows
from .approvals import Approvals
from .guard import Guard
from .ids import new_id
from .journal import Journal
from .pipelines import ORPHANED, Pipelines
from .tmux.servers import Servers
from .tmux.watched import Heard, place_of
from .wishes import Wish
from .wraps import Wraps

log = logging.getLogger(__name__)

_RUN = re.compile(r'("run"\s*:\s*")[^"]*')
TEXT = 2000  # characters of the line that a record holds
RETRY = 1.0  # seconds until a question that could not be recorded is tried again: there is no event for a freed disk
_ABOUT = "marker"  # what is kept with the question of a stage


class _About(Struct, frozen=True):
    """Which stage fails by a no, in which pane, and for which runs its marker was signed."""

    stage: str
    place: Place
    signed: tuple[str, ...] = ()


class Sentry:
    """Built by the system; used in the event loop only."""

    def __init__(
        self,
        journal: Journal,
        guard: Guard,
        pipelines: Pipelines,
        servers: Servers,
        wraps: Wraps,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        approvals: Approvals,
    ) -> None:
        self._approvals = approvals
        self._journal = journal
        self._guard = guard
        self._pipelines = pipelines
        self._servers = servers
        self._wraps = wraps
        self._spawn = spawn
        self.also: Callable[[Place, markers.Marker], object] = lambda _place, _marker: None  # who hears of each, too
        self.also_kept: Callable[[], Coroutine[Any, Any, None]] | None = None  # waits until they have kept it
        self._asking: dict[Place, set[asyncio.Task[None]]] = {}  # questions that are still to be recorded

    def recover(self) -> None:
        """Follow the questions of an earlier sidecar that still wait."""
        for approval in self._approvals.pending():
            if _ABOUT in approval.facts:
                self._spawn(self._answered(approval))

    async def drop_orphans(self, seconds: float = ORPHANED) -> None:
        """Take back what panes have asked whose tmux server has not come back `seconds` after this sidecar began."""
        await asyncio.sleep(seconds)
        known = {server.socket for server in self._servers.all()}
        for asked in self._printed():
            if asked.origin.server not in known:
                await self._take_back(asked, "its tmux server is gone")

    async def left(self, socket: str, places: Collection[Place]) -> None:
        """A tmux server has these panes: what others of it have asked nobody needs answered any more."""
        there = {_session(place) for place in places}
        for asked in self._printed():
            if asked.origin.server == socket and asked.origin.session not in there:
                await self._take_back(asked, "its pane is gone")

    def _printed(self) -> list[Approval]:
        return [one for one in self._approvals.pending() if one.origin.door == "marker"]

    async def _take_back(self, asked: Approval, why: str) -> None:
        with contextlib.suppress(errors.Unavailable):  # it is tried again
            await self._approvals.withdraw(asked.request_id, why)

    async def kept(self, place: Place) -> None:
        """Wait until what a pane has said so far is kept by the runs that it is about, and its questions are asked."""
        await self._pipelines.kept(place)
        if self.also_kept is not None:
            await self.also_kept()
        if tasks := self._asking.get(place):
            await asyncio.wait(set(tasks))

    def heard(self, heard: Heard) -> Event:
        """A watched pane printed a marker, or a line that begins as one. Gives the record of it, for the caller to keep
        with what was seen."""
        found = heard.found
        origin = self._origin(heard.place)
        text = _RUN.sub(r"\1…", found.text[:TEXT])
        if isinstance(found.marker, markers.Invalid):
            data = {"why": found.marker.why, "text": text, "by": heard.by}
            return Event(type="marker.invalid", origin=origin, data=redact.redact(data))
        self._pipelines.heard(heard.place, found.marker)
        self.also(heard.place, found.marker)
        if isinstance(found.marker, markers.Ask) and heard.asks:
            self._ask_soon(found.marker, origin, heard.place)
        return self._event(found.marker, heard.place, origin, text=text, by=heard.by, confidence=found.confidence)

    async def emit(self, marker: markers.Marker, origin: Origin) -> tuple[bool, str]:
        """A marker over the socket: whether it came for the first time (by its id), and the request that its question
        became. Returns once all that it moves is kept. Raises Unavailable, Denied, LimitExceeded."""
        place = self._place(origin)
        request_id = new_id()
        if isinstance(marker, markers.Ask):
            wish = self._wish(marker, origin, request_id)
            approval = await self._guard.ask(wish, about=self._about(marker, place))
            request_id = approval.request_id
            self._spawn(self._answered(approval))
        name = _named(place, marker)
        came = await self._journal.read(lambda db: watch_rows.has_come(db, name)) if marker.id else False
        if came:
            return False, request_id
        if place is not None:
            self._pipelines.heard(place, marker)
            self.also(place, marker)
            await self.kept(place)
        event = self._event(marker, place, origin, by="socket", confidence=1.0)
        if not marker.id:
            await self._journal.publish(event)
            return True, request_id
        first = await self._journal.commit(lambda db: watch_rows.note_marker(db, name))  # what it moves is kept
        if first:
            await self._journal.publish(event)
        return first, request_id

    def _event(self, marker: markers.Marker, place: Place | None, origin: Origin, **more: Any) -> Event:
        """With the project of a wrapped agent, and whether it is signed; its token is nobody's but the agent's."""
        said = {"kind": markers.kind(marker), **msgspec.to_builtins(marker), **more}
        said.pop("type", None)
        said.get("data", {}).pop("run", None)
        if said.pop("run", None) and place is not None:
            said["signed"] = self._pipelines.signed(place, marker.run)
        if project := self._wraps.project(origin.server, origin.pane):
            said["project"] = project
        return Event(type="marker", origin=origin, data=redact.redact(said))

    # --- questions ---

    def _wish(self, marker: markers.Ask, origin: Origin, request_id: str) -> Wish:
        action = Ask(
            prompt=marker.prompt or marker.message or f"{marker.stage or 'a program'} asks",
            options=marker.options,
            details=marker.details,
            action_type=marker.action_type,
            urgency=marker.urgency,
        )
        key = f"marker {marker.id}" if marker.id else ""
        return Wish(action=action, origin=origin, request_id=request_id, key=key, timeout=FOREVER)

    def _about(self, marker: markers.Ask, place: Place | None) -> dict[str, Any]:
        """What the answer to a stage's question moves. Not its token, which is the run's alone."""
        if place is None or not marker.stage:
            return {}
        runs = self._pipelines.signed_for(place, marker.run)
        return {_ABOUT: {"stage": marker.stage, "place": msgspec.to_builtins(place), "signed": runs}}

    def _ask_soon(self, marker: markers.Ask, origin: Origin, place: Place) -> None:
        task = self._spawn(self._ask(self._wish(marker, origin, new_id()), self._about(marker, place)))
        here = self._asking.setdefault(place, set())
        here.add(task)
        task.add_done_callback(lambda done: self._asked(place, done))

    def _asked(self, place: Place, done: asyncio.Task[None]) -> None:
        self._asking[place].discard(done)
        if not self._asking[place]:
            del self._asking[place]

    async def _ask(self, wish: Wish, about: dict[str, Any]) -> None:
        """Until it is recorded: nobody else tells of it. One that the pane has asked already, and that still waits, is
        the same: a restart may have found it a second time."""
        while wish.action not in [one.action for one in self._approvals.pending(wish.origin)]:
            try:
                self._spawn(self._answered(await self._guard.ask(wish, about=about)))
                return
            except errors.Unavailable as why:
                log.warning("the question of pane %s waits: %s", wish.origin.pane, why.message)
                await asyncio.sleep(RETRY)
            except errors.TmuxAgentError as why:
                log.warning("the question of pane %s is not asked: %s", wish.origin.pane, why.message)
                return

    async def _answered(self, asked: Approval) -> None:
        """A no to a stage's question is that stage's failure."""
        if _ABOUT not in asked.facts:
            return
        approval = await self._guard.settled_of(asked.request_id)
        if approval.state is ApprovalState.DENIED:
            about = msgspec.convert(asked.facts[_ABOUT], _About)
            comment = (approval.answer.comment if approval.answer else "") or "a person said no"
            no = markers.Status(stage=about.stage, ok=False, message=comment)
            self._pipelines.heard_by(about.place, no, about.signed)

    # --- who ---

    def _place(self, origin: Origin) -> Place | None:
        server = self._servers.get(origin.server) if origin.server else None
        pane = next((one for one in server.panes if one.id == origin.pane), None) if server else None
        return place_of(server, pane) if server and pane else None

    def _origin(self, place: Place) -> Origin:
        server = self._servers.get(place.server)
        pane = next((one for one in server.panes if one.id == place.pane), None) if server else None
        return Origin(
            role=Role.AGENT,
            why="something that was printed in this pane",
            uid=os.getuid(),
            pid=place.pane_pid,
            server=place.server,
            pane=place.pane,
            place=pane.place if pane else "",
            pane_title=pane.title if pane else "",
            session=_session(place),
            door="marker",
        )


FOREVER = math.inf  # until it is answered


def _session(place: Place) -> str:
    """Who asks, where something was printed in a pane."""
    return f"pane:{place.server_pid}:{place.pane}:{place.pane_pid}"


def _named(place: Place | None, marker: markers.Marker) -> str:
    """Under what a marker counts once: its id, which nobody uses up for another pane."""
    return f"{place.server_pid}:{place.pane}:{place.pane_pid} {marker.id}" if place else marker.id
