"""What the journal has recorded, and who is told of it: status lines, notifications, files, people at their clients.

Owns which record reaches whom. Must not own: how each of them tells it.
"""

from __future__ import annotations

import logging
from typing import Any

from ..core import display, errors, guardrails, notice_text
from ..core.model import Agent, Approval, Event, Origin
from ..core.wording import one_line
from .ledger import Heard
from .system import System

log = logging.getLogger(__name__)

ENDINGS = ("approval.answered", "approval.expired", "approval.withdrawn")
BADGES = ("approval.", "agent.", "policy.", "refused", "notify.", "sidecar.", "audit.")  # records that change them


class Telling:
    """Used in the event loop only."""

    def __init__(self, system: System) -> None:
        self._system = system

    async def follow(self, heard: Any) -> None:
        async for one in heard:
            try:
                self._tell(one)
            except Exception:  # a defect of ours: the next event is to be told all the same
                log.exception("nobody was told of record %s", one.seq)

    def _tell(self, heard: Heard) -> None:
        system, event = self._system, heard.event
        log.debug("%s, record %d, request %s", event.type, heard.seq, event.request_id or "–")
        system.measuring.take(heard)
        system.task_panes.heard(event)
        if event.type in ENDINGS or (event.type == "decision" and event.data["verdict"] != "ask"):
            system.recent.append(heard)
        if event.type in ENDINGS:
            system.agents.settled(event.request_id)
            system.answer_files.settled(event.request_id)
        if event.type == "approval.opened":
            self._opened(event.request_id)
        if gone := event.data.get("gone"):
            system.spawn(system.dialogs.gone(event.data["agent"]["session"], gone))
        if event.type == "agent.state":
            system.limits.heard(event.data["agent"]["session"])
        if event.type == "decision" and event.data["rule"] == guardrails.ANSWERING:
            system.refusals.warn()
        if event.type == "approval.answered" and event.origin and event.origin.door != "popup":
            by = _whom(event.origin)
            system.spawn(system.say_to_all(f"answered outside the popup: {event.request_id}, by {by}"))
        self._show(event)

    def _opened(self, request_id: str) -> None:
        system = self._system
        try:
            approval = system.approvals.get(request_id)
            system.notify.told(approval, system.links.url_for(approval))
            system.attention.opened(approval)
            system.answer_files.opened(approval)
            self.agent_asks(approval)
        except errors.NotFound:
            pass  # it was answered within the same turn of the loop: nobody needs to hear of it

    def _show(self, event: Event) -> None:
        system = self._system
        if event.type.startswith(("approval.", "agent.")):
            for server in system.servers.all():
                system.dialogs.changed(server)
        if event.type.startswith(BADGES):
            system.show_badges()

    def agent_asks(self, approval: Approval) -> None:
        """Its agent waits, whoever waits for the answer: a hook (which has said so before) or a guarded call."""
        if approval.origin.door in ("pipeline", "marker", "chat"):
            return  # no agent's, though it may be in an agent's pane
        agents = self._system.agents
        session = approval.origin.session if approval.hook_key else agents.session_of(approval.origin)
        agents.asks(session, approval.request_id, display.safe(one_line(approval.action)[:200]))

    async def resume_by_rule(self, agent: Agent) -> None:
        """Have it go on. A person hears of it where that did not work: they count on it."""
        system = self._system
        try:
            await system.resuming.by_rule(agent)
            system.agents.remark(agent.session, "told to go on", "by the rule in config.yaml")
        except errors.TmuxAgentError as why:
            system.agents.remark(agent.session, "not told to go on", why.message)
            where = agent.place or agent.pane
            said = f"{agent.kind} in {where} could not be told to go on after its usage limit: {why.message}"
            log.warning("%s", said)
            system.notify.say(notice_text.not_resumed(agent, why.message))
            await system.say_to_all(display.safe(said))


def _whom(origin: Origin) -> str:
    if origin.through:
        return f"{origin.door} {origin.through}"
    return f"{origin.exe.rpartition('/')[2] or 'a process'} (pid {origin.pid}) on {origin.tty or 'no terminal'}"
