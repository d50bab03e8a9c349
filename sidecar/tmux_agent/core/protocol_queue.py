"""Params of the methods `queue.*`: tasks that agents work on, one after the other. Must not own: what they do."""

from __future__ import annotations

from .params import Params
from .queue_file import TaskFile


class QueueAdd(Params, frozen=True):
    """Put tasks into the queue. An agent's call is judged, as all that change something of the queue are.

    `repository` is for tasks that name none, and what relative ones begin at; the caller's own where it is empty. With
    `dry_run` nothing is added, and the reply says what would be.
    """

    tasks: tuple[TaskFile, ...]
    repository: str = ""
    server: str | None = None
    dry_run: bool = False


class QueueLoad(Params, frozen=True):
    """The same with the tasks of a file. One in a repository has to be trusted (`tmux-agent policy trust`)."""

    file: str
    server: str | None = None
    dry_run: bool = False


class QueueList(Params, frozen=True):
    """The tasks in the order of their ids; without `all`, those that have not ended, and the last ten that have."""

    all: bool = False
    limit: int = 200
    cursor: str | None = None


class QueueShow(Params, frozen=True):
    """One task with its tries. `task`: its id, or its name for the newest of that name; so everywhere below."""

    task: str


class QueueRun(Params, frozen=True):
    """Let the queue go on. With `dry_run`: say in which order its tasks would begin, and why each waits."""

    dry_run: bool = False


class QueuePause(Params, frozen=True):
    """Let nothing new begin. What is under way goes on."""


class QueueRetry(Params, frozen=True):
    """Try a task again that has failed, was cancelled or skipped, and what was skipped because of it."""

    task: str


class QueueCancel(Params, frozen=True):
    """End tasks: their agents' sessions are ended, their branches stay, and worktrees in which something is not
    committed. `all`: every task that has not ended."""

    tasks: tuple[str, ...] = ()
    all: bool = False
    why: str = ""


class QueueLog(Params, frozen=True):
    """What the pane of a try has printed, the newest try where none is named (operators only)."""

    task: str
    attempt: int | None = None


class QueueEnded(Params, frozen=True):
    """The program of the task in the caller's pane has ended: told by `tmux-agent wrap`. It moves a task as a marker
    does."""

    exit_code: int


METHODS: dict[str, type[Params]] = {
    "queue.add": QueueAdd,
    "queue.load": QueueLoad,
    "queue.list": QueueList,
    "queue.show": QueueShow,
    "queue.run": QueueRun,
    "queue.pause": QueuePause,
    "queue.retry": QueueRetry,
    "queue.cancel": QueueCancel,
    "queue.log": QueueLog,
    "queue.ended": QueueEnded,
}
OPERATOR_ONLY: frozenset[type[Params]] = frozenset({QueueLog})
# Nobody can tell by the request whether it was done: a client does not send these again by itself.
ONCE: frozenset[type[Params]] = frozenset({QueueAdd, QueueLoad, QueueRetry})
ACTS = (QueueAdd, QueueLoad, QueueRun, QueuePause, QueueRetry, QueueCancel)
