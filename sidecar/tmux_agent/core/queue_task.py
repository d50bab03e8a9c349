"""The nouns of the queue: what has become of each task, what can happen, what is wanted then.

Owns these values. Pure. Must not own: what follows from what (queue.py).
"""

from __future__ import annotations

import enum
from datetime import datetime

from msgspec import Struct

from .pipeline_run import Place
from .queue_file import TaskFile

TRIES = 20  # whose results are kept with a task


class TaskState(enum.Enum):
    QUEUED = "queued"  # for what it needs, or for room
    STARTING = "starting"  # its worktree and session are being made
    RUNNING = "running"
    WAITING = "waiting"  # its agent waits for a person
    CHECKING = "checking"  # its check runs
    CLOSING = "closing"  # its session is being ended; `ends` says what it is then
    RETRYING = "retrying"  # it failed, and is queued again at `again`
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # something that it needs was not done


ENDED = frozenset((TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED, TaskState.SKIPPED))
WORKED = frozenset((TaskState.RUNNING, TaskState.WAITING, TaskState.CHECKING))
TAKEN = WORKED | {TaskState.STARTING, TaskState.CLOSING}  # it takes up room


class Try(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one try. `message`: the last that its agent said; `diff`: what its branch has changed, in a line;
    `exit_code`, `output`: of its check; `kept`: its worktree is still there."""

    attempt: int
    started: datetime
    ended: datetime | None = None
    state: str = ""
    reason: str = ""
    message: str = ""
    agent: str = ""  # the fleet's name of it
    kind: str = ""  # claude, codex, …
    branch: str = ""
    worktree: str = ""
    exit_code: int | None = None
    output: str = ""
    diff: str = ""
    kept: bool = False
    note: str = ""  # what could not be done at its end


class Task(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task of the queue. `spec.needs` are names as its file has them, `needs` the ids of the tasks that are meant."""

    task_id: str
    spec: TaskFile
    created: datetime
    since: datetime  # of its state
    needs: tuple[str, ...] = ()
    by: str = ""  # who added it, in words
    server: str | None = None  # the tmux server that its session is to be in
    state: TaskState = TaskState.QUEUED
    attempt: int = 0
    before: int = 0  # tries before a person wanted it tried again
    due: datetime | None = None  # the try has failed by then
    left: float | None = None  # seconds until then, counted on when the agent waits no longer
    again: datetime | None = None
    ends: TaskState | None = None
    worked: bool = False  # its agent was seen working in this try
    gone: bool = False  # the program of this try has ended
    gentle: bool = False  # nobody said that it is done: where the check fails, it goes on
    reason: str = ""
    progress: float | None = None
    place: Place | None = None
    tries: tuple[Try, ...] = ()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def last(self) -> Try | None:
        return self.tries[-1] if self.tries else None


class Queue(Struct, frozen=True):
    """All tasks by id, those that have ended until they are dropped."""

    tasks: dict[str, Task] = {}
    paused: bool = False


# --- what can happen ---


class Added(Struct, frozen=True):
    tasks: tuple[Task, ...]


class Pause(Struct, frozen=True):
    """A person wants nothing new to be started, or (`on` False) things to go on."""

    on: bool


class Cancel(Struct, frozen=True):
    task_id: str
    why: str = ""


class Retry(Struct, frozen=True):
    """A person wants a task that has ended tried again, and with it what was skipped because of it."""

    task_id: str


class Dropped(Struct, frozen=True):
    """Tasks that have ended are forgotten."""

    task_ids: tuple[str, ...]


class Started(Struct, frozen=True, kw_only=True):
    """The session of a try is there, and the agent was told its task."""

    task_id: str
    attempt: int
    agent: str
    branch: str
    worktree: str
    kind: str = ""
    place: Place | None = None


class NotStarted(Struct, frozen=True):
    """It could not be made; nothing of it is left."""

    task_id: str
    attempt: int
    why: str


class Said(Struct, frozen=True, kw_only=True):
    """Its agent told how far it is. `ok`: that it is done (True), that it has failed (False), or neither. `by`: hook
    or marker."""

    task_id: str
    attempt: int
    by: str
    ok: bool | None = None
    message: str = ""
    progress: float | None = None
    signed: bool = False


class Waits(Struct, frozen=True):
    """Its agent waits for a person."""

    task_id: str
    attempt: int
    why: str


class Works(Struct, frozen=True):
    """Its agent works (again)."""

    task_id: str
    attempt: int


class Rests(Struct, frozen=True):
    """Its agent does nothing any more, and has not said that it is done."""

    task_id: str
    attempt: int


class Ended(Struct, frozen=True):
    """Its program has ended, or its session is gone. `exit_code` None: nobody knows."""

    task_id: str
    attempt: int
    exit_code: int | None = None


class Checked(Struct, frozen=True):
    """Its check ended; `exit_code` None: it could not be run, and `output` says why."""

    task_id: str
    attempt: int
    exit_code: int | None
    output: str = ""


class Closed(Struct, frozen=True, kw_only=True):
    """The session of a try was ended, and what is to be kept of it is kept."""

    task_id: str
    attempt: int
    diff: str = ""
    kept: bool = False
    branch: bool = True  # it is still there
    note: str = ""


class Clock(Struct, frozen=True):
    """Time has passed, or there is more or less room; also after a restart."""


Happening = (
    Added | Pause | Cancel | Retry | Dropped | Started | NotStarted | Said | Waits | Works | Rests | Ended | Checked
    | Closed | Clock
)  # fmt: skip


# --- what is wanted ---


class Spawn(Struct, frozen=True):
    """Make the worktree and the session of a try, unless they are there, and tell its agent the task."""

    task_id: str
    attempt: int


class Check(Struct, frozen=True):
    """Run the check of a try."""

    task_id: str
    attempt: int


class Close(Struct, frozen=True):
    """End the session of a try, whatever it is doing, and keep what is to be kept."""

    task_id: str
    attempt: int


Wanted = Spawn | Check | Close
