"""What people answer: bound to what was painted, edited within the policy, granted ahead, proved where a rule says so.

Owns what an answer may be. Must not own: what follows from it (guard.py), rows (approvals.py), rules (core/policy.py).
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from ..core import config, errors
from ..core.model import Action, Approval, ApprovalState, Event, Grant, Origin, Role, Verdict
from ..core.policy_file import RuleFile, as_data
from ..core.proposals import GrantProposal
from ..core.screen_question import DOOR
from .approval_records import too_late
from .approvals import Approvals
from .grants import Grants
from .journal import Journal
from .judgement import Judged, Judgement
from .kept_rules import KeptRules
from .proofs import Proofs
from .screen_answers import ScreenAnswers
from .toolbox import Toolbox
from .wishes import pinned

if TYPE_CHECKING:
    from .store import Connection


class Answers:
    """Built by the daemon. Everything on it runs in the event loop."""

    def __init__(
        self,
        judgement: Judgement,
        journal: Journal,
        approvals: Approvals,
        grants: Grants,
        toolbox: Toolbox,
        kept: KeptRules,
        proofs: Proofs,
        screens: ScreenAnswers | None = None,
    ) -> None:
        self._judgement = judgement
        self._journal = journal
        self._approvals = approvals
        self._grants = grants
        self._toolbox = toolbox
        self._kept = kept
        self._proofs = proofs
        self._screens = screens

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
        secret: str | None = None,
        also: Callable[[Connection], None] | None = None,
    ) -> Approval:
        """A person's answer, bound to the digest that was painted. `grant`: a scope that is offered, or a proposal of
        it with the rule as the person edited it. `secret`: what they typed as the proof that a rule's `step_up`
        demands, good for this answer alone. `also` is done in the same commit; what it raises undoes the answer.

        Raises Forbidden (only operators answer; a proof is missing, or demanded by now), NotFound, Conflict (it, or a
        file that it runs, has changed; or it was answered already; of a dialog in a pane: nothing was pressed), Denied
        (edited into something that the policy denies, or denied by now; a wrong proof), LimitExceeded (too many of
        those), Failed (pressed in vain).
        """
        if by.role is not Role.OPERATOR:
            raise errors.Forbidden(f"only an operator can answer: {by.why}")
        approval = self._approvals.get(request_id)
        screens = self._screens if approval.origin.door == DOOR else None
        if screens is not None and edited is not None:
            raise errors.InvalidParams("params.edited: a dialog in a pane cannot be edited: answer it there")
        if edited is not None and approved:
            self._check_edit(approval, edited)
            if grant is not None:
                raise errors.InvalidParams("params.grant: what was edited is approved once; the offer was for another")
        if approved and edited is None and approval.state is ApprovalState.PENDING:
            self._check_rules(approval)
        if approved and approval.step_up:
            await self._prove(approval, painted, by, secret)
        if approved and edited is None and approval.kind == "hook":  # who runs it cannot look again: we do
            self._check_files(approval)
        if screens is not None:
            await screens.check(approval, approved, choice)
        if isinstance(grant, str):
            grant = self._offered(approval, grant)
        kept = grant.rule if grant and approved and grant.scope == "always" else None
        made = self._prepare(approval, grant, by) if grant and approved and kept is None else None
        anew: dict[str, Any] = {}
        if edited is not None and approval.kind == "run":  # what the agent runs itself rests on nothing of ours
            anew["rests_on"] = pinned(self._look(edited, approval.origin, asked=True))
            anew["facts"] = await self._toolbox.observe(edited, approval.origin)
        answered = await self._approvals.answer(
            request_id, painted, approved, by, comment=comment, edited=edited, choice=choice, grant=made, also=also,
            **anew,
        )  # fmt: skip
        if kept is not None:
            await self._keep(kept, answered, by)
        if screens is not None:
            await screens.press(answered)
        return answered

    async def _prove(self, approval: Approval, painted: str, by: Origin, secret: str | None) -> None:
        if approval.state is not ApprovalState.PENDING or approval.digest != painted:
            raise too_late(approval)  # nobody's attempt is used up for that
        if secret is None:
            proof = shlex.join(approval.step_up)
            raise errors.Forbidden(f"its rule demands a proof ({proof}): approve it in the popup, prefix + A")
        await self._proofs.take(approval, by, secret)

    # --- allow again ---

    def proposals(self, approval: Approval) -> tuple[GrantProposal, ...]:
        """What a person may allow ahead, narrowest first; empty where nothing but a yes to this once is possible."""
        judged = self._judgement.judge(approval.action, approval.origin, ())
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
        decision = self._judgement.judge(approval.action, approval.origin, (trial,)).decision
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

    def _check_files(self, approval: Approval) -> None:
        if changed := self._judgement.still_holds(approval.rests_on, approval.origin):
            raise errors.Conflict(f"{changed}: look at it, then say no, so that it is asked again")

    def _check_rules(self, approval: Approval) -> None:
        """The rules may be others than those it was asked by: a yes without the proof that is demanded by now, or to
        what an agent would do by itself and is denied by now, is none."""
        decision = self._look(approval.action, approval.origin, asked=approval.kind == "hook").decision
        if approval.kind == "hook" and decision.verdict is Verdict.DENY:
            raise errors.Denied(f"rule {decision.rule!r} denies it by now: {decision.reason}")
        if decision.step_up and decision.step_up != approval.step_up:
            proof = shlex.join(decision.step_up)
            raise errors.Forbidden(f"a rule demands a proof for it by now ({proof}): say no, and have it asked again")

    def _check_edit(self, approval: Approval, edited: Action) -> None:
        if type(edited) is not type(approval.action):
            raise errors.InvalidParams("params.edited: an edit cannot change the kind of the action")
        decision = self._look(edited, approval.origin).decision
        if decision.verdict is Verdict.DENY:
            raise errors.Denied(f"the edited action is denied by rule {decision.rule!r}: {decision.reason}")
        if decision.step_up and decision.step_up != approval.step_up:
            raise errors.Forbidden(f"rule {decision.rule!r} demands a proof for the edited action: have that asked")

    def _look(self, action: Action, origin: Origin, *, asked: bool = False) -> Judged:
        return self._judgement.judge(action, origin, self._grants.active(origin), asked=asked)
