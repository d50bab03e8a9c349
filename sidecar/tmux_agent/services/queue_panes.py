"""What agents and panes tell of the tasks that are worked on, as what happens to those tasks.

Owns which pane is which task's, and what each thing that is told means. Must not own: what follows (core/queue.py), how
panes are read (tmux/watch.py), states of agents (agents.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ..core import display, errors, marker_screen, markers, programs, redact
from ..core.fleet import FleetState
from ..core.fleet import TaskState as Given
from ..core.model import Agent, AgentState, Event
from ..core.pipeline_run import Place
from ..core.queue_file import kind
from ..core.queue_task import WORKED, Ended, Happening, Queue, Rests, Said, Task, TaskState, Waits, Works
from ..core.wording import one_line
from .agents import Agents
from .approvals import Approvals
from .processes import processes_here
from .queue import TaskQueue
from .queue_acts import QueueActs
from .queue_logs import QueueLogs
from .queue_sessions import QueueSessions
from .tmux.control import TmuxServer
from .tmux.servers import Servers
from .tmux.watch import Watch
from .watching import Watching

WORDS = 500  # characters of a message
PAUSED = "it is paused"
LAST_SECONDS = 0.5  # from the end of a program until all that it printed has been read
OVER = (FleetState.ENDED, FleetState.FINISHED)
ABOVE = 64  # processes between an agent and one that it has started
ORPHANED = 40.0  # seconds after a restart until a tmux server that has not come back is taken for gone
ENDINGS = ("approval.answered", "approval.expired", "approval.withdrawn", "approval.unknown")


class QueuePanes:
    """Built by the system; used in the event loop only. `signs` says whether a marker's token is good in a pane."""

    def __init__(
        self, queue: TaskQueue, acts: QueueActs, logs: QueueLogs, agents: Agents, approvals: Approvals,
        servers: Servers, sessions: QueueSessions, watch: Watch, watching: Watching,
        signs: Callable[[Place, str], bool], spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:  # fmt: skip
        self._queue = queue
        self._acts = acts
        self._logs = logs
        self._agents = agents
        self._approvals = approvals
        self._servers = servers
        self._sessions = sessions
        self._watch = watch
        self._watching = watching
        self._signs = signs
        self._spawn = spawn
        self._ending: set[tuple[str, int]] = set()  # tries whose program has ended
        self._indexed: Queue | None = None
        self._tasks: dict[tuple[str, str], Task] = {}
        self._asking: dict[str, tuple[str, int]] = {}  # by request, which try asks
        self._table = processes_here()
        self._below: dict[str, bool] = {}  # by session of an agent
        self._caught: set[tuple[str, int]] = set()  # tries of which all is known that was told before

    def task(self, server: str | None, pane: str | None) -> Task | None:
        """The task that is worked on in a pane."""
        state = self._queue.state
        if self._indexed is not state:
            self._indexed = state
            worked = [one for one in state.tasks.values() if one.state in WORKED and one.place]
            self._tasks = {(one.place.server, one.place.pane): one for one in worked if one.place}
            tries = {(one.task_id, one.attempt) for one in state.tasks.values()}
            self._caught &= tries
            self._ending &= tries
        return self._tasks.get((server or "", pane or ""))

    def places(self) -> frozenset[Place]:
        """The panes in which tasks are worked on."""
        self.task(None, None)
        return frozenset(one.place for one in self._tasks.values() if one.place)

    # --- what is told ---

    def heard(self, event: Event) -> None:
        """Something happened, and is recorded where it is to be."""
        family = event.type.partition(".")[0]
        if family == "fleet":
            self._acts.fleet_changed()
            self._fleet(str(event.data.get("name", "")))
        elif event.type == "agent.state":
            if agent := self._agents.get(event.data["agent"]["session"]):
                self._agent(agent)
        elif event.type == "approval.opened" and event.origin:
            if task := self.task(event.origin.server, event.origin.pane):
                self._questions(task)
        elif event.type in ENDINGS and (key := self._asking.pop(event.request_id, None)):
            self._settled(key)

    def said(self, place: Place, marker: markers.Marker) -> None:
        """A pane printed a marker, or its agent told one over the socket."""
        task = self.task(place.server, place.pane)
        if task is not None and task.place == place:
            self._queue.tell(_meant(task, marker, signed=self._signs(place, marker.run)))

    def printed(self, place: Place, text: str) -> None:
        """A watched pane printed these lines."""
        if task := self.task(place.server, place.pane):
            self._logs.add((task.task_id, task.attempt), text, self._queue.room().log_bytes)

    def wants_lines(self, place: Place) -> bool:
        return self.task(place.server, place.pane) is not None

    # --- what was told while nobody listened ---

    async def look(self, server: TmuxServer) -> None:
        """A tmux server is there (again)."""
        for task in list(self._queue.state.tasks.values()):
            if task.place is not None and task.place.server == server.socket and task.state in WORKED:
                await self.catch_up(task)

    async def catch_up(self, task: Task) -> None:
        """Take in all that a try has told so far, once for each sidecar."""
        server = self._sessions.server(task.place)
        key = _key(task)
        if task.place is None or key in self._caught:
            return
        if server is None:  # not yet; or another one is there, and the session gone
            if self._servers.get(task.place.server) is not None:
                self._ends(task)
            return
        self._caught.add(key)
        await self._sessions.remains(task.place)
        await self._watching.look(server)
        await self._watch.ready(task.place)
        await self._markers(task)
        for agent in self._agents.list():
            if (agent.server, agent.pane) == (task.place.server, task.place.pane):
                self._agent(agent)
        self._questions(task)
        if one := self._acts.agent(task):
            self._fleet(one.name)

    async def drop_orphans(self, seconds: float = ORPHANED) -> None:
        """End tries whose session has ended, and whose tmux server has not come back `seconds` after the start."""
        await asyncio.sleep(seconds)
        for task in self._queue.state.tasks.values():
            one = self._acts.agent(task)
            if task.state in WORKED and _key(task) not in self._caught and (one is None or one.state in OVER):
                self._ends(task)

    async def _markers(self, task: Task) -> None:
        """What stands on its screen: the pane is this try's alone."""
        for found in marker_screen.find((await self._sessions.text(task.place)).splitlines()):
            if task.place is not None and not isinstance(found.marker, markers.Invalid):
                self.said(task.place, found.marker)

    # --- its end ---

    def exited(self, server: str | None, pane: str | None, code: int) -> None:
        """The program of a task has ended. Raises NotFound: no task is worked on in this pane."""
        task = self.task(server, pane)
        if task is None:
            raise errors.NotFound("no task of the queue is worked on in this pane")
        self._ends(task, code)

    def _ends(self, task: Task, code: int | None = None) -> None:
        if _key(task) not in self._ending:
            self._ending.add(_key(task))
            self._spawn(self._ended(task, code))

    async def _ended(self, task: Task, code: int | None) -> None:
        """A moment later: what it printed last is there by then."""
        await asyncio.sleep(LAST_SECONDS)
        await self._markers(task)
        if code is None:
            code = await self._sessions.status(task.place)
        if not code and (why := await self._acts.untold(task)):
            self._queue.tell(_failed(task, why))
            return
        self._queue.tell(Ended(task.task_id, task.attempt, code))

    # --- what it means ---

    def _fleet(self, name: str) -> None:
        task = next((one for one in self._queue.state.tasks.values() if _agent_of(one) == name), None)
        one = self._acts.agent(task) if task else None
        if task is None or one is None or one.name != name:
            return
        key = (task.task_id, task.attempt)
        if one.state in OVER:
            self._ends(task)
        elif one.task_state is Given.FAILED:
            self._queue.tell(_failed(task, one.note))
        elif one.state is FleetState.PAUSED:
            self._queue.tell(Waits(*key, PAUSED))
        elif task.state is TaskState.WAITING and task.reason == PAUSED:
            self._queue.tell(Works(*key))

    def _agent(self, agent: Agent) -> None:
        task = self.task(agent.server, agent.pane)
        if task is None or (programs.known(_kind(task)) and agent.kind != _kind(task)) or self._is_below(agent):
            return  # nobody's, or that of an agent which the task's own has started
        if happened := _told(task, agent):
            self._queue.tell(happened)

    def _is_below(self, agent: Agent) -> bool:
        """Whether another agent of its pane has started it, as claude may start `claude -p`."""
        if agent.session not in self._below:  # asked while it lives
            there = [one for one in self._agents.list() if (one.server, one.pane) == (agent.server, agent.pane)]
            above, pids = agent.pid, {one.pid for one in there} - {agent.pid, None}
            for _ in range(ABOVE):
                process = self._table.read(above) if above else None
                above = process.ppid if process else None
                if above in pids or not above:
                    break
            sessions = {one.session for one in self._agents.list()}
            self._below = {session: was for session, was in self._below.items() if session in sessions}
            self._below[agent.session] = above in pids
        return self._below[agent.session]

    def _questions(self, task: Task) -> None:
        """What its pane asks a person."""
        for one in self._approvals.pending():
            if task.place and (one.origin.server, one.origin.pane) == (task.place.server, task.place.pane):
                self._asking[one.request_id] = (task.task_id, task.attempt)
                self._queue.tell(Waits(task.task_id, task.attempt, _words(one_line(one.action))))

    def _settled(self, key: tuple[str, int]) -> None:
        """A question of this try has ended. Of an agent that is known, its state tells what it does now."""
        known = [one for one in self._agents.list() if (task := self.task(one.server, one.pane)) and _key(task) == key]
        if not known and key not in self._asking.values():
            self._queue.tell(Works(*key))


def _failed(task: Task, why: str) -> Said:
    return Said(task_id=task.task_id, attempt=task.attempt, by="fleet", ok=False, message=_words(why))


def _meant(task: Task, marker: markers.Marker, *, signed: bool) -> Happening:
    """A marker of another stage is only words."""
    ok: bool | None = None
    progress = None
    if marker.stage in ("", task.name):
        match marker:
            case markers.Failure():
                ok = False
            case markers.Status(ok=said) | markers.Done(ok=said):
                ok = said
            case markers.Progress(percent=percent):
                progress = percent
    words = " ".join(filter(None, (marker.stage if marker.stage != task.name else "", marker.message)))
    return Said(
        task_id=task.task_id, attempt=task.attempt, by="marker", ok=ok, message=_words(words), progress=progress,
        signed=signed,
    )  # fmt: skip


def _told(task: Task, agent: Agent) -> Happening | None:
    key = (task.task_id, task.attempt)
    match agent.state:
        case AgentState.WORKING:
            return Works(*key)
        case AgentState.WAITING:
            return Waits(*key, _words(agent.waiting_on or agent.detail) or "its agent waits for you")
        case AgentState.ERROR:
            words = agent.limit.words if agent.limit else agent.detail
            return Waits(*key, _words(f"its agent has stopped: {words or 'an error'}"))
        case AgentState.DONE:
            return Said(task_id=key[0], attempt=key[1], by="hook", ok=True, message=_words(agent.detail))
        case AgentState.IDLE:
            return Rests(*key)
    return None


def _key(task: Task) -> tuple[str, int]:
    return task.task_id, task.attempt


def _agent_of(task: Task) -> str:
    return task.last.agent if task.last and task.state in WORKED else ""


def _kind(task: Task) -> str:
    return (task.last.kind if task.last else "") or kind(task.spec)


def _words(text: str) -> str:
    return redact.redact_text(display.safe(text))[:WORDS]
