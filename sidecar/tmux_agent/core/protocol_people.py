"""Params of what a person is asked or shown: `human.*` and `plan.*`. Must not own: what they do."""

from __future__ import annotations

from typing import Literal

from .model import Action
from .params import Params


class HumanAsk(Params, frozen=True):
    """Ask a person and wait for the answer."""

    prompt: str
    action_type: str = ""
    urgency: Literal["low", "normal", "high", "critical"] = "normal"
    timeout_secs: float | None = None
    details: str = ""
    options: tuple[str, ...] = ()


class HumanAskAsync(Params, frozen=True):
    """Ask a person; the reply is the request_id to ask after with human.status."""

    prompt: str
    action_type: str = ""
    urgency: Literal["low", "normal", "high", "critical"] = "normal"
    timeout_secs: float | None = None
    details: str = ""
    options: tuple[str, ...] = ()


class HumanStatus(Params, frozen=True):
    """State of a request; with wait_secs, waits that long for it to end."""

    request_id: str
    wait_secs: float = 0.0


class HumanPending(Params, frozen=True):
    """Approvals that wait, oldest first. An agent sees its own."""

    cursor: str | None = None
    limit: int = 100


class HumanRespond(Params, frozen=True):
    """Answer an approval (operators only). `digest` is of the action that was shown."""

    request_id: str
    digest: str
    approved: bool
    comment: str = ""
    edited: Action | None = None
    grant: str | None = None
    choice: str | None = None


class PlanCreate(Params, frozen=True):
    """Say what is going to be done, step by step. Never executed; shown beside the agent's requests."""

    name: str
    steps: tuple[str, ...]
    description: str = ""


class PlanList(Params, frozen=True):
    """Plans, newest first."""

    limit: int = 100
    cursor: str | None = None


class PlanGet(Params, frozen=True):
    """One plan."""

    plan_id: str


class PlanUpdate(Params, frozen=True):
    """Set the status or notes of a step (0-based)."""

    plan_id: str
    step: int
    status: Literal["pending", "in_progress", "completed", "failed", "skipped"] | None = None
    notes: str | None = None


class PlanAdvance(Params, frozen=True):
    """Complete the current step and go on to the next."""

    plan_id: str
    notes: str = ""


class PlanAbort(Params, frozen=True):
    """End a plan."""

    plan_id: str
    reason: str = ""


METHODS: dict[str, type[Params]] = {
    "human.ask": HumanAsk,
    "human.ask_async": HumanAskAsync,
    "human.status": HumanStatus,
    "human.pending": HumanPending,
    "human.respond": HumanRespond,
    "plan.create": PlanCreate,
    "plan.list": PlanList,
    "plan.get": PlanGet,
    "plan.update": PlanUpdate,
    "plan.advance": PlanAdvance,
    "plan.abort": PlanAbort,
}
OPERATOR_ONLY: frozenset[type[Params]] = frozenset({HumanRespond})
# Sent again with the same `key`, these are the same request: nothing is asked or run twice.
KEYED: frozenset[type[Params]] = frozenset({HumanAsk, HumanAskAsync})
# Nobody can tell by the request whether it was done: a client does not send these again by itself.
ONCE: frozenset[type[Params]] = frozenset({PlanCreate, PlanAdvance, PlanAbort, HumanRespond})
