"""The methods `fleet.*`. Called by server.py only.

Owns who may, and how agents of the fleet are shown. A person's call is done; anybody else's is judged like every other
action. Must not own: what follows (services/fleet.py).
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..core import display, errors
from ..core import protocol as p
from ..core import replies_fleet as r
from ..core.fleet import FleetAgent, SpawnSpec
from ..core.model import ApprovalState, Decision, Fleet, Role, Verdict
from ..services import worktrees
from ..services.fleet import Planned
from ..services.system import System
from ..services.wishes import Wish, decided, not_approved

Call = p.FleetSpawn | p.FleetList | p.FleetGet | p.FleetSend | p.FleetKill
TEXT = 128 << 10  # characters of what is sent


def wanted(params: Call) -> Fleet:
    """What is wanted, as an action; of a spawn, before it is planned."""
    match params:
        case p.FleetSend(name=name, text=text):
            return Fleet(verb="send", name=name, text=text)
        case p.FleetKill(name=name):
            return Fleet(verb="kill", name=name)
    return Fleet(verb="spawn")


async def call(system: System, params: Call, wish: Wish) -> Any:
    """Raises NotFound, InvalidParams, Conflict, Denied, Expired, Withdrawn, LimitExceeded, Failed, Unavailable."""
    fleet = system.fleet
    match params:
        case p.FleetList(finished=finished):
            return r.FleetListed(agents=tuple(shown(system, one) for one in fleet.list(finished=finished)))
        case p.FleetGet(name=name):
            return await _whole(system, fleet.get(name))
        case p.FleetSpawn():
            return await _spawn(system, params, wish)
    one = fleet.get(params.name)
    await _allowed(system, wish, branch=one.branch, repository=one.repository, agent=one.agent)
    match params:
        case p.FleetSend(text=text, enter=enter):
            if not text or len(text) > TEXT:
                raise errors.InvalidParams(f"params.text: 1 to {TEXT} characters")
            one = await fleet.send(params.name, text, enter=enter)
        case p.FleetKill():
            one = await fleet.kill(params.name)
    return shown(system, one)


async def _spawn(system: System, params: p.FleetSpawn, wish: Wish) -> Any:
    given = {name: value for name, value in msgspec.structs.asdict(params).items() if name != "dry_run"}
    folder = params.repository or wish.origin.cwd
    if not folder.startswith("/"):
        raise errors.InvalidParams("params.repository: an absolute path")
    spec = msgspec.convert(given | {"repository": folder, "server": params.server or ""}, SpawnSpec)
    planned = await system.fleet.plan(spec, wish.origin)
    if params.dry_run:
        return _would(planned, await system.guard.checked(planned.action, wish.origin))
    wish = msgspec.structs.replace(wish, action=planned.action)
    await _allowed(system, wish)
    return shown(system, await system.fleet.spawn(spec, wish.origin, planned.action))


def _would(planned: Planned, decision: Decision) -> r.FleetWould:
    one = planned.agent
    return r.FleetWould(
        name=one.name, branch=one.branch, base=one.base, repository=one.repository, worktree=one.worktree,
        session=one.session, agent=one.agent, argv=planned.argv, new_branch=one.made_branch, does=planned.does,
        task=one.task, tier=one.tier, decision=decision,
    )  # fmt: skip


def shown(system: System, one: FleetAgent, did: tuple[str, ...] = ()) -> r.FleetData:
    """An agent as it is shown, with what it tells of itself."""
    where = (one.server, one.pane)
    here = [other for other in system.agents.list() if other.pane and (other.server, other.pane) == where]
    live = here[-1] if here and one.state.value in ("running", "paused") else None
    return r.FleetData(
        name=one.name, repository=one.repository, worktree=one.worktree, branch=one.branch, base=one.base,
        server=one.server, session=one.session, agent=one.agent, state=one.state.value, created=one.created,
        pane=one.pane, pane_pid=one.pane_pid, template=one.template, task=one.task, task_state=one.task_state.value,
        tier=one.tier, project=one.project, note=display.safe(one.note),
        agent_state=live.state.value if live else "", since=live.since if live else None,
        detail=display.safe(live.detail) if live else "", waiting_on=live.waiting_on if live else "", did=did,
    )  # fmt: skip


async def _whole(system: System, one: FleetAgent) -> r.FleetShown:
    look = await worktrees.difference(one)
    return r.FleetShown(
        agent=shown(system, one), ahead=look.ahead, files=look.files, added=look.added, removed=look.removed,
        uncommitted=look.uncommitted,
    )  # fmt: skip


async def _allowed(system: System, wish: Wish, **more: Any) -> None:
    """Nothing to ask of a person who calls, but it is recorded; anybody else is judged, and perhaps a person asked."""
    wish = msgspec.structs.replace(wish, action=msgspec.structs.replace(wish.action, **more))
    if wish.origin.role is Role.OPERATOR:
        told = Decision(verdict=Verdict.ALLOW, rule="a person", reason="a person wants it of the fleet")
        await system.journal.publish(decided(wish, told))
        return
    decision = await system.guard.judge(wish)
    if decision.verdict is Verdict.DENY:
        raise errors.Denied(f"denied by rule {decision.rule!r}: {decision.reason}", rule=decision.rule)
    if decision.verdict is Verdict.ASK:
        approval = await system.guard.settled(await system.guard.ask(wish))
        if approval.state is not ApprovalState.APPROVED:
            raise not_approved(approval)


