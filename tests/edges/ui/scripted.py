"""A desk made of lists, requests to fill it, and a terminal at the far end of a popup."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pyte
from tests.patience import PATIENCE

from tmux_agent.core.errors import Conflict, Denied, InvalidParams, NotFound
from tmux_agent.core.menus import Page
from tmux_agent.core.model import (
    Action,
    Agent,
    AgentState,
    Answer,
    Approval,
    ApprovalState,
    Ask,
    Command,
    Decision,
    Event,
    File,
    JudgedPart,
    Origin,
    Plan,
    PlanStep,
    Risk,
    Role,
    Shell,
    Verdict,
    digest,
)  # fmt: skip
from tmux_agent.core.replies import PipelineData, RunData, StageData
from tmux_agent.edges.ui.desk import Choices, Finished, GrantProposal, Start
from tmux_agent.edges.ui.serving import serve
from tmux_agent.edges.ui.wire import Attach

NOW = datetime(2026, 11, 20, 14, 2, 0, tzinfo=UTC)

DIFF = """--- a/src/db.py
+++ b/src/db.py
@@ -12,7 +12,10 @@ class Store:
     def connect(self) -> None:
-        self.db = sqlite3.connect(self.path)
+        self.db = sqlite3.connect(self.path, timeout=5.0)
+        # readers must not wait for the writer
+        self.db.execute("PRAGMA journal_mode=WAL")
         self.migrate()
"""


def origin(agent: str = "claude", place: str = "shop:1", branch: str = "feat/login", **more: Any) -> Origin:
    return Origin(
        role=Role.AGENT, why="scripted", uid=1000, pid=4242, agent=agent, place=place, branch=branch, pane="%7",
        cwd="/home/ana/src/shop", session=f"session of {agent}", **more,
    )  # fmt: skip


def approval(action: Action, number: int = 1, age: float = 12, **more: Any) -> Approval:
    given = {"origin": origin(), "kind": "hook", "rule": "unmatched", "where": "default", **more}
    return Approval(
        request_id=f"01K{number:05d}",
        digest=digest(action),
        action=action,
        created=NOW - timedelta(seconds=age),
        **given,
    )


def shell(text: str, number: int = 1, **more: Any) -> Approval:
    return approval(Shell(text=text, cwd="/home/ana/src/shop"), number, **more)


def three() -> list[Approval]:
    """The three requests of the pictures: a dangerous line, a file's diff, a question."""
    rm = shell(
        "rm -rf build && npm ci", 1, age=72, risk=Risk.HIGH, rule="recursive delete", where="policy.yaml:41",
        grants=("once", "exact", "shape"),
        parts=(
            JudgedPart(source="rm -rf build", verdict=Verdict.ASK, rule="recursive delete", risk=Risk.HIGH,
                       reason="removes a folder, 214 files, inside the worktree"),
            JudgedPart(source="npm ci", verdict=Verdict.ASK, rule="unmatched", risk=Risk.MEDIUM,
                       reason="runs package scripts, reaches the network"),
        ),
    )  # fmt: skip
    edit = approval(
        File(verb="edit", path="/home/ana/src/api/src/db.py", cwd="/home/ana/src/api", old_text="x", new_text="y"),
        2, 40,
        origin=msgspec.structs.replace(origin("codex", "api:2", "main"), cwd="/home/ana/src/api"), risk=Risk.MEDIUM,
        preview=DIFF, rule="edits ask", where="policy.yaml:58",
    )  # fmt: skip
    ask = approval(
        Ask(prompt="Which region shall the bucket be in?",
            options=("eu-central-1", "eu-west-1", "us-east-1", "none yet")),
        3, 12, origin=origin("gemini", "docs:1", ""), kind="question",
    )  # fmt: skip
    return [rm, edit, ask]


def agents() -> list[Agent]:
    def one(kind: str, state: AgentState, place: str, seconds: int, detail: str) -> Agent:
        since = NOW - timedelta(seconds=seconds)
        return Agent(session=kind, kind=kind, state=state, since=since, place=place, detail=detail)

    return [
        one("claude", AgentState.WORKING, "shop:1", 42, "npm test"),
        one("codex", AgentState.WORKING, "api:2", 190, "reads src/db.py"),
        one("gemini", AgentState.DONE, "docs:1", 1500, "finished: the style guide"),
        one("opencode", AgentState.ERROR, "infra:3", 4000, "usage limit, resumes at 15:00"),
    ]


def recent() -> list[Finished]:
    def one(seconds: int, verdict: str, action: Action, agent: str, by: str) -> Finished:
        return Finished(at=NOW - timedelta(seconds=seconds), verdict=verdict, action=action, agent=agent, by=by)

    there = "/home/ana/src/shop"
    return [
        one(65, "approved", Shell(text="npm ci", cwd=there), "claude", "you"),
        one(240, "allowed", Shell(text="git status --short", cwd=there), "claude", "rule read-only git"),
        one(700, "denied", Shell(text="git push --force origin main", cwd=there), "codex", "you"),
        one(2900, "approved", File(verb="edit", path=f"{there}/src/cart.ts", cwd=there), "codex", "you"),
        one(9000, "expired", Command(argv=("terraform", "plan"), cwd=there), "opencode", "nobody"),
    ]


class ScriptedFleet:
    """Nobody runs; of what a form for somebody may be made."""

    async def choices(self, page: Page) -> Choices:
        return Choices(repository="/home/ana/src/shop", branches=("main",), agents=("claude",), here="main")


class ScriptedDesk:
    """The Desk protocol over plain lists; `answers` keeps what was sent."""

    def __init__(self, waiting: list[Approval] | None = None) -> None:
        self.waiting = waiting if waiting is not None else three()
        self.ended: dict[str, Approval] = {}
        self.answers: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.unwell: list[str] = []
        self.known = agents()
        self.past = recent()
        self.plan: Plan | None = Plan(
            plan_id="p", name="login", created=NOW, updated=NOW, current=1,
            steps=tuple(PlanStep(description=text) for text in ("Read", "Rebuild from clean", "Test", "Fix", "Ship")),
        )  # fmt: skip
        self.pane = ["$ npm test", "  42 passing (3s)", "$ "]
        self.decision = Decision(verdict=Verdict.ASK, rule="unmatched", reason="no rule knows it", risk=Risk.MEDIUM)
        self.proposals = proposals()
        self.secret = "sesame"
        self._listeners: list[asyncio.Queue[Event]] = []
        self.pipelines = ScriptedPipelines(self.tell)
        self.fleet = ScriptedFleet()

    def tell(self, type_: str = "approval.changed") -> None:
        for queue in self._listeners:
            queue.put_nowait(Event(type=type_))

    def end(self, request_id: str, state: ApprovalState, note: str = "") -> None:
        """Somebody else ends a request."""
        found = next(one for one in self.waiting if one.request_id == request_id)
        self.waiting.remove(found)
        self.ended[request_id] = msgspec.structs.replace(found, state=state, note=note)
        self.tell()

    def pending(self) -> list[Approval]:
        return list(self.waiting)

    def find(self, request_id: str) -> Approval | None:
        return self.ended.get(request_id)

    def recent(self, count: int) -> list[Finished]:
        return self.past[:count]

    def agents(self) -> list[Agent]:
        return self.known

    def warnings(self) -> list[str]:
        return self.unwell

    def plan_for(self, approval: Approval) -> Plan | None:
        return self.plan

    async def subscribe(self) -> AsyncIterator[Event]:
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.append(queue)
        while True:
            yield await queue.get()

    async def answer(
        self,
        request_id: str,
        digest: str,
        approved: bool,
        comment: str = "",
        edited: Action | None = None,
        choice: str | None = None,
        grant: GrantProposal | None = None,
        secret: str | None = None,
    ) -> Approval:
        found = next((one for one in self.waiting if one.request_id == request_id), None)
        if found is None or found.digest != digest:
            raise Conflict("already answered, or changed since it was shown")
        if approved and found.step_up and secret != self.secret:
            raise Denied("the proof failed")
        self.answers.append({"id": request_id, "digest": digest, "approved": approved, "comment": comment,
                             "edited": edited, "choice": choice, "grant": grant})  # fmt: skip
        self.waiting.remove(found)
        state = ApprovalState.APPROVED if approved else ApprovalState.DENIED
        done = msgspec.structs.replace(found, state=state, answer=Answer(approved=approved, at=NOW))
        self.ended[request_id] = done
        self.tell()
        return done

    async def check(self, approval: Approval, edited: Action) -> Decision:
        return self.decision

    async def grant_proposals(self, approval: Approval) -> list[GrantProposal]:
        return self.proposals

    async def revise(self, approval: Approval, proposal: GrantProposal, rule_text: str) -> GrantProposal:
        if "when" not in rule_text:
            raise InvalidParams("the rule has no `when`")
        return msgspec.structs.replace(proposal, rule_text=rule_text, what="as edited")

    async def jump(self, approval: Approval) -> None:
        if not approval.origin.pane:
            raise NotFound("this request came from no pane")
        self.told.append(f"jump {approval.request_id}")

    async def peek(self, approval: Approval, count: int) -> list[str]:
        return self.pane[-count:]


def pipeline_runs() -> list[RunData]:
    """One run under way that waits for a person, as the pictures show it."""

    def stage(name: str, state: str, begun: float | None = None, ended: float | None = None, **more: Any) -> StageData:
        times = {key: NOW - timedelta(seconds=at) for key, at in (("started", begun), ("ended", ended)) if at}
        since = NOW - timedelta(seconds=ended or begun or 300)
        given = {"since": since, "attempt": 1 if begun else 0, **times, **more}
        return StageData(name=name, state=state, **given)

    return [
        RunData(
            run_id="01KRUN0000000000000000000A", pipeline="webapp-ci", state="running",
            created=NOW - timedelta(seconds=265), server="/tmp/tmux", pane="%7", place="shop:1",
            stages=(
                stage("lint", "success", 265, 251),
                stage("unit (3.11)", "running", 250, progress=60.0, waits_for="a marker"),
                stage("unit (3.12)", "retrying", 250, attempt=2, waits_for="its next try", reason="exit code 1"),
                stage("スタイル", "failed", 250, 200, reason="3 of 41 pages differ from the style guide"),
                stage("build", "approval", waits_for="your approval"),
                stage("deploy", "waiting", waits_for="unit, build"),
            ),
        )
    ]  # fmt: skip


def pipeline_ended() -> list[RunData]:
    lint = StageData(name="lint", state="success", started=NOW - timedelta(seconds=900))
    sign = StageData(name="sign", state="failed", attempt=1, started=NOW - timedelta(seconds=860),
                     ended=NOW - timedelta(seconds=850), reason="gpg: no secret key")  # fmt: skip
    first = RunData(
        run_id="01KRUN00000000000000000008", pipeline="release", state="failed", place="api:2", pane="%9",
        server="/tmp/tmux", created=NOW - timedelta(seconds=900), ended=NOW - timedelta(seconds=850),
        stages=(lint, sign), note="sign: gpg: no secret key",
    )  # fmt: skip
    again = msgspec.structs.replace(
        first, run_id="01KRUN00000000000000000007", state="success", stages=(lint,), note=""
    )
    return [
        first,
        msgspec.structs.replace(again, created=NOW - timedelta(seconds=8000), ended=NOW - timedelta(seconds=7900)),
    ]


class ScriptedPipelines:
    """The Pipelines protocol over plain lists; `wanted` keeps what was asked for."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.running: list[RunData] = []
        self.past: list[RunData] = []
        self.asked: dict[tuple[str, str], str] = {}
        self.files = [PipelineData(name="webapp-ci", stages=("lint", "test", "build"), start="match")]
        self.unread: list[str] = []
        self.wanted: list[Any] = []
        self.told: list[str] = []
        self.refusal: Exception | None = None
        self._tell = tell

    def now(self, run: RunData) -> None:
        """Something of a run has changed, or it is new; it has ended where its state says so."""
        self.running = [one for one in self.running if one.run_id != run.run_id]
        self.past = [one for one in self.past if one.run_id != run.run_id]
        (self.running if run.state == "running" else self.past).insert(0, run)
        self._tell("pipeline.stage")

    def runs(self) -> list[RunData]:
        return self.running

    def hidden(self) -> int:
        return 0

    def requests(self) -> dict[tuple[str, str], str]:
        return self.asked

    async def ended(self, count: int) -> list[RunData]:
        return self.past[:count]

    async def whole(self, run_id: str) -> RunData:
        run = next(one for one in (*self.running, *self.past) if one.run_id == run_id)
        stages = tuple(
            msgspec.structs.replace(one, does=(f"type: npm run {one.name}",), did=("done",)) for one in run.stages
        )
        return msgspec.structs.replace(run, stages=stages)

    async def markers(self, run: RunData, count: int) -> list[str]:
        return ["11-20 14:01:00  PROGRESS unit 60 %"]

    def declared(self) -> list[PipelineData]:
        return self.files

    def wrong(self) -> list[str]:
        return self.unread

    def folder(self) -> str:
        return "/home/ana/.config/tmux-agent/pipelines"

    def starts(self, page: Page) -> list[Start]:
        return [Start(pipeline=one.name, server=page.server, pane=page.pane, place="shop:1") for one in self.files]

    async def would(self, start: Start) -> RunData:
        run = await self.whole(self.running[0].run_id)
        stages = tuple(msgspec.structs.replace(one, verdicts=("asked, by 'builds ask'",)) for one in run.stages)
        return msgspec.structs.replace(run, pipeline=start.pipeline, stages=stages)

    async def act(self, wanted: Any) -> RunData:
        if self.refusal:
            raise self.refusal
        self.wanted.append(wanted)
        return self.running[0]

    async def go(self, server: str, pane: str) -> None:
        self.told.append(f"go {pane}")


def proposals() -> list[GrantProposal]:
    rule = "when:\n  command: [npm, ci]\n  options: []\nverdict: allow\n"
    no = "would not match: npm ci --prefix x · npm install"
    return [
        GrantProposal(scope="exact", what="this exact command", limit="this session"),
        GrantProposal(
            scope="shape", what="npm ci", limit="this session", note=no, rule={"verdict": "allow"}, rule_text=rule
        ),
        GrantProposal(scope="30m", what="npm ci", limit="30 minutes · 10 times", note=no, rule_text=rule),
        GrantProposal(
            scope="always", what="npm ci", limit="always", note="writes policy.d/50-grants.yaml", rule_text=rule
        ),
    ]


class Terminal:
    """The relay's side of a popup: sends frames, keeps every byte, and a pyte screen of them."""

    def __init__(self, desk: ScriptedDesk, columns: int = 100, rows: int = 24, **attach: Any) -> None:
        self.desk = desk
        self.attach = Attach(columns=columns, rows=rows, term="screen-256color", **attach)
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.bytes = bytearray()
        self.closed = False
        self.clock: Callable[[], datetime] = lambda: NOW

    async def __aenter__(self) -> Terminal:
        import socket

        near, far = socket.socketpair()
        self.reader, self.writer = await asyncio.open_unix_connection(sock=near)
        reader, writer = await asyncio.open_unix_connection(sock=far)
        self.task = asyncio.create_task(serve(reader, writer, self.attach, self.desk, self.clock))
        assert await self.reader.readexactly(1) == b"K"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        await asyncio.wait_for(self.task, PATIENCE)

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def send(self, kind: bytes, data: bytes) -> None:
        self.writer.write(kind + len(data).to_bytes(4, "big") + data)

    def type(self, text: str) -> None:
        self.send(b"d", text.encode())

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        self.send(b"w", columns.to_bytes(2, "big") + rows.to_bytes(2, "big"))

    async def read(self) -> bool:
        """The next bytes onto the screen; False at the end."""
        data = await asyncio.wait_for(self.reader.read(65536), PATIENCE)
        self.bytes += data
        self.closed = not data or data.endswith(b"\0")
        self._stream.feed(data.replace(b"\0", b""))
        return not self.closed

    async def until(self, holds: Callable[[str], bool] | str) -> str:
        """Reads until the screen says so, and returns it."""
        check = (lambda text: holds in text) if isinstance(holds, str) else holds
        while not check(self.text()):
            try:
                more = await self.read()
            except TimeoutError:
                raise AssertionError(f"waited for {holds!r}; the screen is:\n{self.text()}") from None
            assert more or check(self.text()), f"closed; the screen was:\n{self.text()}"
        return self.text()

    async def end(self) -> None:
        """Reads until the popup has closed."""
        while not self.closed:
            await self.read()
