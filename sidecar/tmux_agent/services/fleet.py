"""Agents with a worktree and a session of their own: spawned, kept, told, ended.

Owns the rows and states, and the order of what is wanted of one agent. Must not own: how one comes about
(fleet_spawn.py), git (worktrees.py), whether it may be done (edges/fleet.py asks the guard), typing (typist.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from ..core import errors, programs
from ..core import fleet as f
from ..core.fleet import FleetAgent, FleetState, SpawnSpec, TaskState
from ..core.model import Event, Origin, Role
from ..core.model import Fleet as Action
from ..core.pipeline_run import Place
from . import fleet_rows, fleet_spawn, worktrees
from .identity import Identity
from .ids import new_id
from .journal import Journal
from .processes import processes_here
from .tmux.control import TmuxServer
from .tmux.servers import Servers
from .typist import Typist

AGENTS = 200  # at once
LIVE = (FleetState.SPAWNING, FleetState.RUNNING, FleetState.PAUSED)


class Planned(Struct, frozen=True, kw_only=True):
    """What a spec comes to: the row that would be kept, and what starts the agent."""

    agent: FleetAgent
    argv: tuple[str, ...]
    does: tuple[str, ...] = ()

    @property
    def action(self) -> Action:
        """As it is judged and shown."""
        one = self.agent
        return Action(
            verb="spawn", branch=one.branch, repository=one.repository, agent=one.agent, base=one.base,
            template=one.template, text=one.task, tier=one.tier, worktree=one.worktree, does=self.does,
        )  # fmt: skip


class Fleet:
    """Built by the system; used in the event loop only."""

    def __init__(
        self, journal: Journal, servers: Servers, identity: Identity, typist: Typist, home: str,
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
    ) -> None:  # fmt: skip
        self._journal = journal
        self._servers = servers
        self._identity = identity
        self._typist = typist
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
        """What would be done; nothing is. Raises InvalidParams, NotFound, Conflict, LimitExceeded, Unavailable."""
        server = self._servers.choose(spec.server or None, origin)
        repository = await worktrees.repository(spec.repository)
        await worktrees.check_branch(repository.top, spec.branch)
        taken = next((t for t in await worktrees.worktrees(repository.top) if t.branch == spec.branch), None)
        if taken is not None:
            raise errors.Conflict(f"the branch {spec.branch} is checked out in {taken.path}: choose another branch")
        base, commit, made = await _base(repository, spec)
        if len([one for one in self._agents.values() if one.state in LIVE]) >= AGENTS:
            raise errors.LimitExceeded(f"{AGENTS} agents of the fleet run already: finish some first")
        kind = spec.agent or "claude"
        if not spec.argv and not programs.known(kind):
            raise errors.InvalidParams(f"params.agent: no agent called {kind!r} is known")
        sessions = {session.name for session in server.sessions}
        names = {one.name for one in self.list()}
        name = f.unique(f.slug(spec.branch), names | sessions)
        try:
            folder = f.worktree_folder(f.WORKTREES, repository.top, name, spec.branch, self._home)
        except ValueError as why:
            raise errors.InvalidParams(f"worktree: the pattern {why}") from None
        if os.path.lexists(folder):
            raise errors.Conflict(f"there is something at {folder} already: move it away")
        if len(spec.task) > f.TASK:
            raise errors.LimitExceeded(f"params.task: more than {f.TASK} characters; put it into a file")
        one = FleetAgent(
            name=name, fleet_id=new_id(), repository=repository.top, worktree=folder, branch=spec.branch, base=base,
            base_commit=commit, server=server.socket, session=name, agent=kind, created=_now(),
            template=spec.template, task=spec.task,
            task_state=TaskState.WAITING if spec.task else TaskState.NONE,
            tier="sandbox" if spec.sandbox else "baseline", project=(spec.project or name)[:64],
            argv=spec.argv or f.command(kind), env=spec.env, made_branch=made,
            made_above=not os.path.lexists(os.path.dirname(folder)),
        )  # fmt: skip
        return Planned(agent=one, argv=one.argv)

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
            made = await fleet_spawn.make_session(one, self._server(one), planned.argv)
            process = self._table.read(made.pane_pid)
            if process is None:
                raise errors.Failed(f"{planned.argv[0]} ended as soon as it was started")
            running = msgspec.structs.replace(
                one, state=FleetState.RUNNING, pane=made.pane, pane_pid=made.pane_pid, pane_started=process.started
            )
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

    # --- ending ---

    async def kill(self, name: str) -> FleetAgent:
        """End its session. Raises NotFound, Conflict, Failed, Unavailable."""
        one = self.get(name)
        async with self._held(f"agent {one.name}"):
            if one.state in LIVE:
                self._stop_telling(name)
                await fleet_spawn.end_session(one, self._server(one))
                await self._change(name, state=FleetState.ENDED)
        return self.get(name)

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


async def _base(repository: worktrees.Repository, spec: SpawnSpec) -> tuple[str, str, bool]:
    """What the branch begins at, that commit, and whether the branch has to be made. Raises InvalidParams."""
    base = spec.base or await worktrees.current_branch(repository.top) or "HEAD"
    there = await worktrees.branch_commit(repository.top, spec.branch)
    commit = await worktrees.commit_of(repository.top, base)
    if not commit:
        raise errors.InvalidParams(f"params.base: {base!r} names no commit of {repository.top}")
    return base, there or commit, not there


def _named(one: FleetAgent) -> dict[str, Any]:
    return {"name": one.name, "branch": one.branch, "worktree": one.worktree, "agent": one.agent}


def _now() -> datetime:
    return datetime.now(UTC)
