"""What the methods `human.*` and `plan.*` give back. Owns only shapes, as replies.py, whose REPLIES names them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .model import Approval, Plan
from .reply import Data


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


REPLIES: dict[str, Any] = {
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
}
