"""The nouns of a pipeline that runs: what has become of each stage and action, what can happen, what it wants done.

Owns these values. Pure. Must not own: what follows from what (pipeline.py). A run holds its pipeline as it was when the
run began: a file that is edited changes later runs only.
"""

from __future__ import annotations

import enum
from datetime import datetime

from msgspec import Struct

from . import markers
from .pipeline_file import ActionFile, PipelineFile


class Place(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pane, named for good: ids are used again after a restart."""

    server: str
    server_pid: int
    pane: str
    pane_pid: int


class StageState(enum.Enum):
    WAITING = "waiting"  # for other stages
    APPROVAL = "approval"  # for a person
    RUNNING = "running"
    RETRYING = "retrying"  # it failed, and is tried again at `again`
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  # an action was under way when the sidecar died, and nobody can tell whether it was done


ENDED = frozenset((StageState.SUCCESS, StageState.FAILED, StageState.SKIPPED, StageState.CANCELLED, StageState.UNKNOWN))
ACTIVE = frozenset((StageState.APPROVAL, StageState.RUNNING, StageState.RETRYING))


class ActionState(enum.Enum):
    PENDING = "pending"
    DOING = "doing"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


class ActionRun(Struct, frozen=True, kw_only=True, omit_defaults=True):
    state: ActionState = ActionState.PENDING
    detail: str = ""
    exit_code: int | None = None
    reading: str = ""  # of an external check: pending, success, failure, unreachable


class StageRun(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stage of one run, or one instance of it. `name` is its own, `stage` the file's."""

    name: str
    stage: str
    place: Place | None = None
    variables: dict[str, str] = {}
    state: StageState = StageState.WAITING
    attempt: int = 0
    since: datetime | None = None  # of its state
    started: datetime | None = None  # of this attempt
    ended: datetime | None = None
    reason: str = ""
    actions: tuple[ActionRun, ...] = ()
    heard: tuple[str, ...] = ()  # conditions that have held in this attempt
    due: datetime | None = None  # it has failed by then
    again: datetime | None = None
    escalated: int = 0
    progress: float | None = None
    approved: bool = False
    after: tuple[ActionRun, ...] = ()  # what on_failure does


class Tell(Struct, frozen=True, kw_only=True):
    """Tell people, once under `key`."""

    key: str
    channels: str
    title: str
    body: str
    severity: str = "info"


class RunState(enum.Enum):
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Run(Struct, frozen=True, kw_only=True, omit_defaults=True):
    run_id: str
    spec: PipelineFile
    created: datetime
    stages: tuple[StageRun, ...]
    place: Place | None = None
    token: str = ""  # what signed markers carry
    state: RunState = RunState.RUNNING
    ended: datetime | None = None
    note: str = ""
    facts: dict[str, str] = {}  # of the pane when it began: branch, command
    telling: tuple[Tell, ...] = ()  # messages that are not handed over yet


# --- what can happen ---


class Begun(Struct, frozen=True):
    """The run was made; also after a restart."""


class Said(Struct, frozen=True):
    """A program in a pane printed a marker. `signed`: with the run's token."""

    place: Place
    marker: markers.Marker
    signed: bool = False


class Printed(Struct, frozen=True):
    """Whole lines that came out of a pane, and the notifications that its program sent to the terminal."""

    place: Place
    text: str
    notices: tuple[str, ...] = ()


class Acted(Struct, frozen=True, kw_only=True):
    """An action ended: `ok` None where nobody can tell."""

    stage: str
    attempt: int
    index: int
    ok: bool | None
    detail: str = ""
    exit_code: int | None = None
    later: bool = False  # one of on_failure


class Checked(Struct, frozen=True, kw_only=True):
    """An external check gave a reading; `final` where none follows."""

    stage: str
    attempt: int
    index: int
    reading: str
    detail: str = ""
    final: bool = False


class Answered(Struct, frozen=True):
    """A person answered the stage's approval (or nobody did)."""

    stage: str
    ok: bool
    comment: str = ""


class FileSeen(Struct, frozen=True):
    """Whether a file is there that some condition waits for."""

    path: str
    exists: bool


class Clock(Struct, frozen=True):
    """Time has passed."""


class Told(Struct, frozen=True):
    """A message of the run is on its way: it waits in the queue of notifications."""

    key: str


class Gone(Struct, frozen=True):
    """A pane is gone, or has another program."""

    place: Place
    why: str = ""


class Retry(Struct, frozen=True):
    """A person wants a stage tried again ("" all that failed)."""

    stage: str = ""


class Skip(Struct, frozen=True):
    """A person says that a stage need not be done: what needs it goes on."""

    stage: str


class Cancel(Struct, frozen=True):
    why: str = ""


Happening = Begun | Said | Printed | Acted | Checked | Answered | FileSeen | Told | Clock | Gone | Retry | Skip | Cancel


# --- what is wanted ---


class Do(Struct, frozen=True, kw_only=True):
    """Do one action, through the guard, once: `run_id`, stage, attempt and index name it for good."""

    stage: str
    attempt: int
    index: int
    action: ActionFile
    later: bool = False
    approved: bool = False  # a person saw it with the stage's approval


class AskPerson(Struct, frozen=True):
    """Open the stage's approval."""

    stage: str


class Withdraw(Struct, frozen=True):
    """Nobody waits for the stage's approval, or for what it has under way, any more."""

    stage: str


Wanted = Do | AskPerson | Withdraw | Tell
