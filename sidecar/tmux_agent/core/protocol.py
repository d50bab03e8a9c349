"""Every message on the socket: JSON-RPC 2.0, one object per line (docs/protocol.md).

Owns what belongs to no group of methods, and the tables METHODS, OPERATOR_ONLY, KEYED and ONCE: each group has a module
of its own, protocol_*.py, with the params Structs of its methods and its rows of these tables. What a method gives back
is in replies.py, the envelope and the framing in wire.py.
Must not own: what a method does (edges/methods.py dispatches, services do).
"""

from __future__ import annotations

import msgspec

from . import (
    protocol_agents,
    protocol_casts,
    protocol_chat,
    protocol_fleet,
    protocol_judging,
    protocol_people,
    protocol_pipelines,
    protocol_queue,
    protocol_terminals,
    protocol_tmux,
    protocol_tools,
)
from .params import Params as Params
from .protocol_agents import AgentExplain as AgentExplain
from .protocol_agents import AgentList as AgentList
from .protocol_agents import AgentRegister as AgentRegister
from .protocol_agents import AgentResume as AgentResume
from .protocol_agents import AgentSetState as AgentSetState
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
from .protocol_judging import GrantList as GrantList
from .protocol_judging import GrantRevoke as GrantRevoke
from .protocol_judging import HookEvent as HookEvent
from .protocol_judging import Judge as Judge
from .protocol_judging import LinkRotate as LinkRotate
from .protocol_judging import LinkShow as LinkShow
from .protocol_judging import PolicyCheck as PolicyCheck
from .protocol_judging import PolicyReload as PolicyReload
from .protocol_people import HumanAsk as HumanAsk
from .protocol_people import HumanAskAsync as HumanAskAsync
from .protocol_people import HumanPending as HumanPending
from .protocol_people import HumanRespond as HumanRespond
from .protocol_people import HumanStatus as HumanStatus
from .protocol_people import PlanAbort as PlanAbort
from .protocol_people import PlanAdvance as PlanAdvance
from .protocol_people import PlanCreate as PlanCreate
from .protocol_people import PlanGet as PlanGet
from .protocol_people import PlanList as PlanList
from .protocol_people import PlanUpdate as PlanUpdate
from .protocol_pipelines import PipelineCancel as PipelineCancel
from .protocol_pipelines import PipelineDryRun as PipelineDryRun
from .protocol_pipelines import PipelineList as PipelineList
from .protocol_pipelines import PipelineRetry as PipelineRetry
from .protocol_pipelines import PipelineRuns as PipelineRuns
from .protocol_pipelines import PipelineShow as PipelineShow
from .protocol_pipelines import PipelineSkip as PipelineSkip
from .protocol_pipelines import PipelineStart as PipelineStart
from .protocol_pipelines import SentryEmit as SentryEmit
from .protocol_pipelines import SentryPanes as SentryPanes
from .protocol_pipelines import SentryRegister as SentryRegister
from .protocol_pipelines import SentryWatch as SentryWatch
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
from .protocol_tmux import TmuxAttach as TmuxAttach
from .protocol_tmux import TmuxCreatePane as TmuxCreatePane
from .protocol_tmux import TmuxCreateSession as TmuxCreateSession
from .protocol_tmux import TmuxKillPane as TmuxKillPane
from .protocol_tmux import TmuxKillSession as TmuxKillSession
from .protocol_tmux import TmuxPanes as TmuxPanes
from .protocol_tmux import TmuxRead as TmuxRead
from .protocol_tmux import TmuxSendKeys as TmuxSendKeys
from .protocol_tmux import TmuxSendText as TmuxSendText
from .protocol_tmux import TmuxSessions as TmuxSessions
from .protocol_tmux import TmuxSwitch as TmuxSwitch
from .protocol_tmux import TmuxWindows as TmuxWindows
from .protocol_tools import CommandAllowed as CommandAllowed
from .protocol_tools import CommandRun as CommandRun
from .protocol_tools import FileCopy as FileCopy
from .protocol_tools import FileDelete as FileDelete
from .protocol_tools import FileEdit as FileEdit
from .protocol_tools import FileList as FileList
from .protocol_tools import FileRead as FileRead
from .protocol_tools import FileWrite as FileWrite

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
    **protocol_tmux.METHODS,
    **protocol_tools.METHODS,
    **protocol_people.METHODS,
    **protocol_judging.METHODS,
    **protocol_agents.METHODS,
    **protocol_pipelines.METHODS,
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

OPERATOR_ONLY: frozenset[type[Params]] = frozenset(
    {
        *protocol_people.OPERATOR_ONLY,
        *protocol_judging.OPERATOR_ONLY,
        *protocol_agents.OPERATOR_ONLY,
        *protocol_queue.OPERATOR_ONLY,
        AuditQuery,
        AuditVerify,
        PopupAttach,
        SidecarStop,
    }
)
# Sent again with the same `key`, these are the same request: nothing is asked or run twice.
KEYED: frozenset[type[Params]] = frozenset(
    {
        *protocol_tmux.KEYED,
        *protocol_terminals.KEYED,
        *protocol_tools.KEYED,
        *protocol_people.KEYED,
        *protocol_judging.KEYED,
    }
)
# Nobody can tell by the request whether it was done: a client does not send these again by itself.
ONCE: frozenset[type[Params]] = frozenset(
    {
        *protocol_people.ONCE,
        *protocol_judging.ONCE,
        *protocol_agents.ONCE,
        *protocol_pipelines.ONCE,
        *protocol_fleet.ONCE,
        *protocol_casts.ONCE,
        *protocol_queue.ONCE,
        *protocol_chat.ONCE,
        PopupAttach,
        PopupOpen,
        SidecarStop,
    }
)
