"""The nouns: what is asked, by whom, what is known, what was decided, what is kept.

Owns the value types that more than one module speaks. All are frozen msgspec Structs (immutable, hashable where their
fields are, one JSON form). Must not own: behaviour beyond digests and ordering, any I/O, wire messages
(protocol.py), policy rules (rules.py).
Times are timezone-aware UTC datetimes; durations are seconds as float; paths are str (undecodable bytes as
surrogate escapes).
"""

from __future__ import annotations

import enum
import hashlib
import json
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct


class Verdict(enum.Enum):
    """Ordered: allow < ask < deny. The strictest of all that apply wins."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"

    def __init__(self, word: str) -> None:
        self.rank = ("allow", "ask", "deny").index(word)

    __hash__ = object.__hash__  # Enum's own takes three calls, and there is one of each

    def __lt__(self, other: Verdict) -> bool:
        return self.rank < other.rank


class Risk(enum.Enum):
    """How bad it can be, in the words that screens and the audit log share. Ordered low < medium < high."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    def __init__(self, word: str) -> None:
        self.rank = ("low", "medium", "high").index(word)

    __hash__ = object.__hash__

    def __lt__(self, other: Risk) -> bool:
        return self.rank < other.rank


class Role(enum.Enum):
    """What a peer may do: an operator answers, an agent asks. There is no third."""

    OPERATOR = "operator"
    AGENT = "agent"


Tier = Literal["baseline", "sandbox"]  # what holds an agent: docs/security.md


# --- who -------------------------------------------------------------------------------------------


class Origin(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who is on the other end, as the kernel and tmux tell it; never as a message claims it."""

    role: Role
    why: str  # one sentence: why this role
    uid: int
    pid: int
    started: int = 0  # start time of pid in clock ticks since boot: (pid, started) names a process for good
    exe: str = ""
    ancestry: tuple[str, ...] = ()  # "name(pid)" from the peer upwards
    tty: str | None = None
    server: str | None = None  # tmux socket path, if the peer belongs to a tmux server
    pane: str | None = None  # "%7" on that server; None where it cannot be known
    client: str | None = None  # the tmux client's name, for a popup's relay
    place: str = ""  # "session:window" for people, "" where there is none
    pane_title: str = ""  # which the programs in the pane set themselves
    name: str = ""  # what the peer calls itself: a claim, shown in quotes
    script: str = ""  # what its interpreter runs, as its arguments say: a claim, too
    agent: str | None = None  # "claude", "codex", …: the process descends from a known agent
    session: str = ""  # the agent's own session id where known, else "pid:started"
    process: str = ""  # "pid:started" of the agent, as the kernel tells, where `session` is what its hooks claim
    cwd: str = ""  # the peer's own working folder
    worktree: str = ""  # top level of the repository that cwd is in, else ""
    branch: str = ""
    sandbox: bool = False  # it came through the socket inside a sandbox
    # socket | hook | screen | popup | cli | link | file | chat | mcp | pipeline | fleet | queue | rule
    door: str = "socket"
    through: str = ""  # of a file its path; of a link its id and the peer's address; of a chat who said it, where


# --- what ------------------------------------------------------------------------------------------


class Command(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="command", tag_field="type"):
    """One program with arguments; no shell."""

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str] = {}
    stdin: str | None = None
    timeout: float | None = None


class Shell(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="shell", tag_field="type"):
    """Shell text that an agent is about to run, or that we type into a persistent terminal: into the shell of `pane`,
    or of a session that is made for it under the name `session`. `changed`: what was run in that shell before and
    lasts in it (shell_changes.py), and when that was, in seconds since the epoch."""

    text: str
    cwd: str
    dialect: str = "bash"
    env: dict[str, str] = {}  # variables that the asker sets for it, besides its own environment
    pane: str = ""
    session: str = ""
    server: str | None = None
    changed: str = ""
    changed_at: float = 0.0


class File(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="file", tag_field="type"):
    """Something done to a file. `content` for write; `old_text`/`new_text` for edit; `target` for copy."""

    verb: Literal["read", "write", "edit", "copy", "delete", "list"]
    path: str
    cwd: str = ""
    content: str | None = None
    old_text: str | None = None
    new_text: str | None = None
    replace_all: bool = False
    create_dirs: bool = False
    target: str | None = None
    expected_sha256: str | None = None
    start_line: int | None = None
    end_line: int | None = None
    recursive: bool = False
    overwrite: bool = False


class Patch(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="patch", tag_field="type"):
    """What an agent's patch tool does where one plain file action cannot say it: several files, a move, many places.

    `text` is the patch as the agent applies it (core/patch.py), `changes` what it does to which file: each is judged.
    """

    text: str
    changes: tuple[File, ...]
    cwd: str


class Tmux(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="tmux", tag_field="type"):
    """Something done to tmux through us; `verb` is the method without its prefix (send_keys, create_pane, …)."""

    verb: str
    target: str = ""
    server: str | None = None
    keys: tuple[str, ...] = ()
    text: str = ""
    argv: tuple[str, ...] = ()
    cwd: str = ""
    name: str = ""
    enter: bool = False
    options: dict[str, Any] = {}


class Fetch(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="fetch", tag_field="type"):
    url: str
    method: str = "GET"


class Mcp(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mcp", tag_field="type"):
    server: str
    tool: str
    arguments: dict[str, Any] = {}


class Ask(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="ask", tag_field="type"):
    """A question to a person. `options` are choices to pick from (empty: yes or no)."""

    prompt: str
    action_type: str = ""
    urgency: Literal["low", "normal", "high", "critical"] = "normal"
    details: str = ""
    options: tuple[str, ...] = ()


class Stage(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="pipeline", tag_field="type"):
    """Something done to a pipeline's run: the start of a stage, with all that it does (`does`, a line each), or what
    somebody wants of it. `stage` is empty where it is about the whole run."""

    pipeline: str
    stage: str = ""
    verb: Literal["run", "start", "retry", "skip", "cancel"] = "run"
    does: tuple[str, ...] = ()
    run_id: str = ""


class Fleet(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="fleet", tag_field="type"):
    """Something done to an agent with a worktree and a session of its own. `name` is empty for one that is spawned.

    `does`: what else comes with it, a line each: set-up commands, what is copied, where it is merged. `text`: its task,
    or what is typed at its prompt. `queue`: something done to the queue of tasks, which `does` says.
    """

    verb: Literal["spawn", "send", "pause", "resume", "kill", "finish", "queue"]
    name: str = ""
    branch: str = ""
    repository: str = ""
    agent: str = ""
    base: str = ""
    template: str = ""
    text: str = ""
    tier: str = ""
    worktree: str = ""
    does: tuple[str, ...] = ()


class Tool(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="tool", tag_field="type"):
    """A tool of an agent that none of the other kinds models (WebSearch, Agent, …). Never better than ask by itself."""

    name: str
    arguments: dict[str, Any] = {}
    cwd: str = ""


Action = Command | Shell | File | Patch | Tmux | Fetch | Mcp | Ask | Stage | Fleet | Tool

_canonical = msgspec.json.Encoder(order="sorted")


def digest(action: Action) -> str:
    """Name of an action: SHA-256 (hex) of its canonical JSON. An answer is bound to it."""
    try:
        text = _canonical.encode(action)
    except UnicodeEncodeError:  # a word that is not UTF-8, surrogate-escaped: only \u escapes can carry it
        text = json.dumps(msgspec.to_builtins(action), sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(text).hexdigest()


# --- what was decided ------------------------------------------------------------------------------


class Match(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One rule, guardrail or grant that applied."""

    rule: str
    verdict: Verdict
    reason: str = ""
    where: str = ""  # "policy.yaml:41", "guardrail", "grant 01K…", "default"
    risk: Risk = Risk.LOW


class JudgedPart(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One part of an action (a simple command of shell text, a file of a patch) with its own verdict."""

    source: str  # the text of the part, as written
    verdict: Verdict
    rule: str = ""
    reason: str = ""  # for people: "removes a folder, 214 files, inside the worktree"
    risk: Risk = Risk.LOW


class Decision(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer of the policy, with every reason."""

    verdict: Verdict
    rule: str  # the rule that decided; "unmatched" where none did
    reason: str
    where: str = ""
    risk: Risk = Risk.LOW
    named: bool = True  # a rule, guardrail or grant decided; False: only the default for what is unmatched
    matched: tuple[Match, ...] = ()
    parts: tuple[JudgedPart, ...] = ()
    timeout: float | None = None  # seconds until on_timeout; None: the policy's default
    on_timeout: Verdict = Verdict.DENY
    step_up: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()  # scopes that may be offered: "once", "exact", "shape", "30m", "always"


# --- what is kept ----------------------------------------------------------------------------------


class ApprovalState(enum.Enum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    UNKNOWN = "unknown"  # was running when the sidecar died; never run again


class Answer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an approval ended, and through whom."""

    approved: bool
    at: datetime
    by: Origin | None = None  # None: nobody (expired, withdrawn, policy)
    comment: str = ""
    choice: str | None = None
    edited: bool = False
    grant: str | None = None  # id of the grant made with it


class Approval(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A question that waits, or waited, for a person. `request_id` is its id for good; `digest` changes when edited."""

    request_id: str
    digest: str
    action: Action
    origin: Origin
    created: datetime
    state: ApprovalState = ApprovalState.PENDING
    # hook: the agent acts, we only answer. run: we act after a yes. question: a person is asked something.
    kind: Literal["hook", "run", "question"] = "run"
    rule: str = ""
    reason: str = ""
    where: str = ""
    risk: Risk = Risk.LOW
    parts: tuple[JudgedPart, ...] = ()
    preview: str = ""  # unified diff or content, for people
    facts: dict[str, Any] = {}  # of the world when it was asked: looked at again before it is run
    rests_on: dict[str, str] = {}  # facts.Pins of what the policy looked at: the same
    expires: datetime | None = None  # None: as long as its asker waits
    on_timeout: Verdict = Verdict.DENY
    step_up: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    hook_key: str | None = None  # "session:prompt:input digest": finds the approval again from later hooks
    plan: str | None = None
    phase: Literal["", "running", "done"] = ""  # of what we run after a yes
    answer: Answer | None = None
    note: str = ""  # why withdrawn, in words


class Outcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of an action that we ran. `data` is the method's reply (a Struct of protocol.py or plain values)."""

    ok: bool
    data: Any = None
    summary: str = ""  # one line for people and the audit record
    error: str = ""
    duration_ms: float = 0.0


class Grant(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Permission a person gave ahead: counts as an allow for what it matches, never lifts a deny or a guardrail."""

    id: str
    scope: Literal["exact", "shape", "30m", "always"]
    created: datetime
    by: Origin
    agent: str | None = None
    session: str | None = None
    process: str = ""  # "pid:started" of the agent that `session` is of, where the kernel showed one
    digest: str | None = None  # exact: this action and no other
    rule: dict[str, Any] | None = None  # shape, always: a policy rule (policy.md), as in the YAML file
    bound: dict[str, str] = {}  # path → sha256 of what an interpreter or package script would run
    expires: datetime | None = None
    uses_left: int | None = None
    revoked: bool = False
    text: str = ""  # for people: "npm ci, this session"


class PlanStep(Struct, frozen=True, kw_only=True, omit_defaults=True):
    description: str
    status: Literal["pending", "in_progress", "completed", "failed", "skipped"] = "pending"
    notes: str = ""


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an agent says it will do. Shown beside its requests; never executed."""

    plan_id: str
    name: str
    steps: tuple[PlanStep, ...]
    status: Literal["active", "completed", "aborted"] = "active"
    current: int = 0
    session: str = ""
    agent: str | None = None
    created: datetime
    updated: datetime
    description: str = ""
    reason: str = ""  # of the abort


class AgentState(enum.Enum):
    WORKING = "working"
    WAITING = "waiting"
    DONE = "done"
    ERROR = "error"
    IDLE = "idle"
    UNKNOWN = "unknown"


class Limit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A usage limit that an agent has reached. `words` are its own; `resets`: when it ends, None where it does not say.

    `resumes`: when it is told to go on by the person's rule. `tries`: how often it was told to go on by that rule since
    it last ended a turn well. `alone`: it goes on by itself. `why`: what told of it ("hook StopFailure", "its screen").
    """

    words: str
    noticed: datetime
    resets: datetime | None = None
    resumes: datetime | None = None
    tries: int = 0
    alone: bool = False
    why: str = ""


class Agent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One agent session that we know of."""

    session: str
    kind: str  # "claude", …
    state: AgentState
    since: datetime
    name: str = ""
    server: str | None = None
    pane: str | None = None
    window: str | None = None  # "@3"
    place: str = ""
    pid: int | None = None
    cwd: str = ""
    branch: str = ""
    detail: str = ""
    waiting_on: str = ""
    why: str = ""  # what told us: "hook PreToolUse", …
    tier: Tier = "baseline"
    limit: Limit | None = None  # why it is in error: its model takes nothing before this ends


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened. Everything that people, screens and the audit log learn of is one of these.

    Types: request · decision · approval.opened/changed/answered/withdrawn/expired/unknown ·
    action.started/finished/skipped/unknown · refused · step_up · grant.made/used/revoked · plan.changed ·
    agent.state/limited/wrapped · marker · marker.invalid · policy.loaded/error · notify.failed · check.delivered ·
    fleet.spawning/spawned/changed/undone · queue.task/paused · execution.ended · cast.started/ended ·
    sidecar.started/stopped/recovered · audit.rotated/damaged · tmux.attached/lost. `agent.state` is not kept in the
    audit log; all else is.
    """

    type: str
    request_id: str = ""
    origin: Origin | None = None
    data: dict[str, Any] = {}
