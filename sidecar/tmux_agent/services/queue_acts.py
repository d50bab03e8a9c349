"""What the queue wants done of a task: its agent spawned, its check run, its end.

Owns how each is done again after a kill: the fleet's row is the truth, and names its task. Must not own: what follows
(core/queue.py), order and time (queue.py), worktrees and sessions (fleet.py).
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Iterable

from msgspec import Struct

from ..core import errors, redact
from ..core.fleet import FleetAgent, FleetState, SpawnSpec
from ..core.model import Command, Origin, Outcome, Role
from ..core.pipeline_file import argv, words
from ..core.pipeline_run import Place
from ..core.queue_file import OF_TASK, TEXT_WORD, kind
from ..core.queue_task import Checked, Closed, NotStarted, Queue, Started, Task
from ..core.replies import CommandData
from ..core.settings import Queue as Room
from . import worktrees
from .fleet import UNTOLD, Fleet
from .fleet_finish import How
from .guard import Guard
from .ids import new_id
from .queue_logs import QueueLogs
from .queue_sessions import QueueSessions
from .tmux.servers import Servers
from .wishes import Wish

TASK, NAME = "TMUX_AGENT_TASK", "TMUX_AGENT_TASK_NAME"  # variables of the agent
OUTPUT = 4000  # characters of a check's output that are kept with its task: the end
LIVE = (FleetState.RUNNING, FleetState.PAUSED)


class QueueActs:
    """Built by the system; used in the event loop only. `state` gives the queue as it is, `room` its settings."""

    def __init__(
        self, guard: Guard, fleet: Fleet, servers: Servers, sessions: QueueSessions, logs: QueueLogs,
        state: Callable[[], Queue], room: Callable[[], Room],
    ) -> None:  # fmt: skip
        self._guard = guard
        self._fleet = fleet
        self._servers = servers
        self._sessions = sessions
        self._logs = logs
        self._state = state
        self._room = room
        self._fleet_changed = asyncio.Event()

    def fleet_changed(self) -> None:
        """Something of the fleet is another."""
        self._fleet_changed.set()
        self._fleet_changed = asyncio.Event()

    def agent(self, task: Task) -> FleetAgent | None:
        """The fleet's agent of a task's newest try."""
        mark = _mark(task)
        return next((one for one in self._fleet.list(finished=True) if one.env.get(TASK) == mark), None)

    async def untold(self, task: Task) -> str:
        """Why the agent of its newest try cannot have done it: it was never told. "" where it was. Raises
        Unavailable."""
        one = self.agent(task)
        if one is None or await self._fleet.told(one):
            return ""
        return redact.redact_text(one.note or UNTOLD)

    # --- the begin ---

    async def spawn(self, task: Task) -> Started | NotStarted:
        """Have its agent spawned, unless it is there. Raises Unavailable: nothing was done."""
        one = await self._there(task)
        if one is None:
            if task.server and self._servers.get(task.server) is None:
                raise errors.Unavailable(f"the tmux server at {task.server} is gone, or not attached yet")
            try:
                one = await self._fleet.spawn(self.spec(task), self.origin(task))
            except errors.Unavailable:
                raise
            except errors.TmuxAgentError as why:
                return NotStarted(task.task_id, task.attempt, redact.redact_text(why.message))
        place = self._place(one)
        if place is None and one.state in LIVE:
            raise errors.Unavailable(f"the tmux server at {one.server} is gone, or not attached yet")
        return Started(
            task_id=task.task_id, attempt=task.attempt, agent=one.name, kind=one.agent, branch=one.branch,
            worktree=one.worktree, place=place,
        )  # fmt: skip

    async def _there(self, task: Task) -> FleetAgent | None:
        """Its agent, if there is one; one that was half-way when the sidecar was killed is undone first."""
        while (one := self.agent(task)) is not None and one.state is FleetState.SPAWNING:
            await self._fleet_changed.wait()
        return one

    def spec(self, task: Task) -> SpawnSpec:
        """What the fleet is to spawn for its newest try."""
        spec = task.spec
        own = argv(spec.command or ())
        given = any(TEXT_WORD in word for word in own)
        return SpawnSpec(
            repository=spec.repository, branch=branch(task), agent=kind(spec) if own else spec.agent,
            argv=tuple(word.replace(TEXT_WORD, spec.task) for word in own), template=spec.template,
            task="" if given else spec.task, base=self._base(task), sandbox=spec.sandbox, server=task.server or "",
            project=task.name, env={**spec.env, TASK: _mark(task), NAME: task.name},
        )  # fmt: skip

    def _base(self, task: Task) -> str:
        base = task.spec.base
        if not base.startswith(OF_TASK):
            return base
        at = words(task.spec.needs).index(base.removeprefix(OF_TASK))
        needed = self._state().tasks[task.needs[at]].last
        return needed.branch if needed else ""

    def _place(self, one: FleetAgent) -> Place | None:
        server = self._servers.get(one.server)
        if server is None or not one.pane:
            return None
        return Place(server=one.server, server_pid=server.pid, pane=one.pane, pane_pid=one.pane_pid)

    # --- the check ---

    async def check(self, task: Task) -> Checked:
        """Run its check in its worktree, through the guard; after a kill again. Raises Unavailable: it was not run."""
        spec, tried = task.spec, task.last
        assert tried is not None
        action = Command(argv=argv(spec.check or ()), cwd=tried.worktree, env=spec.env, timeout=spec.check_timeout)
        wish = Wish(action=action, origin=self.origin(task), request_id=new_id(), timeout=math.inf)
        try:
            outcome = await self._guard.declared(wish, approved=False)
        except errors.Unavailable:
            raise
        except errors.TmuxAgentError as why:
            return Checked(task.task_id, task.attempt, None, redact.redact_text(why.message)[-OUTPUT:])
        code, said = _read(outcome)
        return Checked(task.task_id, task.attempt, code, redact.redact_text(said)[-OUTPUT:])

    # --- the end ---

    async def close(self, task: Task) -> Closed:
        """End the session of its newest try, keep what it printed, and take its worktree away where nothing in it would
        be lost. Raises Unavailable: it is not ended yet."""
        notes: list[str] = []
        one = await self._there(task)
        try:
            shown = await self._sessions.text(task.place)
            await asyncio.to_thread(self._logs.write, _key(task), shown, self._room().log_bytes)
        except OSError as why:
            notes.append(f"its output could not be kept: {why.strerror}")
        if one is None:
            return Closed(task_id=task.task_id, attempt=task.attempt, note="; ".join(notes))
        if one.state in LIVE:
            await self._fleet.kill(one.name)
        await self._sessions.end(one, task.place)
        ended = await self._tidied(one, notes, base=self._is_base(task))
        return Closed(
            task_id=task.task_id, attempt=task.attempt, diff=ended.diff, kept=ended.kept, branch=ended.branch,
            note="; ".join(notes),
        )  # fmt: skip

    def _is_base(self, task: Task) -> bool:
        """Whether the branch of another task is to begin at this one's."""
        name = f"{OF_TASK}{task.name}"
        return any(task.task_id in one.needs and one.spec.base == name for one in self._state().tasks.values())

    async def _tidied(self, one: FleetAgent, notes: list[str], *, base: bool) -> _Tidied:
        """A branch that holds all of the work is enough, and none is needed where there is no work."""
        if not os.path.isdir(one.worktree):  # done before a kill, or by a person
            there = await worktrees.branch_commit(one.repository, one.branch)
            return _Tidied(diff="", kept=False, branch=bool(there))
        try:
            now = await worktrees.difference(one)
        except errors.TmuxAgentError as why:
            notes.append(why.message)
            return _Tidied(diff="", kept=os.path.isdir(one.worktree), branch=True)
        said = difference(now)
        keeps = bool(now.ahead) or base or not one.made_branch
        if not now.uncommitted:
            try:
                await self._fleet.finish(one.name, How(keep_branch=keeps))
            except errors.Unavailable:
                raise
            except errors.TmuxAgentError as why:
                notes.append(why.message)
        kept = os.path.isdir(one.worktree)
        return _Tidied(diff=said, kept=kept, branch=keeps or kept)

    async def output(self, task: Task, attempt: int) -> str | None:
        """What a try has printed so far; None: nothing was kept of it."""
        if task.attempt == attempt and (shown := await self._sessions.text(task.place)):
            return redact.redact_text(shown)
        return await asyncio.to_thread(self._logs.read, (task.task_id, attempt))

    async def forget(self, task_ids: Iterable[str]) -> None:
        """These tasks are dropped."""
        await asyncio.to_thread(self._logs.drop, tuple(task_ids))

    def origin(self, task: Task) -> Origin:
        """Who acts: a task that a person has put, or has let be put, into the queue."""
        return Origin(
            role=Role.AGENT,
            why=f"the task {task.name!r} of your queue",
            uid=os.getuid(),
            pid=os.getpid(),
            server=task.server,
            name=task.name,
            session=f"queue:{task.task_id}",
            door="queue",
        )


class _Tidied(Struct, frozen=True):
    diff: str
    kept: bool
    branch: bool


def branch(task: Task) -> str:
    """The branch of its newest try: each has its own, so that none begins with another's leavings."""
    own = task.spec.branch or f"task/{task.name}-{task.task_id[-5:].lower()}"
    return own if task.attempt <= 1 else f"{own}-{task.attempt}"


def difference(now: worktrees.Difference) -> str:
    """In words; "" for none."""
    words = [
        f"{number} {word}{'' if number == 1 else 's'}"
        for number, word in ((now.ahead, "commit"), (now.files, "file"))
        if number
    ]
    if now.added or now.removed:
        words.append(f"+{now.added} −{now.removed}")
    if now.uncommitted:
        words.append(f"{len(now.uncommitted)} not committed")
    return ", ".join(words)


def _mark(task: Task) -> str:
    return f"{task.task_id}/{task.attempt}"


def _key(task: Task) -> tuple[str, int]:
    return task.task_id, task.attempt


def _read(outcome: Outcome) -> tuple[int | None, str]:
    """The exit code of a check, and what it printed."""
    data = outcome.data
    if not isinstance(data, CommandData):
        return None, outcome.error or outcome.summary
    said = "\n".join(filter(None, (data.stdout.rstrip(), data.stderr.rstrip())))
    return (data.exit_code, said) if data.exit_code is not None else (None, f"{outcome.error}\n{said}".strip())
