"""Gemini's hooks from its JSON to what its relay prints: what is held while a person is asked, and what ends that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.edges import test_hooks
from tests.edges.test_hooks import AGENT, ASK, run

from tmux_agent.core import protocol as p
from tmux_agent.core.model import AgentState, ApprovalState, Decision, Verdict
from tmux_agent.services.ids import new_id

MARK = "0123456789abcdef"
HOLDS = f"BeforeTool:{MARK}"
NAMED = Decision(verdict=Verdict.ASK, rule="pushes", reason="it reaches others")
YES = Decision(verdict=Verdict.ALLOW, rule="reads", reason="it only reads")
GEMINI = replace(AGENT, agent="gemini")


class Sidecar(test_hooks.Sidecar):
    """As Gemini talks to it."""

    async def hook(self, event: str, **given: Any) -> dict[str, Any]:
        self.relays += 1
        data = {"session_id": "s", "cwd": "/home/u/shop"} | given
        params = p.HookEvent(agent="gemini", event=event, input=json.dumps(data), relay_id=f"r{self.relays}")
        reply = await self.hooks.handle(params, GEMINI, new_id())
        found: dict[str, Any] = json.loads(reply.stdout) if reply.stdout else {}
        return found


@pytest.fixture(autouse=True)
def _as_gemini(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_hooks, "Sidecar", Sidecar)


def shell(command: str = "rm x") -> dict[str, Any]:
    return {"tool_name": "run_shell_command", "tool_input": {"command": command}}


def marked(said: dict[str, Any]) -> bool:
    return MARK in json.dumps(said) and "decision" not in said


@pytest.mark.parametrize("decision", [ASK, NAMED])
def test_with_our_rules_a_person_is_asked(tmp_path: Path, decision: Decision) -> None:
    """By name or because nothing matched; what is allowed by name is not asked about. Without them nobody is."""

    async def test(sidecar: test_hooks.Sidecar) -> None:
        sidecar.decision = decision
        approval, hook = await sidecar.opened(HOLDS, **shell())
        assert sidecar.agents.list()[0].state is AgentState.WAITING
        await sidecar.answer(approval, True)
        assert marked(await hook)
        approval, hook = await sidecar.opened(HOLDS, **shell())
        await sidecar.answer(approval, False, comment="not today")
        assert (await hook)["reason"].endswith("a person said no: not today")
        sidecar.decision = YES
        assert marked(await sidecar.hook(HOLDS, **shell()))
        sidecar.decision = decision
        assert (await sidecar.hook("BeforeTool", **shell())).get("decision") == ("ask" if decision is NAMED else None)
        assert sidecar.approvals.pending() == ()

    run(tmp_path, test)


@pytest.mark.parametrize("event", ["BeforeAgent", "AfterAgent", "SessionEnd"])
def test_what_was_given_up_is_taken_back(tmp_path: Path, event: str) -> None:
    """No hook tells of Esc: the next that shows that the turn is over does. Gemini, if it still listened, would ask."""

    async def test(sidecar: test_hooks.Sidecar) -> None:
        sidecar.decision = ASK
        approval, hook = await sidecar.opened(HOLDS, **shell())
        await sidecar.hook(event)
        assert (await hook)["decision"] == "ask"
        assert sidecar.approvals.get(approval.request_id).state is ApprovalState.WITHDRAWN

    run(tmp_path, test)


def test_a_twin_that_is_over_takes_nothing_along(tmp_path: Path) -> None:
    """Two uses of the very same in one turn, which Gemini begins side by side: each has its own question."""

    async def test(sidecar: test_hooks.Sidecar) -> None:
        sidecar.decision = ASK
        first, one = await sidecar.opened(HOLDS, **shell())
        second, two = await sidecar.opened(HOLDS, **shell())
        await sidecar.answer(first, True)
        assert marked(await one)
        await sidecar.hook("AfterTool", **shell())
        assert [approval.request_id for approval in sidecar.approvals.pending()] == [second.request_id]
        await sidecar.answer(second, False)
        assert (await two)["decision"] == "deny"

    run(tmp_path, test)


def test_another_sessions_prompt_takes_nothing_along(tmp_path: Path) -> None:
    """Sessions end only what is theirs."""

    async def test(sidecar: test_hooks.Sidecar) -> None:
        sidecar.decision = ASK
        approval, hook = await sidecar.opened(HOLDS, **shell())
        await sidecar.hook("BeforeAgent", session_id="t")
        await sidecar.answer(approval, True)
        assert marked(await hook)

    run(tmp_path, test)


def test_geminis_dialog_is_told_of(tmp_path: Path) -> None:
    """The agent waits once Gemini says so, and works again with the next hook."""

    async def test(sidecar: test_hooks.Sidecar) -> None:
        assert await sidecar.hook("Notification", notification_type="ToolPermission", message="Tool requires") == {}
        assert sidecar.agents.list()[0].state is AgentState.WAITING
        await sidecar.hook("AfterTool", **shell())
        assert sidecar.agents.list()[0].state is AgentState.WORKING

    run(tmp_path, test)
