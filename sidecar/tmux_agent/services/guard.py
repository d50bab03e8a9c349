"""THE choke point: whatever an agent wants done or is about to do is judged, asked, recorded and run here.

Owns the order of things (docs/architecture.md, "Three ways through it"): judged before asked, recorded before run,
looked at again before run, recorded after. `perform` is for what we run, `judge` for what the agent runs itself. Must
not own: what people may answer (answers.py), rules (core/policy.py), how a thing is run (tools/), rows (approvals.py).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ..core import errors, run_files
from ..core.judging_other import outside
from ..core.model import (
    Action,
    Answer,
    Approval,
    ApprovalState,
    Ask,
    Decision,
    Event,
    Match,
    Origin,
    Outcome,
    Verdict,
    digest,
)
from .approvals import Approvals
from .grants import Grants
from .journal import Journal
from .judgement import Judged, Judgement
from .runs import Runs
from .toolbox import Toolbox
from .wishes import Wish, decided, finished_event, not_approved, only_reads, pinned, question_of, started_event

log = logging.getLogger(__name__)

RETRY = 1.0  # seconds until an end that could not be recorded is tried again: there is no event for a freed disk
_READINGS = 5  # times that a decision is made anew because something was still being read


class Guard:
    """Built once by the daemon. Everything on it runs in the event loop."""

    def __init__(
        self,
        judgement: Judgement,
        journal: Journal,
        approvals: Approvals,
        grants: Grants,
        toolbox: Toolbox,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._judgement = judgement
        self._journal = journal
        self._approvals = approvals
        self._grants = grants
        self._toolbox = toolbox
        self._runs = Runs(journal)
        self._now = now
        self._walking = asyncio.Lock()
        self.running = 0  # actions that are being carried out

    async def recover(self) -> None:
        """Tell of what was cut off when an earlier sidecar died. Raises Unavailable."""
        await self._runs.recover()

    # --- what the policy says ---

    def check(self, action: Action, origin: Origin) -> Decision:
        """What would be decided. Records nothing."""
        return self._look(action, origin).decision

    def _look(self, action: Action, origin: Origin, *, asked: bool = False) -> Judged:
        return self._judgement.judge(action, origin, self._grants.active(origin), asked=asked)

    async def weighed(self, action: Action, origin: Origin) -> tuple[Decision, dict[str, str]]:
        """As `check`, with what a yes rests on where the agent does it by itself: what is in the files that it runs."""
        judged = await self._judged(action, origin, asked=True)
        return judged.decision, run_files.pin(judged.facts)

    def foresee(self, action: Action, origin: Origin) -> Decision | None:
        """The same for somebody who only wants to know: nothing may be run on it. None where something takes so long to
        read that it has to be waited for (`checked`)."""
        decision = self._judgement.foresee(action, origin, self._grants.active(origin))
        if decision is None or decision.verdict is Verdict.ALLOW:
            return decision
        return None if self._judgement.walks() else decision

    async def checked(self, action: Action, origin: Origin) -> Decision:
        """As `check`, after what takes long to read has been read."""
        return (await self._judged(action, origin)).decision

    async def _judged(self, action: Action, origin: Origin, *, asked: bool = False) -> Judged:
        """Judge, and again as soon as what takes long to read has been read, by threads. `asked`: as judge()'s."""
        walked: dict[str, Any] = {}
        judged = self._look(action, origin, asked=asked)
        for _ in range(_READINGS):
            reading = self._judgement.reading(judged)
            if not reading and not judged.left:
                break
            if reading:
                await asyncio.wait([asyncio.wrap_future(walk) for walk in reading])
                walked.clear()  # it may have taken long
            if judged.left:
                async with self._walking:  # one at a time: the next may find that all is as it was
                    walked |= dict([await asyncio.to_thread(look) for look in judged.left])
            judged = self._judgement.judge(action, origin, self._grants.active(origin), walked, asked=asked)
        return judged

    async def judge(self, wish: Wish, *, ours: bool = False) -> Decision:
        """Judge what the agent is about to do by itself, or, with `ours`, what is to be done for it; recorded before
        the answer is given.

        Raises Unavailable where it cannot be recorded.
        """
        while True:
            decision = (await self._judged(wish.action, wish.origin)).decision
            decision = _for(wish, decision) if ours else decision
            self._judgement.used(decision)
            try:
                await self._grants.used(decision, decided(wish, decision))
            except errors.Conflict:
                self._judgement.take_back(decision)
                continue  # a grant it rested on was revoked or used up meanwhile
            return decision

    # --- what we do ---

    async def perform(self, wish: Wish) -> Outcome:
        """Judge, ask if need be, record, run, record.

        Raises Denied, Expired, Withdrawn (nobody said yes), Conflict (the facts changed meanwhile), Unavailable
        (cannot be recorded: nothing was done), or what the tool raises. Cancelled, it withdraws what it asked.
        """
        known = await self._known(wish)
        if known is not None:
            return await self._go_on(known, wish)
        judged = await self._judged(wish.action, wish.origin, asked=wish.origin.sandbox)
        decision = _for(wish, judged.decision)
        judged = msgspec.structs.replace(judged, decision=decision)
        if decision.verdict is Verdict.DENY:
            await self._journal.publish(decided(wish, decision))
            raise errors.Denied(f"denied by rule {decision.rule!r}: {decision.reason}", rule=decision.rule)
        if decision.verdict is Verdict.ALLOW and not isinstance(wish.action, Ask):
            self._judgement.used(decision)
            return await self._run_allowed(wish, judged)
        approval = await self._open(wish, judged)
        return await self._go_on(approval, wish)

    async def told(self, wish: Wish, because: Decision | None = None) -> Outcome:
        """Do what a person chose and confirmed in a popup, or wrote down for such a case (`because`): nobody is asked
        again, what the policy denies stays denied, so does what demands a proof, and it is recorded as everything else.
        Raises as perform() does.
        """
        judged = await self._judged(wish.action, wish.origin)
        decision = judged.decision
        if decision.verdict is Verdict.DENY:
            await self._journal.publish(decided(wish, decision))
            raise errors.Denied(f"denied by rule {decision.rule!r}: {decision.reason}", rule=decision.rule)
        if decision.step_up:
            raise errors.Denied(f"rule {decision.rule!r} demands a proof, which cannot be given here: do it by hand")
        told = because or Decision(verdict=Verdict.ALLOW, rule="a person", reason="chosen and confirmed in a popup")
        told = msgspec.structs.replace(told, risk=decision.risk)
        return await self._run_allowed(wish, msgspec.structs.replace(judged, decision=told))

    def asking_rule(self, decision: Decision) -> str:
        """The rule of the policy's files by which a person is asked, though their own configuration declares it; ""
        where none does."""
        return next((match.rule for match in decision.matched if _by_rule(match)), "")

    async def declared(self, wish: Wish, *, approved: bool, also: Action | None = None) -> Outcome:
        """Do what the person's own configuration says is to be done: nobody is asked for want of a rule. What a rule of
        the policy asks about is asked, unless `approved` (a person has seen it already, and it demands no proof); what
        it denies is denied. `also`: the same in another form, judged as well (what is typed, as shell text). Raises as
        perform() does.
        """
        known = await self._known(wish)
        if known is not None:
            return await self._go_on(known, wish)
        judged = await self._judged(wish.action, wish.origin)
        forms = [judged, *([await self._judged(also, wish.origin)] if also else [])]
        decisions = [form.decision for form in forms]
        for decision in decisions:
            if decision.verdict is Verdict.DENY:
                await self._journal.publish(decided(wish, decision))
                raise errors.Denied(f"denied by rule {decision.rule!r}: {decision.reason}", rule=decision.rule)
        asked = [decision for decision in decisions if self.asking_rule(decision)]
        proved = [decision for decision in asked if decision.step_up]  # which a yes to all of a stage has not been
        if asked and (proved or not approved):
            facts = {key: fact for form in forms for key, fact in form.facts.items()}
            because = msgspec.structs.replace(judged, decision=(proved or asked)[0], facts=facts)
            return await self._go_on(await self._open(wish, because), wish)
        declared = Decision(
            verdict=Verdict.ALLOW,
            rule="a person" if approved else "your configuration",
            reason="approved with its stage" if approved else "what the person's own file says",
            risk=max((one.risk for one in decisions), key=lambda risk: risk.rank),
        )
        return await self._run_allowed(wish, msgspec.structs.replace(judged, decision=declared))

    async def resume(self, approval: Approval) -> Outcome:
        """Go on with what an earlier sidecar was asked (Approvals.taken_over). Raises as perform() does."""
        wish = Wish(action=approval.action, origin=approval.origin, request_id=approval.request_id)
        return await self._go_on(approval, wish)

    async def ask(self, wish: Wish, rule: str = "", about: dict[str, Any] | None = None) -> Approval:
        """Put a question to a person without waiting; `rule` says by what they are asked, where that is not the policy;
        `about` is kept with it for whoever follows it after a restart. Raises Denied, LimitExceeded, Unavailable."""
        if known := await self._known(wish):
            return known
        judged = await self._judged(wish.action, wish.origin, asked=True)
        decision = _for(wish, judged.decision)
        judged = msgspec.structs.replace(judged, decision=decision)
        if decision.verdict is Verdict.DENY:
            await self._journal.publish(decided(wish, decision))
            raise errors.Denied(f"denied by rule {decision.rule!r}: {decision.reason}", rule=decision.rule)
        if rule and not decision.named:
            declared = msgspec.structs.replace(decision, rule=rule, reason="", where="its own file", named=True)
            judged = msgspec.structs.replace(judged, decision=declared)
        return await self._open(wish, judged, about)

    async def put(self, wish: Wish, decision: Decision) -> Approval:
        """Put to a person what the agent will do by itself after a yes. Raises LimitExceeded, Unavailable."""
        if wish.resume_key and (known := self._approvals.find(wish.resume_key)):
            return known
        rests_on = (await self.weighed(wish.action, wish.origin))[1]
        approval = msgspec.structs.replace(question_of(wish, decision, self._now()), kind="hook", rests_on=rests_on)
        return await self._approvals.open(
            msgspec.structs.replace(approval, preview=await self._toolbox.preview(wish.action, wish.origin))
        )

    async def settled(self, approval: Approval) -> Approval:
        """Wait for the end of an approval; the asker's going away withdraws it."""
        try:
            return await self._approvals.wait(approval.request_id)
        except asyncio.CancelledError:
            if not self._approvals.stopping:
                await asyncio.shield(self._approvals.withdraw(approval.request_id, "the asker went away"))
            raise

    async def settled_of(self, request_id: str) -> Approval:
        """Wait for the end of an approval that lives on without whoever waits. Raises NotFound."""
        return await self._approvals.wait(request_id)

    async def _known(self, wish: Wish) -> Approval | None:
        """The question that this wish has raised before: found by its key, or after a restart by what is asked."""
        if wish.resume_key:
            return await self._approvals.asked_before(wish.resume_key)
        return self._approvals.adopt(wish.origin, digest(wish.action))

    async def _open(self, wish: Wish, judged: Judged, about: dict[str, Any] | None = None) -> Approval:
        action, decision = wish.action, judged.decision
        pins = pinned(judged)
        facts = (about or {}) | await self._toolbox.observe(action, wish.origin)
        preview = await self._toolbox.preview(action, wish.origin)
        seconds = wish.timeout if wish.timeout is not None else decision.timeout
        if seconds is None:
            seconds = self._judgement.policy.defaults.timeout
        now = self._now()
        approval = question_of(wish, decision, now)
        expires = now + timedelta(seconds=seconds) if math.isfinite(seconds) else None
        return await self._approvals.open(
            msgspec.structs.replace(approval, facts=facts, rests_on=pins, preview=preview, expires=expires)
        )

    async def _go_on(self, approval: Approval, wish: Wish) -> Outcome:
        approval = await self.settled(approval)
        if approval.state is not ApprovalState.APPROVED:
            raise not_approved(approval)
        if approval.kind == "question":
            return Outcome(ok=True, data=approval)
        if approval.phase == "done":
            return await self._kept_outcome(approval)
        return await self._run_approved(approval, wish.origin)

    async def _kept_outcome(self, approval: Approval) -> Outcome:
        """What came of a request that is sent again after it was run."""
        outcome = await self._approvals.outcome(approval.request_id)
        if outcome is None:
            raise errors.Conflict(f"request {approval.request_id} was run; what came of it is no longer kept")
        if not outcome.ok:
            raise errors.Failed(outcome.error)
        return outcome

    async def _run_allowed(self, wish: Wish, judged: Judged) -> Outcome:
        decision = judged.decision
        facts = await self._toolbox.observe(wish.action, wish.origin)
        resolved = self._toolbox.resolved(wish.action, facts)  # bound from here on: links may be swapped meanwhile
        if resolved is not None and (await self.checked(resolved, wish.origin)).verdict is not Verdict.ALLOW:
            raise errors.Conflict("what the path leads to changed while it was judged; nothing was done")
        if wish.resume_key and not only_reads(wish.action):  # sent again, its row makes sure that it is run once
            now = self._now()
            answer = Answer(approved=True, at=now, comment=f"allowed by rule {decision.rule!r}")
            admitted = msgspec.structs.replace(
                question_of(wish, decision, now),
                facts=facts,
                rests_on=pinned(judged),
                state=ApprovalState.APPROVED,
                answer=answer,
            )
            await self._grants.used(decision, decided(wish, decision, once=wish.resume_key))
            await self._approvals.admit(admitted)
            return await self._run_approved(admitted, wish.origin)
        started = started_event(wish)
        await self._grants.used(
            decision, decided(wish, decision), started, also=lambda db: self._runs.begin(db, started)
        )

        async def finish(outcome: Outcome) -> None:
            await self._runs.end(finished_event(wish, outcome))

        return await self._run(wish.request_id, wish.action, wish.origin, facts, finish)

    async def _run_approved(self, approval: Approval, origin: Origin) -> Outcome:
        """Run the STORED action, which is what the person saw, if the facts they saw still hold."""
        changed = await self._toolbox.changed(approval.action, origin, approval.facts)
        changed = changed or self._judgement.still_holds(approval.rests_on, approval.origin)
        changed = changed or _against(await self.checked(approval.action, origin), approval)
        if changed:
            data = {"digest": approval.digest, "why": changed}
            await self._journal.publish(
                Event(type="action.skipped", request_id=approval.request_id, origin=origin, data=data)
            )
            raise errors.Conflict(f"approved, but not done: {changed}; ask again")
        if not await self._approvals.running(approval.request_id):
            raise errors.Conflict("this request has been run already, or was running when the sidecar died")

        async def finish(outcome: Outcome) -> None:
            await self._approvals.finished(approval.request_id, outcome)

        return await self._run(approval.request_id, approval.action, origin, approval.facts, finish)

    async def _run(
        self,
        request_id: str,
        action: Action,
        origin: Origin,
        facts: dict[str, Any],
        finish: Callable[[Outcome], Coroutine[Any, Any, None]],
    ) -> Outcome:
        self.running += 1
        try:
            outcome = await self._toolbox.run(action, origin, facts, request_id)
        except asyncio.CancelledError:
            await asyncio.shield(finish(Outcome(ok=False, error="cancelled: its asker is gone, or the sidecar stops")))
            raise
        except errors.TmuxAgentError as why:
            await _ended(request_id, finish, Outcome(ok=False, error=why.message, summary=why.kind))
            raise
        except Exception:  # a defect of ours: what was begun has its end in the record all the same
            error = "a defect of tmux-agent: it may or may not be done"
            await _ended(request_id, finish, Outcome(ok=False, error=error, summary="internal"))
            raise
        finally:
            self.running -= 1
        await _ended(request_id, finish, outcome)
        return outcome


async def _ended(request_id: str, finish: Callable[[Outcome], Coroutine[Any, Any, None]], outcome: Outcome) -> None:
    """Record the end of what was begun. While that cannot be, its asker waits: `unavailable` would say that nothing was
    done, and a pipeline would do it again. Cancelled, it stays begun, which the next sidecar tells as unknown."""
    while True:
        try:
            return await finish(outcome)
        except errors.Unavailable as why:
            log.warning("request %s is done, and waits to be recorded: %s", request_id, why.message)
            await asyncio.sleep(RETRY)


def _against(now: Decision, approval: Approval) -> str:
    """What the policy, which may have been changed since the yes, has against it by now; "" where nothing."""
    if now.verdict is Verdict.DENY:
        return "the policy denies it by now"
    proved = not now.step_up or now.step_up == approval.step_up
    return "" if proved else f"rule {now.rule!r} demands a proof for it by now"


def _by_rule(match: Match) -> bool:
    """Whether a rule of the policy's files asks, not only a guardrail for agents or the want of a rule."""
    return match.verdict is Verdict.ASK and match.where not in ("default", "guardrail")


def _for(wish: Wish, decision: Decision) -> Decision:
    """The decision about what is to be done for somebody, who may be in the sandbox."""
    return outside(decision) if wish.origin.sandbox and not isinstance(wish.action, Ask) else decision
