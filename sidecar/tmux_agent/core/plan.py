"""What may become of a plan. Owns its transitions and sizes; must not own storage, the clock, or who may change it.

A plan is what an agent says it will do; it is shown beside its requests and never executed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec.structs import replace

from .errors import Conflict, InvalidParams, LimitExceeded
from .model import Origin, Plan, PlanStep

MAX_STEPS = 200
MAX_NAME = 256  # characters
MAX_TEXT = 4096  # characters of a description, a step, notes, a reason

StepStatus = Literal["pending", "in_progress", "completed", "failed", "skipped"]
_ENDED = ("completed", "failed", "skipped")


def create(plan_id: str, name: str, steps: Sequence[str], description: str, owner: Origin, now: datetime) -> Plan:
    """A new plan whose first step is in progress. Raises InvalidParams (no name, no steps), LimitExceeded (sizes)."""
    if not name.strip() or not steps:
        raise InvalidParams("a plan needs a name and at least one step")
    if len(name) > MAX_NAME or len(steps) > MAX_STEPS:
        raise LimitExceeded(f"a plan has at most {MAX_STEPS} steps and a name of {MAX_NAME} characters")
    for text in (description, *steps):
        _bounded(text)
    first, *others = (PlanStep(description=step) for step in steps)
    return Plan(
        plan_id=plan_id, name=name, description=description, session=owner.session, agent=owner.agent,
        steps=(replace(first, status="in_progress"), *others), created=now, updated=now,
    )  # fmt: skip


def update(plan: Plan, step: int, status: StepStatus | None, notes: str | None, now: datetime) -> Plan:
    """The plan with step number `step` (from 0) in `status` and with `notes`; None leaves what was there.

    Raises Conflict where the plan has ended, InvalidParams where there is no such step.
    """
    _require_active(plan)
    if not 0 <= step < len(plan.steps):
        raise InvalidParams(f"plan {plan.plan_id} has steps 0 to {len(plan.steps) - 1}, not {step}")
    old = plan.steps[step]
    new = replace(old, status=status or old.status, notes=old.notes if notes is None else _bounded(notes))
    steps = (*plan.steps[:step], new, *plan.steps[step + 1 :])
    current = step if status == "in_progress" else plan.current
    return replace(plan, steps=steps, current=current, status=_status(steps), updated=now)


def advance(plan: Plan, notes: str | None, now: datetime) -> Plan:
    """The plan with its current step completed and the next open one in progress; completed after the last.

    Raises Conflict where the plan has ended.
    """
    _require_active(plan)
    done = replace(plan.steps[plan.current], status="completed")
    if notes is not None:
        done = replace(done, notes=_bounded(notes))
    steps = [*plan.steps[: plan.current], done, *plan.steps[plan.current + 1 :]]
    current = next((number for number, step in enumerate(steps) if step.status not in _ENDED), plan.current)
    if steps[current].status == "pending":
        steps[current] = replace(steps[current], status="in_progress")
    return replace(plan, steps=tuple(steps), current=current, status=_status(steps), updated=now)


def abort(plan: Plan, reason: str, now: datetime) -> Plan:
    """The plan, ended before its time. Raises Conflict where it has ended already."""
    _require_active(plan)
    return replace(plan, status="aborted", reason=_bounded(reason), updated=now)


def _status(steps: Sequence[PlanStep]) -> Literal["active", "completed"]:
    return "completed" if all(step.status in _ENDED for step in steps) else "active"


def _require_active(plan: Plan) -> None:
    if plan.status != "active":
        raise Conflict(f"plan {plan.plan_id} is {plan.status}; make a new one with plan.create")


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise LimitExceeded(f"a text of a plan has {len(text)} characters; the limit is {MAX_TEXT}")
    return text
