"""Which panes are watched: those that a file's rules mean, those that pipelines and tasks of the queue are about,
those with an agent that `tmux-agent wrap` started, and those somebody named.

Owns what is known of a pane for such rules, and when it is looked at anew: whenever tmux tells of a change, and where a
rule speaks of titles or programs, soon after those may have changed. Must not own: how panes are read (tmux/watch.py),
what runs begin (pipelines.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from typing import Any

from ..core import errors
from ..core.pane_match import PaneFacts, matches
from ..core.pipeline_file import Match, PipelineFile
from ..core.pipeline_run import Place
from . import watch_rows
from .agents import Agents
from .foreground import foreground
from .journal import Journal
from .pipelines import Pipelines, panes_of
from .processes import processes_here
from .tmux.control import TmuxServer
from .tmux.servers import Servers
from .tmux.snapshot import Pane
from .tmux.watch import Watch
from .tmux.watched import place_of
from .worktree import locate
from .wraps import Wraps

HOST = platform.node()
SETTLE_SECONDS = 0.5  # titles are animated, and programs come and go: one look for all that changed meanwhile
TITLES, PROGRAMS = ("pane_title",), ("command", "agent")  # keys of rules that another title, or program, may change


class Watching:
    """Built by the system; used in the event loop only."""

    def __init__(
        self,
        journal: Journal,
        watch: Watch,
        pipelines: Pipelines,
        agents: Agents,
        servers: Servers,
        wraps: Wraps,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._wraps = wraps
        self._servers = servers
        self._spawn = spawn
        self._journal = journal
        self._watch = watch
        self._pipelines = pipelines
        self._agents = agents
        self._named: set[Place] = set()
        self._expected: set[Place] = set()  # of runs that are about to begin
        self._needed: set[Place] = set()  # persistent terminals
        self.recorded: Callable[[], Collection[Place]] = frozenset  # those that are read besides: the recordings'
        self.tasks: Callable[[], frozenset[Place]] = frozenset  # panes in which tasks of the queue are worked on
        self._table = processes_here()
        self._looking: dict[str, asyncio.Lock] = {}
        self._due: dict[str, asyncio.TimerHandle] = {}

    async def recover(self) -> None:
        """Raises Unavailable."""
        self._named = await self._journal.read(watch_rows.named)

    def told(self, server: TmuxServer, keys: Collection[str]) -> None:
        """A title, or the program in some pane, may be another: the panes are looked at if a rule speaks of that."""
        if server.socket not in self._due and any(getattr(rule, key) for rule in self._rules() for key in keys):
            loop = asyncio.get_running_loop()
            self._due[server.socket] = loop.call_later(SETTLE_SECONDS, self._look_anew, server)

    def _look_anew(self, server: TmuxServer) -> None:
        del self._due[server.socket]
        self._spawn(self._refreshed(server))

    async def _refreshed(self, server: TmuxServer) -> None:
        await self._servers.refresh(server)
        await self.look(server)

    def close(self) -> None:
        for due in self._due.values():
            due.cancel()

    async def look(self, server: TmuxServer) -> None:
        """The panes of a server may be others. Raises Unavailable."""
        async with self._looking.setdefault(server.socket, asyncio.Lock()):
            rules = self._rules()
            named = self._named or self._expected or self._wraps.panes or self._watch.reads
            about = named or self._only_read() or self.tasks()
            if not (rules or about or self._pipelines.runs()):
                return  # nobody wants to know: nothing is looked up
            panes = {place_of(server, pane): pane for pane in server.panes if not pane.dead}
            facts = {place: self._facts(pane, place) for place, pane in panes.items()}
            self._named &= {place for place in self._named if place.server != server.socket} | set(panes)
            self._needed &= {place for place in self._needed if place.server != server.socket} | set(panes)
            watched = self._set(server, panes, facts, rules)
            await asyncio.gather(*map(self._watch.ready, watched))  # before anything is typed: its output counts
            await self._pipelines.panes(
                server.socket,
                {place: _start_facts(panes[place], facts[place], self._table.cwd(place.pane_pid)) for place in panes},
                lambda spec, place: spec.match is not None and matches(spec.match, facts[place]),
            )

    def _set(
        self, server: TmuxServer, panes: dict[Place, Pane], facts: dict[Place, PaneFacts], rules: list[Match]
    ) -> list[Place]:
        """Watch those that somebody wants watched; which they are."""
        about = self._pipelines.places() | self._named | self._expected | self.tasks()
        about |= {place for place in panes if (place.server, place.pane) in self._wraps.panes}
        wanted = [place for place in panes if place in about or any(matches(rule, facts[place]) for rule in rules)]
        recorded = tuple(panes[place] for place in self._only_read() if place in panes)
        self._watch.set(server, tuple(panes[place] for place in wanted), recorded)
        return wanted

    def _only_read(self) -> frozenset[Place]:
        """Panes whose output somebody has as it is, while their markers are nobody's."""
        return frozenset(self._needed) | frozenset(self.recorded())

    def _rules(self) -> list[Match]:
        files = self._pipelines.files
        stages = [stage.panes for one in files.all() for stage in one.stages]
        return [*files.watch(), *filter(None, [*(one.match for one in files.all()), *stages])]

    @contextlib.asynccontextmanager
    async def expecting(self, places: Collection[Place]) -> AsyncIterator[None]:
        """While a run begins, its panes are heard already: nothing that it types goes unheard. Raises Unavailable."""
        self._expected |= set(places)
        try:
            for server in self._servers.all():
                if any(place.server == server.socket for place in places):
                    await self.look(server)
            yield
        finally:
            self._expected -= set(places)

    async def need(self, server: TmuxServer, place: Place) -> None:
        """Read a pane for as long as it lives, from now on: commands are typed there. Raises Unavailable."""
        if place not in self._needed:
            self._needed.add(place)
            await self.look(server)

    def of(self, spec: PipelineFile, server: TmuxServer) -> dict[str, tuple[Place, ...]]:
        """For the stages that run over panes, which panes those are now."""
        panes = {place_of(server, pane): pane for pane in server.panes if not pane.dead}
        facts = {place: self._facts(pane, place) for place, pane in panes.items()}
        matching: Callable[[PipelineFile, Place], bool] = lambda one, place: (  # noqa: E731
            one.match is not None and matches(one.match, facts[place])
        )
        return panes_of(spec, list(panes), matching)

    def fits(self, spec: PipelineFile, server: TmuxServer, pane: Pane) -> bool:
        """Whether a pane is one that a pipeline matches."""
        return spec.match is not None and matches(spec.match, self._facts(pane, place_of(server, pane)))

    def facts(self, server: TmuxServer, pane: Pane) -> dict[str, str]:
        """What a run in this pane begins with."""
        place = place_of(server, pane)
        return _start_facts(pane, self._facts(pane, place), self._table.cwd(place.pane_pid))

    async def name(self, server: TmuxServer, pane_id: str, *, on: bool) -> Place:
        """Watch a pane because somebody named it, or no longer. Raises NotFound, Unavailable."""
        place = place_of(server, server.pane(pane_id))
        if not on and place not in self._named:
            raise errors.NotFound(f"pane {pane_id} is not watched by name")
        await self._journal.commit(lambda db: watch_rows.put_named(db, place, on=on))
        (self._named.add if on else self._named.discard)(place)
        await self.look(server)
        return place

    def _facts(self, pane: Pane, place: Place) -> PaneFacts:
        program = foreground(self._table, pane.pid)
        agent = next((one.kind for one in self._agents.list() if (one.server, one.pane) == (place.server, pane.id)), "")
        return PaneFacts(
            pane=pane.id,
            session=pane.session_name,
            window=pane.window_name,
            title=pane.title,
            commands=program.names if program else (),
            agent=agent or (program.agent or "" if program else ""),
            host=HOST,
        )


def _start_facts(pane: Pane, facts: PaneFacts, cwd: str) -> dict[str, str]:
    return {
        "branch": locate(cwd)[1] if cwd else "",
        "command": facts.commands[0] if facts.commands else "",
        "cwd": cwd or os.sep,
        "place": pane.place,
    }
