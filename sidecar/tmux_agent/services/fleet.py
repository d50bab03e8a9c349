"""Agents with a worktree and a session of their own: spawned, told, paused, gone on with, ended, finished.

Owns the order of what is wanted of one agent. Must not own: how one comes about (fleet_spawn.py), rows (fleet_book.py),
what it is told (fleet_tasks.py), what is lost with it (fleet_finish.py), whether it may be done (edges/fleet.py asks).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..core import errors
from ..core.fleet import FleetAgent, FleetState, SpawnSpec, TaskState, unique
from ..core.model import Origin
from . import fleet_finish, fleet_spawn, merging
from .casts import Casts
from .fleet_book import Book
from .fleet_files import FleetFiles
from .fleet_finish import How
from .fleet_plan import Planned, plan
from .fleet_starts import Starts
from .fleet_tasks import Tasks
from .identity import Identity
from .journal import Journal
from .pausing import Pausing
from .tmux.control import TmuxServer
from .tmux.servers import Servers
from .tools import process
from .typist import Typist

AGENTS = 200  # at once
UNTOLD = "it ended before its task was given"
ORPHANED = 40.0  # seconds after a restart until a tmux server that has not come back is taken for gone
FRESH_SECONDS = 2.0  # that a plan holds without another look


class Fleet:
    """Built by the system; used in the event loop only."""

    def __init__(
        self, journal: Journal, servers: Servers, identity: Identity, typist: Typist, pausing: Pausing,
        casts: Casts, files: FleetFiles, home: str, spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
    ) -> None:  # fmt: skip
        self.files = files
        self._servers = servers
        self._identity = identity
        self._pausing = pausing
        self._home = home
        self._spawn = spawn
        self._book = Book(journal)
        self._coming: dict[str, asyncio.Future[TmuxServer]] = {}  # servers that are waited for after a restart
        self._tasks = Tasks(self._book, servers, typist, spawn)
        self._starts = Starts(servers, pausing, casts)

    async def recover(self) -> None:
        """Take up what an earlier sidecar left. What was half-way is undone; but where the agent was being started, and
        all else was there, it is waited for, since it may have begun its work. Raises Unavailable."""
        await self._book.read()
        for one in self.list():
            if one.state is FleetState.SPAWNING:
                self._spawn(self._take_up(one))
            elif one.has_session and not self._identity.lives(f"{one.pane_pid}:{one.pane_started}"):
                await self._ended(one)

    async def _take_up(self, one: FleetAgent) -> None:
        """Go on with one whose session is there, with all that belongs to it, as soon as its tmux server is."""
        there = self._coming.setdefault(one.server, asyncio.get_running_loop().create_future())
        try:
            made = await asyncio.to_thread(fleet_spawn.made_before, one)
            server = await asyncio.wait_for(asyncio.shield(there), ORPHANED) if made else None
            running = await self._starts.go_on(one, server, made) if server and made else None
        except (TimeoutError, errors.TmuxAgentError):
            running = None
        if running is None:
            await self._take_back(one, "the sidecar ended while it was spawned")
        else:
            await self._begun(running)

    def list(self, *, finished: bool = False) -> list[FleetAgent]:
        """Oldest first; without those whose worktree is gone, but where they are wanted."""
        return self._book.every(finished=finished)

    def get(self, name: str) -> FleetAgent:
        """Raises NotFound."""
        return self._book.get(name)

    # --- spawning ---

    async def plan(self, spec: SpawnSpec, origin: Origin) -> Planned:
        """What would be done; nothing is. Raises InvalidParams, NotFound, Conflict, LimitExceeded, Failed,
        Unavailable."""
        if len([one for one in self.list() if one.state is not FleetState.ENDED]) >= AGENTS:
            raise errors.LimitExceeded(f"{AGENTS} agents of the fleet run already: finish some first")
        server = self._servers.choose(spec.server or None, origin)
        return await plan(spec, server, self.files, self.list(), self._home)

    async def spawn(self, spec: SpawnSpec, origin: Origin, shown: Planned | None = None) -> FleetAgent:
        """Do it all, or nothing. Whoever calls has asked before; `shown`: what a person has seen of it, so that nothing
        else is done. Raises as `plan`, and Failed, TimedOut (what was begun is undone)."""
        async with self._book.held(f"branch {spec.branch}"):
            planned = shown if shown is not None and self._holds(shown) else await self.plan(spec, origin)
            if shown is not None and planned.action != shown.action:
                raise errors.Conflict("what would be done has changed since it was shown: ask again")
            await self._book.put(planned.agent, "fleet.spawning")
        work = self._spawn(self._carry_out(planned))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            work.cancel()  # whoever wanted it is gone: it is undone
            raise
        return self.get(planned.agent.name)

    def _holds(self, planned: Planned) -> bool:
        """Whether a plan is so new that git need not be asked again, and its name is free still."""
        age = (datetime.now(UTC) - planned.agent.created).total_seconds()
        return 0 <= age < FRESH_SECONDS and self._book.is_free(planned.agent.name)

    async def _carry_out(self, planned: Planned) -> None:
        one = planned.agent
        try:
            async with self._book.held(one.repository):
                try:
                    await fleet_spawn.make_branch(one)
                except errors.Conflict:  # it is somebody else's by now, and not undone
                    one = msgspec.structs.replace(one, made_branch=False)
                    raise
                await fleet_spawn.make_worktree(one)
            remarks = await fleet_spawn.fill_worktree(one, planned.extras, bare=planned.bare)
            filled = msgspec.structs.replace(one, note="; ".join(remarks))
            await self._begun(await self._starts.begin(filled, self._tasks.server(one)))
        except asyncio.CancelledError:
            await asyncio.shield(self._take_back(one, "whoever wanted it is gone"))
            raise
        except errors.TmuxAgentError as why:
            left = await self._take_back(one, why.message)
            also = "; ".join(left) or "nothing of it was left behind"
            raise type(why)(f"{why.message}; {also}", **why.data) from None
        except Exception:  # a defect of ours: it leaves nothing behind, either
            await self._take_back(one, "a defect of tmux-agent")
            raise

    async def _begun(self, running: FleetAgent) -> None:
        """Keep it, and tell it its task. Raises Unavailable."""
        await self._book.put(running, "fleet.spawned")
        if running.has_session:
            self._tasks.give(running)

    async def _take_back(self, one: FleetAgent, why: str) -> tuple[str, ...]:
        """Undo what there is of an agent that was not spawned to its end; what could not be undone."""
        async with self._book.held(one.repository):
            left = await fleet_spawn.undo(one, self._servers.get(one.server))
        await self._book.drop(one, why, left)
        return tuple(left)

    # --- told, standing still, going on ---

    async def told(self, one: FleetAgent) -> bool:  # as Tasks.told
        return await self._tasks.told(one)

    async def send(self, name: str, text: str, *, enter: bool = True) -> FleetAgent:
        """Type at its prompt once that is free. Raises NotFound, Conflict, Denied, Failed, Unavailable."""
        await self._tasks.send(name, text, enter=enter)
        return self.get(name)

    async def pause(self, name: str) -> int:
        """Have all its processes stand still; how many. Raises NotFound, Conflict, Unavailable."""
        async with self._book.held(f"agent {name}"):
            one = self._book.running(name)
            count = await self._pausing.pause(one.pane_pid, one.pane_started, [self._tasks.server(one).pid])
            await self._book.change(name, state=FleetState.PAUSED)
        return count

    async def resume(self, name: str, origin: Origin, *, fresh: bool = False) -> FleetAgent:
        """Have it go on: its processes, or in a new session where that is gone, with what was said before (`fresh`:
        without). Raises NotFound, Conflict, Failed, Unavailable."""
        async with self._book.held(f"agent {name}"):
            one = self.get(name)
            if one.state is FleetState.PAUSED:
                await self._pausing.resume(one.pane_pid, one.pane_started)
                await self._book.change(name, state=FleetState.RUNNING)
            elif one.state is FleetState.ENDED:
                await self._begin_again(one, origin, fresh=fresh)
            else:
                raise errors.Conflict(f"{name} is {one.state.value}: there is nothing to go on with")
        self._tasks.give(self.get(name))
        return self.get(name)

    async def _begin_again(self, one: FleetAgent, origin: Origin, *, fresh: bool) -> None:
        if not os.path.isdir(one.worktree):
            raise errors.Conflict(f"its worktree {one.worktree} is gone: `tmux-agent finish {one.name}` forgets it")
        there = self._servers.get(one.server) or self._servers.choose(None, origin)
        await fleet_spawn.end_session(one, there)  # of a try before, during which the sidecar was killed
        never_told = one.task_state is TaskState.FAILED
        one = msgspec.structs.replace(
            one, server=there.socket, session=unique(one.name, {session.name for session in there.sessions}), note="",
            task_state=TaskState.WAITING if never_told else one.task_state,
        )  # fmt: skip
        argv = one.argv if fresh or never_told else one.continues or one.argv
        await self._book.put(await self._starts.begin(one, self._tasks.server(one), argv))

    # --- ending ---

    async def kill(self, name: str) -> FleetAgent:
        """End its session, and what that leaves running. Raises NotFound, Conflict, Failed, Unavailable."""
        async with self._book.held(f"agent {name}"):
            await self._kill(self.get(name))
        return self.get(name)

    async def _kill(self, one: FleetAgent) -> None:
        if not one.has_session:
            if there := self._servers.get(one.server):
                await fleet_spawn.end_session(one, there)  # a pane may have been kept that its program has left
            return
        self._tasks.stop(one.name)
        there = self._tasks.server(one)
        left = await self._pausing.tree(one.pane_pid, one.pane_started)
        await self._pausing.resume(one.pane_pid, one.pane_started)  # what stands still takes no signal but SIGKILL
        left += await fleet_spawn.other_panes(one, there, self._pausing)
        await fleet_spawn.end_session(one, there)
        await self._pausing.end(left)
        await asyncio.to_thread(process.end_marked, f"{fleet_spawn.MARK}={one.fleet_id}")  # what has left its panes
        await self._ended(one)

    async def can_finish(self, name: str, how: How) -> How:
        """How exactly, as it is now. Raises as `finish`, where it would be refused."""
        one = self._finishable(name)
        await fleet_finish.check(one, how)
        if not how.merge:
            return how
        return msgspec.structs.replace(how, commit=await merging.can(one, how.into or one.base))

    async def finish(self, name: str, how: How) -> tuple[str, ...]:
        """End it and remove its worktree; what was done, a line each. Raises NotFound, InvalidParams, Conflict (what
        would be lost, what does not merge), Failed, TimedOut, Unavailable."""
        async with self._book.held(f"agent {name}"), self._book.held(self.get(name).repository):
            one = self._finishable(name)
            did = await fleet_finish.finish(one, how, lambda: self._kill(one))
            await self._book.change(name, state=FleetState.FINISHED)
        return tuple(did)

    def _finishable(self, name: str) -> FleetAgent:
        one = self.get(name)
        if one.state in (FleetState.SPAWNING, FleetState.FINISHED):
            raise errors.Conflict(f"{name} is {one.state.value}")
        return one

    # --- what tmux tells ---

    async def look(self, server: TmuxServer) -> None:
        """A server's panes have changed, or it has come."""
        if coming := self._coming.pop(server.socket, None):
            coming.set_result(server)
        for one in self._on(server.socket):
            if not _shows(server, one):
                await server.refresh()  # the agent may be newer than what was looked at
                if not _shows(server, one):
                    await self._ended(one)
            elif one.state is FleetState.RUNNING:
                self._tasks.give(one)

    async def lost(self, socket: str) -> None:
        """A tmux server is gone, with all sessions on it."""
        for one in self._on(socket):
            await self._ended(one)

    def _on(self, socket: str) -> tuple[FleetAgent, ...]:
        return tuple(one for one in self.list() if one.server == socket and one.has_session)

    async def _ended(self, one: FleetAgent) -> None:
        self._tasks.stop(one.name)
        more: dict[str, Any] = {}
        if self.get(one.name).task_state is TaskState.WAITING:
            told = await self._tasks.told(one)
            more = {"task_state": TaskState.GIVEN} if told else {"task_state": TaskState.FAILED, "note": UNTOLD}
        await self._book.change(one.name, state=FleetState.ENDED, **more)
        await self._starts.end_recording(self.get(one.name).cast)


def _shows(server: TmuxServer, one: FleetAgent) -> bool:
    """Whether its pane is there."""
    return any((pane.id, pane.pid) == (one.pane, one.pane_pid) for pane in server.panes if not pane.dead)
