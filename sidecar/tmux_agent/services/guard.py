"""THE choke point: whatever an agent wants done or is about to do is judged, asked, recorded and run here.

Owns the order of things (docs/architecture.md, "Three ways through it"): judged before asked, recorded before run,
looked at again before run, recorded after. `perform` is for what we run, `judge` for what the agent runs itself,
`answer` for people. Must not own: rules (core/policy.py), how a thing is run (tools/), rows (approvals.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from ..core import config, errors
from ..core.facts import pin
from ..core.model import (
    Action,
    Answer,
    Approval,
    ApprovalState,
    Ask,
    Decision,
    Event,
    File,
    Grant,
    Origin,
    Outcome,
    Role,
    Tmux,
    Verdict,
    digest,
)
from ..core.policy_file import RuleFile, as_data
from ..core.proposals import GrantProposal
from .approvals import Approvals
from .grants import Grants
from .journal import Journal
from .judgement import Judged, Judgement
from .kept_rules import KeptRules
from .runs import Runs
from .toolbox import Toolbox

PROOF_SECONDS = 30.0
PINS = 10_000  # places that one action may rest on; they are kept with its question
_READINGS = 5  # times that a decision is made anew because something was still being read


class Wish(Struct, frozen=True, kw_only=True):
    """One thing that somebody wants done: the action, who wants it, the id it is recorded under.

    `key` is chosen by the client and makes the wish the same wish when it is sent again. `timeout` is in seconds.
    """

    action: Action
    origin: Origin
    request_id: str
    key: str = ""
    timeout: float | None = None

    @property
    def resume_key(self) -> str | None:
        return f"{self.origin.session}:{self.key}:{digest(self.action)}" if self.key else None


class Guard:
    """Built once by the daemon. Everything on it runs in the event loop."""

    def __init__(
        self,
        judgement: Judgement,
        journal: Journal,
        approvals: Approvals,
        grants: Grants,
        toolbox: Toolbox,
        kept: KeptRules,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._judgement = judgement
        self._journal = journal
        self._approvals = approvals
        self._grants = grants
        self._toolbox = toolbox
        self._kept = kept
        self._runs = Runs(journal)
        self._now = now
        self._walking = asyncio.Lock()
        self._proved: set[tuple[str, str, int]] = set()  # (request, digest, relay) that a step-up proof was given for

    async def recover(self) -> None:
        """Tell of what was cut off when an earlier sidecar died. Raises Unavailable."""
        await self._runs.recover()

    # --- what the policy says ---

    def check(self, action: Action, origin: Origin) -> Decision:
        """What would be decided. Records nothing."""
        return self._look(action, origin).decision

    def _look(self, action: Action, origin: Origin) -> Judged:
        return self._judgement.judge(action, origin, self._grants.active(origin), count=False)

    def foresee(self, action: Action, origin: Origin) -> Decision | None:
        """The same for somebody who only wants to know: nothing may be run on it. None where something takes so long to
        read that it has to be waited for (`checked`)."""
        decision = self._judgement.foresee(action, origin, self._grants.active(origin))
        if decision is None or decision.verdict is Verdict.ALLOW:
            return decision
        return None if self._judgement.walks() else decision

    async def checked(self, action: Action, origin: Origin) -> Decision:
        """As `check`, after what takes long to read has been read."""
        return (await self._judged(action, origin, count=False)).decision

    async def _judged(self, action: Action, origin: Origin, *, count: bool = True) -> Judged:
        """Judge, and again as soon as what takes long to read has been read, by threads."""
        walked: dict[str, Any] = {}
        judged = self._judgement.judge(action, origin, self._grants.active(origin), count=count)
        for _ in range(_READINGS):
            reading = self._judgement.reading(judged)
            if not reading and not judged.left:
                break
            if reading:
                await asyncio.wait([asyncio.wrap_future(walk) for walk in reading])
                walked.clear()  # it may have taken long
            async with self._walking:  # one at a time: the next may find that all is as it was
                walked |= dict([await asyncio.to_thread(look) for look in judged.left])
            judged = self._judgement.judge(action, origin, self._grants.active(origin), count=count, walked=walked)
        return judged

    async def judge(self, wish: Wish) -> Decision:
        """Judge what the agent is about to do by itself; recorded before the answer is given.

        Raises Unavailable where it cannot be recorded.
        """
        while True:
            decision = (await self._judged(wish.action, wish.origin)).decision
            try:
                await self._grants.used(decision, _decided(wish, decision))
            except errors.Conflict:
                continue  # a grant it rested on was revoked or used up meanwhile
            return decision

    # --- what we do ---

    async def perform(self, wish: Wish) -> Outcome:
        """Judge, ask if need be, record, run, record.

        Raises Denied, Expired, Withdrawn (nobody said yes), Conflict (the facts changed meanwhile), Unavailable
        (cannot be recorded: nothing was done), or what the tool raises. Cancelled, it withdraws what it asked.
        """
        known = self._known(wish)
        if known is not None:
            return await self._go_on(known, wish)
        judged = await self._judged(wish.action, wish.origin)
        decision = judged.decision
        if decision.verdict is Verdict.DENY:
            await self._journal.publish(_decided(wish, decision))
            raise errors.Denied(f"denied by rule {decision.rule!r}: {decision.reason}", rule=decision.rule)
        if decision.verdict is Verdict.ALLOW and not isinstance(wish.action, Ask):
            return await self._run_allowed(wish, judged)
        approval = await self._open(wish, judged)
        return await self._go_on(approval, wish)

    async def ask(self, wish: Wish) -> Approval:
        """Put a question to a person without waiting. Raises Denied, LimitExceeded, Unavailable."""
        if known := self._known(wish):
            return known
        judged = self._look(wish.action, wish.origin)
        decision = judged.decision
        if decision.verdict is Verdict.DENY:
            await self._journal.publish(_decided(wish, decision))
            raise errors.Denied(f"denied by rule {decision.rule!r}: {decision.reason}", rule=decision.rule)
        return await self._open(wish, judged)

    async def put(self, wish: Wish, decision: Decision) -> Approval:
        """Put to a person what the agent will do by itself after a yes. Raises LimitExceeded, Unavailable."""
        if wish.resume_key and (known := self._approvals.find(wish.resume_key)):
            return known
        approval = msgspec.structs.replace(_approval(wish, decision, self._now()), kind="hook")
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

    def _known(self, wish: Wish) -> Approval | None:
        """The question that this wish has raised before: found by its key, or after a restart by what is asked."""
        if wish.resume_key:
            return self._approvals.find(wish.resume_key)
        return self._approvals.adopt(wish.origin, digest(wish.action))

    async def _open(self, wish: Wish, judged: Judged) -> Approval:
        action, decision = wish.action, judged.decision
        pins = _pinned(judged)
        facts = await self._toolbox.observe(action, wish.origin)
        preview = await self._toolbox.preview(action, wish.origin)
        seconds = wish.timeout if wish.timeout is not None else decision.timeout
        if seconds is None:
            seconds = self._judgement.policy.defaults.timeout
        now = self._now()
        approval = _approval(wish, decision, now)
        expires = now + timedelta(seconds=seconds)
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
        if resolved is not None and self.check(resolved, wish.origin).verdict is not Verdict.ALLOW:
            raise errors.Conflict("what the path leads to changed while it was judged; nothing was done")
        if wish.resume_key and not _only_reads(wish.action):  # sent again, its row makes sure that it is run once
            now = self._now()
            answer = Answer(approved=True, at=now, comment=f"allowed by rule {decision.rule!r}")
            admitted = msgspec.structs.replace(
                _approval(wish, decision, now),
                facts=facts,
                rests_on=_pinned(judged),
                state=ApprovalState.APPROVED,
                answer=answer,
            )
            await self._grants.used(decision, _decided(wish, decision))
            await self._approvals.admit(admitted)
            return await self._run_approved(admitted, wish.origin)
        started = _started(wish)
        await self._grants.used(
            decision, _decided(wish, decision), started, also=lambda db: self._runs.begin(db, started)
        )

        async def finish(outcome: Outcome) -> None:
            await self._runs.end(_finished(wish, outcome))

        return await self._run(wish.request_id, wish.action, wish.origin, facts, finish)

    async def _run_approved(self, approval: Approval, origin: Origin) -> Outcome:
        """Run the STORED action, which is what the person saw, if the facts they saw still hold."""
        changed = await self._toolbox.changed(approval.action, origin, approval.facts)
        changed = changed or self._judgement.still_holds(approval.rests_on, approval.origin)
        if not changed and self.check(approval.action, origin).verdict is Verdict.DENY:
            changed = "the policy denies it by now"
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
        try:
            outcome = await self._toolbox.run(action, origin, facts, request_id)
        except asyncio.CancelledError:
            await asyncio.shield(finish(Outcome(ok=False, error="cancelled: its asker is gone, or the sidecar stops")))
            raise
        except errors.TmuxAgentError as why:
            await finish(Outcome(ok=False, error=why.message, summary=why.kind))
            raise
        await finish(outcome)
        return outcome

    # --- people ---

    async def answer(
        self,
        request_id: str,
        painted: str,
        approved: bool,
        by: Origin,
        *,
        comment: str = "",
        edited: Action | None = None,
        choice: str | None = None,
        grant: str | GrantProposal | None = None,
    ) -> Approval:
        """A person's answer, bound to the digest that was painted. `grant`: a scope that is offered, or a proposal of
        it with the rule as the person edited it.

        Raises Forbidden (only operators answer), NotFound, Conflict (changed, or answered already), Denied (edited
        into something that the policy denies).
        """
        if by.role is not Role.OPERATOR:
            raise errors.Forbidden(f"only an operator can answer: {by.why}")
        approval = self._approvals.get(request_id)
        if edited is not None and approved:
            self._check_edit(approval, edited)
            if grant is not None:
                raise errors.InvalidParams("params.grant: what was edited is approved once; the offer was for another")
        if approved and approval.step_up and (request_id, painted, by.pid) not in self._proved:
            raise errors.Forbidden(f"this rule demands a proof first: {' '.join(approval.step_up)}")
        if isinstance(grant, str):
            grant = self._offered(approval, grant)
        kept = grant.rule if grant and approved and grant.scope == "always" else None
        made = self._prepare(approval, grant, by) if grant and approved and kept is None else None
        anew: dict[str, Any] = {}
        if edited is not None and approval.kind == "run":  # what the agent runs itself rests on nothing of ours
            anew["rests_on"] = _pinned(self._look(edited, approval.origin))
            anew["facts"] = await self._toolbox.observe(edited, approval.origin)
        answered = await self._approvals.answer(
            request_id, painted, approved, by, comment=comment, edited=edited, choice=choice, grant=made, **anew
        )
        if kept is not None:
            await self._keep(kept, answered, by)
        return answered

    # --- allow again ---

    def proposals(self, approval: Approval) -> tuple[GrantProposal, ...]:
        """What a person may allow ahead, narrowest first; empty where nothing but a yes to this once is possible."""
        judged = self._judgement.judge(approval.action, approval.origin, (), count=False)
        return tuple(one for one in self._judgement.proposals(approval.action, judged) if one.scope != "once")

    def revise(self, approval: Approval, proposal: GrantProposal, rule_text: str) -> GrantProposal:
        """The proposal with its rule as the person edited it (YAML). Raises InvalidParams saying what is wrong."""
        typed, problems = config.load(rule_text, "the rule", RuleFile)
        if typed is None:
            raise errors.InvalidParams("; ".join(str(problem) for problem in problems))
        if typed.verdict != "allow":
            raise errors.InvalidParams("the rule: its verdict has to be allow")
        changed = msgspec.structs.replace(proposal, rule=as_data(typed), text=typed.name, matches=(), not_matches=())
        trial = self._prepare(approval, changed, approval.origin)
        decision = self._judgement.judge(approval.action, approval.origin, (trial,), count=False).decision
        if decision.verdict is not Verdict.ALLOW:
            raise errors.InvalidParams(f"the rule does not allow this action: {decision.reason}")
        return changed

    def _offered(self, approval: Approval, scope: str) -> GrantProposal:
        for one in self.proposals(approval):
            if one.scope == scope:
                return one
        raise errors.InvalidParams(f"params.grant: {scope!r} is not offered for this request")

    def _prepare(self, approval: Approval, proposal: GrantProposal, by: Origin) -> Grant:
        wish = {"scope": proposal.scope, "rule": proposal.rule, "text": proposal.text}
        made = self._grants.prepare(approval, wish, by, dict(proposal.bound))
        assert made is not None
        return made

    async def _keep(self, rule: dict[str, Any], approval: Approval, by: Origin) -> None:
        """Write an "always" into the policy. The answer stands already, so a failure is told and nothing is undone."""
        await asyncio.to_thread(self._kept.add, rule)
        self._judgement.load()
        data = {"scope": "always", "rule": rule, "file": str(self._kept.file)}
        await self._journal.publish(Event(type="grant.made", request_id=approval.request_id, origin=by, data=data))

    async def prove(self, request_id: str, painted: str, by: Origin, secret: str) -> None:
        """Take the proof that a rule's `step_up` demands: its command, given `secret` as a line on stdin, ends with 0.

        For one approval as painted, one popup. Raises Denied where the proof fails.
        """
        argv = self._approvals.get(request_id).step_up
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        try:
            async with asyncio.timeout(PROOF_SECONDS):
                await process.communicate(secret.encode() + b"\n")
        except TimeoutError:
            process.kill()
            await process.wait()
        passed = process.returncode == 0
        data = {"command": list(argv), "passed": passed}
        await self._journal.publish(Event(type="step_up", request_id=request_id, origin=by, data=data))
        if not passed:
            raise errors.Denied(f"the proof was not accepted ({argv[0]})")
        self._proved.add((request_id, painted, by.pid))

    def _check_edit(self, approval: Approval, edited: Action) -> None:
        if type(edited) is not type(approval.action):
            raise errors.InvalidParams("params.edited: an edit cannot change the kind of the action")
        decision = self.check(edited, approval.origin)
        if decision.verdict is Verdict.DENY:
            raise errors.Denied(f"the edited action is denied by rule {decision.rule!r}: {decision.reason}")
        if decision.step_up and decision.step_up != approval.step_up:
            raise errors.Forbidden(f"rule {decision.rule!r} demands a proof for the edited action: have that asked")


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


def _decided(wish: Wish, decision: Decision) -> Event:
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
        },
    )


def _approval(wish: Wish, decision: Decision, now: datetime) -> Approval:
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


def _pinned(judged: Judged) -> dict[str, str]:
    """Raises LimitExceeded where it is more than can be looked at again and again."""
    if len(judged.facts) > PINS:
        raise errors.LimitExceeded(f"it touches over {PINS} places: a person cannot oversee it; ask in smaller parts")
    return pin(judged.facts)


def _only_reads(action: Action) -> bool:
    """Whether doing it twice is no more than doing it once."""
    return isinstance(action, File | Tmux) and action.verb in ("read", "list")


def _started(wish: Wish) -> Event:
    return Event(
        type="action.started", request_id=wish.request_id, origin=wish.origin, data={"digest": digest(wish.action)}
    )


def _finished(wish: Wish, outcome: Outcome) -> Event:
    data = {"digest": digest(wish.action), "outcome": msgspec.to_builtins(outcome)}
    return Event(type="action.finished", request_id=wish.request_id, origin=wish.origin, data=data)
