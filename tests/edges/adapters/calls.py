"""What the tests of every adapter share: decisions, settled approvals, any JSON, and what was recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tmux_agent.core.hooks import HookCall
from tmux_agent.core.model import Action, Answer, Approval, ApprovalState, Decision, Origin, Role, Verdict, digest

SHOP = "/home/u/shop"
CORPUS = Path(__file__).parents[2] / "corpus" / "hooks"
AMBIGUOUS = "PreToolUse-apply_patch-ambiguous"
AT = datetime(2026, 11, 20, tzinfo=UTC)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def recordings(agent: str) -> list[Path]:
    """What the real agent was seen to send, a file a call: EVENT-WHAT.json."""
    return sorted((CORPUS / agent).glob("*.json"))


def event_of(path: Path) -> str:
    return path.stem.partition("-")[0]


def decision(verdict: Verdict, *, named: bool = True, rule: str = "a rule", reason: str = "because") -> Decision:
    return Decision(verdict=verdict, rule=rule, reason=reason, named=named)


def approval(call: HookCall, state: ApprovalState, action: Action | None = None, **answer: Any) -> Approval:
    """How the question about a call ended; `action`: as the person edited it, `answer`: what they said."""
    shown = action or call.action
    assert shown is not None
    return Approval(
        request_id="1",
        digest=digest(shown),
        action=shown,
        origin=Origin(role=Role.AGENT, why="", uid=0, pid=1),
        created=AT,
        state=state,
        note="the agent's turn is over" if state is ApprovalState.WITHDRAWN else "",
        answer=Answer(approved=state is ApprovalState.APPROVED, at=AT, **answer),
    )
