"""What the methods give back: the `data` of a reply, one Struct a method. Documented in docs/protocol.md, which a test
holds against these.

Owns only shapes, but for large groups that have a module of their own. Members may be added later, so clients must
ignore what they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from . import replies_casts, replies_chat, replies_fleet, replies_queue
from .chain import Record
from .model import Agent, Approval, Decision, Grant, JudgedPart, Match, Origin, Plan, Verdict
from .replies_terminals import ExecutionData as ExecutionData
from .replies_terminals import ExecutionsData as ExecutionsData
from .replies_terminals import FactsData as FactsData
from .reply import Data as Data
from .reply import Nothing as Nothing
from .settings import Sandbox

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


class TmuxSession(Data, frozen=True):
    """A session. `created` and `activity` are seconds since the epoch, `attached` counts clients. `commands`: how many
    executions were typed there (tmux.execute), and when the last one."""

    id: str
    name: str
    created: int
    attached: int
    windows: int
    activity: int
    commands: int = 0
    last_command: float | None = None


class TmuxWindow(Data, frozen=True):
    """A window. `flags` are tmux's own (`*` current, `-` last, `Z` zoomed, …)."""

    id: str
    session: str
    index: int
    name: str
    active: bool
    panes: int
    width: int
    height: int
    flags: str


class TmuxPane(Data, frozen=True):
    """A pane. `pane_pid` is of the program that tmux started in it; `created` of its session: tmux keeps no other."""

    id: str
    window: str
    session: str
    window_index: int
    index: int
    pane_pid: int
    tty: str
    active: bool
    dead: bool
    in_mode: bool
    input_off: bool
    synchronized: bool
    alternate: bool
    width: int
    height: int
    created: int
    session_name: str
    window_name: str
    title: str
    current_path: str
    current_command: str
    agent: str | None = None
    state: str | None = None
    paused: bool = False  # what runs in it stands still (fleet.pause)


class SessionsData(Data, frozen=True):
    sessions: tuple[TmuxSession, ...]


class WindowsData(Data, frozen=True):
    windows: tuple[TmuxWindow, ...]


class PanesData(Data, frozen=True):
    panes: tuple[TmuxPane, ...]


class PaneText(Data, frozen=True):
    """Lines as people see them: what tmux wrapped is joined. With a cursor: as they were printed, so that lines joined
    by line ends are the text, and `lost` says how many bytes before them were no longer kept, `missed` whether any went
    by unheard (the pane's pipe was somebody else's for a while), `note` why no more comes."""

    lines: tuple[str, ...]
    truncated: bool
    alternate_screen: bool
    cursor: str = ""
    lost: int = 0
    missed: bool = False
    note: str = ""


class Switched(Data, frozen=True):
    client: str


class TmuxMade(Data, frozen=True):
    """Ids of what was made."""

    session_id: str
    window_id: str
    pane_id: str
    pane_pid: int


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


class FileListed(Data, frozen=True):
    entries: tuple[Entry, ...]
    truncated: bool = False


class FileCopied(Data, frozen=True):
    """`backup` is of what the copy replaced."""

    bytes: int
    backup: str | None = None


class FileDeleted(Data, frozen=True):
    backup: str | None = None


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


class AllowedRule(Data, frozen=True):
    """A rule in force: one sentence, where it stands, and its `when` as the policy file has it."""

    name: str
    verdict: Verdict
    words: str
    where: str
    when: dict[str, Any] = msgspec.field(default_factory=dict)


class AllowedData(Data, frozen=True):
    rules: tuple[AllowedRule, ...]


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


class ReloadData(Data, frozen=True):
    """What is wrong with the files (then the last good ones stay in force), and the number of rules."""

    errors: tuple[str, ...]
    rules: int


class AgentsData(Data, frozen=True):
    agents: tuple[Agent, ...]
    cursor: str | None = None


class Told(Data, frozen=True):
    """Something that was told of an agent. `note`: why it changed nothing."""

    at: datetime
    what: str  # "hook PreToolUse"
    state: str = ""
    note: str = ""


class ExplainedQuestion(Data, frozen=True):
    """An open question of a pane, and what the policy said of it."""

    request_id: str
    what: str
    since: datetime
    rule: str = ""
    reason: str = ""


class ExplainedScreen(Data, frozen=True):
    """What the rules for screens read in a pane. `text`: the question, or the words of a limit, as they stand there."""

    agent: str
    state: str
    rule: str = ""
    text: str = ""


class ExplainedWatch(Data, frozen=True):
    """How a pane is watched for markers: `how` as in WatchedPane, "" where it is not. What was printed is told to
    people, and to who runs there; `withheld` from others."""

    how: str = ""
    withheld: bool = False
    markers: tuple[str, ...] = ()  # the last ones, a line each, oldest first
    invalid: tuple[str, ...] = ()  # lines that began as markers and were none, with why


class ReadingData(Data, frozen=True):
    """What a pane's output says besides markers. `state`: success, failure, working, waiting or unknown; `confidence`
    from 0 to 1; `text`: what led to it; `strategy`: json, notification, screen or build."""

    state: str = "unknown"
    confidence: float = 0.0
    text: str = ""
    strategy: str = ""


class ExplainData(Data, frozen=True):
    """Why a pane has its state. Several `agents` are in one pane where one starts another."""

    pane: str
    place: str
    because: str  # the answer in a sentence
    programs: tuple[str, ...]  # "claude(4711)", that run in the pane
    agents: tuple[Agent, ...] = ()
    told: tuple[Told, ...] = ()  # of the first of them, the newest last
    screen: ExplainedScreen | None = None
    questions: tuple[ExplainedQuestion, ...] = ()
    decision: Decision | None = None  # the last one of the policy about what it wanted to do
    watched: ExplainedWatch = ExplainedWatch()
    reading: ReadingData | None = None  # of a pane that is watched


class Resumed(Data, frozen=True):
    """What was pressed, and what came of it."""

    summary: str


class Registered(Data, frozen=True):
    """`sandbox`: the settings of that name, where they were asked for."""

    sandbox: Sandbox | None = None


class Emitted(Data, frozen=True):
    """`first`: whether it was new. `request_id`: of the question that an ASK became."""

    first: bool
    request_id: str = ""


class WatchedPane(Data, frozen=True):
    server: str
    pane: str
    place: str
    how: str  # "its output", "from its screen", "not yet"
    invalid: tuple[str, ...] = ()  # lines that began as markers and were none, with why
    reading: ReadingData = ReadingData()


class WatchedData(Data, frozen=True):
    panes: tuple[WatchedPane, ...]


class PipelineData(Data, frozen=True):
    name: str
    stages: tuple[str, ...]
    start: str  # match, manual
    match: dict[str, Any] = msgspec.field(default_factory=dict)


class PipelinesData(Data, frozen=True):
    pipelines: tuple[PipelineData, ...]
    errors: tuple[str, ...] = ()


class StageData(Data, frozen=True):
    """One stage of a run, or one instance of it. `does`: its actions, a line each; `did`: what came of each so far;
    `waits_for`: in words. `pane`: where it is another than the run's."""

    name: str
    state: str
    attempt: int = 0
    since: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    reason: str = ""
    progress: float | None = None
    waits_for: str = ""
    does: tuple[str, ...] = ()
    did: tuple[str, ...] = ()  # "", "doing", "done", "failed: exit code 2", "unknown"
    verdicts: tuple[str, ...] = ()  # of a dry run: what the policy says of each action
    pane: str | None = None


class RunData(Data, frozen=True):
    run_id: str
    pipeline: str
    state: str
    created: datetime
    stages: tuple[StageData, ...]
    ended: datetime | None = None
    note: str = ""
    server: str | None = None
    pane: str | None = None
    place: str = ""


class RunsData(Data, frozen=True):
    runs: tuple[RunData, ...]
    cursor: str | None = None


class GrantsData(Data, frozen=True):
    grants: tuple[Grant, ...]
    cursor: str | None = None


class LinkData(Data, frozen=True):
    url: str


class RotatedData(Data, frozen=True):
    earlier: int  # keys whose open links are still taken


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
    "tmux.sessions": SessionsData,
    "tmux.windows": WindowsData,
    "tmux.panes": PanesData,
    "tmux.read": PaneText,
    "tmux.switch": Switched,
    "tmux.create_session": TmuxMade,
    "tmux.create_pane": TmuxMade,
    "tmux.send_keys": Nothing,
    "tmux.send_text": Nothing,
    "tmux.execute": ExecutionData,
    "tmux.execution": ExecutionData,
    "tmux.executions": ExecutionsData,
    "tmux.interrupt": ExecutionData,
    "tmux.facts": FactsData,
    "tmux.kill_session": Nothing,
    "tmux.kill_pane": Nothing,
    "tmux.attach": Nothing,
    "file.read": FileContent,
    "file.write": FileWritten,
    "file.edit": FileEdited,
    "file.copy": FileCopied,
    "file.delete": FileDeleted,
    "file.list": FileListed,
    "command.run": CommandData,
    "command.allowed": AllowedData,
    "human.ask": AnswerData,
    "human.ask_async": Asked,
    "human.status": StatusData,
    "human.pending": PendingData,
    "human.respond": Approval,
    "plan.create": Plan,
    "plan.list": PlansData,
    "plan.get": Plan,
    "plan.update": Plan,
    "plan.advance": Plan,
    "plan.abort": Plan,
    "judge": JudgeData,
    "hook.event": HookData,
    "policy.check": CheckData,
    "policy.reload": ReloadData,
    "grant.list": GrantsData,
    "grant.revoke": Grant,
    "link.show": LinkData,
    "link.rotate": RotatedData,
    "agent.register": Nothing,
    "agent.state": Nothing,
    "agent.list": AgentsData,
    "agent.explain": ExplainData,
    "agent.resume": Resumed,
    "sentry.emit": Emitted,
    "sentry.register": Registered,
    "sentry.watch": Nothing,
    "sentry.panes": WatchedData,
    "pipeline.list": PipelinesData,
    "pipeline.runs": RunsData,
    "pipeline.show": RunData,
    "pipeline.start": RunData,
    "pipeline.retry": RunData,
    "pipeline.skip": RunData,
    "pipeline.cancel": RunData,
    "pipeline.dry_run": RunData,
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
