"""What a person may have done by calling for it, and anybody else after it was judged. Called by the groups of methods.

Owns that a yes is used up before anything is done, and what came of it is kept: it holds for one act, also over a kill.
Must not own: what is done, what the policy says (services/guard.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ..core import errors
from ..core.model import ApprovalState, Decision, Outcome, Role, Verdict
from ..services.system import System
from ..services.wishes import Wish, decided, not_approved


@contextlib.asynccontextmanager
async def allowed(system: System, wish: Wish, reason: str) -> AsyncIterator[None]:
    """It is done within this context. Nothing is asked of a person who calls, but it is recorded, with this reason;
    anybody else is judged, and perhaps a person asked.

    Raises Denied, Expired, Withdrawn, Conflict (that yes was used), LimitExceeded, Unavailable.
    """
    request_id = await _asked(system, wish, reason)
    if not request_id:
        yield
        return
    if not await system.approvals.running(request_id):
        raise errors.Conflict("this request has been done already, or was being done when the sidecar died")
    try:
        yield
    except errors.TmuxAgentError as why:
        await system.approvals.finished(request_id, Outcome(ok=False, error=why.message, summary=why.kind))
        raise
    except BaseException:  # cancelled, or a defect of ours: what was begun has its end in the record all the same
        outcome = Outcome(ok=False, error="cut off: it may or may not be done")
        await asyncio.shield(system.approvals.finished(request_id, outcome))
        raise
    await system.approvals.finished(request_id, Outcome(ok=True))


async def _asked(system: System, wish: Wish, reason: str) -> str:
    """The id of a person's yes; "" where none was needed."""
    if wish.origin.role is Role.OPERATOR:
        told = Decision(verdict=Verdict.ALLOW, rule="a person", reason=reason)
        await system.journal.publish(decided(wish, told))
        return ""
    decision = await system.guard.judge(wish, ours=True)
    if decision.verdict is Verdict.DENY:
        raise errors.Denied(f"denied by rule {decision.rule!r}: {decision.reason}", rule=decision.rule)
    if decision.verdict is Verdict.ALLOW:
        return ""
    approval = await system.guard.settled(await system.guard.ask(wish))
    if approval.state is not ApprovalState.APPROVED:
        raise not_approved(approval)
    return approval.request_id
