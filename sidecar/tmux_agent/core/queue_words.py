"""What is said of the queue: why a task waits, and what would begin when.

Pure. Must not own: what follows from what (queue.py), how it is drawn (edges).
"""

from __future__ import annotations

import shlex
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from . import display
from .queue import advance
from .queue_file import OF_TASK, kind
from .queue_room import Load, ready
from .queue_task import ENDED, TAKEN, Clock, Queue, Spawn, Task, TaskState
from .settings import Queue as Room

NAMED = 3  # of what a task waits for


class Step(Struct, frozen=True, kw_only=True):
    """What would become of a task. `turn`: 0 is under way, 1 would begin at once, 2 when those of 1 have ended, …; 0
    with `waits` set: never, as things are."""

    task_id: str
    name: str
    turn: int
    program: str = ""
    repository: str = ""
    how: str = ""
    waits: str = ""


def waits_for(queue: Queue, one: Task, room: Room, now: datetime) -> str:
    """Why a task does not go on by itself at this moment, in words; "" where it does."""
    if one.state is TaskState.RETRYING and one.again is not None:
        return f"again in {display.ahead((one.again - now).total_seconds())}: {one.reason}"
    if one.state is not TaskState.QUEUED:
        return ""
    if not ready(queue.tasks, one):
        names = [queue.tasks[each].name for each in one.needs if queue.tasks[each].state is not TaskState.DONE]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return f"needs {', '.join(names[:NAMED])}{more}"
    if queue.paused:
        return "the queue is paused"
    full = Load(queue.tasks.values(), room).full(one)
    return f"no room: {full}" if full else ""


def would(one: Task) -> str:
    """What the begin of a task would do, in words."""
    return f"spawn {program(one)} in {one.spec.repository} {how(one)}"


def program(one: Task) -> str:
    """What starts."""
    spec = one.spec
    return f"template {spec.template}" if spec.template and not spec.agent else kind(spec)


def how(one: Task) -> str:
    """What is made of it, and what decides, in words."""
    spec, base = one.spec, one.spec.base
    words = [f"on {spec.branch or 'a branch of its own'}"]
    if base:
        words.append(f"from the branch of {base.removeprefix(OF_TASK)}" if base.startswith(OF_TASK) else f"from {base}")
    if spec.sandbox:
        words.append("in the sandbox")
    if spec.command:
        words.append(f"by {_line(spec.command)}")
    if spec.check:
        words.append(f"then check: {_line(spec.check)}")
    return ", ".join(words)


def _line(command: str | tuple[str, ...]) -> str:
    return command if isinstance(command, str) else shlex.join(command)


def plan(queue: Queue, room: Room, now: datetime) -> list[Step]:
    """What would begin in which order, if each try were done well, and all of one turn took equally long; and why each
    waits now. A queue that is paused is taken for one that goes on."""
    whys = {one.task_id: waits_for(queue, one, room, now) for one in queue.tasks.values() if one.state not in ENDED}
    turns = {one.task_id: 0 for one in queue.tasks.values() if one.state in TAKEN}
    tasks = {
        key: replace(one, state=TaskState.QUEUED, again=None) if one.state is TaskState.RETRYING else one
        for key, one in queue.tasks.items()
    }
    turn, begun = 0, list(turns)
    while True:
        tasks |= {task_id: replace(tasks[task_id], state=TaskState.DONE) for task_id in begun}
        trial, wanted = advance(Queue(tasks), Clock(), now, room)
        tasks, begun = trial.tasks, [each.task_id for each in wanted if isinstance(each, Spawn)]
        if not begun:
            break
        turn += 1
        turns |= dict.fromkeys(begun, turn)
    return [
        Step(
            task_id=key,
            name=queue.tasks[key].name,
            turn=turns.get(key, 0),
            program=program(queue.tasks[key]),
            repository=queue.tasks[key].spec.repository,
            how=how(queue.tasks[key]) if turns.get(key) else "",
            waits=whys[key] or tasks[key].reason,
        )
        for key in (*turns, *(key for key in whys if key not in turns))
    ]
