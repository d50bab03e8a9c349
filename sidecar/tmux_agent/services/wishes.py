"""One thing that somebody wants done, the question it becomes, what the log says of it, and how it is told of the end.

Owns these shapes, no state. Must not own: what becomes of a wish (guard.py).
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct

from ..core import errors, run_files
from ..core.facts import pin
from ..core.model import Action, Approval, ApprovalState, Ask, Decision, Event, File, Origin, Outcome, Tmux, digest
from .judgement import Judged

PINS = 10_000  # places that one action may rest on; they are kept with its question


class Wish(Struct, frozen=True, kw_only=True):
    """One thing that somebody wants done: the action, who wants it, the id it is recorded under.

    `key` is chosen by the client and makes the wish the same wish when it is sent again. `timeout` is in seconds; inf:
    it waits until it is answered.
    """

    action: Action
    origin: Origin
    request_id: str
    key: str = ""
    timeout: float | None = None

    @property
    def resume_key(self) -> str | None:
        return f"{self.origin.session}:{self.key}:{digest(self.action)}" if self.key else None


def not_approved(approval: Approval) -> errors.TmuxAgentError:
    """The error that tells an asker how its approval ended."""
    answer = approval.answer
    if approval.state is ApprovalState.DENIED:
        comment = answer.comment if answer else ""
        said = f"a person said no{': ' + comment if comment else ''}"
        return errors.Denied(said, rule=approval.rule, comment=comment)
    if approval.state is ApprovalState.EXPIRED:
        return errors.Expired("nobody answered in time, so it was not done")
    if approval.state is ApprovalState.WITHDRAWN:
        return errors.Withdrawn(f"the request was withdrawn: {approval.note}")
    return errors.Conflict("it was running when the sidecar died, so it may or may not be done: look before you retry")


def decided(wish: Wish, decision: Decision, once: str | None = None) -> Event:
    """`once` is the key under which it is about to be run, and must not be again (aftermath.py)."""
    return Event(
        type="decision",
        request_id=wish.request_id,
        origin=wish.origin,
        data={
            "action": msgspec.to_builtins(wish.action),
            "digest": digest(wish.action),
            "verdict": decision.verdict.value,
            "rule": decision.rule,
            "reason": decision.reason,
            "where": decision.where,
            "risk": decision.risk.value,
            **({"once": once} if once else {}),
        },
    )


def question_of(wish: Wish, decision: Decision, now: datetime) -> Approval:
    return Approval(
        request_id=wish.request_id,
        digest=digest(wish.action),
        action=wish.action,
        origin=wish.origin,
        created=now,
        kind="question" if isinstance(wish.action, Ask) else "run",
        rule=decision.rule,
        reason=decision.reason,
        where=decision.where,
        risk=decision.risk,
        parts=decision.parts,
        on_timeout=decision.on_timeout,
        step_up=decision.step_up,
        grants=decision.grants,
        hook_key=wish.resume_key,
    )


def pinned(judged: Judged) -> dict[str, str]:
    """Raises LimitExceeded where it is more than can be looked at again and again."""
    if len(judged.facts) > PINS:
        raise errors.LimitExceeded(f"it touches over {PINS} places: a person cannot oversee it; ask in smaller parts")
    if sum(isinstance(key, run_files.Source) for key in judged.facts) > run_files.MOST:
        most = run_files.MOST
        raise errors.LimitExceeded(f"it runs over {most} files: a person cannot oversee it; ask in smaller parts")
    return pin(judged.facts)


def only_reads(action: Action) -> bool:
    """Whether doing it twice is no more than doing it once."""
    return isinstance(action, File | Tmux) and action.verb in ("read", "list")


def started_event(wish: Wish) -> Event:
    return Event(
        type="action.started", request_id=wish.request_id, origin=wish.origin, data={"digest": digest(wish.action)}
    )


def finished_event(wish: Wish, outcome: Outcome) -> Event:
    data = {"digest": digest(wish.action), "outcome": msgspec.to_builtins(outcome)}
    return Event(type="action.finished", request_id=wish.request_id, origin=wish.origin, data=data)
