"""Codex's hooks from its JSON to what its relay prints: what was said before a use counts where Codex asks about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.edges import test_hooks
from tests.edges.test_hooks import AGENT, ASK, bash, run

from tmux_agent.core import protocol as p
from tmux_agent.core.model import AgentState, ApprovalState, Decision, Verdict
from tmux_agent.edges.adapters import codex
from tmux_agent.services.ids import new_id

NAMED = Decision(verdict=Verdict.ASK, rule="pushes", reason="it reaches others")
YES = Decision(verdict=Verdict.ALLOW, rule="reads", reason="it only reads")
ALLOW = {"hookEventName": "PermissionRequest", "decision": {"behavior": "allow"}}
CODEX = replace(AGENT, agent="codex")


class Sidecar(test_hooks.Sidecar):
    """As Codex talks to it."""

    async def hook(self, event: str, **given: Any) -> dict[str, Any]:
        origin, relay = given.pop("origin", CODEX), given.pop("relay", "")
        self.relays += 1
        data = {"session_id": "s", "turn_id": "t", "cwd": "/home/u/shop"} | given
        params = p.HookEvent(agent="codex", event=event, input=json.dumps(data), relay_id=relay or f"r{self.relays}")
        reply = await self.hooks.handle(params, origin, new_id())
        found: dict[str, Any] = json.loads(reply.stdout)["hookSpecificOutput"] if reply.stdout else {}
        return found


@pytest.fixture(autouse=True)
def _as_codex(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_hooks, "Sidecar", Sidecar)


def reason(said: dict[str, Any]) -> str:
    assert said["permissionDecision"] == "deny"
    return str(said["permissionDecisionReason"])


def test_a_named_allow_answers_codexs_question(tmp_path: Path) -> None:
    """The hook before the tool cannot say it; the one where Codex asks does. What nothing matched asks a person."""

    async def test(sidecar: test_hooks.Sidecar) -> None:
        sidecar.decision = YES
        assert await sidecar.hook("PreToolUse", **bash("ls"), tool_use_id="1") == {}
        assert await sidecar.hook("PermissionRequest", **bash("ls")) == ALLOW
        sidecar.decision = ASK
        assert await sidecar.hook("PreToolUse", **bash("make"), tool_use_id="2") == {}
        approval, hook = await sidecar.opened(**bash("make"))
        await sidecar.answer(approval, True)
        assert await hook == ALLOW

    run(tmp_path, test)


def test_behind_our_wall_what_nothing_matched_is_held_too(tmp_path: Path) -> None:
    """Codex's own sandbox is off there, so it would run all of it and ask nobody. Where nobody can be asked: no."""
    walled = replace(CODEX, sandbox=True)

    async def test(sidecar: test_hooks.Sidecar) -> None:
        sidecar.decision = ASK
        approval, hook = await sidecar.opened("PreToolUse", **bash("make"), tool_use_id="1", origin=walled)
        await sidecar.answer(approval, True)
        assert await hook == {}
        assert await sidecar.hook("PermissionRequest", **bash("make"), origin=walled) == ALLOW
        call = codex.parse("PreToolUse", {"session_id": "s", **bash("make")})
        assert codex.answer_judgement(call, ASK).stdout == ""
        assert "cannot be asked now" in codex.answer_judgement(replace(call, holds="any"), ASK).stdout

    run(tmp_path, test)


def test_a_persons_yes_counts_once(tmp_path: Path) -> None:
    """Asked while it was held, the person is not asked again by Codex; for another use, they are."""

    async def test(sidecar: test_hooks.Sidecar) -> None:
        sidecar.decision = NAMED
        approval, hook = await sidecar.opened("PreToolUse", **bash(), tool_use_id="1")
        await sidecar.answer(approval, True)
        assert await hook == {}
        reasoned = {"tool_name": "Bash", "tool_input": {"command": "rm x", "description": "it needs the network"}}
        assert await sidecar.hook("PermissionRequest", **reasoned) == ALLOW
        approval, hook = await sidecar.opened(**bash())
        await sidecar.answer(approval, False, comment="no")
        assert (await hook)["decision"]["behavior"] == "deny"

    run(tmp_path, test)


@pytest.mark.parametrize("other", [
    {"tool_input": {"command": "rm y"}},
    {"tool_input": {"command": "rm x", "description": "network-access example.com"}},
    {"turn_id": "u"},
    {"cwd": "/home/u/shop/keys"},
    {"agent_id": "helper"},
    {"session_id": "z"},
    {"origin": replace(CODEX, session="999999998:1")},
])  # fmt: skip
def test_a_yes_is_for_that_use_alone(tmp_path: Path, other: dict[str, Any]) -> None:
    """Another command, turn, helper, session or process, or a wish for the network, asks a person."""

    async def test(sidecar: test_hooks.Sidecar) -> None:
        sidecar.decision = YES
        await sidecar.hook("PreToolUse", **bash(), tool_use_id="1")
        approval, hook = await sidecar.opened(**(bash() | other))
        await sidecar.answer(approval, False)
        assert (await hook)["decision"]["behavior"] == "deny"

    run(tmp_path, test)


def test_a_use_that_is_over_leaves_no_yes(tmp_path: Path) -> None:
    """It ran without a question of Codex's: the next one asks."""

    async def test(sidecar: test_hooks.Sidecar) -> None:
        sidecar.decision = YES
        await sidecar.hook("PreToolUse", **bash(), tool_use_id="1")
        assert await sidecar.hook("PostToolUse", **bash(), tool_use_id="1") == {}  # else Codex says "Hook failed"
        approval, hook = await sidecar.opened(**bash())
        await sidecar.answer(approval, False)
        assert (await hook)["decision"]["behavior"] == "deny"

    run(tmp_path, test)


def test_held_too_long_it_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is told to run the very same again; the question stays, and its answer counts then."""
    monkeypatch.setattr(codex, "PATIENCE", 0.05)

    async def test(sidecar: test_hooks.Sidecar) -> None:
        sidecar.decision = NAMED
        assert "run the very same again" in reason(await sidecar.hook("PreToolUse", **bash(), tool_use_id="1"))
        (approval,) = sidecar.approvals.pending()
        await sidecar.answer(approval, True)
        assert await sidecar.hook("PreToolUse", **bash(), tool_use_id="2") == {}
        assert await sidecar.hook("PermissionRequest", **bash()) == ALLOW

    run(tmp_path, test)


@pytest.mark.parametrize("event", ["Stop", "Interrupt", "SessionEnd", "UserPromptSubmit"])
def test_a_late_yes_runs_nothing(tmp_path: Path, event: str) -> None:
    """The turn is over while a hook waits: the question is withdrawn, and what was held is denied, not let through."""

    async def test(sidecar: test_hooks.Sidecar) -> None:
        sidecar.decision = NAMED
        _, held = await sidecar.opened("PreToolUse", **bash(), tool_use_id="1")
        _, asked = await sidecar.opened(**bash("rm y"))
        await sidecar.hook(event, turn_id="u" if event == "UserPromptSubmit" else "t")
        assert sidecar.approvals.pending() == ()
        assert "nobody said yes" in reason(await held)
        assert await asked == {}

    run(tmp_path, test)


def test_codexs_own_dialog_is_waited_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When our hook falls silent Codex shows its dialog: the agent still waits, until a hook tells otherwise."""
    monkeypatch.setattr(codex, "PATIENCE", 0.05)

    async def test(sidecar: test_hooks.Sidecar) -> None:
        await sidecar.hook("UserPromptSubmit", prompt="go")
        assert await sidecar.hook("PermissionRequest", **bash()) == {}
        (agent,) = sidecar.agents.list()
        assert agent.state is AgentState.WAITING
        assert [one.state for one in sidecar.given_up] == [ApprovalState.WITHDRAWN]
        await sidecar.hook("PostToolUse", **bash(), tool_use_id="1")
        (agent,) = sidecar.agents.list()
        assert agent.state is AgentState.WORKING

    run(tmp_path, test)


def test_unreadable_is_denied_and_recorded_so(tmp_path: Path) -> None:
    """No free pass, and the log says what Codex was told."""

    async def test(sidecar: test_hooks.Sidecar) -> None:
        sidecar.decision = YES
        assert "cannot be read" in reason(await sidecar.hook("PreToolUse", tool_name="Bash", tool_input=[]))
        broken = {"tool_name": "apply_patch", "tool_input": {"command": "*** Begin Patch\n*** End Patch"}}
        assert "cannot be read" in reason(await sidecar.hook("PreToolUse", **broken))
        records = [json.loads(line) for line in sidecar.journal.audit.read_text().splitlines()]
        told = [one["data"] for one in records if one["type"] == "decision"]
        assert [(one["rule"], one["verdict"]) for one in told] == [("unreadable", "deny")] * 2

    run(tmp_path, test)
