"""Agents with a worktree and a session of their own: spawned, kept, told, ended.

Owns the rows and states, and the order of what is wanted of one agent. Must not own: how one comes about
(fleet_spawn.py), git (worktrees.py), whether it may be done (edges/fleet.py asks the guard), typing (typist.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec

from ..core import errors
from ..core.fleet import FleetAgent, FleetState, SpawnSpec, TaskState, unique
from ..core.model import Event, Origin, Role
from ..core.model import Fleet as Action
from ..core.pipeline_run import Place
from . import fleet_finish, fleet_rows, fleet_spawn, merging
from .fleet_files import FleetFiles
from .fleet_finish import How
from .fleet_plan import Planned, plan
from .identity import Identity
from .ids import new_id
from .journal import Journal
from .pausing import Pausing
from .processes import processes_here
from .tmux.control import TmuxServer
from .tmux.servers import Servers
from .tools import process
from .typist import Typist

AGENTS = 200  # at once
LIVE = (FleetState.SPAWNING, FleetState.RUNNING, FleetState.PAUSED)


class Fleet:
    """Built by the system; used in the event loop only."""

    def __init__(
        self, journal: Journal, servers: Servers, identity: Identity, typist: Typist, pausing: Pausing,
        files: FleetFiles, home: str,
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
    ) -> None:  # fmt: skip
        self._journal = journal
        self._servers = servers
        self._identity = identity
        self._typist = typist
        self._pausing = pausing
        self.files = files
        self._home = home
        self._spawn_task = spawn
        self._table = processes_here()
        self._agents: dict[str, FleetAgent] = {}
        self._doing: dict[str, asyncio.Lock] = {}  # by repository, by agent
        self._telling: dict[str, asyncio.Task[None]] = {}
        self.warnings: tuple[str, ...] = ()

    async def recover(self) -> None:
        """Take up what an earlier sidecar left: what was half-way is undone. Raises Unavailable."""
        for one in await self._journal.read(fleet_rows.every):
            new_id.after(one.fleet_id)
            self._agents[one.name] = one
        for one in [one for one in self._agents.values() if one.state is FleetState.SPAWNING]:
            self._spawn_task(self._take_back(one, "the sidecar ended while it was spawned"))
        for one in self.list():
            if one.state in LIVE and one.state is not FleetState.SPAWNING and not self._lives(one):
                await self._put(msgspec.structs.replace(one, state=FleetState.ENDED))

    # --- looking ---

    def list(self, *, finished: bool = False) -> list[FleetAgent]:
        """Oldest first; without those whose worktree is gone, but where they are wanted."""
        return [one for one in self._agents.values() if finished or one.state is not FleetState.FINISHED]

    def get(self, name: str) -> FleetAgent:
        """Raises NotFound."""
        if (one := self._agents.get(name)) is None:
            raise errors.NotFound(f"no agent of the fleet is called {name!r}: `tmux-agent sessions` lists them")
        return one

    def _lives(self, one: FleetAgent) -> bool:
        return bool(one.pane_pid) and self._identity.lives(f"{one.pane_pid}:{one.pane_started}")

    # --- spawning ---

    async def plan(self, spec: SpawnSpec, origin: Origin) -> Planned:
        """What would be done; nothing is. Raises InvalidParams, NotFound, Conflict, LimitExceeded, Failed,
        Unavailable."""
        if len([one for one in self._agents.values() if one.state in LIVE]) >= AGENTS:
            raise errors.LimitExceeded(f"{AGENTS} agents of the fleet run already: finish some first")
        server = self._servers.choose(spec.server or None, origin)
        return await plan(spec, server, self.files, [one.name for one in self.list()], self._home)

    async def spawn(self, spec: SpawnSpec, origin: Origin, shown: Action | None = None) -> FleetAgent:
        """Do it all, or nothing. Whoever calls has asked before; `shown`: what a person has seen of it, so that nothing
        else is done. Raises as `plan`, and Failed, TimedOut (what was begun is undone)."""
        async with self._held(f"branch {spec.branch}"):
            planned = await self.plan(spec, origin)
            if shown is not None and planned.action != shown:
                raise errors.Conflict("what would be done has changed since it was shown: ask again")
            one = planned.agent
            await self._put(one, "fleet.spawning")
        work = self._spawn_task(self._carry_out(planned))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            if not work.done():  # whoever wanted it is gone: it is undone
                work.cancel()
            raise
        return self.get(one.name)

    async def _carry_out(self, planned: Planned) -> None:
        one = planned.agent
        try:
            async with self._held(one.repository):
                await fleet_spawn.make_worktree(one)
            remarks = await fleet_spawn.fill_worktree(one, planned.extras, bare=planned.bare)
            running = await self._in_session(msgspec.structs.replace(one, note="; ".join(remarks)), one.argv)
            await self._put(running, "fleet.spawned")
        except asyncio.CancelledError:
            await asyncio.shield(self._take_back(one, "whoever wanted it is gone"))
            raise
        except errors.TmuxAgentError as why:
            left = await self._take_back(one, why.message)
            also = f"; {'; '.join(left)}" if left else "; nothing of it was left behind"
            raise type(why)(f"{why.message}{also}", **why.data) from None
        except Exception:  # a defect of ours: it leaves nothing behind, either
            await self._take_back(one, "a defect of tmux-agent")
            raise
        if running.task_state is TaskState.WAITING:
            self._tell(running)

    async def _take_back(self, one: FleetAgent, why: str) -> tuple[str, ...]:
        """Undo what there is of an agent that was not spawned to its end; what could not be undone."""
        async with self._held(one.repository):
            left = await fleet_spawn.undo(one, self._servers.get(one.server))
        event = Event(type="fleet.undone", data={**_named(one), "why": why, "left": left})
        self._agents.pop(one.name, None)
        await self._journal.commit(lambda db: fleet_rows.drop(db, one), event)
        return tuple(left)

    # --- its task ---

    def _tell(self, one: FleetAgent) -> None:
        if one.name not in self._telling:
            task = self._telling[one.name] = self._spawn_task(self._give_task(one))
            task.add_done_callback(lambda _: self._telling.pop(one.name, None))

    async def _give_task(self, one: FleetAgent) -> None:
        """Type the task as soon as its prompt waits; once, over restarts."""
        place = self._place(one)
        try:
            await self._typist.free(place, starts=True)
            await self._typist.typed(
                one.task, place, self._origin(one), f"fleet/{one.fleet_id}/task", enter=True, approved=True, shell=False
            )
        except errors.TmuxAgentError as why:
            await self._change(one.name, task_state=TaskState.FAILED, note=f"its task was not given: {why.message}")
            return
        await self._change(one.name, task_state=TaskState.GIVEN)

    async def send(self, name: str, text: str, *, enter: bool = True) -> FleetAgent:
        """Type at its prompt once that is free. Raises NotFound, Conflict, Denied, Failed, Unavailable."""
        one = self._running(name)
        place = self._place(one)
        await self._typist.free(place, starts=True)
        await self._typist.typed(
            text, place, self._origin(one), f"fleet/{one.fleet_id}/{new_id()}", enter=enter, approved=True, shell=False
        )
        return self.get(name)

    # --- standing still, going on, ending ---

    async def pause(self, name: str) -> int:
        """Have all its processes stand still; how many. Raises NotFound, Conflict, Unavailable."""
        async with self._held(f"agent {name}"):
            one = self._running(name)
            count = await self._pausing.pause(one.pane_pid, one.pane_started, [self._server(one).pid])
            await self._change(name, state=FleetState.PAUSED)
        return count

    async def resume(self, name: str, origin: Origin, *, fresh: bool = False) -> FleetAgent:
        """Have it go on: its processes, or in a new session where that is gone, with what was said before (`fresh`:
        without). Raises NotFound, Conflict, Failed, Unavailable."""
        async with self._held(f"agent {name}"):
            one = self.get(name)
            if one.state is FleetState.PAUSED:
                await self._pausing.resume(one.pane_pid, one.pane_started)
                await self._change(name, state=FleetState.RUNNING)
            elif one.state is FleetState.ENDED:
                await self._begin_again(one, origin, fresh=fresh)
            else:
                raise errors.Conflict(f"{name} is {one.state.value}: there is nothing to go on with")
        one = self.get(name)
        if one.task_state is TaskState.WAITING:
            self._tell(one)
        return one

    async def _begin_again(self, one: FleetAgent, origin: Origin, *, fresh: bool) -> None:
        if not os.path.isdir(one.worktree):
            raise errors.Conflict(f"its worktree {one.worktree} is gone: `tmux-agent finish {one.name} --discard`")
        there = self._servers.get(one.server) or self._servers.choose(None, origin)
        taken = {session.name for session in there.sessions}
        never_told = one.task_state is TaskState.FAILED
        one = msgspec.structs.replace(
            one, server=there.socket, session=unique(one.name, taken), note="",
            task_state=TaskState.WAITING if never_told else one.task_state,
        )  # fmt: skip
        argv = one.argv if fresh or never_told else one.continues or one.argv
        await self._put(await self._in_session(one, argv))

    async def _in_session(self, one: FleetAgent, argv: tuple[str, ...]) -> FleetAgent:
        """Its session, in which it starts; the row with it. Raises Conflict, Failed, Unavailable."""
        made = await fleet_spawn.make_session(one, self._server(one), argv)
        top = self._table.read(made.pane_pid)
        if top is None:
            raise errors.Failed(f"{argv[0]} ended as soon as it was started")
        where = {"pane": made.pane, "pane_pid": made.pane_pid, "pane_started": top.started}
        return msgspec.structs.replace(one, state=FleetState.RUNNING, **where)

    async def kill(self, name: str) -> FleetAgent:
        """End its session, and what that leaves running. Raises NotFound, Conflict, Failed, Unavailable."""
        async with self._held(f"agent {name}"):
            await self._kill(self.get(name))
        return self.get(name)

    async def _kill(self, one: FleetAgent) -> None:
        if one.state not in (FleetState.RUNNING, FleetState.PAUSED):
            return
        self._stop_telling(one.name)
        there = self._server(one)
        left = await self._pausing.tree(one.pane_pid, one.pane_started)
        await self._pausing.resume(one.pane_pid, one.pane_started)  # what stands still takes no signal but SIGKILL
        left += await fleet_spawn.other_panes(one, there, self._pausing)
        await fleet_spawn.end_session(one, there)
        await self._pausing.end(left)
        await asyncio.to_thread(process.end_marked, f"{fleet_spawn.MARK}={one.fleet_id}")  # what has left its panes
        await self._change(one.name, state=FleetState.ENDED)

    async def can_finish(self, name: str, how: How) -> None:
        """Raises as `finish`, where it would be refused."""
        one = self._finishable(name)
        await fleet_finish.check(one, how)
        if how.merge:
            await merging.can(one, how.into or one.base)

    async def finish(self, name: str, how: How) -> tuple[str, ...]:
        """End it and remove its worktree; what was done, a line each. Raises NotFound, InvalidParams, Conflict (what
        would be lost, what does not merge), Failed, TimedOut, Unavailable."""
        async with self._held(f"agent {name}"), self._held(self.get(name).repository):
            one = self._finishable(name)
            did = await fleet_finish.finish(one, how, lambda: self._kill(one))
            await self._change(name, state=FleetState.FINISHED)
        return tuple(did)

    def _finishable(self, name: str) -> FleetAgent:
        one = self.get(name)
        if one.state in (FleetState.SPAWNING, FleetState.FINISHED):
            raise errors.Conflict(f"{name} is {one.state.value}")
        return one

    def _stop_telling(self, name: str) -> None:
        if task := self._telling.pop(name, None):
            task.cancel()

    # --- what tmux tells ---

    async def look(self, server: TmuxServer) -> None:
        """A server's panes have changed, or it has come."""
        alive = {(pane.id, pane.pid) for pane in server.panes if not pane.dead}
        for one in self.list():
            if one.server != server.socket or one.state not in (FleetState.RUNNING, FleetState.PAUSED):
                continue
            if (one.pane, one.pane_pid) not in alive:
                await server.refresh()  # it may be newer than what was looked at
                if not any((pane.id, pane.pid) == (one.pane, one.pane_pid) for pane in server.panes if not pane.dead):
                    await self._ended(one)
            elif one.task_state is TaskState.WAITING and one.state is FleetState.RUNNING:
                self._tell(one)

    async def lost(self, socket: str) -> None:
        """A tmux server is gone, with all sessions on it."""
        for one in self.list():
            if one.server == socket and one.state in (FleetState.RUNNING, FleetState.PAUSED):
                await self._ended(one)

    async def _ended(self, one: FleetAgent) -> None:
        self._stop_telling(one.name)
        given = one.task_state is not TaskState.WAITING
        more = {} if given else {"task_state": TaskState.FAILED, "note": "it ended before its task was given"}
        await self._change(one.name, state=FleetState.ENDED, **more)

    # --- inside ---

    @contextlib.asynccontextmanager
    async def _held(self, key: str) -> AsyncIterator[None]:
        """One at a time of a repository, or of an agent."""
        lock = self._doing.setdefault(key, asyncio.Lock())
        async with lock:
            yield
        if not lock.locked() and self._doing.get(key) is lock:
            del self._doing[key]

    async def _put(self, one: FleetAgent, event: str = "fleet.changed") -> None:
        def take(_: None) -> None:
            self._agents[one.name] = one

        told = Event(type=event, data={**_named(one), "state": one.state.value, "task": one.task_state.value})
        await self._journal.commit(lambda db: fleet_rows.put(db, one), told, then=take)

    async def _change(self, name: str, **changes: Any) -> None:
        if (one := self._agents.get(name)) is not None:
            after = msgspec.structs.replace(one, **changes)
            if after != one:
                await self._put(after)

    def _running(self, name: str) -> FleetAgent:
        one = self.get(name)
        if one.state is not FleetState.RUNNING:
            raise errors.Conflict(f"{name} is {one.state.value}: `tmux-agent resume {name}` has it go on")
        return one

    def _server(self, one: FleetAgent) -> TmuxServer:
        if (server := self._servers.get(one.server)) is None:
            raise errors.Unavailable(f"the tmux server of {one.name} at {one.server} is gone, or not attached yet")
        return server

    def _place(self, one: FleetAgent) -> Place:
        server = self._server(one)
        return Place(server=one.server, server_pid=server.pid, pane=one.pane, pane_pid=one.pane_pid)

    def _origin(self, one: FleetAgent) -> Origin:
        """Who types a task that was approved with its agent."""
        return Origin(
            role=Role.AGENT, why="approved with its agent", uid=os.getuid(), pid=os.getpid(), server=one.server,
            pane=one.pane, place=one.session, name=one.name, session=f"fleet:{one.fleet_id}", door="fleet",
        )  # fmt: skip


def _named(one: FleetAgent) -> dict[str, Any]:
    return {"name": one.name, "branch": one.branch, "worktree": one.worktree, "agent": one.agent}

