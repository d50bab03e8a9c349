"""`agent.explain`: why a pane has its state, or why what runs there is no agent. Called by methods.py only.

Must not own: what is looked at (services), how it is printed (verbs/explain.py).
"""

from __future__ import annotations

import asyncio

import msgspec

from ..core import display, errors
from ..core import protocol as p
from ..core import replies as r
from ..core.model import Agent, Approval, Decision, Origin, Role
from ..core.wording import one_line
from ..services.audit_log import Filter
from ..services.system import System
from ..services.tmux.snapshot import Pane, is_id
from . import audit_lines
from .pipelines import last_markers, reading

WORDS = 200  # characters of what a question wants, or of a broken marker
MARKERS = 5  # the last ones


async def explain(system: System, params: p.AgentExplain, origin: Origin) -> r.ExplainData:
    """Raises NotFound, InvalidParams, Unavailable."""
    if not is_id(params.pane_id, "%"):
        raise errors.InvalidParams(f"params.pane_id: {display.safe(params.pane_id[:20])} is no pane: %7, for example")
    server = system.servers.choose(params.server, origin)
    pane = server.pane(params.pane_id)
    place = (server.socket, pane.id)
    sees = origin.role is Role.OPERATOR or (origin.server, origin.pane) == place
    view = await system.screens.view(place)
    screen = None
    if view is not None:
        limit = view.seen.limit.words if view.seen.limit else ""
        words = view.seen.dialog.question if view.seen.dialog else limit
        text = display.safe(words[:WORDS]) if sees else ""
        screen = r.ExplainedScreen(agent=view.agent, state=view.seen.state, rule=view.seen.rule, text=text)
    agents = tuple(one for one in system.agents.list() if (one.server, one.pane) == place)
    agents = tuple(sorted(agents, key=lambda one: one.since, reverse=True))
    programs = await asyncio.to_thread(system.identity.programs, pane.tty)
    pending = [one for one in system.approvals.pending() if (one.origin.server, one.origin.pane) == place]
    told = system.agents.told(agents[0].session) if agents else ()
    return r.ExplainData(
        pane=pane.id,
        place=pane.place,
        because=_because(agents, programs, screen, pane),
        programs=tuple(word for word, _ in programs),
        agents=agents,
        told=tuple(r.Told(at=one.at, what=one.what, state=one.state, note=one.note) for one in told),
        screen=screen,
        questions=tuple(map(_question, pending)),
        reading=await reading(system, place, sees=sees) if system.watch.how(*place) else None,
        decision=_decision(system, agents[0].session) if agents else None,
        watched=await _watched(system, server.socket, pane.id, sees=sees),
    )


async def _watched(system: System, server: str, pane: str, *, sees: bool) -> r.ExplainedWatch:
    how = system.watch.how(server, pane)
    if not how or not sees:
        return r.ExplainedWatch(how=how, withheld=bool(how))
    found = await last_markers(system, Filter(server=server, pane=pane), MARKERS)
    broken = system.watch.invalid(server, pane)
    return r.ExplainedWatch(
        how=how,
        markers=tuple(audit_lines.marker(one) for one in found if one.type == "marker"),
        invalid=tuple(display.safe(f"{one.why}: {one.text[:WORDS]}") for one in broken),
    )


def _because(
    agents: tuple[Agent, ...],
    programs: tuple[tuple[str, str | None], ...],
    screen: r.ExplainedScreen | None,
    pane: Pane,
) -> str:
    if agents:
        one = agents[0]
        waits = " and has an open question" if one.waiting_on else ""
        state = "at its usage limit" if one.limit else one.state.value
        return f"{one.kind or 'an agent'} is {state}{waits}; the last to tell was: {one.why or 'nothing'}"
    if pane.dead:
        return "what ran here has ended: a pane whose program is gone has no agent"
    known = next(((word, kind) for word, kind in programs if kind), None)
    if known is None:
        here = ", ".join(word for word, _ in programs[:6]) or "no program that can be seen"
        return f"no known agent runs here: {here}"
    hint = f"`tmux-agent setup {known[1]}` and start it anew, or `tmux-agent doctor`"
    if screen is not None and screen.state != "unknown":
        return f"{known[0]} runs here without hooks; its screen shows {screen.state}: {hint}"
    return f"{known[0]} runs here, but no hook of it has told anything, and its screen fits no rule: {hint}"


def _question(one: Approval) -> r.ExplainedQuestion:
    what = display.safe(one_line(one.action)[:WORDS])
    return r.ExplainedQuestion(
        request_id=one.request_id, what=what, since=one.created, rule=one.rule, reason=display.safe(one.reason)
    )


def _decision(system: System, session: str) -> Decision | None:
    """What the policy last said without asking a person, of those that are remembered."""
    for heard in reversed(system.recent):
        event = heard.event
        if event.type == "decision" and event.origin and event.origin.session == session:
            try:
                return msgspec.convert(event.data, Decision, strict=False)
            except msgspec.ValidationError:
                return None
    return None
