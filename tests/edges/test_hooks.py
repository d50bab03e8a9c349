"""hook.event from the agent's JSON to what its relay prints, on the real journal, approvals and states."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from tests.patience import PATIENCE
from tests.services.sidecar_values import question

from tmux_agent.core import errors
from tmux_agent.core import protocol as p
from tmux_agent.core.errors import InvalidParams, Unavailable
from tmux_agent.core.model import (
    Action,
    AgentState,
    Approval,
    ApprovalState,
    Decision,
    Origin,
    Role,
    Shell,
    Verdict,
)
from tmux_agent.edges import hooks
from tmux_agent.edges.hooks import Hooks
from tmux_agent.services.agents import Agents
from tmux_agent.services.answers import Answers
from tmux_agent.services.approvals import Approvals
from tmux_agent.services.grants import Grants
from tmux_agent.services.guard import Guard
from tmux_agent.services.ids import new_id
from tmux_agent.services.journal import Journal
from tmux_agent.services.kept_rules import KeptRules
from tmux_agent.services.proofs import Proofs

AGENT = Origin(role=Role.AGENT, why="", uid=0, pid=9, agent="claude", session="999999999:1", pane="%1")
PERSON = Origin(role=Role.OPERATOR, why="", uid=0, pid=1)
ASK = Decision(verdict=Verdict.ASK, rule="unmatched", reason="no rule", named=False)


class Sidecar:
    """The services that hooks need; `decision` is what the policy says to everything."""

    def __init__(self, folder: Path) -> None:
        self.decision = ASK
        self.journal = Journal(folder / "db", folder / "audit.jsonl")
        self.agents = Agents(self.journal)
        self.grants = Grants(self.journal, own=self.agents.own)
        self.approvals = Approvals(self.journal, self.grants)
        defaults = SimpleNamespace(on_unavailable="ask")
        policy = SimpleNamespace(defaults=defaults)
        self.judgement: Any = SimpleNamespace(
            judge=self._judge, used=lambda _: None, reading=lambda _: (), policy=policy, still_holds=lambda *_: None
        )
        self.toolbox: Any = SimpleNamespace(preview=self._preview)
        kept = KeptRules(folder)
        self.guard = Guard(self.judgement, self.journal, self.approvals, self.grants, self.toolbox)
        proofs = Proofs(self.journal, lambda *_, **__: True)
        self.answers = Answers(self.judgement, self.journal, self.approvals, self.grants, self.toolbox, kept, proofs)
        self.given_up: list[Approval] = []
        self.screens: Any = SimpleNamespace(gave_up=self.given_up.append)
        self.hooks = Hooks(self)  # type: ignore[arg-type]
        self.relays = 0

    def _judge(self, action: Action, origin: Origin, grants: Any, **_: Any) -> Any:
        return SimpleNamespace(decision=self.decision, facts={}, left=())

    async def _preview(self, action: Action, origin: Origin) -> str:
        return "--- diff"

    async def __aenter__(self) -> Sidecar:
        await self.journal.start()
        await self.approvals.recover()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.approvals.stopping = True
        await self.approvals.close()
        self.agents.close()
        await self.journal.close()

    async def hook(self, event: str, *, origin: Origin = AGENT, relay: str = "", **given: Any) -> dict[str, Any]:
        """One hook of the session "s"; what its relay prints, as JSON."""
        self.relays += 1
        data = {"session_id": "s", "prompt_id": "p", "cwd": "/home/u/shop"} | given
        params = p.HookEvent(agent="claude", event=event, input=json.dumps(data), relay_id=relay or f"r{self.relays}")
        reply = await self.hooks.handle(params, origin, new_id())
        assert (reply.stderr, reply.exit_code) == ("", 0)
        found: dict[str, Any] = json.loads(reply.stdout)["hookSpecificOutput"] if reply.stdout else {}
        return found

    async def opened(self, event: str = "PermissionRequest", **given: Any) -> tuple[Approval, asyncio.Task[Any]]:
        """A hook that waits, and its approval."""
        heard = await self.journal.subscribe({"approval.opened"})
        task = asyncio.ensure_future(self.hook(event, **given))
        async for one in heard:
            heard.close()
            return self.approvals.get(one.event.request_id), task
        raise AssertionError("the journal ended")

    async def answer(self, approval: Approval, approved: bool, **more: Any) -> None:
        await self.answers.answer(approval.request_id, approval.digest, approved, PERSON, **more)


def bash(command: str = "rm x", **more: Any) -> dict[str, Any]:
    return {"tool_name": "Bash", "tool_input": {"command": command}} | more


def run(folder: Path, test: Callable[[Sidecar], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(PATIENCE), Sidecar(folder) as sidecar:
            await test(sidecar)

    asyncio.run(whole())


def test_a_judgement_is_recorded_and_said(tmp_path: Path) -> None:
    """A named decision is answered, an unmatched one is silence; either is in the log first."""

    async def test(sidecar: Sidecar) -> None:
        sidecar.decision = Decision(verdict=Verdict.ALLOW, rule="reads", reason="only reads")
        assert (await sidecar.hook("PreToolUse", **bash("ls")))["permissionDecision"] == "allow"
        sidecar.decision = ASK
        assert await sidecar.hook("PreToolUse", **bash("make")) == {}
        assert sidecar.journal.audit.read_text().count('"decision"') == 2

    run(tmp_path, test)


def test_unreadable_input_is_asked_and_recorded(tmp_path: Path) -> None:
    """What cannot be judged is no free pass, whatever the policy would say."""

    async def test(sidecar: Sidecar) -> None:
        sidecar.decision = Decision(verdict=Verdict.ALLOW, rule="all", reason="")
        assert (await sidecar.hook("PreToolUse", tool_name="Bash", tool_input=[]))["permissionDecision"] == "ask"
        assert '"unreadable"' in sidecar.journal.audit.read_text()

    run(tmp_path, test)


@pytest.mark.parametrize("configured", list(Verdict))
def test_what_cannot_be_recorded_is_not_allowed(tmp_path: Path, configured: Verdict) -> None:
    """With the log away a named allow is not given: on_unavailable says what is, and never allow."""

    async def test(sidecar: Sidecar) -> None:
        async def away(*_: object) -> None:
            raise Unavailable("no space left")

        sidecar.judgement.policy.defaults.on_unavailable = configured
        sidecar.decision = Decision(verdict=Verdict.ALLOW, rule="all", reason="")
        sidecar.guard.judge = away  # type: ignore[assignment, method-assign]
        said = (await sidecar.hook("PreToolUse", **bash())).get("permissionDecision")
        assert said == {Verdict.ALLOW: None, Verdict.ASK: "ask", Verdict.DENY: "deny"}[configured]

    run(tmp_path, test)


def test_yes_no_and_edit(tmp_path: Path) -> None:
    """The person's answer is what the relay prints; meanwhile the agent waits."""

    async def test(sidecar: Sidecar) -> None:
        approval, task = await sidecar.opened(**bash("rm x"))
        assert (approval.kind, approval.expires, approval.origin.door) == ("hook", None, "hook")
        assert approval.action == Shell(text="rm x", cwd="/home/u/shop")
        (agent,) = sidecar.agents.list()
        assert (agent.state, agent.waiting_on) == (AgentState.WAITING, "rm x")
        await sidecar.answer(approval, True, edited=Shell(text="rm y", cwd="/home/u/shop"))
        assert (await task)["decision"] == {"behavior": "allow", "updatedInput": {"command": "rm y"}}
        assert sidecar.agents.list()[0].state is AgentState.WORKING
        approval, task = await sidecar.opened(**bash("rm z"))
        await sidecar.answer(approval, False, comment="never")
        assert (await task)["decision"]["message"].endswith("a person said no: never")

    run(tmp_path, test)


def test_a_question_with_options(tmp_path: Path) -> None:
    """Claude's own question is a question here too, and its option goes back."""

    async def test(sidecar: Sidecar) -> None:
        question = {"question": "Which?", "options": [{"label": "A"}, {"label": "B"}]}
        approval, task = await sidecar.opened(tool_name="AskUserQuestion", tool_input={"questions": [question]})
        await sidecar.answer(approval, True, choice="B")
        assert (await task)["decision"]["updatedInput"]["answers"] == {"Which?": "B"}

    run(tmp_path, test)


def test_a_relay_that_goes_away_withdraws(tmp_path: Path) -> None:
    """Esc in the agent's dialog ends the hook: its approval leaves, the agent is idle."""

    async def test(sidecar: Sidecar) -> None:
        approval, task = await sidecar.opened(**bash())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ended = await sidecar.approvals.wait(approval.request_id)
        assert ended.state is ApprovalState.WITHDRAWN
        assert sidecar.agents.list()[0].state is AgentState.IDLE

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("event", "given", "withdrawn"),
    [
        ("PostToolUse", bash(tool_use_id="t1"), True),
        ("PostToolUse", bash(), True),
        ("PostToolUseFailure", bash(tool_use_id="t1", error="x"), True),
        ("PostToolUse", {"tool_name": "Bash", "tool_input": {"command": "edited"}, "tool_use_id": "t1"}, True),
        ("PostToolUse", bash(tool_use_id="t0"), False),
        ("PostToolUse", bash("other", tool_use_id="t2"), False),
        ("PostToolUse", bash(session_id="other"), False),
        ("PostToolBatch", {"tool_calls": [bash("a", tool_use_id="t0"), bash(tool_use_id="t1")]}, True),
        ("Stop", {}, True),
        ("Stop", {"prompt_id": "old"}, False),
        ("Stop", {"prompt_id": None}, True),
        ("StopFailure", {"error": "x"}, True),
        ("UserPromptSubmit", {"prompt_id": "new"}, True),
        ("UserPromptSubmit", {}, False),
        ("SubagentStop", {"agent_id": "helper"}, False),
        ("SessionEnd", {"prompt_id": "other"}, True),
        ("SessionEnd", {"session_id": "s2"}, False),
        ("Notification", {"notification_type": "permission_prompt"}, False),
        ("PreToolUse", bash("next"), False),
        ("Unheard", {}, False),
    ],
)
def test_later_hooks_withdraw(tmp_path: Path, event: str, given: dict[str, Any], withdrawn: bool) -> None:
    """What tells that the dialog was answered, or is over, withdraws ours; what does not, does not."""

    async def test(sidecar: Sidecar) -> None:
        await sidecar.hook("PreToolUse", **bash(tool_use_id="t1"))
        approval, task = await sidecar.opened(**bash())
        await sidecar.hook(event, **given)
        assert (sidecar.approvals.get(approval.request_id).state is ApprovalState.WITHDRAWN) is withdrawn
        if withdrawn:
            assert await task == {}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(tmp_path, test)


def test_helpers_keep_their_own(tmp_path: Path) -> None:
    """A helper's question outlives its parent's turn, and ends with the helper or the session."""

    async def test(sidecar: Sidecar) -> None:
        approval, task = await sidecar.opened(**bash(agent_id="h1"))
        await sidecar.hook("Stop")
        await sidecar.hook("SubagentStop", agent_id="h2")
        assert sidecar.approvals.get(approval.request_id).state is ApprovalState.PENDING
        await sidecar.hook("SubagentStop", agent_id="h1")
        assert await task == {}
        approval, task = await sidecar.opened(**bash(agent_id="h1"))
        await sidecar.hook("SessionEnd")
        assert await task == {}

    run(tmp_path, test)


def test_another_agent_cannot_withdraw(tmp_path: Path) -> None:
    """Hooks below another process that name this session change nothing of it."""

    async def test(sidecar: Sidecar) -> None:
        approval, task = await sidecar.opened(**bash())
        other = replace(AGENT, session="999999998:1")
        for event in ("PostToolUse", "Stop", "SessionEnd"):
            await sidecar.hook(event, origin=other, **bash())
        assert sidecar.approvals.get(approval.request_id).state is ApprovalState.PENDING
        await sidecar.answer(approval, True)
        await task

    run(tmp_path, test)


def test_a_resend_opens_nothing_new(tmp_path: Path) -> None:
    """The same relay asks again, on a new connection: one approval, one answer for both; another relay has its own."""

    async def test(sidecar: Sidecar) -> None:
        approval, first = await sidecar.opened(relay="one", **bash())
        again = asyncio.ensure_future(sidecar.hook("PermissionRequest", relay="one", **bash()))
        other, third = await sidecar.opened(relay="two", **bash())
        assert other.request_id != approval.request_id
        assert len(sidecar.approvals.pending()) == 2
        await sidecar.answer(approval, True)
        assert (await first)["decision"] == (await again)["decision"] == {"behavior": "allow"}
        await sidecar.answer(other, False)
        assert (await third)["decision"]["behavior"] == "deny"
        late = await sidecar.hook("PermissionRequest", relay="one", **bash())
        assert late["decision"] == {"behavior": "allow"}

    run(tmp_path, test)


def test_a_restart_keeps_question_and_answer(tmp_path: Path) -> None:
    """Asked before, answered after the restart, or answered and never told: the relay that comes back learns it."""

    async def before(sidecar: Sidecar) -> None:
        _, one = await sidecar.opened(relay="one", **bash("one"))
        approval, two = await sidecar.opened(relay="two", **bash("two"))
        sidecar.approvals.stopping = True
        for task in (one, two):
            task.cancel()
        await asyncio.gather(one, two, return_exceptions=True)
        await sidecar.answer(approval, True)

    async def after(sidecar: Sidecar) -> None:
        (approval,) = sidecar.approvals.pending()
        task = asyncio.ensure_future(sidecar.hook("PermissionRequest", relay="one", **bash("one")))
        told = await sidecar.hook("PermissionRequest", relay="two", **bash("two"))
        assert told["decision"] == {"behavior": "allow"}
        await sidecar.answer(approval, False)
        assert (await task)["decision"]["behavior"] == "deny"

    run(tmp_path, before)
    run(tmp_path, after)


def test_hooks_that_do_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart, what no relay waits for any more is withdrawn; what one came back for stays."""
    monkeypatch.setattr(hooks, "ORPHANED", 0.0)

    async def before(sidecar: Sidecar) -> None:
        tasks = [(await sidecar.opened(relay=relay, **bash(relay)))[1] for relay in ("gone", "back")]
        sidecar.approvals.stopping = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def after(sidecar: Sidecar) -> None:
        wait, is_back = sidecar.approvals.wait, asyncio.Event()

        def waits(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Approval]:
            is_back.set()
            return wait(*args, **kwargs)

        monkeypatch.setattr(sidecar.approvals, "wait", waits)
        back = asyncio.ensure_future(sidecar.hook("PermissionRequest", relay="back", **bash("back")))
        await is_back.wait()
        await sidecar.hooks.drop_orphans()
        (left,) = sidecar.approvals.pending()
        assert left.action == Shell(text="back", cwd="/home/u/shop")
        await sidecar.answer(left, True)
        await back

    run(tmp_path, before)
    run(tmp_path, after)


@pytest.mark.parametrize("stranger", [{"pane": "%2"}, {"pane": None, "tty": "/dev/pts/7", "ancestry": ("x(77)",)}])
def test_who_is_no_known_agent_ends_nobody_elses(tmp_path: Path, stranger: dict[str, Any]) -> None:
    """Whatever session it claims: without an agent above it, a hook counts for its pane, or its kin, alone."""
    mine = replace(AGENT, agent=None, session="5:1", server="/t", pane="%1")

    async def test(sidecar: Sidecar) -> None:
        approval, task = await sidecar.opened(origin=mine, **bash())
        other = replace(mine, session="6:1", **stranger)
        for event in ("PostToolUse", "Stop", "UserPromptSubmit", "SessionEnd"):
            await sidecar.hook(event, origin=other, **bash())
        assert sidecar.approvals.get(approval.request_id).state is ApprovalState.PENDING
        await sidecar.hook("PostToolUse", origin=replace(mine, session="7:1"), **bash())
        assert sidecar.approvals.get(approval.request_id).state is ApprovalState.WITHDRAWN
        await task

    run(tmp_path, test)


def test_too_many_leave_the_agents_own_dialog(tmp_path: Path) -> None:
    """Over the limit nothing is opened, and silence leaves the dialog where it is."""

    async def test(sidecar: Sidecar) -> None:
        sidecar.approvals._limit = 0
        assert await sidecar.hook("PermissionRequest", **bash()) == {}

    run(tmp_path, test)


def test_unknown_agents_are_an_error(tmp_path: Path) -> None:
    """Only agents that have an adapter are understood."""

    async def test(sidecar: Sidecar) -> None:
        params = p.HookEvent(agent="else", event="PreToolUse", input="{}", relay_id="r")
        with pytest.raises(InvalidParams, match="claude"):
            await sidecar.hooks.handle(params, AGENT, new_id())

    run(tmp_path, test)


def test_a_hook_is_never_an_operator(tmp_path: Path) -> None:
    """Run from a person's terminal, it still only asks."""

    async def test(sidecar: Sidecar) -> None:
        approval, task = await sidecar.opened(origin=PERSON, **bash())
        assert approval.origin.role is Role.AGENT
        await sidecar.answer(approval, True)
        await task

    run(tmp_path, test)


async def granted(sidecar: Sidecar, origin: Origin, grant_id: str, session: str) -> None:
    """Somebody gave a permission for "this session" to a call of `origin`."""
    asked = question(origin=replace(origin, session=session), grants=("exact",))
    grant = sidecar.grants.prepare(asked, "exact", PERSON)
    assert grant is not None
    sidecar.grants.remember(replace(grant, id=grant_id))


def test_hooks_and_other_calls_of_one_process_are_one_session(tmp_path: Path) -> None:
    """A permission given at a hook holds for the MCP or socket calls of the same agent, and the reverse."""

    async def test(sidecar: Sidecar) -> None:
        sidecar.decision = Decision(verdict=Verdict.ALLOW, rule="reads", reason="", named=True)
        await sidecar.hook("PreToolUse", **bash())
        hook = replace(AGENT, session="s", process=AGENT.session, door="hook")
        await granted(sidecar, hook, "at a hook", "s")
        await granted(sidecar, AGENT, "at a call", AGENT.session)
        for asker in (hook, AGENT):
            assert [one.id for one in sidecar.grants.active(asker)] == ["at a hook", "at a call"]
        for other in (
            replace(AGENT, session="888888888:1"),  # another agent
            replace(hook, process="888888888:1"),  # that claims this one's session
            replace(hook, process="", agent=None),
            replace(hook, session="s2"),  # the next session of this one: what was given before it is over
        ):
            assert "at a hook" not in [one.id for one in sidecar.grants.active(other)], other

    run(tmp_path, test)


def test_of_several_sessions_nobody_knows_which_one_calls(tmp_path: Path) -> None:
    """A process that works for several sessions (Codex's server): its other calls are none of them."""

    async def test(sidecar: Sidecar) -> None:
        sidecar.decision = Decision(verdict=Verdict.ALLOW, rule="reads", reason="", named=True)
        await sidecar.hook("PreToolUse", **bash())
        hook = replace(AGENT, session="s", process=AGENT.session, door="hook")
        await granted(sidecar, hook, "at a hook", "s")
        await sidecar.hook("PreToolUse", **bash(session_id="s2"))
        assert sidecar.grants.active(AGENT) == ()
        assert len(sidecar.grants.active(hook)) == 1
        await sidecar.hook("SessionEnd", session_id="s2")
        assert len(sidecar.grants.active(AGENT)) == 1

    run(tmp_path, test)


def cursor(event: str, **given: Any) -> p.HookEvent:
    data = {"conversation_id": "c", "generation_id": "g", "cwd": "/home/u/shop"} | given
    return p.HookEvent(agent="cursor", event=event, input=json.dumps(data), relay_id=new_id())


def test_two_hooks_of_one_use_ask_once(tmp_path: Path) -> None:
    """Cursor calls a second hook for what its first one was told: the yes counts for it, once; a deny is a deny."""

    async def test(sidecar: Sidecar) -> None:
        named = Decision(verdict=Verdict.ASK, rule="installs", reason="")
        sidecar.decision = named
        shell = {"tool_name": "Shell", "tool_input": {"command": "npm ci"}}

        async def asked(params: p.HookEvent, approved: bool) -> Any:
            heard = await sidecar.journal.subscribe({"approval.opened"})
            task = asyncio.ensure_future(sidecar.hooks.handle(params, AGENT, new_id()))
            async for one in heard:
                heard.close()
                await sidecar.answer(sidecar.approvals.get(one.event.request_id), approved)
                return json.loads((await task).stdout)["permission"]
            raise AssertionError("the journal ended")

        async def told(params: p.HookEvent) -> Any:
            return json.loads((await sidecar.hooks.handle(params, AGENT, new_id())).stdout)["permission"]

        assert await asked(cursor("preToolUse", **shell), True) == "allow"
        assert await told(cursor("beforeShellExecution", command="npm ci")) == "allow"
        assert await asked(cursor("beforeShellExecution", command="npm ci"), False) == "deny"
        assert await asked(cursor("beforeShellExecution", command="npm ci"), True) == "allow"
        assert await asked(cursor("beforeShellExecution", command="npm ci"), True) == "allow"
        assert await asked(cursor("preToolUse", **shell), True) == "allow"
        sidecar.decision = Decision(verdict=Verdict.DENY, rule="never", reason="")
        assert await told(cursor("beforeShellExecution", command="npm ci")) == "deny"

    run(tmp_path, test)


def test_a_proof_is_asked_for_before_claudes_own_dialog_can_be(tmp_path: Path) -> None:
    """Its dialog would take a yes without one: the hook before the tool waits; where nobody can be asked it is no."""

    async def test(sidecar: Sidecar) -> None:
        named = Decision(verdict=Verdict.ASK, rule="deploys", reason="", step_up=("grep", "-qx", "sesame"))
        sidecar.decision = named
        approval, task = await sidecar.opened("PreToolUse", **bash("deploy"))
        assert approval.step_up == named.step_up
        with pytest.raises(errors.Forbidden):
            await sidecar.answer(approval, True)
        await sidecar.answer(approval, True, secret="sesame")
        assert (await task)["permissionDecision"] == "allow"
        approval, task = await sidecar.opened("PreToolUse", **bash("deploy"))
        edited = replace(approval.action, text="deploy --dry-run")
        await sidecar.answer(approval, True, secret="sesame", edited=edited)
        said = await task
        assert (said["permissionDecision"], said["updatedInput"]) == ("allow", {"command": "deploy --dry-run"})
        approval, task = await sidecar.opened("PreToolUse", **bash("deploy"))
        await sidecar.answer(approval, False, comment="not on a Friday")
        said = await task
        assert said["permissionDecision"] == "deny"
        assert "not on a Friday" in said["permissionDecisionReason"]
        approval, task = await sidecar.opened("PreToolUse", **bash("deploy"))
        await sidecar.approvals.withdraw(approval.request_id, "test")
        assert (await task)["permissionDecision"] == "deny"
        sidecar.approvals._limit = 0
        assert (await sidecar.hook("PreToolUse", **bash("deploy")))["permissionDecision"] == "deny"
        sidecar.decision = replace(named, step_up=())
        assert (await sidecar.hook("PreToolUse", **bash("deploy")))["permissionDecision"] == "ask"

    run(tmp_path, test)
