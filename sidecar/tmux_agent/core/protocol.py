"""Every message on the socket, once: JSON-RPC 2.0, one object per line (docs/protocol.md).

Owns the params Struct of each method, but for large groups that have a module of their own, and the table METHODS. What
a method gives back is in replies.py, the envelope and the framing in wire.py.
Must not own: what a method does (edges/server.py dispatches, services do).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from . import protocol_casts, protocol_chat, protocol_fleet, protocol_queue
from .model import Action
from .params import Params as Params
from .protocol_casts import CastList as CastList
from .protocol_casts import CastPlay as CastPlay
from .protocol_casts import CastRemove as CastRemove
from .protocol_casts import CastStart as CastStart
from .protocol_casts import CastStop as CastStop
from .protocol_chat import ChatFollow as ChatFollow
from .protocol_chat import ChatSay as ChatSay
from .protocol_fleet import FleetFinish as FleetFinish
from .protocol_fleet import FleetGet as FleetGet
from .protocol_fleet import FleetKill as FleetKill
from .protocol_fleet import FleetList as FleetList
from .protocol_fleet import FleetPause as FleetPause
from .protocol_fleet import FleetRead as FleetRead
from .protocol_fleet import FleetResume as FleetResume
from .protocol_fleet import FleetSend as FleetSend
from .protocol_fleet import FleetSpawn as FleetSpawn
from .protocol_fleet import FleetTemplates as FleetTemplates
from .protocol_queue import QueueAdd as QueueAdd
from .protocol_queue import QueueCancel as QueueCancel
from .protocol_queue import QueueEnded as QueueEnded
from .protocol_queue import QueueList as QueueList
from .protocol_queue import QueueLoad as QueueLoad
from .protocol_queue import QueueLog as QueueLog
from .protocol_queue import QueuePause as QueuePause
from .protocol_queue import QueueRetry as QueueRetry
from .protocol_queue import QueueRun as QueueRun
from .protocol_queue import QueueShow as QueueShow
from .protocol_terminals import TmuxExecute as TmuxExecute
from .protocol_terminals import TmuxExecution as TmuxExecution
from .protocol_terminals import TmuxExecutions as TmuxExecutions
from .protocol_terminals import TmuxFacts as TmuxFacts
from .protocol_terminals import TmuxInterrupt as TmuxInterrupt

PROTOCOL = 1
LINE_BYTES = 1 << 20  # of an ordinary line
HOOK_LINE_BYTES = 72 << 20  # of a hook.event line: 32 MiB of agent input, each byte of which may need a backslash

NAME_LENGTH = 256
PROMPT_BYTES = 16 << 10
DETAILS_BYTES = 256 << 10
OPTIONS = 50
TIMEOUT_SECONDS = 7 * 86400.0


# --- general ---------------------------------------------------------------------------------------


class Hello(Params, frozen=True):
    """What the sidecar is, and what it takes the caller for."""

    client: str = ""
    protocol: int = PROTOCOL


class Health(Params, frozen=True):
    """Whether all is well: policy, tmux servers, audit log, notifications."""


class Cancel(Params, frozen=True):
    """Withdraw a request in flight on this connection (a notification: it has no reply)."""

    id: int | str


# --- tmux ------------------------------------------------------------------------------------------


class TmuxSessions(Params, frozen=True):
    """Sessions of a tmux server."""

    server: str | None = None


class TmuxWindows(Params, frozen=True):
    """Windows of a tmux server."""

    server: str | None = None


class TmuxPanes(Params, frozen=True):
    """Panes of a tmux server, with the agent and its state where one runs there."""

    server: str | None = None


class TmuxRead(Params, frozen=True):
    """The text of a pane (or of a session's active pane): what it shows, `all` of its history, or what it printed since
    a cursor. An empty `since` gives the first cursor beside what is shown; from then on each reply to a cursor holds
    what came after it, nothing twice, and the next cursor.
    """

    pane_id: str | None = None
    session: str | None = None
    last_n_lines: int | None = None
    from_history: bool = False
    ansi: bool = False
    all: bool = False
    since: str | None = None
    server: str | None = None


class TmuxSwitch(Params, frozen=True):
    """Make a pane the current one, on one client or on all that show its session."""

    pane_id: str
    client: str | None = None
    server: str | None = None


class TmuxCreateSession(Params, frozen=True):
    """A new session, detached."""

    session_name: str
    cwd: str | None = None
    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    server: str | None = None


class TmuxCreatePane(Params, frozen=True):
    """A new pane beside `target`, or a new window in its session."""

    target: str
    direction: Literal["horizontal", "vertical"] = "vertical"
    new_window: bool = False
    command: str | None = None
    args: tuple[str, ...] = ()
    cwd: str | None = None
    server: str | None = None


class TmuxSendKeys(Params, frozen=True):
    """Press keys, by approved names only (Enter, C-c, Up, …)."""

    pane_id: str
    keys: tuple[str, ...]
    server: str | None = None


class TmuxSendText(Params, frozen=True):
    """Paste text into a pane (bracketed where the program asked for it); always judged."""

    pane_id: str
    text: str
    enter: bool = False
    server: str | None = None


class TmuxKillSession(Params, frozen=True):
    """End a session."""

    session: str
    server: str | None = None


class TmuxKillPane(Params, frozen=True):
    """End a pane."""

    pane_id: str
    server: str | None = None


class TmuxAttach(Params, frozen=True):
    """Tell the sidecar of a tmux server of this user, by its socket; the plugin calls it at start."""

    socket: str


# --- files and commands ------------------------------------------------------------------------------


class FileRead(Params, frozen=True):
    """Read a text file, whole or lines start_line..end_line (1-based, inclusive)."""

    path: str
    start_line: int | None = None
    end_line: int | None = None


class FileWrite(Params, frozen=True):
    """Write a file whole."""

    path: str
    content: str
    create_dirs: bool = False
    expected_sha256: str | None = None


class FileEdit(Params, frozen=True):
    """Replace `old_text` by `new_text`; it must occur exactly once unless `replace_all`."""

    path: str
    old_text: str
    new_text: str
    replace_all: bool = False
    expected_sha256: str | None = None


class FileCopy(Params, frozen=True):
    """Copy a file."""

    source: str
    destination: str
    overwrite: bool = False
    create_dirs: bool = False


class FileDelete(Params, frozen=True):
    """Delete a file (a backup is kept)."""

    path: str
    expected_sha256: str | None = None


class FileList(Params, frozen=True):
    """Entries of a folder."""

    path: str
    recursive: bool = False


class CommandRun(Params, frozen=True):
    """Run one program with arguments; no shell."""

    command: str
    args: tuple[str, ...] = ()
    cwd: str | None = None
    env: dict[str, str] = msgspec.field(default_factory=dict)
    stdin: str | None = None
    timeout: float | None = None
    dry_run: bool = False


class CommandAllowed(Params, frozen=True):
    """The rules in force for commands, in words and as data."""


# --- people ------------------------------------------------------------------------------------------


class HumanAsk(Params, frozen=True):
    """Ask a person and wait for the answer."""

    prompt: str
    action_type: str = ""
    urgency: Literal["low", "normal", "high", "critical"] = "normal"
    timeout_secs: float | None = None
    details: str = ""
    options: tuple[str, ...] = ()


class HumanAskAsync(Params, frozen=True):
    """Ask a person; the reply is the request_id to ask after with human.status."""

    prompt: str
    action_type: str = ""
    urgency: Literal["low", "normal", "high", "critical"] = "normal"
    timeout_secs: float | None = None
    details: str = ""
    options: tuple[str, ...] = ()


class HumanStatus(Params, frozen=True):
    """State of a request; with wait_secs, waits that long for it to end."""

    request_id: str
    wait_secs: float = 0.0


class HumanPending(Params, frozen=True):
    """Approvals that wait, oldest first. An agent sees its own."""

    cursor: str | None = None
    limit: int = 100


class HumanRespond(Params, frozen=True):
    """Answer an approval (operators only). `digest` is of the action that was shown."""

    request_id: str
    digest: str
    approved: bool
    comment: str = ""
    edited: Action | None = None
    grant: str | None = None
    choice: str | None = None


# --- plans -------------------------------------------------------------------------------------------


class PlanCreate(Params, frozen=True):
    """Say what is going to be done, step by step. Never executed; shown beside the agent's requests."""

    name: str
    steps: tuple[str, ...]
    description: str = ""


class PlanList(Params, frozen=True):
    """Plans, newest first."""

    limit: int = 100
    cursor: str | None = None


class PlanGet(Params, frozen=True):
    """One plan."""

    plan_id: str


class PlanUpdate(Params, frozen=True):
    """Set the status or notes of a step (0-based)."""

    plan_id: str
    step: int
    status: Literal["pending", "in_progress", "completed", "failed", "skipped"] | None = None
    notes: str | None = None


class PlanAdvance(Params, frozen=True):
    """Complete the current step and go on to the next."""

    plan_id: str
    notes: str = ""


class PlanAbort(Params, frozen=True):
    """End a plan."""

    plan_id: str
    reason: str = ""


# --- judgement ---------------------------------------------------------------------------------------


class Judge(Params, frozen=True):
    """Judge what the caller is about to do by itself; with `wait`, an `ask` waits for a person."""

    action: Action
    wait: bool = False


class HookEvent(Params, frozen=True):
    """An agent's hook. `input` is what the agent gave it: its own text, as the relay hands it over, or the object."""

    agent: str
    event: str
    input: str | dict[str, Any]
    relay_id: str = ""


class PolicyCheck(Params, frozen=True):
    """What the policy says of an action or of shell text; decides nothing, records nothing."""

    action: Action | None = None
    shell: str | None = None
    cwd: str | None = None


class PolicyReload(Params, frozen=True):
    """Read the policy files again (operators only)."""


class GrantList(Params, frozen=True):
    """Permissions given ahead, newest first."""

    cursor: str | None = None
    limit: int = 100


class LinkShow(Params, frozen=True):
    """A signed link to a request that waits (operators only): whoever has it can answer that request, once."""

    request_id: str


class LinkRotate(Params, frozen=True):
    """Sign links with a new key from now on (operators only). `at_once`: links that are open are good no more."""

    at_once: bool = False


class GrantRevoke(Params, frozen=True):
    """Take a grant back (operators only)."""

    grant_id: str


# --- agents ------------------------------------------------------------------------------------------


class AgentRegister(Params, frozen=True):
    """Give the calling session a name and a kind."""

    name: str
    kind: str = ""


class AgentSetState(Params, frozen=True):
    """Report the calling session's state."""

    state: Literal["working", "waiting", "done", "error", "idle", "unknown"]
    detail: str = ""


class AgentList(Params, frozen=True):
    """Agents that are known, with pane, state and what they wait for."""

    limit: int = 500
    cursor: str | None = None


class AgentExplain(Params, frozen=True):
    """Why a pane has the state that it has, or why what runs there is no agent: what was told, by what, and when.

    What stands on the screen is told to operators and to the pane itself alone.
    """

    pane_id: str
    server: str | None = None


class AgentResume(Params, frozen=True):
    """Have an agent go on after its usage limit (operators only): its own menu is told to, or `resume.text` is typed at
    its prompt, if its pane still shows the limit and nothing else is typed there. `target`: a pane, or the first
    characters of a session's id.
    """

    target: str
    server: str | None = None


# --- markers and pipelines ---------------------------------------------------------------------------


class SentryEmit(Params, frozen=True):
    """A marker over the socket instead of in the output: `{"type": "STATUS", "stage": "build", "ok": true}`.

    It counts for the caller's own pane. Under an `id` in it, it counts once, however often it is sent.
    """

    marker: dict[str, Any]


class SentryWatch(Params, frozen=True):
    """Watch a pane for markers, besides those that pipelines and rules watch (`on` false: no longer)."""

    pane_id: str
    on: bool = True
    server: str | None = None


class SentryRegister(Params, frozen=True):
    """What `tmux-agent wrap` asks, in the process that becomes the agent: markers in its pane whose `run` has this
    SHA-256 are signed, as long as it lives. For its own process, or the wrapper's for the one that it started, once;
    `project` is the agent's name for people. `sandbox`: it is about to enter the sandbox, and wants to know what the
    person has set for it.
    """

    token_sha256: str
    project: str = ""
    sandbox: bool = False


class SentryPanes(Params, frozen=True):
    """Panes that are watched, how each is read, and lines that began as markers and were none."""


class PipelineList(Params, frozen=True):
    """The pipelines that the configuration declares, and what is wrong with it."""


class PipelineRuns(Params, frozen=True):
    """Runs, newest first: of one pipeline; only those under way where `active`; older than the run id `cursor`."""

    pipeline: str = ""
    active: bool = False
    limit: int = 50
    cursor: str | None = None


class PipelineShow(Params, frozen=True):
    """One run, with what each stage does and waits for."""

    run_id: str


class PipelineStart(Params, frozen=True):
    """Begin a run, in a pane where one is named. An agent's call is judged, as the next three are."""

    pipeline: str
    pane_id: str | None = None
    server: str | None = None


class PipelineRetry(Params, frozen=True):
    """Try a stage again that failed, or all that did."""

    run_id: str
    stage: str = ""


class PipelineSkip(Params, frozen=True):
    """Take a stage for done, so that what needs it goes on."""

    run_id: str
    stage: str


class PipelineCancel(Params, frozen=True):
    """End a run; what it waits for is withdrawn."""

    run_id: str
    why: str = ""


class PipelineDryRun(Params, frozen=True):
    """What a pipeline would do, stage by stage, and what the policy says of it. Does and records nothing."""

    pipeline: str
    pane_id: str | None = None
    server: str | None = None


# --- events, audit, popup, the sidecar -----------------------------------------------------------------


class EventsSubscribe(Params, frozen=True):
    """From now on (or from `since`, a seq) send `event` notifications on this connection.

    `output`: also `pane.printed`, what watched panes print (told to operators only).
    """

    types: tuple[str, ...] = ()
    since: int | None = None
    output: bool = False


class AuditQuery(Params, frozen=True):
    """Records of the audit log, newest first (operators only)."""

    request_id: str | None = None
    type: str | None = None
    agent: str | None = None
    since: str | None = None
    cursor: str | None = None
    limit: int = 100


class AuditVerify(Params, frozen=True):
    """Check the chain."""

    from_seq: int | None = msgspec.field(default=None, name="from")


class PopupAttach(Params, frozen=True):
    """First message of a popup's relay; the connection is then the popup's terminal (edges/ui/relay.py)."""

    nonce: str
    columns: int
    rows: int
    term: str = ""
    colorterm: str = ""
    utf8: bool = True
    no_color: bool = False


class PopupOpen(Params, frozen=True):
    """Open the popup, at a request if one is named, on the tmux client that looks at the caller's pane; with `resume`
    (as `target` of agent.resume), at the question whether that agent is to go on.

    Anybody may call it: it shows, and answers nothing. It never opens over another popup.
    """

    request_id: str | None = None
    resume: str | None = None
    server: str | None = None  # of `resume`


class SidecarStop(Params, frozen=True):
    """Drain and stop (operators only)."""


METHODS: dict[str, type[Params]] = {
    "hello": Hello,
    "health": Health,
    "cancel": Cancel,
    "tmux.sessions": TmuxSessions,
    "tmux.windows": TmuxWindows,
    "tmux.panes": TmuxPanes,
    "tmux.read": TmuxRead,
    "tmux.switch": TmuxSwitch,
    "tmux.create_session": TmuxCreateSession,
    "tmux.create_pane": TmuxCreatePane,
    "tmux.send_keys": TmuxSendKeys,
    "tmux.send_text": TmuxSendText,
    "tmux.execute": TmuxExecute,
    "tmux.execution": TmuxExecution,
    "tmux.executions": TmuxExecutions,
    "tmux.interrupt": TmuxInterrupt,
    "tmux.facts": TmuxFacts,
    "tmux.kill_session": TmuxKillSession,
    "tmux.kill_pane": TmuxKillPane,
    "tmux.attach": TmuxAttach,
    "file.read": FileRead,
    "file.write": FileWrite,
    "file.edit": FileEdit,
    "file.copy": FileCopy,
    "file.delete": FileDelete,
    "file.list": FileList,
    "command.run": CommandRun,
    "command.allowed": CommandAllowed,
    "human.ask": HumanAsk,
    "human.ask_async": HumanAskAsync,
    "human.status": HumanStatus,
    "human.pending": HumanPending,
    "human.respond": HumanRespond,
    "plan.create": PlanCreate,
    "plan.list": PlanList,
    "plan.get": PlanGet,
    "plan.update": PlanUpdate,
    "plan.advance": PlanAdvance,
    "plan.abort": PlanAbort,
    "judge": Judge,
    "hook.event": HookEvent,
    "policy.check": PolicyCheck,
    "policy.reload": PolicyReload,
    "grant.list": GrantList,
    "grant.revoke": GrantRevoke,
    "link.show": LinkShow,
    "link.rotate": LinkRotate,
    "agent.register": AgentRegister,
    "agent.state": AgentSetState,
    "agent.list": AgentList,
    "agent.explain": AgentExplain,
    "agent.resume": AgentResume,
    "sentry.emit": SentryEmit,
    "sentry.register": SentryRegister,
    "sentry.watch": SentryWatch,
    "sentry.panes": SentryPanes,
    "pipeline.list": PipelineList,
    "pipeline.runs": PipelineRuns,
    "pipeline.show": PipelineShow,
    "pipeline.start": PipelineStart,
    "pipeline.retry": PipelineRetry,
    "pipeline.skip": PipelineSkip,
    "pipeline.cancel": PipelineCancel,
    "pipeline.dry_run": PipelineDryRun,
    **protocol_fleet.METHODS,
    **protocol_casts.METHODS,
    **protocol_queue.METHODS,
    **protocol_chat.METHODS,
    "events.subscribe": EventsSubscribe,
    "audit.query": AuditQuery,
    "audit.verify": AuditVerify,
    "popup.open": PopupOpen,
    "popup.attach": PopupAttach,
    "sidecar.stop": SidecarStop,
}

OPERATOR_ONLY = frozenset(
    {
        HumanRespond,
        PolicyReload,
        GrantRevoke,
        LinkShow,
        LinkRotate,
        AgentResume,
        AuditQuery,
        AuditVerify,
        PopupAttach,
        QueueLog,
        SidecarStop,
    }
)
# Sent again with the same `key`, these are the same request: nothing is asked or run twice.
KEYED = frozenset(
    {
        HumanAsk,
        HumanAskAsync,
        Judge,
        CommandRun,
        FileRead,
        FileList,
        FileWrite,
        FileEdit,
        FileCopy,
        FileDelete,
        TmuxRead,
        TmuxSwitch,
        TmuxCreateSession,
        TmuxCreatePane,
        TmuxSendKeys,
        TmuxSendText,
        TmuxKillSession,
        TmuxKillPane,
        TmuxExecute,
        TmuxInterrupt,
    }
)
# Nobody can tell by the request whether it was done: a client does not send these again by itself.
ONCE = frozenset(
    {
        PlanCreate,
        PlanAdvance,
        PlanAbort,
        HumanRespond,
        GrantRevoke,
        AgentResume,
        PipelineStart,
        PipelineRetry,
        PipelineSkip,
        PipelineCancel,
        *protocol_casts.ACTS,
        PopupAttach,
        PopupOpen,
        SidecarStop,
        *protocol_fleet.ONCE,
        *protocol_queue.ONCE,
        *protocol_chat.ONCE,
    }
)
