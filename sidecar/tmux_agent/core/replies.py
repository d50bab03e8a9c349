"""What the methods give back: the `data` of a reply, one Struct a method. Documented in docs/protocol.md, which a test
holds against these.

Owns what belongs to no group of methods, the table REPLIES, and how long a list in a reply may be: each group has a
module of its own, replies_*.py, as its params have. Members may be added later, so clients must ignore what they do not
know.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from . import (
    replies_agents,
    replies_casts,
    replies_chat,
    replies_fleet,
    replies_judging,
    replies_people,
    replies_pipelines,
    replies_queue,
    replies_tmux,
    replies_tools,
)
from .chain import Record
from .model import Origin
from .replies_agents import AgentsData as AgentsData
from .replies_agents import ExplainData as ExplainData
from .replies_agents import ExplainedQuestion as ExplainedQuestion
from .replies_agents import ExplainedScreen as ExplainedScreen
from .replies_agents import ExplainedWatch as ExplainedWatch
from .replies_agents import ReadingData as ReadingData
from .replies_agents import Resumed as Resumed
from .replies_agents import Told as Told
from .replies_judging import CheckData as CheckData
from .replies_judging import GrantsData as GrantsData
from .replies_judging import HookData as HookData
from .replies_judging import JudgeData as JudgeData
from .replies_judging import LinkData as LinkData
from .replies_judging import ReloadData as ReloadData
from .replies_judging import RotatedData as RotatedData
from .replies_people import AnswerData as AnswerData
from .replies_people import Asked as Asked
from .replies_people import PendingData as PendingData
from .replies_people import PlansData as PlansData
from .replies_people import StatusData as StatusData
from .replies_pipelines import Emitted as Emitted
from .replies_pipelines import PipelineData as PipelineData
from .replies_pipelines import PipelinesData as PipelinesData
from .replies_pipelines import Registered as Registered
from .replies_pipelines import RunData as RunData
from .replies_pipelines import RunsData as RunsData
from .replies_pipelines import StageData as StageData
from .replies_pipelines import WatchedData as WatchedData
from .replies_pipelines import WatchedPane as WatchedPane
from .replies_terminals import ExecutionData as ExecutionData
from .replies_terminals import ExecutionsData as ExecutionsData
from .replies_terminals import FactsData as FactsData
from .replies_tmux import PanesData as PanesData
from .replies_tmux import PaneText as PaneText
from .replies_tmux import SessionsData as SessionsData
from .replies_tmux import Switched as Switched
from .replies_tmux import TmuxMade as TmuxMade
from .replies_tmux import TmuxPane as TmuxPane
from .replies_tmux import TmuxSession as TmuxSession
from .replies_tmux import TmuxWindow as TmuxWindow
from .replies_tmux import WindowsData as WindowsData
from .replies_tools import AllowedData as AllowedData
from .replies_tools import AllowedRule as AllowedRule
from .replies_tools import CommandData as CommandData
from .replies_tools import DryRun as DryRun
from .replies_tools import Entry as Entry
from .replies_tools import FileContent as FileContent
from .replies_tools import FileCopied as FileCopied
from .replies_tools import FileDeleted as FileDeleted
from .replies_tools import FileEdited as FileEdited
from .replies_tools import FileListed as FileListed
from .replies_tools import FileWritten as FileWritten
from .reply import Data as Data
from .reply import Nothing as Nothing

T = TypeVar("T")


class HelloData(Data, frozen=True):
    server: str
    version: str
    protocol: int
    origin: Origin
    methods: tuple[str, ...]


class PolicyHealth(Data, frozen=True):
    file: str
    rules: int
    loaded_at: str
    error: str | None = None


class TmuxHealth(Data, frozen=True):
    socket: str
    panes: int
    connected: bool


class AuditHealth(Data, frozen=True):
    file: str
    records: int
    head: str
    error: str | None = None


class HealthData(Data, frozen=True):
    """`began`: when its code was read, in seconds since 1970; `package`: the folder of that. `running`: actions that it
    carries out at this moment, whose ends would be unknown if it was killed."""

    status: str  # "ok" or "degraded"
    uptime_s: float
    pid: int
    version: str
    policy: PolicyHealth
    tmux: tuple[TmuxHealth, ...]
    pending: int
    audit: AuditHealth
    notify: str
    warnings: tuple[str, ...] = ()
    began: float = 0.0
    package: str = ""
    running: int = 0


class RecordsData(Data, frozen=True):
    """Records of the audit log, newest first."""

    records: tuple[Record, ...]
    cursor: str | None = None


class Subscribed(Data, frozen=True):
    """`seq` is of the newest event so far, `lost` counts those after `since` that are kept no longer."""

    seq: int
    lost: int = 0


class EventData(Data, frozen=True):
    """`params` of an `event` notification. `seq` is 0 for what is not in the audit log (`agent.state`).

    `events.lost` says in `data.count` how many this client was too slow to be told of.
    """

    seq: int
    timestamp: datetime
    type: str
    request_id: str = ""
    origin: Origin | None = None
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class VerifiedData(Data, frozen=True):
    ok: bool
    records: int
    first_bad: str | None = None


# Method → the type of its `data`. None: no JSON follows (the connection becomes a terminal).
REPLIES: dict[str, Any] = {
    "hello": HelloData,
    "health": HealthData,
    "cancel": Nothing,
    **replies_tmux.REPLIES,
    **replies_tools.REPLIES,
    **replies_people.REPLIES,
    **replies_judging.REPLIES,
    **replies_agents.REPLIES,
    **replies_pipelines.REPLIES,
    **replies_fleet.REPLIES,
    **replies_casts.REPLIES,
    **replies_queue.REPLIES,
    **replies_chat.REPLIES,
    "events.subscribe": Subscribed,
    "audit.query": RecordsData,
    "audit.verify": VerifiedData,
    "popup.open": Nothing,
    "popup.attach": None,
    "sidecar.stop": Nothing,
}

PAGE_BYTES = 4 << 20


def page(found: Sequence[T], size: int) -> tuple[T, ...]:
    """The first `size` of a list, fewer where one reply would get too long; one at the least, where there is one."""
    kept: list[T] = []
    room = PAGE_BYTES
    for one in found[:size]:
        room -= len(json.dumps(msgspec.to_builtins(one)))
        if room < 0 and kept:
            break
        kept.append(one)
    return tuple(kept)
