"""Methods about people and plans: human.*, judge, plan.*. One function a method, called by methods.py only.

Must not own: the order of judging, asking and recording (services/guard.py).
"""

from __future__ import annotations

from ..core import errors
from ..core import protocol as p
from ..core import replies as r
from ..core.display import safe
from ..core.model import Approval, ApprovalState, Ask, Origin, Plan, Role, Verdict
from ..services.system import System
from ..services.wishes import Wish, not_approved

WAIT_SECONDS = 3600.0  # the longest that human.status waits at once


def question(params: p.HumanAsk | p.HumanAskAsync) -> Ask:
    """Raises InvalidParams where a text is longer than protocol.md allows."""
    if len(params.prompt.encode()) > p.PROMPT_BYTES:
        raise errors.InvalidParams(f"params.prompt is over {p.PROMPT_BYTES} bytes: put the rest into `details`")
    if len(params.details.encode()) > p.DETAILS_BYTES:
        raise errors.InvalidParams(f"params.details is over {p.DETAILS_BYTES} bytes")
    if len(params.options) > p.OPTIONS or any(len(option) > p.NAME_LENGTH for option in params.options):
        raise errors.InvalidParams(f"params.options: at most {p.OPTIONS} of at most {p.NAME_LENGTH} characters each")
    if len(params.action_type) > p.NAME_LENGTH:
        raise errors.InvalidParams(f"params.action_type is over {p.NAME_LENGTH} characters")
    if params.timeout_secs is not None and not 0 < params.timeout_secs <= p.TIMEOUT_SECONDS:
        raise errors.InvalidParams(f"params.timeout_secs must be over 0 and at most {p.TIMEOUT_SECONDS}")
    return Ask(
        prompt=params.prompt,
        action_type=params.action_type,
        urgency=params.urgency,
        details=params.details,
        options=params.options,
    )


async def ask(system: System, wish: Wish) -> r.AnswerData:
    approval = (await system.guard.perform(wish)).data
    return answer_data(approval)


async def ask_async(system: System, wish: Wish) -> r.Asked:
    return r.Asked(request_id=(await system.guard.ask(wish)).request_id)


def answer_data(approval: Approval) -> r.AnswerData:
    """What the asker is told. `approved_by` is words about the person's terminal, for people to read."""
    answer = approval.answer
    assert answer is not None
    by = answer.by
    where = by and (by.client or by.tty or by.through or "an unknown terminal")
    who = f"{by.door} on {where} (uid {by.uid})" if by else "nobody"
    return r.AnswerData(
        approved=answer.approved,
        approved_by=who,
        answered_at=answer.at,
        comment=answer.comment,
        choice=answer.choice,
    )


async def status(system: System, params: p.HumanStatus) -> r.StatusData:
    approval = await system.approvals.stored(params.request_id)
    if approval.state is ApprovalState.PENDING and params.wait_secs > 0:
        try:
            approval = await system.approvals.wait(params.request_id, min(params.wait_secs, WAIT_SECONDS))
        except errors.TimedOut:
            approval = await system.approvals.stored(params.request_id)
    outcome = await system.approvals.outcome(params.request_id) if approval.phase == "done" else None
    return r.StatusData(
        request_id=approval.request_id,
        state=approval.state.value,
        answer=answer_data(approval) if approval.answer else None,
        result=outcome,
        note=approval.note,
    )


def pending(system: System, params: p.HumanPending, origin: Origin) -> r.PendingData:
    limit = max(1, min(params.limit, 500))
    whose = None if origin.role is Role.OPERATOR else origin
    found = system.approvals.pending(whose, params.cursor, limit + 1)
    shown = r.page(found, limit)
    cursor = shown[-1].request_id if len(found) > len(shown) else None
    others = len(system.approvals.pending()) - len(system.approvals.pending(whose))
    return r.PendingData(approvals=shown, cursor=cursor, others=others)


async def respond(system: System, params: p.HumanRespond, origin: Origin) -> Approval:
    return await system.answers.answer(
        params.request_id,
        params.digest,
        params.approved,
        origin,
        comment=params.comment,
        edited=params.edited,
        choice=params.choice,
        grant=params.grant,
    )


def link(system: System, request_id: str) -> r.LinkData:
    url = system.links.url_for(system.approvals.get(request_id))
    if not url:
        why = system.links.problem or "links are off: set answers.links in config.yaml"
        raise errors.Conflict(f"no link: {why}" if not system.links.on else f"request {request_id} does not wait")
    return r.LinkData(url=url)


async def judge(system: System, params: p.Judge, wish: Wish) -> r.JudgeData:
    """The verdict of the policy; with `wait`, an `ask` becomes a person's allow or deny."""
    decision = await system.guard.judge(wish)
    if decision.verdict is not Verdict.ASK or not params.wait:
        return r.JudgeData(verdict=decision.verdict, rule=decision.rule, reason=decision.reason)
    approval = await system.guard.settled(await system.guard.put(wish, decision))
    if approval.state is ApprovalState.DENIED:
        comment = approval.answer.comment if approval.answer else ""
        reason = f"a person said no{': ' + safe(comment) if comment else ''}"
        return r.JudgeData(verdict=Verdict.DENY, rule=decision.rule, reason=reason, comment=comment)
    if approval.state is not ApprovalState.APPROVED:
        raise not_approved(approval)
    edited = approval.action if approval.answer and approval.answer.edited else None
    comment = approval.answer.comment if approval.answer else ""
    return r.JudgeData(
        verdict=Verdict.ALLOW, rule=decision.rule, reason="a person said yes", edited=edited, comment=comment
    )


async def plan(system: System, params: p.Params, origin: Origin) -> Plan | r.PlansData:
    plans = system.plans
    match params:
        case p.PlanCreate(name=name, steps=steps, description=description):
            return await plans.create(name, steps, origin, description)
        case p.PlanList(limit=limit, cursor=cursor):
            size = max(1, min(limit, 500))
            found = plans.list(None, cursor, size + 1)
            shown = r.page(found, size)
            return r.PlansData(plans=shown, cursor=shown[-1].plan_id if len(found) > len(shown) else None)
        case p.PlanGet(plan_id=plan_id):
            return plans.get(plan_id)
        case p.PlanUpdate(plan_id=plan_id, step=step, status=state, notes=notes):
            return await plans.update(plan_id, step, origin, state, notes)
        case p.PlanAdvance(plan_id=plan_id, notes=notes):
            return await plans.advance(plan_id, origin, notes)
        case p.PlanAbort(plan_id=plan_id, reason=reason):
            return await plans.abort(plan_id, origin, reason)
    raise errors.Internal(f"{type(params).__name__} is no plan method")
