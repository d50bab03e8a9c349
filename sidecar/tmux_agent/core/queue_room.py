"""What of the queue there is room for, in which order, and when time matters next.

Pure. Must not own: what follows from what (queue.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from .queue_file import kind
from .queue_task import ENDED, TAKEN, Check, Close, Queue, Spawn, Task, TaskState, Wanted
from .settings import Queue as Room

REST = "*"  # in a table of limits: whatever is not named


def order(tasks: Iterable[Task]) -> list[Task]:
    """Those that are queued, in the order in which they are considered."""
    queued = [one for one in tasks if one.state is TaskState.QUEUED]
    return sorted(queued, key=lambda one: (-(one.spec.priority or 0), one.task_id))


class Load:
    """How much of the room is taken."""

    def __init__(self, tasks: Iterable[Task], room: Room) -> None:
        self._room = room
        self._taken = 0
        self._kinds: Counter[str] = Counter()
        self._repositories: Counter[str] = Counter()
        for one in tasks:
            if one.state in TAKEN:
                self.take(one)

    def take(self, one: Task) -> None:
        self._taken += 1
        self._kinds[kind(one.spec)] += 1
        self._repositories[one.spec.repository] += 1

    @property
    def all_taken(self) -> bool:
        return self._taken >= self._room.machine

    def full(self, one: Task) -> str:
        """What has no room for a task, in words; "" where it may begin."""
        room, agent, folder = self._room, kind(one.spec), one.spec.repository
        for what, most, taken in (
            ("at once", room.machine, self._taken),
            (agent, _most(room.per_agent, agent), self._kinds[agent]),
            ("in its repository", _most(room.per_repository, folder), self._repositories[folder]),
        ):
            if most and taken >= most:
                return f"{taken} of {most} {what}"
        return ""


def _most(limits: dict[str, int], name: str) -> int:
    """0: there is no limit."""
    return limits.get(name, limits.get(REST, 0))


def next_due(queue: Queue) -> datetime | None:
    """When time alone changes something next."""
    times = [at for one in queue.tasks.values() if one.state not in ENDED for at in (one.due, one.again) if at]
    return min(times, default=None)


def under_way(queue: Queue) -> tuple[Wanted, ...]:
    """What an earlier sidecar was about to do, and is to be done again: each is the same thing again."""
    does: dict[TaskState, type[Wanted]] = {
        TaskState.STARTING: Spawn, TaskState.CHECKING: Check, TaskState.CLOSING: Close,
    }  # fmt: skip
    return tuple(does[one.state](one.task_id, one.attempt) for one in queue.tasks.values() if one.state in does)


def ready(tasks: dict[str, Task], one: Task) -> bool:
    """Whether all that a task needs is done."""
    return all(task_id in tasks and tasks[task_id].state is TaskState.DONE for task_id in one.needs)
