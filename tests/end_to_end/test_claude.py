"""Hooks of the real Claude Code: installed by setup, carried by the relay, read and answered by the adapter.

A stand-in of the sidecar answers as each test says, so that every answer that Claude can get is tried on its own.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace
from tests.end_to_end.real_claude import PROGRAM, SKIP, WAIT, Claude
from tests.patience import AGAIN

from tmux_agent.core.hooks import HookCall, HookReply
from tmux_agent.core.model import (
    Answer,
    Approval,
    ApprovalState,
    Decision,
    Origin,
    Role,
    Shell,
    Verdict,
    digest,
)
from tmux_agent.edges.adapters import claude
from tmux_agent.services.journal import utc_now

pytestmark = [pytest.mark.skipif(PROGRAM is None, reason=SKIP), pytest.mark.timeout(600)]

T = TypeVar("T")
QUESTION = {
    "question": "Which region?",
    "header": "Region",
    "multiSelect": False,
    "options": [{"label": "Europe", "description": "eu"}, {"label": "Asia", "description": "as"}],
}
SCRIPT: dict[str, Any] = {
    "go-shell": [{"shell": "touch made && echo done"}, {"text": "The shell turn is over."}],
    "go-ask": [
        {"tool": {"name": "AskUserQuestion", "args": {"questions": [QUESTION]}}},
        {"text": "The ask turn is over."},
    ],
    "go-plan": [
        {"tool": {"name": "ExitPlanMode", "args": {"plan": "1. touch it"}}},
        {"text": "The plan turn is over."},
    ],
    "*": [{"text": "Hello."}],
}


class StandIn:
    """Listens where the sidecar would, keeps what it hears, answers by `answers[event]`; no entry: silence."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.answers: dict[str, Callable[[HookCall], HookReply | Coroutine[Any, Any, HookReply]]] = {}
        self.calls: list[HookCall] = []
        self.relays: list[str] = []
        self.gone: list[str] = []  # events whose relay went away before it was answered
        self._changed = asyncio.Condition()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.socket, limit=64 << 20)

    async def stop(self) -> None:
        """As a sidecar that is killed: every connection ends."""
        assert self._server
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        self.socket.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        work = ended = None
        try:
            params = json.loads(await reader.readline())["params"]
            call = claude.parse(params["event"], params["input"])
            async with self._changed:
                self.calls.append(call)
                self.relays.append(params["relay_id"])
                self._changed.notify_all()
            work, ended = asyncio.ensure_future(self._answer(call)), asyncio.ensure_future(reader.read())
            await asyncio.wait((work, ended), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                reply = work.result()
                data = {"stdout": reply.stdout, "stderr": reply.stderr, "exit_code": reply.exit_code}
                line = {"id": 1, "result": {"request_id": "1", "timestamp": "", "data": data}}
                writer.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            else:
                async with self._changed:
                    self.gone.append(call.event)
                    self._changed.notify_all()
        except asyncio.CancelledError:
            pass  # stopped: what waited gets no answer, as from a sidecar that was killed
        finally:
            for part in (work, ended):
                if part:
                    part.cancel()
            writer.close()

    async def _answer(self, call: HookCall) -> HookReply:
        found = self.answers.get(call.event, lambda _: HookReply())(call)
        return found if isinstance(found, HookReply) else await found

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(WAIT), self._changed:
                await self._changed.wait_for(holds)
        except TimeoutError:
            raise AssertionError(f"{what} never came; heard {[call.event for call in self.calls]}") from None

    async def heard(self, event: str) -> HookCall:
        """The first call of this event, once it was heard."""
        await self.until(lambda: any(call.event == event for call in self.calls), event)
        return next(call for call in self.calls if call.event == event)


def judged(verdict: Verdict, *, named: bool = True) -> Callable[[HookCall], HookReply]:
    decision = Decision(verdict=verdict, rule="test rule", reason="for the test", named=named)
    return lambda call: claude.answer_judgement(call, decision)


def answered(call: HookCall, state: ApprovalState, **answer: Any) -> HookReply:
    assert call.action
    action = answer.pop("action", call.action)
    return claude.answer_approval(
        call,
        Approval(
            request_id="1",
            digest=digest(action),
            action=action,
            origin=Origin(role=Role.AGENT, why="", uid=0, pid=1),
            created=utc_now(),
            state=state,
            answer=Answer(approved=state is ApprovalState.APPROVED, at=utc_now(), **answer),
        ),
    )


async def pressed(session: Claude, key: str, came: Coroutine[Any, Any, T]) -> T:
    """Presses `key`, and again where nothing came of it: Claude draws a dialog a moment before it listens."""
    coming = asyncio.ensure_future(came)
    while not coming.done():
        session.press(key)
        await asyncio.wait([coming], timeout=AGAIN)
    return coming.result()


def run(test: Callable[[Claude, StandIn], Coroutine[Any, Any, None]], *arguments: str, listening: bool = True) -> None:
    """Start both, run the test, end both."""

    async def whole() -> None:
        # A short path, for the sockets; the agent's last child may still write there when the agent has ended.
        with tempfile.TemporaryDirectory(prefix="ta-claude-", ignore_cleanup_errors=True) as folder:
            home = Path(folder)
            stand_in, session = StandIn(home / "s"), Claude(home, home / "s")
            try:
                if listening:
                    await stand_in.start()
                await session.start(SCRIPT, *arguments)
                await test(session, stand_in)
            finally:
                await session.close()
                if listening:
                    await stand_in.stop()

    asyncio.run(whole())


def test_allow_runs_without_a_dialog() -> None:
    """A named allow is enough: the tool runs, no dialog, no PermissionRequest; every event reaches us."""

    async def test(session: Claude, stand_in: StandIn) -> None:
        stand_in.answers["PreToolUse"] = judged(Verdict.ALLOW)
        await session.say("please go-shell")
        await session.shows("The shell turn is over.")
        await stand_in.heard("Stop")
        assert (session.project / "made").exists()
        events = [call.event for call in stand_in.calls]
        assert "PermissionRequest" not in events
        assert {"SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolBatch", "Stop"} <= set(events)
        assert not [call for call in stand_in.calls if call.unreadable]
        before, after = await stand_in.heard("PreToolUse"), await stand_in.heard("PostToolUse")
        assert after.over == ((before.tool_use, before.key),)
        assert before.action == Shell(text="touch made && echo done", cwd=str(session.project))

    run(test)


def test_deny_reaches_the_model() -> None:
    """A deny stops the tool, also with permissions bypassed, and the model reads why."""

    async def test(session: Claude, stand_in: StandIn) -> None:
        stand_in.answers["PreToolUse"] = judged(Verdict.DENY)
        await session.say("please go-shell")
        await session.shows("The shell turn is over.")
        assert not (session.project / "made").exists()
        assert "denied by rule 'test rule': for the test" in session.results()

    run(test, "--dangerously-skip-permissions")


def test_ask_is_not_skipped_by_bypass_mode() -> None:
    """A named ask shows Claude's dialog even where Claude was told to skip all permissions."""

    async def test(session: Claude, stand_in: StandIn) -> None:
        stand_in.answers["PreToolUse"] = judged(Verdict.ASK)
        await session.say("please go-shell")
        await session.shows("Do you want to proceed?")
        assert not (session.project / "made").exists()

    run(test, "--dangerously-skip-permissions")


def test_no_opinion_leaves_the_dialog_and_a_yes_answers_it() -> None:
    """Silence shows Claude's dialog; while it shows, a yes from elsewhere, edited, runs what was shown there."""

    async def test(session: Claude, stand_in: StandIn) -> None:
        decided = asyncio.Event()

        async def permission(call: HookCall) -> HookReply:
            await decided.wait()
            assert isinstance(call.action, Shell)
            return answered(call, ApprovalState.APPROVED, action=replace(call.action, text="touch edited"))

        stand_in.answers["PreToolUse"] = judged(Verdict.ASK, named=False)
        stand_in.answers["PermissionRequest"] = permission
        await session.say("please go-shell")
        await session.shows("Do you want to proceed?")
        decided.set()
        await session.shows("The shell turn is over.")
        assert (session.project / "edited").exists()
        assert not (session.project / "made").exists()

    run(test)


def test_a_no_carries_its_reason() -> None:
    """A no from elsewhere closes the dialog, and the model reads the person's words."""

    async def test(session: Claude, stand_in: StandIn) -> None:
        stand_in.answers["PermissionRequest"] = lambda call: answered(call, ApprovalState.DENIED, comment="use make")
        await session.say("please go-shell")
        await session.shows("The shell turn is over.")
        assert not (session.project / "made").exists()
        assert "a person said no: use make" in session.results()

    run(test)


def test_a_question_is_answered_from_elsewhere() -> None:
    """The option chosen elsewhere is what Claude takes for the person's answer."""

    async def test(session: Claude, stand_in: StandIn) -> None:
        stand_in.answers["PermissionRequest"] = lambda call: answered(call, ApprovalState.APPROVED, choice="Asia")
        await session.say("please go-ask")
        await session.shows("The ask turn is over.")
        assert '"Which region?"="Asia"' in session.results()

    run(test)


def test_a_plan_is_agreed_to_from_elsewhere() -> None:
    """A yes to the plan lets Claude go ahead with it."""

    async def test(session: Claude, stand_in: StandIn) -> None:
        stand_in.answers["PermissionRequest"] = lambda call: answered(call, ApprovalState.APPROVED)
        await session.say("please go-plan")
        await session.shows("The plan turn is over.")
        assert "approved your plan" in session.results()

    run(test, "--permission-mode", "plan")


def test_an_answer_in_claudes_dialog_is_heard_of() -> None:
    """A yes in the dialog is followed by PostToolUse of the same use, while the other hook still waits."""

    async def test(session: Claude, stand_in: StandIn) -> None:
        async def never(call: HookCall) -> HookReply:
            await asyncio.Event().wait()
            return HookReply()

        stand_in.answers["PermissionRequest"] = never
        await session.say("please go-shell")
        await session.shows("Do you want to proceed?")
        asked = await stand_in.heard("PermissionRequest")
        done = await pressed(session, "Enter", stand_in.heard("PostToolUse"))
        assert asked.key in dict(done.over).values()
        assert "PermissionRequest" not in stand_in.gone

    run(test)


def test_escape_ends_the_hook() -> None:
    """Esc in Claude's dialog ends the relay at once, so that the approval can be withdrawn."""

    async def test(session: Claude, stand_in: StandIn) -> None:
        async def never(call: HookCall) -> HookReply:
            await asyncio.Event().wait()
            return HookReply()

        stand_in.answers["PermissionRequest"] = never
        await session.say("please go-shell")
        await session.shows("Do you want to proceed?")
        await stand_in.heard("PermissionRequest")
        ended = stand_in.until(lambda: "PermissionRequest" in stand_in.gone, "the end of the relay")
        await pressed(session, "Escape", ended)
        assert not (session.project / "made").exists()

    run(test)


def test_a_restart_of_the_sidecar_loses_nothing() -> None:
    """Killed while a hook waits and started again: the same relay asks again, and gets its answer."""

    async def test(session: Claude, stand_in: StandIn) -> None:
        first = asyncio.Event()

        async def permission(call: HookCall) -> HookReply:
            if not first.is_set():
                first.set()
                await asyncio.Event().wait()
            return answered(call, ApprovalState.APPROVED)

        stand_in.answers["PermissionRequest"] = permission
        await session.say("please go-shell")
        await first.wait()
        await stand_in.stop()
        await stand_in.start()
        await session.shows("The shell turn is over.")
        asked = [at for at, call in enumerate(stand_in.calls) if call.event == "PermissionRequest"]
        assert len(asked) == 2
        assert len({stand_in.relays[at] for at in asked}) == 1
        assert (session.project / "made").exists()

    run(test)


def test_without_a_sidecar_claude_asks() -> None:
    """Nobody there: Claude's dialog shows, with permissions bypassed too, and says why."""

    async def test(session: Claude, stand_in: StandIn) -> None:
        await session.say("please go-shell")
        screen = await session.shows("Do you want to proceed?")
        assert "the sidecar is away" in screen
        assert not (session.project / "made").exists()

    run(test, "--dangerously-skip-permissions", listening=False)
