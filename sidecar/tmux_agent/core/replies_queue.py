"""What the methods `queue.*` give back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from .queue_file import TaskFile
from .reply import Data, Nothing


class TryData(Data, frozen=True):
    """One try of a task. `message`: the last that its agent said; `diff`: what its branch has changed; `exit_code` and
    `output` of its check, the end of it; `kept`: its worktree is still there; `note`: what could not be done at its
    end. Agents are told neither messages and output, nor why a try or a task
    failed, which may be their words."""

    attempt: int
    started: datetime
    ended: datetime | None = None
    state: str = ""
    reason: str = ""
    message: str = ""
    agent: str = ""
    kind: str = ""
    branch: str = ""
    worktree: str = ""
    exit_code: int | None = None
    output: str = ""
    diff: str = ""
    kept: bool = False
    note: str = ""


class TaskData(Data, frozen=True):
    """A task of the queue. `state`: queued, starting, running, waiting (its agent waits for a person), checking,
    closing, retrying, done, failed, cancelled, skipped. `waits_for`: why it does not begin, or go on. `spec`, with what
    its agent is told, only where an operator asks for one task."""

    task_id: str
    name: str
    state: str
    since: datetime
    created: datetime
    by: str = ""
    agent: str = ""
    repository: str = ""
    priority: int = 0
    needs: tuple[str, ...] = ()
    attempt: int = 0
    waits_for: str = ""
    reason: str = ""
    progress: float | None = None
    due: datetime | None = None
    server: str | None = None
    pane: str | None = None
    tries: tuple[TryData, ...] = ()
    spec: TaskFile | None = None


class QueueData(Data, frozen=True):
    """`counts`: how many tasks are in which state, of all that are kept."""

    tasks: tuple[TaskData, ...]
    paused: bool = False
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    cursor: str | None = None


class StepData(Data, frozen=True):
    """What would become of a task: `turn` 1 begins at once, 2 once those of 1 have ended, …; 0 is under way, or would
    not begin at all."""

    task_id: str
    name: str
    turn: int
    program: str = ""
    repository: str = ""
    how: str = ""
    waits: str = ""


class AddedData(Data, frozen=True):
    """`errors`: what is wrong with the file, then nothing was added. `steps`: of a dry run."""

    tasks: tuple[TaskData, ...] = ()
    errors: tuple[str, ...] = ()
    steps: tuple[StepData, ...] = ()


class QueueRunData(Data, frozen=True):
    """`steps` of a dry run."""

    paused: bool
    steps: tuple[StepData, ...] = ()


class QueueLogData(Data, frozen=True):
    task_id: str
    name: str
    attempt: int
    text: str
    attempts: tuple[int, ...] = ()


REPLIES: dict[str, Any] = {
    "queue.add": AddedData,
    "queue.load": AddedData,
    "queue.list": QueueData,
    "queue.show": TaskData,
    "queue.run": QueueRunData,
    "queue.pause": QueueRunData,
    "queue.retry": TaskData,
    "queue.cancel": QueueData,
    "queue.log": QueueLogData,
    "queue.ended": Nothing,
}
