"""What the methods give back: the `data` of a reply, one Struct a method. Documented in docs/protocol.md, which a test
holds against these.

Owns only shapes. Members may be added later, so clients must ignore what they do not know.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from .chain import Record
from .model import Agent, Approval, Decision, Grant, JudgedPart, Match, Origin, Plan, Verdict


class Data(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all replies."""


class Nothing(Data, frozen=True):
    """Done; there is nothing to say."""


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


class Entry(Data, frozen=True):
    """One entry of a folder. `modified` is RFC 3339."""

    name: str
    type: str  # file, dir, symlink, fifo, socket, device
    size: int = 0
    modified: str = ""


class FileContent(Data, frozen=True):
    content: str
    lines: int
    sha256: str
    truncated: bool
    encoding: str


class FileWritten(Data, frozen=True):
    bytes: int
    diff: str
    backup: str | None = None


class FileEdited(Data, frozen=True):
    edited: bool
    replacements: int
    diff: str
    backup: str


class CommandData(Data, frozen=True):
    exit_code: int | None
    stdout: str = ""
    stderr: str = ""
    truncated: bool = False
    duration_ms: float = 0.0
    signal: str | None = None


class DryRun(Data, frozen=True):
    """What command.run would do."""

    would_run: tuple[str, ...]
    cwd: str
    verdict: Verdict
    rule: str
    reason: str


class AnswerData(Data, frozen=True):
    """A person's answer to human.ask."""

    approved: bool
    approved_by: str
    answered_at: datetime
    comment: str = ""
    choice: str | None = None


class Asked(Data, frozen=True):
    request_id: str


class StatusData(Data, frozen=True):
    """State of a request; the answer once there is one."""

    request_id: str
    state: str
    answer: AnswerData | None = None
    result: Any = None  # of what was run after a yes
    note: str = ""


class PendingData(Data, frozen=True):
    """`others` counts those that wait and that the caller may not see."""

    approvals: tuple[Approval, ...]
    cursor: str | None = None
    others: int = 0


class PlansData(Data, frozen=True):
    plans: tuple[Plan, ...]
    cursor: str | None = None


class JudgeData(Data, frozen=True):
    verdict: Verdict
    rule: str
    reason: str
    edited: Any = None
    comment: str = ""


class HookData(Data, frozen=True):
    """What the relay gives back to the agent."""

    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0


class CheckData(Data, frozen=True):
    verdict: Verdict
    rule: str
    reason: str
    rules: tuple[Match, ...] = ()
    parts: tuple[JudgedPart, ...] = ()

    @classmethod
    def of(cls, decision: Decision) -> CheckData:
        return cls(
            verdict=decision.verdict,
            rule=decision.rule,
            reason=decision.reason,
            rules=decision.matched,
            parts=decision.parts,
        )


class AgentsData(Data, frozen=True):
    agents: tuple[Agent, ...]
    cursor: str | None = None


class GrantsData(Data, frozen=True):
    grants: tuple[Grant, ...]
    cursor: str | None = None


class RecordsData(Data, frozen=True):
    """Records of the audit log, newest first."""

    records: tuple[Record, ...]
    cursor: str | None = None


class Subscribed(Data, frozen=True):
    """`seq` is of the newest event so far; notifications follow."""

    seq: int


class VerifiedData(Data, frozen=True):
    ok: bool
    records: int
    first_bad: str | None = None
