"""THE choke point: whatever an agent wants done or is about to do is judged, asked, recorded and run here.

Owns the order of things (docs/architecture.md, "Three ways through it"): judged before asked, recorded before run,
looked at again before run, recorded after. `perform` is for what we run, `judge` for what the agent runs itself,
`answer` for people. Must not own: rules (core/policy.py), how a thing is run (tools/), rows (approvals.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from ..core import errors
from ..core.model import (
    Action,
    Approval,
    ApprovalState,
    Ask,
    Decision,
    Event,
    Origin,
    Outcome,
    Role,
    Verdict,
    digest,
)
from .approvals import Approvals
from .grants import Grants
from .journal import Journal
from .judgement import Judgement
from .toolbox import Toolbox


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
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._judgement = judgement
        self._journal = journal
        self._approvals = approvals
        self._grants = grants
        self._toolbox = toolbox
        self._now = now
        self.stopping = False  # the sidecar stops: requests end, but nobody took them back

    # --- what the policy says ---

    def check(self, action: Action, origin: Origin) -> Decision:
        """What would be decided. Records nothing."""
        return self._judgement.judge(action, origin, self._grants.active(origin)).decision

    async def judge(self, wish: Wish) -> Decision:
        """Judge what the agent is about to do by itself; recorded before the answer is given.

        Raises Unavailable where it cannot be recorded.
        """
        decision = self.check(wish.action, wish.origin)
        await self._grants.used(decision, _decided(wish, decision))
        return decision

    # --- what we do ---

    async def perform(self, wish: Wish) -> Outcome:
        """Judge, ask if need be, record, run, record.

        Raises Denied, Expired, Withdrawn (nobody said yes), Conflict (the facts changed meanwhile), Unavailable
        (cannot be recorded: nothing was done), or what the tool raises. Cancelled, it withdraws what it asked.
        """
        known = self._approvals.find(wish.resume_key) if wish.resume_key else None
        if known is not None:
            return await self._go_on(known, wish)
        judged = self._judgement.judge(wish.action, wish.origin, self._grants.active(wish.origin))
        decision = judged.decision
        if decision.verdict is Verdict.DENY:
            await self._journal.publish(_decided(wish, decision))
            raise errors.Denied(f"denied by rule {decision.rule!r}: {decision.reason}", rule=decision.rule)
        if decision.verdict is Verdict.ALLOW and not isinstance(wish.action, Ask):
            return await self._run_allowed(wish, decision)
        approval = await self._open(wish, decision)
        return await self._go_on(approval, wish)

    async def ask(self, wish: Wish) -> Approval:
        """Put the question (or the action) to a person without waiting. Raises Denied, LimitExceeded, Unavailable."""
        if wish.resume_key and (known := self._approvals.find(wish.resume_key)):
            return known
        decision = self.check(wish.action, wish.origin)
        if decision.verdict is Verdict.DENY:
            await self._journal.publish(_decided(wish, decision))
            raise errors.Denied(f"denied by rule {decision.rule!r}: {decision.reason}", rule=decision.rule)
        return await self._open(wish, decision)

    async def settled(self, approval: Approval) -> Approval:
        """Wait for the end of an approval; the asker's going away withdraws it."""
        try:
            return await self._approvals.wait(approval.request_id)
        except asyncio.CancelledError:
            if not self.stopping:
                await asyncio.shield(self._approvals.withdraw(approval.request_id, "the asker went away"))
            raise

    async def _open(self, wish: Wish, decision: Decision) -> Approval:
        action = wish.action
        before = await self._toolbox.observe(action, wish.origin)
        seconds = wish.timeout if wish.timeout is not None else decision.timeout
        if seconds is None:
            seconds = self._judgement.policy.defaults.timeout
        approval = Approval(
            request_id=wish.request_id,
            digest=digest(action),
            action=action,
            origin=wish.origin,
            created=self._now(),
            kind="question" if isinstance(action, Ask) else "run",
            rule=decision.rule,
            reason=decision.reason,
            where=decision.where,
            risk=decision.risk,
            parts=decision.parts,
            preview=await self._toolbox.preview(action, wish.origin),
            expires=self._now() + timedelta(seconds=seconds),
            on_timeout=decision.on_timeout,
            step_up=decision.step_up,
            grants=decision.grants,
            hook_key=wish.resume_key,
        )
        self._toolbox.remember(wish.request_id, before)
        return await self._approvals.open(approval)

    async def _go_on(self, approval: Approval, wish: Wish) -> Outcome:
        approval = await self.settled(approval)
        if approval.state is not ApprovalState.APPROVED:
            raise not_approved(approval)
        if approval.kind == "question":
            return Outcome(ok=True, data=approval)
        return await self._run_approved(approval, wish.origin)

    async def _run_allowed(self, wish: Wish, decision: Decision) -> Outcome:
        before = await self._toolbox.observe(wish.action, wish.origin)
        started = _started(wish.request_id, wish.origin, wish.action)
        await self._grants.used(decision, _decided(wish, decision), started)
        return await self._run(wish.request_id, wish.action, wish.origin, before, finish=self._journal.publish)

    async def _run_approved(self, approval: Approval, origin: Origin) -> Outcome:
        """Run the STORED action, which is what the person saw, if the facts they saw still hold."""
        before = self._toolbox.recall(approval.request_id)
        if before is None:
            before = await self._toolbox.observe(approval.action, origin)
        if changed := await self._toolbox.changed(approval.action, origin, before):
            raise errors.Conflict(f"approved, but not done: {changed}; ask again")
        if not await self._approvals.running(approval.request_id):
            raise errors.Conflict("this request has been run already, or was running when the sidecar died")

        async def finish(event: Event) -> None:
            await self._approvals.finished(approval.request_id, event)

        return await self._run(approval.request_id, approval.action, origin, before, finish=finish)

    async def _run(
        self, request_id: str, action: Action, origin: Origin, before: Any, finish: Callable[[Event], Any]
    ) -> Outcome:
        try:
            outcome = await self._toolbox.run(action, origin, before, request_id)
        except asyncio.CancelledError:
            end = {"ok": False, "error": "cancelled by the asker"}
            await asyncio.shield(finish(_finished(request_id, origin, end)))
            raise
        except errors.TmuxAgentError as why:
            await finish(_finished(request_id, origin, {"ok": False, "kind": why.kind, "error": why.message}))
            raise
        await finish(_finished(request_id, origin, msgspec.to_builtins(outcome)))
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
        grant: str | dict[str, Any] | None = None,
    ) -> Approval:
        """A person's answer, bound to the digest that was painted.

        Raises Forbidden (only operators answer), NotFound, Conflict (changed, or answered already), Denied (edited
        into something that the policy denies).
        """
        if by.role is not Role.OPERATOR:
            raise errors.Forbidden(f"only an operator can answer: {by.why}")
        approval = self._approvals.get(request_id)
        if edited is not None and approved:
            self._check_edit(approval, edited)
        if approved and approval.step_up:
            raise errors.Forbidden("this rule demands a step-up proof, which this version cannot take: deny it instead")
        made = self._grants.prepare(approval, grant, by) if approved and grant else None
        return await self._approvals.answer(
            request_id, painted, approved, by, comment=comment, edited=edited, choice=choice, grant=made
        )

    def _check_edit(self, approval: Approval, edited: Action) -> None:
        if type(edited) is not type(approval.action):
            raise errors.InvalidParams("params.edited: an edit cannot change the kind of the action")
        decision = self.check(edited, approval.origin)
        if decision.verdict is Verdict.DENY:
            raise errors.Denied(f"the edited action is denied by rule {decision.rule!r}: {decision.reason}")


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


def _started(request_id: str, origin: Origin, action: Action) -> Event:
    return Event(type="action.started", request_id=request_id, origin=origin, data={"digest": digest(action)})


def _finished(request_id: str, origin: Origin, outcome: dict[str, Any]) -> Event:
    return Event(type="action.finished", request_id=request_id, origin=origin, data={"outcome": outcome})
