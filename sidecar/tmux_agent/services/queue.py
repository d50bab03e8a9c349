"""The queue of tasks: what happens is taken one after the other, kept, and then what follows is done.

Owns the tasks, the order "kept, then done", timers, and taking tasks up after a restart. Each change is in the
database, with its records, before anything that it wants is begun. Must not own: what follows from what
(core/queue.py), doing it (queue_acts.py), what panes and agents tell (queue_panes.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any

from ..core import errors
from ..core.config import nearest
from ..core.model import Event
from ..core.pipeline_file import words
from ..core.queue import advance
from ..core.queue_file import TASKS, TaskFile
from ..core.queue_room import next_due, under_way
from ..core.queue_task import (
    ENDED,
    Added,
    Cancel,
    Check,
    Clock,
    Close,
    Dropped,
    Happening,
    Pause,
    Queue,
    Retry,
    Spawn,
    Started,
    Task,
    TaskState,
    Wanted,
)
from ..core.settings import Queue as Room
from . import queue_rows
from .ids import new_id
from .journal import Journal, utc_now
from .queue_acts import QueueActs

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0  # until what could not be done for want of something is tried again: no event tells of a freed disk
LONGEST = 3600.0  # seconds of one timer: the clock may be set meanwhile


class TaskQueue:
    """Built by the system; used in the event loop only. `room` is asked at every step."""

    def __init__(
        self,
        journal: Journal,
        acts: QueueActs,
        room: Callable[[], Room],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._journal = journal
        self._acts = acts
        self.room = room
        self._spawn = spawn
        self._now = now
        self.state = Queue()
        self._inbox: list[Happening] = []
        self._busy: asyncio.Task[None] | None = None
        self._doing: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.started: Callable[[Task], Coroutine[Any, Any, None]]  # the system's: looks what a new session has told
        self.held_up: dict[str, str] = {}  # by task: what is awaited before it can go on

    # --- life ---

    async def recover(self) -> None:
        """Read what an earlier sidecar left. Raises Unavailable."""
        self.state = await self._journal.read(queue_rows.load)
        for task_id in self.state.tasks:
            new_id.after(task_id)

    def begin(self) -> None:
        """Go on: all else is there."""
        for wanted in under_way(self.state):
            self._do(wanted)
        self.tell(Clock())

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    # --- what there is ---

    def find(self, word: str) -> Task:
        """The task with this id, or the newest with this name. Raises NotFound."""
        if found := self.state.tasks.get(word):
            return found
        named = [one for one in self.state.tasks.values() if one.name == word]
        if not named:
            near = nearest(word, {one.name for one in self.state.tasks.values()})
            raise errors.NotFound(f"the queue has no task {word!r}{near}: `tmux-agent queue list --all` shows them")
        return max(named, key=lambda one: one.task_id)

    def names(self) -> tuple[set[str], set[str]]:
        """Names of all tasks that are kept, and of those that have not ended."""
        tasks = self.state.tasks.values()
        return {one.name for one in tasks}, {one.name for one in tasks if one.state not in ENDED}

    # --- what people want ---

    async def add(self, specs: Sequence[TaskFile], by: str, server: str | None) -> tuple[Task, ...]:
        """Add tasks of which nothing is wrong. Raises LimitExceeded, Unavailable (it waits for the disk)."""
        tasks = self.made(specs, by, server)
        if len(self.names()[1]) + len(tasks) > TASKS:
            raise errors.LimitExceeded(f"the queue would have more than {TASKS} tasks: let some end, or cancel them")
        await self._settled(Added(tasks))
        return tasks

    def made(self, specs: Sequence[TaskFile], by: str, server: str | None) -> tuple[Task, ...]:
        """The tasks that these would be, each behind those that it needs."""
        now = self._now()
        ids = {one.name: new_id() for one in specs}
        return tuple(
            Task(
                task_id=ids[one.name],
                spec=one,
                created=now,
                since=now,
                by=by,
                server=server,
                needs=tuple(ids.get(name) or self.find(name).task_id for name in words(one.needs)),
            )
            for one in specs
        )

    async def pause(self, *, on: bool) -> None:
        await self._settled(Pause(on))

    async def cancel(self, tasks: Sequence[Task], why: str) -> None:
        await self._settled(*(Cancel(one.task_id, why) for one in tasks))

    async def retry(self, one: Task) -> Task:
        """Raises Conflict where it has not ended, or is done."""
        if one.state not in ENDED or one.state is TaskState.DONE:
            raise errors.Conflict(f"{one.name} is {one.state.value}: only what failed is tried again")
        if any(other.name == one.name and other.task_id > one.task_id for other in self.state.tasks.values()):
            raise errors.Conflict(f"there is a newer task called {one.name}: retry that one")
        await self._settled(Retry(one.task_id))
        return self.state.tasks[one.task_id]

    async def _settled(self, *events: Happening) -> None:
        self.tell(*events)
        await self.kept()

    # --- one after the other ---

    def tell(self, *events: Happening) -> None:
        """Something happened. Taken in order; kept before anything follows."""
        self._inbox += events
        if self._busy is None and events:
            self._busy = self._spawn(self._drain())

    async def kept(self) -> None:
        """Wait until all that was told so far is kept."""
        if self._busy is not None:
            await asyncio.wait([self._busy])

    async def _drain(self) -> None:
        try:
            while self._inbox:
                events, self._inbox = self._inbox, []
                before = state = self.state
                wanted: list[Wanted] = []
                for event in events:
                    state, more = advance(state, event, self._now(), self.room())
                    wanted += more
                dropped = self._surplus(state)
                state, _ = advance(state, Dropped(dropped), self._now(), self.room())
                if not await self._keep(before, state, dropped):
                    self._inbox = [*events, *self._inbox]
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                for one in wanted:
                    self._do(one)
                self._schedule()
        finally:
            self._busy = None

    async def _keep(self, before: Queue, state: Queue, dropped: Sequence[str]) -> bool:
        """Make it durable; False where that failed."""
        changed = [one for key, one in state.tasks.items() if before.tasks.get(key) is not one]
        if not (changed or dropped or state.paused is not before.paused):
            return True

        def take(_: None) -> None:
            self.state = state

        try:
            await self._journal.commit(
                lambda db: queue_rows.put(db, changed, dropped, paused=state.paused),
                *_records(before, state, changed),
                then=take,
            )
        except errors.Unavailable as why:
            log.warning("the queue waits: %s", why.message)
            return False
        if dropped:
            self._spawn(self._acts.forget(dropped))
        return True

    def _surplus(self, state: Queue) -> tuple[str, ...]:
        """The oldest that have ended, where there are more than are kept, but those that are needed still."""
        ended = [key for key, one in state.tasks.items() if one.state in ENDED]
        if len(ended) <= self.room().keep:
            return ()
        needed = {need for one in state.tasks.values() if one.state not in ENDED for need in one.needs}
        return tuple(key for key in sorted(ended)[: len(ended) - self.room().keep] if key not in needed)

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due := next_due(self.state)) is not None:
            seconds = max((due - self._now()).total_seconds(), 0.0) + 0.001
            self._timer = asyncio.get_running_loop().call_later(min(seconds, LONGEST), self.tell, Clock())

    # --- doing ---

    def _do(self, wanted: Wanted) -> None:
        key = (wanted.task_id, wanted.attempt)
        before = self._doing.pop(key, None)
        task = self._doing[key] = self._spawn(self._act(wanted, before))
        task.add_done_callback(lambda done: self._doing.pop(key) if self._doing.get(key) is done else None)

    async def _act(self, wanted: Wanted, before: asyncio.Task[None] | None) -> None:
        if before is not None:  # the try ends while this was under way
            before.cancel()
            await asyncio.wait([before])
        happened = await self._done(wanted)
        self.tell(happened)
        if isinstance(happened, Started):
            await self.kept()
            await self.started(self.state.tasks[wanted.task_id])

    async def _done(self, wanted: Wanted) -> Happening:
        """Do it, as soon as it can be done."""
        does: dict[type[Wanted], Callable[[Task], Coroutine[Any, Any, Happening]]] = {
            Spawn: self._acts.spawn, Check: self._acts.check, Close: self._acts.close,
        }  # fmt: skip
        try:
            while True:
                task = self.state.tasks[wanted.task_id]
                try:
                    return await does[type(wanted)](task)
                except errors.Unavailable as why:  # nothing was done
                    if self.held_up.get(task.task_id) != why.message:
                        log.warning("task %s waits: %s", task.name, why.message)
                    self.held_up[task.task_id] = why.message
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            self.held_up.pop(wanted.task_id, None)


def _records(before: Queue, state: Queue, changed: Sequence[Task]) -> list[Event]:
    """The records of what has changed."""
    found = []
    for one in changed:
        was = before.tasks.get(one.task_id)
        if was is None or (was.state, was.attempt) != (one.state, one.attempt):
            found.append(Event(type="queue.task", data=_told(one)))
    if state.paused is not before.paused:
        found.append(Event(type="queue.paused", data={"paused": state.paused}))
    return found


def _told(one: Task) -> dict[str, Any]:
    data: dict[str, Any] = {"task_id": one.task_id, "task": one.name, "state": one.state.value, "attempt": one.attempt}
    if one.reason:
        data["reason"] = one.reason
    if one.state in ENDED and one.last and one.last.ended:
        data["seconds"] = round((one.last.ended - one.last.started).total_seconds(), 3)
        data["branch"] = one.last.branch
    return data
