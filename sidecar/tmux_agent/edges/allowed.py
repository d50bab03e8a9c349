"""What a person may have done by calling for it, and anybody else after it was judged. Called by the groups of methods.

Must not own: what is done, what the policy says (services/guard.py).
"""

from __future__ import annotations

from ..core import errors
from ..core.model import ApprovalState, Decision, Role, Verdict
from ..services.system import System
from ..services.wishes import Wish, decided, not_approved


async def allowed(system: System, wish: Wish, reason: str) -> None:
    """Nothing to ask of a person who calls, but it is recorded, with this reason; anybody else is judged, and perhaps a
    person asked.

    Raises Denied, Expired, Withdrawn, LimitExceeded, Unavailable.
    """
    if wish.origin.role is Role.OPERATOR:
        told = Decision(verdict=Verdict.ALLOW, rule="a person", reason=reason)
        await system.journal.publish(decided(wish, told))
        return
    decision = await system.guard.judge(wish)
    if decision.verdict is Verdict.DENY:
        raise errors.Denied(f"denied by rule {decision.rule!r}: {decision.reason}", rule=decision.rule)
    if decision.verdict is Verdict.ASK:
        approval = await system.guard.settled(await system.guard.ask(wish))
        if approval.state is not ApprovalState.APPROVED:
            raise not_approved(approval)
