"""The popup's view of the services: one Desk per popup, bound to who sits in front of it.

Owns nothing but the binding. Each answer asks again whether the client is still a person's. Must not own: drawing
(ui/), the order of things (services/guard.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..core import config, display, errors, limits, proposals
from ..core.menus import Page
from ..core.model import Action, Agent, Approval, Decision, Event, Origin, Plan, Role, Tmux
from ..core.protocol_fleet import FleetPause, FleetResume
from ..core.screen_question import DOOR
from ..services import local_time
from ..services.audit_log import AuditLog, Filter
from ..services.ids import new_id
from ..services.ledger import Heard
from ..services.system import System
from ..services.tmux.control import TmuxServer
from ..services.wishes import Wish
from . import audit_lines, pane_lines
from .fleet_desk import FleetDesk
from .pipeline_desk import PipelineDesk
from .ui.desk import Finished, GrantProposal


class ServiceDesk:
    """What edges/ui/desk.py describes, on the real services. Before `bind` it shows, and answers nothing."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._nonce = ""
        self._bound: Origin | None = None
        self.pipelines = PipelineDesk(system, self._still_persons, lambda: self._origin)
        self.fleet = FleetDesk(system, self._still_persons, lambda: self._origin)

    def bind(self, origin: Origin, nonce: str) -> None:
        """Once: whose answers come through here. `origin` is the checked relay's, an operator; `nonce` is its claim."""
        assert self._bound is None
        assert origin.role is Role.OPERATOR
        self._bound, self._nonce = origin, nonce

    @property
    def _origin(self) -> Origin:
        if self._bound is None:
            raise errors.Forbidden("nobody sits in front of this popup yet: it answers nothing")
        return self._bound

    # --- looking ---

    def pending(self) -> list[Approval]:
        return list(self._system.approvals.pending())

    def find(self, request_id: str) -> Approval | None:
        try:
            return self._system.approvals.get(request_id)
        except errors.NotFound:
            return None

    def recent(self, count: int) -> list[Finished]:
        found = (self._finished(heard) for heard in reversed(self._system.recent))
        return [one for one in found if one is not None][:count]

    def _finished(self, heard: Heard) -> Finished | None:
        """A past decision, if it is still known what it was about."""
        event = heard.event
        at = datetime.fromisoformat(heard.timestamp)
        if event.type == "decision":
            action = msgspec.convert(event.data["action"], Action)
            verdict = {"allow": "allowed", "deny": "denied"}[event.data["verdict"]]
            agent = _name(event.origin) if event.origin else ""
            return Finished(at=at, verdict=verdict, action=action, agent=agent, by=f"rule {event.data['rule']}")
        approval = self.find(event.request_id)
        if approval is None:
            return None
        by = "you" if approval.answer and approval.answer.by else ""
        agent = _name(approval.origin)
        return Finished(at=at, verdict=approval.state.value, action=approval.action, agent=agent, by=by)

    def agents(self) -> list[Agent]:
        return list(self._system.agents.list())

    def warnings(self) -> list[str]:
        return self._system.warnings()

    def plan_for(self, approval: Approval) -> Plan | None:
        return self._system.plans.current(approval.origin)

    async def subscribe(self) -> AsyncIterator[Event]:
        heard = await self._system.journal.subscribe()
        try:
            async for one in heard:
                yield one.event
        finally:
            heard.close()

    # --- answering ---

    async def answer(
        self,
        request_id: str,
        digest: str,
        approved: bool,
        comment: str = "",
        edited: Action | None = None,
        choice: str | None = None,
        grant: GrantProposal | None = None,
        secret: str | None = None,
    ) -> Approval:
        origin = self._still_persons("human.respond", request_id)
        try:
            return await self._system.answers.answer(
                request_id,
                digest,
                approved,
                origin,
                comment=comment,
                edited=edited,
                choice=choice,
                grant=_meant(grant) if grant else None,
                secret=secret,
            )
        except (errors.Conflict, errors.Failed, errors.InvalidParams):
            await self._show_pane(request_id)
            raise

    async def _show_pane(self, request_id: str) -> None:
        """A dialog in a pane that could not be answered from here: the person is taken there."""
        approval = self.find(request_id)
        if approval is not None and approval.origin.door == DOOR:
            with contextlib.suppress(errors.TmuxAgentError):  # the pane is gone: what is told says so
                await self.jump(approval)

    def _still_persons(self, method: str, request_id: str) -> Origin:
        """Who answers, looked at again. Raises Forbidden, on record."""
        origin = self._origin
        against = self._system.showing.popups.in_doubt(self._nonce) if self._system.showing.popups else None
        identity, client = self._system.identity, (origin.server or "", origin.client or "")
        against = against or identity.client_is_persons(*client) or identity.nobody_types(*client)
        if against:
            self._system.refusals.refused(msgspec.structs.replace(origin, why=against), method, request_id)
            raise errors.Forbidden(f"this popup may not answer any more: {against}")
        return origin

    async def check(self, approval: Approval, edited: Action) -> Decision:
        return self._system.guard.check(edited, approval.origin)

    async def grant_proposals(self, approval: Approval) -> list[GrantProposal]:
        return [_shown(one) for one in self._system.answers.proposals(approval)]

    async def revise(self, approval: Approval, proposal: GrantProposal, rule_text: str) -> GrantProposal:
        return _shown(self._system.answers.revise(approval, _meant(proposal), rule_text))

    # --- the pane ---

    async def jump(self, approval: Approval) -> None:
        server, pane = self._pane(approval)
        await server.command("switch-client", "-c", self._origin.client or "", "-t", pane)

    async def peek(self, approval: Approval, count: int) -> list[str]:
        return await pane_lines.last(*self._pane(approval), count)

    def _pane(self, approval: Approval) -> tuple[TmuxServer, str]:
        pane = approval.origin.pane
        server = self._system.servers.get(approval.origin.server or "")
        if server is None or pane is None:
            raise errors.NotFound("it is not known in which pane this asker runs")
        server.pane(pane)
        return server, pane

    # --- pages of menus ---

    async def read(self, page: Page, count: int) -> list[str]:
        return await pane_lines.last(*self._placed(page), count)

    def _placed(self, page: Page) -> tuple[TmuxServer, str]:
        server = self._system.servers.get(page.server)
        if server is None:
            raise errors.NotFound(f"the tmux server at {page.server} is gone")
        return server, server.pane(page.pane).id

    async def log(self, page: Page, count: int) -> list[str]:
        wanted = Filter(server=page.server, pane=page.pane)
        log = AuditLog(self._system.journal.audit)
        return [audit_lines.plain(one) for one in reversed(await asyncio.to_thread(log.newest, wanted, None, count))]

    def interrupts_with(self, page: Page) -> tuple[str, ...]:
        return INTERRUPTS.get(page.kind, ("C-c",))

    def resumes_with(self, page: Page) -> str:
        resuming = self._system.resuming
        try:
            agent = resuming.limited(page.pane, page.server)
        except errors.TmuxAgentError as why:
            return f"It cannot go on: {display.safe(why.message)}."
        assert agent.limit
        until = limits.said(agent.limit, datetime.now(UTC), local_time.mine())
        return (
            f"{until[0].upper()}{until[1:]}. “{display.safe(resuming.text)}” is typed at its prompt, or its own menu "
            "told to go on, if its pane still shows the limit and nothing else is typed there."
        )

    async def tell(self, page: Page) -> None:
        request_id = new_id()
        origin = self._still_persons("tmux", request_id)
        if page.what == "resume":
            resuming = self._system.resuming
            await resuming.asked(resuming.limited(page.pane, page.server), origin, request_id)
            return
        if page.what in ("pause", "unpause"):
            stop = FleetPause if page.what == "pause" else FleetResume
            await self.fleet.act(stop(name=page.pane, server=page.server))
            return
        server, pane = self._placed(page)
        keys = self.interrupts_with(page) if page.what == "interrupt" else ()
        verb = "send_keys" if keys else "kill_pane"
        action = Tmux(verb=verb, target=pane, keys=keys, server=server.socket)
        await self._system.guard.told(Wish(action=action, origin=origin, request_id=request_id))


INTERRUPTS = dict.fromkeys(("claude", "codex", "gemini", "opencode"), ("Escape",))  # others: Ctrl-C


def _name(origin: Origin) -> str:
    return origin.agent or origin.name


LIMITS = {"exact": "this session", "shape": "this session", "30m": "30 minutes", "always": "always"}


OPERANDS = {"none": "", "paths": "PATH…"}  # others are shown as they stand in the rule


def _shown(proposal: proposals.GrantProposal) -> GrantProposal:
    """A proposal in the words of the popup. It carries what is saved, so that what is shown is what is saved."""
    note = " · ".join(proposal.not_matches)
    if proposal.bound:
        note = "as long as what it runs does not change"
    elif proposal.scope == "always":
        note = f"writes policy.d/50-grants.yaml{'; would not match: ' + note if note else ''}"
    elif note:
        note = f"would not match: {note}"
    return GrantProposal(
        scope=proposal.scope,
        what="exactly this" if proposal.rule is None else _covered(proposal.rule) or proposal.text,
        limit=LIMITS[proposal.scope],
        note=note,
        rule=proposal.rule,
        rule_text=config.dump(proposal.rule) if proposal.rule else "",
        bound=proposal.bound,
    )


def _covered(rule: dict[str, Any]) -> str:
    """What a rule lets through, in one line: a command with the operands that it is bound to, else the rule's name."""
    when = rule.get("when")
    if not isinstance(when, dict) or not isinstance(when.get("command"), list):
        return str(rule.get("name", ""))
    operands = [OPERANDS.get(str(one), str(one).removeprefix("=")) for one in when.get("operands") or ()]
    words = [str(word) for word in (*when["command"], *(when.get("options") or ()))]
    return " ".join([*words, *filter(None, operands)])


def _meant(shown: GrantProposal) -> proposals.GrantProposal:
    scope = msgspec.convert(shown.scope, proposals.Scope)
    return proposals.GrantProposal(scope=scope, text=shown.what, rule=shown.rule, bound=shown.bound)
