"""What the audit log says of approvals, and what their callers are told. Owns these words and shapes, no state."""

from __future__ import annotations

from typing import Any

import msgspec

from ..core.errors import Conflict, InvalidParams
from ..core.model import Action, Approval, ApprovalState, Ask, Event, Origin


def asker(origin: Origin) -> str:
    """Whose approvals these are: the agent's session where one is known, else pid and start time."""
    return origin.session or f"{origin.pid}:{origin.started}"


def kin(origin: Origin) -> str:
    """With whom an asker shares room in the queue, whatever session it names and however often it forks: all in its
    pane, or below one ancestor at a terminal; what was left by all of its ancestors shares with its like."""
    if origin.pane:
        return f"{origin.server}:{origin.pane}"
    above = [word for word in origin.ancestry[1:] if not word.endswith("(1)")]
    return f"{above[-1] if above else 'orphans'}:{origin.tty or ''}"


def check_answer(old: Approval, approved: bool, edited: Action | None, choice: str | None) -> None:
    """Raises InvalidParams where the answer does not fit the question."""
    options = old.action.options if isinstance(old.action, Ask) else ()
    if choice is not None and choice not in options:
        raise InvalidParams(f"choice {choice!r} was not offered; the options are {', '.join(options) or 'yes and no'}")
    if approved and options and choice is None:
        raise InvalidParams(f"this question wants a choice of: {', '.join(options)}")
    if edited is not None and (not approved or type(edited) is not type(old.action)):
        raise InvalidParams("only an action that is approved can be edited, and only into one of its own kind")


def too_late(now: Approval) -> Conflict:
    """Why an answer came too late, for the one who gave it."""
    if now.state is ApprovalState.PENDING:
        return Conflict(
            f"request {now.request_id} is no longer what was shown: look at it again",
            state=now.state.value,
            digest=now.digest,
        )
    if now.answer is None or now.answer.by is None:
        return Conflict(f"request {now.request_id} is {now.state.value} already", state=now.state.value)
    by = now.answer.by
    who = by.client or by.tty or by.through or by.door
    process = f" (pid {by.pid})" if by.pid else ""
    return Conflict(
        f"request {now.request_id} was {now.state.value} already by {who}{process} at"
        f" {now.answer.at:%H:%M:%S} UTC",
        state=now.state.value,
        by=who,
    )


def record(kind: str, approval: Approval, /, **data: Any) -> Event:
    """A record of type `kind` about an approval."""
    return Event(type=kind, request_id=approval.request_id, origin=approval.origin, data=data)


def opened(approval: Approval) -> Event:
    """The record of a new question: all of it but seals, which say nothing to people."""
    kept = msgspec.to_builtins(approval)
    for told in ("request_id", "origin", "state", "rests_on"):
        kept.pop(told, None)
    return record("approval.opened", approval, **kept)


def answered(old: Approval, new: Approval, by: Origin) -> Event:
    """The record of an answer by `by`; of an edited action both, as shown and as approved."""
    answer = msgspec.to_builtins(new.answer)
    answer.pop("by")
    data = {"digest": new.digest, "rule": old.rule, **answer}
    if new.digest != old.digest:
        shown = {"digest": old.digest, "action": msgspec.to_builtins(old.action)}
        data |= {"action": msgspec.to_builtins(new.action), "original": shown}
    return Event(type="approval.answered", request_id=old.request_id, origin=by, data=data)
