"""Hooks of agents that cannot be told "ask": a person is asked while the hook waits, as long as the agent lets it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.edges.test_hooks import ASK, Sidecar, bash, run

from tmux_agent.core.hooks import HookCall, HookReply
from tmux_agent.core.model import Decision, Verdict
from tmux_agent.edges import hooks
from tmux_agent.edges.adapters import claude

NAMED = Decision(verdict=Verdict.ASK, rule="pushes", reason="it reaches others")


class Holding:
    """Claude's forms for an agent that has no "ask": it is told what a person said, or that nobody has yet."""

    AGENT = "claude"
    holds: Any = "named"
    patience: float | None = None

    def parse(self, event: str, data: Any) -> HookCall:
        return replace(claude.parse(event, data), holds=self.holds, patience=self.patience)

    def answer_judgement(self, call: HookCall, decision: Decision | None) -> HookReply:
        return HookReply('{"hookSpecificOutput":{"said":"judged"}}')

    def answer_approval(self, call: HookCall, approval: Any) -> HookReply:
        return HookReply(f'{{"hookSpecificOutput":{{"said":"{approval.state.value}"}}}}')


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Holding:
    one = Holding()
    monkeypatch.setattr(hooks, "ADAPTERS", {"claude": one})
    return one


@pytest.mark.parametrize(("holds", "decision", "asked"), [
    ("named", NAMED, True), ("named", ASK, False), ("any", ASK, True), ("", NAMED, False),
    ("any", Decision(verdict=Verdict.ALLOW, rule="reads", reason=""), False),
    ("any", Decision(verdict=Verdict.DENY, rule="never", reason=""), False),
])  # fmt: skip
def test_what_a_person_is_asked(tmp_path: Path, adapter: Holding, holds: str, decision: Decision, asked: bool) -> None:
    """Only what the policy asks about, and what nothing matched only where the agent has no dialog of its own."""
    adapter.holds = holds

    async def test(sidecar: Sidecar) -> None:
        sidecar.decision = decision
        if not asked:
            assert await sidecar.hook("PreToolUse", **bash()) == {"said": "judged"}
            assert sidecar.approvals.pending() == ()
            return
        approval, hook = await sidecar.opened("PreToolUse", **bash())
        await sidecar.answer(approval, True)
        assert await hook == {"said": "approved"}

    run(tmp_path, test)


@pytest.mark.parametrize("approved", [True, False])
def test_the_next_try_goes_on_waiting(tmp_path: Path, adapter: Holding, approved: bool) -> None:
    """A hook that may wait no longer says so; the question stays, and its answer counts for the next such use, once."""
    adapter.patience = 0.05

    async def test(sidecar: Sidecar) -> None:
        sidecar.decision = NAMED
        assert await sidecar.hook("PreToolUse", **bash()) == {"said": "pending"}
        (approval,) = sidecar.approvals.pending()
        assert await sidecar.hook("PreToolUse", **bash()) == {"said": "pending"}
        assert [one.request_id for one in sidecar.approvals.pending()] == [approval.request_id]
        assert await sidecar.hook("PreToolUse", **bash("rm y")) == {"said": "pending"}
        await sidecar.answer(approval, approved)
        assert await sidecar.hook("PreToolUse", **bash()) == {"said": "approved" if approved else "denied"}
        assert await sidecar.hook("PreToolUse", **bash()) == {"said": "pending"}

    run(tmp_path, test)


def test_the_turns_end_takes_what_nobody_waits_for(tmp_path: Path, adapter: Holding) -> None:
    """A late yes is no yes: what was given up is withdrawn with the turn, and is asked anew in the next."""
    adapter.patience = 0.05

    async def test(sidecar: Sidecar) -> None:
        sidecar.decision = NAMED
        await sidecar.hook("PreToolUse", **bash())
        await sidecar.hook("Stop")
        assert sidecar.approvals.pending() == ()
        adapter.patience = None
        approval, hook = await sidecar.opened("PreToolUse", **bash())
        await sidecar.answer(approval, True)
        assert await hook == {"said": "approved"}

    run(tmp_path, test)


def test_a_dialog_asks_where_the_hook_may_not_wait(tmp_path: Path, adapter: Holding) -> None:
    """A permission hook that runs out of time takes its question along: the agent's own dialog shows then."""
    adapter.patience = 0.05

    async def test(sidecar: Sidecar) -> None:
        assert await sidecar.hook("PermissionRequest", **bash()) == {"said": "withdrawn"}
        assert sidecar.approvals.pending() == ()

    run(tmp_path, test)
