"""How the queue goes on: `advance(queue, what happened, now, room)` gives the queue as it is then, and what is wanted.

Owns every rule of it: what is done and what failed, tries, time. Pure: the same happenings give the same queue. Must
not own: what there is room for (queue_room.py), doing anything (services/queue.py), what is shown (queue_words.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from .queue_file import retries
from .queue_room import Load, order, ready
from .queue_task import (
    ENDED,
    TRIES,
    WORKED,
    Added,
    Cancel,
    Check,
    Checked,
    Clock,
    Close,
    Closed,
    Dropped,
    Ended,
    Happening,
    NotStarted,
    Pause,
    Queue,
    Rests,
    Retry,
    Said,
    Spawn,
    Started,
    Task,
    TaskState,
    Try,
    Waits,
    Wanted,
    Works,
)
from .settings import Queue as Room

RESTS = "it rests, and has not said that it is done"


def advance(queue: Queue, event: Happening, now: datetime, room: Room) -> tuple[Queue, tuple[Wanted, ...]]:
    """The queue after `event`, and what is wanted then, in order. An event of a try that is over changes nothing."""
    step = _Step(queue, now, room)
    step.take(event)
    step.settle()
    return Queue(step.tasks, step.paused), tuple(step.wanted)


class _Step:
    """One event's way through the queue."""

    def __init__(self, queue: Queue, now: datetime, room: Room) -> None:
        self.tasks = dict(queue.tasks)
        self.paused = queue.paused
        self._now = now
        self._room = room
        self.wanted: list[Wanted] = []

    def _put(self, one: Task, **changes: Any) -> Task:
        task = replace(one, **changes)
        if task.state is not one.state:
            task = replace(task, since=self._now)
        self.tasks[one.task_id] = task
        return task

    def _note(self, one: Task, **changes: Any) -> Task:
        """Something of the try that is under way."""
        assert one.last is not None
        return self._put(one, tries=(*one.tries[:-1], replace(one.last, **changes)))

    # --- what happened ---

    def take(self, event: Happening) -> None:
        match event:
            case Added(tasks=tasks):
                self.tasks.update((one.task_id, one) for one in tasks)
            case Pause(on=on):
                self.paused = on
            case Dropped(task_ids=task_ids):
                for task_id in task_ids:
                    self.tasks.pop(task_id, None)
            case Cancel(task_id=task_id, why=why):
                self._cancel(self.tasks[task_id], why)
            case Retry(task_id=task_id):
                self._retry(self.tasks[task_id])
            case Clock():
                for one in list(self.tasks.values()):
                    self._clock(one)
            case _:
                about = self.tasks.get(event.task_id)
                if about is not None and about.attempt == event.attempt:
                    self._of_try(about, event)

    def _of_try(self, one: Task, event: Happening) -> None:
        works = one.state in (TaskState.RUNNING, TaskState.WAITING)
        match event:
            case Started() if one.state is TaskState.STARTING:
                self._started(one, event)
            case NotStarted(why=why) if one.state is TaskState.STARTING:
                self._over(one, self._failing(one), f"it could not be started: {why}")
            case Said() if works:
                self._said(one, event)
            case Waits(why=why) if works:
                self._waits(one, why)
            case Works() if works:
                self._works(one)
            case Rests() if works and one.worked:
                self._rests(one)
            case Ended() if one.state in WORKED:
                self._ended(self._put(one, gone=True), event)
            case Checked() if one.state is TaskState.CHECKING:
                self._checked(one, event)
            case Closed() if one.state is TaskState.CLOSING:
                self._closed(one, event)

    def _started(self, one: Task, event: Started) -> None:
        one = self._note(one, agent=event.agent, kind=event.kind, branch=event.branch, worktree=event.worktree)
        self._put(one, state=TaskState.RUNNING, place=event.place)

    def _said(self, one: Task, said: Said) -> None:
        if said.by == "marker" and one.spec.markers == "signed" and not said.signed:
            return
        if said.message:
            one = self._note(one, message=said.message)
        if said.progress is not None:
            one = self._put(one, progress=said.progress)
        if said.ok is False:
            self._fail(one, said.message or f"its agent said so ({said.by})")
        elif said.ok and one.spec.done in (None, "any", said.by):
            self._finished(one)
        elif said.ok:
            self._rests(one)

    def _rests(self, one: Task) -> None:
        """Of an agent that tells nothing, its check may tell that it is done."""
        if one.spec.check and one.spec.done in (None, "any", "check"):
            self._check(one, gentle=True)
        else:
            self._waits(one, RESTS)

    def _ended(self, one: Task, ended: Ended) -> None:
        if one.state is TaskState.CHECKING:
            return  # which decides
        by_exit = one.spec.done in (None, "any", "exit")
        if ended.exit_code == 0 and by_exit:
            self._finished(one)
        elif ended.exit_code and by_exit:
            self._fail(one, f"its program ended with exit code {ended.exit_code}")
        elif one.spec.check:
            self._check(one, gentle=False)
        else:
            self._fail(one, "its program ended, and had not said that it is done")

    def _finished(self, one: Task) -> None:
        if one.spec.check:
            self._check(one, gentle=False)
        else:
            self._close(one, TaskState.DONE, "")

    def _checked(self, one: Task, checked: Checked) -> None:
        one = self._note(one, exit_code=checked.exit_code, output=checked.output)
        if checked.exit_code == 0:
            self._close(one, TaskState.DONE, "")
            return
        why = f"its check failed: exit code {checked.exit_code}"
        if checked.exit_code is None:
            why = f"its check did not run: {checked.output}"
        if one.gentle and not one.gone:
            self._waits(one, f"{RESTS}; {why}")
        else:
            self._fail(one, why)

    # --- waiting ---

    def _waits(self, one: Task, why: str) -> None:
        one = self._running_on(one) if one.spec.timeout_waiting else self._held(one)
        self._put(one, state=TaskState.WAITING, reason=why)

    def _works(self, one: Task) -> None:
        self._put(self._running_on(one), state=TaskState.RUNNING, reason="", worked=True)

    def _check(self, one: Task, *, gentle: bool) -> None:
        """Its time does not run meanwhile: the check has one of its own, and a person may be asked about it."""
        self._put(self._held(one), state=TaskState.CHECKING, gentle=gentle, reason="")
        self.wanted.append(Check(one.task_id, one.attempt))

    def _held(self, one: Task) -> Task:
        return self._put(one, left=(one.due - self._now).total_seconds(), due=None) if one.due else one

    def _running_on(self, one: Task) -> Task:
        if one.left is None:
            return one
        return self._put(one, due=self._now + timedelta(seconds=one.left), left=None)

    def _clock(self, one: Task) -> None:
        if one.due is not None and one.due <= self._now and one.state in (*WORKED, TaskState.STARTING):
            self._fail(one, "its time ran out")
        elif one.state is TaskState.RETRYING and one.again is not None and one.again <= self._now:
            self._put(one, state=TaskState.QUEUED, again=None)

    # --- the end of a try ---

    def _failing(self, one: Task) -> TaskState:
        more = one.attempt - one.before <= retries(one.spec).max
        return TaskState.RETRYING if more else TaskState.FAILED

    def _fail(self, one: Task, why: str) -> None:
        self._close(one, self._failing(one), why)

    def _close(self, one: Task, ends: TaskState, why: str) -> None:
        self._put(one, state=TaskState.CLOSING, ends=ends, reason=why, due=None, left=None)
        self.wanted.append(Close(one.task_id, one.attempt))

    def _closed(self, one: Task, closed: Closed) -> None:
        assert one.last is not None
        branch = one.last.branch if closed.branch else ""
        one = self._note(one, diff=closed.diff, kept=closed.kept, note=closed.note, branch=branch)
        assert one.ends is not None
        self._over(one, one.ends, one.reason)

    def _over(self, one: Task, state: TaskState, why: str) -> None:
        """The try is over, and nothing of it is left but what was kept."""
        one = self._note(one, ended=self._now, state=_word(state), reason=why)
        again = None
        if state is TaskState.RETRYING:
            tries = retries(one.spec)
            again = self._now + timedelta(seconds=tries.backoff * 2 ** min(one.attempt - one.before - 1, 30))
        self._put(
            one, state=state, reason=why, again=again, ends=None, place=None, due=None, left=None, gone=False,
            gentle=False, progress=None,
        )  # fmt: skip
        self._clock(self.tasks[one.task_id])

    # --- what a person wants ---

    def _cancel(self, one: Task, why: str) -> None:
        if one.state in (*WORKED, TaskState.STARTING):
            self._close(one, TaskState.CANCELLED, why)
        elif one.state is TaskState.CLOSING:
            if one.ends is not TaskState.DONE:
                self._put(one, ends=TaskState.CANCELLED, reason=why)
        elif one.state not in ENDED:
            self._put(one, state=TaskState.CANCELLED, reason=why, again=None)

    def _retry(self, one: Task) -> None:
        if one.state in ENDED and one.state is not TaskState.DONE:
            self._put(one, state=TaskState.QUEUED, reason="", before=one.attempt)
            for other in list(self.tasks.values()):
                if other.state is TaskState.SKIPPED and one.task_id in other.needs:
                    self._retry(other)

    # --- what follows ---

    def settle(self) -> None:
        """All that follows from it: what cannot be done any more is skipped, what has room begins."""
        skipped = [True]
        while any(skipped):
            skipped = [self._skipped(one) for one in self.tasks.values() if one.state is TaskState.QUEUED]
        load = Load(self.tasks.values(), self._room)
        for one in order(self.tasks.values()) if not (self.paused or load.all_taken) else ():
            if ready(self.tasks, one) and not load.full(one):
                load.take(self._begin(one))

    def _skipped(self, one: Task) -> bool:
        for task_id in one.needs:
            other = self.tasks.get(task_id)
            if other is None or (other.state in ENDED and other.state is not TaskState.DONE):
                said = f"{other.name}, which is {other.state.value}" if other else f"{task_id}, which is gone"
                self._put(one, state=TaskState.SKIPPED, reason=f"needs {said}")
                return True
        return False

    def _begin(self, one: Task) -> Task:
        attempt = one.attempt + 1
        due = self._now + timedelta(seconds=one.spec.timeout) if one.spec.timeout is not None else None
        tries = (*one.tries, Try(attempt=attempt, started=self._now))[-TRIES:]
        self.wanted.append(Spawn(one.task_id, attempt))
        return self._put(one, state=TaskState.STARTING, attempt=attempt, due=due, reason="", worked=False, tries=tries)


def _word(state: TaskState) -> str:
    """Of a try: it does not matter to it whether another follows."""
    return "failed" if state is TaskState.RETRYING else state.value
