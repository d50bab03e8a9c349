"""Methods that only look: health, agents, grants, tmux lists, events, the audit log. Called by methods.py only.

Must not own: what is looked at (services).
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from .. import __version__
from ..core import errors, wire
from ..core import protocol as p
from ..core import replies as r
from ..core.model import Command, Event, Grant, Origin, Role
from ..services.audit_log import AuditLog, Filter
from ..services.subscription import Subscription
from ..services.system import PACKAGE, System
from ..services.tmux.control import TmuxServer
from ..services.tmux.snapshot import Pane
from .connection import Call, now_text

ROLE_SECONDS = 1.0  # after which an operator that is told of others' events is looked at again
EVENTS = 10_000  # that wait for one subscriber; the oldest go, and it is told


def health(system: System) -> r.HealthData:
    warnings = system.warnings()
    judgement, journal = system.judgement, system.journal
    wrong = "; ".join(str(error) for error in judgement.errors)
    return r.HealthData(
        status="degraded" if warnings else "ok",
        uptime_s=system.uptime(),
        pid=system.pid,
        version=__version__,
        began=system.began,
        package=str(PACKAGE),
        running=system.guard.running,
        policy=r.PolicyHealth(
            file=judgement.file,
            rules=len(judgement.policy.rules),
            loaded_at=str(judgement.loaded_at or "never"),
            error=wrong or None,
        ),
        tmux=tuple(
            r.TmuxHealth(socket=one.socket, panes=len(one.panes), connected=one.connected.is_set())
            for one in system.servers.all()
        ),
        pending=len(system.approvals.pending()),
        audit=r.AuditHealth(
            file=str(journal.audit), records=journal.head.seq, head=journal.head.hash, error=journal.unwell or None
        ),
        notify=system.notify.status,
        warnings=tuple(warnings),
    )


def agents(system: System, params: p.AgentList) -> r.AgentsData:
    size = max(1, min(params.limit, 500))
    found = [one for one in system.agents.list() if params.cursor is None or one.session > params.cursor]
    found.sort(key=lambda one: one.session)
    more = len(found) > size
    return r.AgentsData(agents=tuple(found[:size]), cursor=found[size - 1].session if more else None)


def grants(system: System, params: p.GrantList) -> r.GrantsData:
    size = max(1, min(params.limit, 500))
    kept = [] if params.cursor else [_kept(rule) for rule in system.kept.rules()]
    found = kept + [one for one in reversed(system.grants.all()) if params.cursor is None or one.id < params.cursor]
    return r.GrantsData(grants=tuple(found[:size]), cursor=found[size - 1].id if len(found) > size else None)


KEPT = "file:"  # how the ids of grants in policy.d/50-grants.yaml begin


def _kept(rule: dict[str, Any]) -> Grant:
    """A rule of policy.d/50-grants.yaml among the grants. Who made it stands in the audit log."""
    name = str(rule.get("name", ""))
    by = Origin(role=Role.OPERATOR, why="policy.d/50-grants.yaml", uid=os.getuid(), pid=0, door="file")
    created = datetime.fromtimestamp(0, UTC)
    return Grant(id=KEPT + name, scope="always", created=created, by=by, rule=rule, text=name)


async def revoke(system: System, grant_id: str, origin: Origin) -> Grant:
    """Take a grant back, wherever it is kept. Raises NotFound, Unavailable."""
    if not grant_id.startswith(KEPT):
        return await system.grants.revoke(grant_id, origin)
    name = grant_id.removeprefix(KEPT)
    rule = next((one for one in system.kept.rules() if one.get("name") == name), {"name": name})
    await asyncio.to_thread(system.kept.remove, name)
    system.judgement.load()
    data = {"grant": grant_id, "rule": rule}
    await system.journal.publish(Event(type="grant.revoked", origin=origin, data=data))
    return msgspec.structs.replace(_kept(rule), revoked=True)


def allowed(system: System) -> r.AllowedData:
    return msgspec.convert({"rules": system.judgement.in_words()}, r.AllowedData)


async def dry_run(system: System, action: Command, origin: Origin) -> r.DryRun:
    decision = await system.guard.checked(action, origin)
    return r.DryRun(
        would_run=action.argv, cwd=action.cwd, verdict=decision.verdict, rule=decision.rule, reason=decision.reason
    )


async def tmux(system: System, params: p.Params, origin: Origin) -> r.Data:
    """Sessions, windows or panes of one tmux server: the named one, the caller's own, or the only one."""
    match params:
        case p.TmuxSessions(server=server):
            chosen = system.servers.choose(server, origin)
            uses = [(one, system.executions.uses(chosen, one.id)) for one in chosen.sessions]
            used = [
                msgspec.to_builtins(one) | ({"commands": use.commands, "last_command": use.last} if use else {})
                for one, use in uses
            ]
            return msgspec.convert({"sessions": used}, r.SessionsData)
        case p.TmuxWindows(server=server):
            windows = await system.servers.choose(server, origin).windows()
            return msgspec.convert({"windows": msgspec.to_builtins(windows)}, r.WindowsData)
        case p.TmuxPanes(server=server):
            found = await panes(system, system.servers.choose(server, origin))
            named = [pane | {"pane_pid": pane["pid"]} for pane in found]
            return msgspec.convert({"panes": named}, r.PanesData)
    raise errors.Internal(f"{type(params).__name__} is no list of tmux")


async def panes(system: System, server: TmuxServer) -> list[dict[str, Any]]:
    """The panes of a server with the agent and its state where one runs there."""
    agents = {one.pane: one for one in system.agents.list() if one.server == server.socket}

    async def describe(pane: Pane) -> dict[str, Any]:
        agent = agents.get(pane.id)
        return {
            **msgspec.to_builtins(pane),
            "current_path": await _said(server, pane, "#{pane_current_path}"),
            "current_command": await _said(server, pane, "#{pane_current_command}"),
            "paused": system.pausing.is_paused(pane.pid),
            "agent": agent.kind if agent else None,
            "state": agent.state.value if agent else None,
        }

    return list(await asyncio.gather(*map(describe, server.panes)))


async def _said(server: TmuxServer, pane: Pane, what: str) -> str:
    """A text that a program in the pane chose freely; "" where the pane is gone."""
    try:
        return "\n".join(await server.foreign("display-message", "-p", "-t", pane.id, what))
    except errors.Failed:
        return ""


async def agent(system: System, params: p.Params, origin: Origin) -> r.Nothing:
    match params:
        case p.AgentRegister(name=name, kind=kind):
            if len(name) > p.NAME_LENGTH or len(kind) > p.NAME_LENGTH:
                raise errors.InvalidParams(f"params.name and params.kind: at most {p.NAME_LENGTH} characters")
            system.agents.register(origin, name, kind)
        case p.AgentSetState(state=state, detail=detail):
            system.agents.report(origin, state, detail[: p.NAME_LENGTH])
    return r.Nothing()


async def subscribe(system: System, params: p.EventsSubscribe, call: Call) -> r.Subscribed:
    """Notifications follow until the connection ends. An agent sees what is its own, and the states of agents."""
    if call.connection.subscriptions >= system.settings.limits.subscriptions:
        raise errors.LimitExceeded(f"{system.settings.limits.subscriptions} subscriptions are open on this connection")
    call.connection.subscriptions += 1
    try:
        heard = await system.journal.subscribe(params.types or None, params.since, EVENTS, output=params.output)
    except BaseException:
        call.connection.subscriptions -= 1
        raise
    call.connection.on_lost.append(heard.close)
    call.after = lambda: system.spawn(_forward(heard, call))  # first the reply, then the events
    return r.Subscribed(seq=system.journal.head.seq, lost=heard.lost)


async def _forward(heard: Subscription, call: Call) -> None:
    connection, lost, looked = call.connection, heard.lost, time.monotonic()
    origin = call.origin
    async for one in heard:
        if heard.lost > lost:
            connection.send(wire.event_line(0, now_text(), "events.lost", {"data": {"count": heard.lost - lost}}))
            lost = heard.lost
        event = one.event
        if origin.role is Role.OPERATOR and time.monotonic() - looked > ROLE_SECONDS:
            origin, looked = connection.identify(), time.monotonic()
        mine = event.origin is not None and event.origin.session == origin.session
        if origin.role is not Role.OPERATOR and not mine and event.type != "agent.state":
            continue
        data = {"request_id": event.request_id, "origin": event.origin, "data": event.data}
        connection.send(wire.event_line(one.seq, one.timestamp, event.type, data))


async def audit(system: System, params: p.Params) -> Any:
    log = AuditLog(system.journal.audit)
    match params:
        case p.AuditVerify(from_seq=start):
            found = await asyncio.to_thread(log.verify, start or 1, system.journal.head)
            bad = None if found.ok else f"{found.file}:{found.line}: record {found.seq}: {found.why}"
            return r.VerifiedData(ok=found.ok, records=found.records, first_bad=bad)
        case p.AuditQuery():
            return await asyncio.to_thread(_query, log, params)
    raise errors.Internal(f"{type(params).__name__} is no audit method")


def _query(log: AuditLog, params: p.AuditQuery) -> r.RecordsData:
    size = max(1, min(params.limit, 1000))
    wanted = Filter(
        types=frozenset([params.type] if params.type else []),
        request_id=params.request_id or "",
        agent=params.agent or "",
        since=params.since or "",
    )
    before = int(params.cursor) if params.cursor and params.cursor.isdigit() else None
    found = log.newest(wanted, before, size + 1)
    records = r.page(found, size)
    return r.RecordsData(records=records, cursor=str(records[-1].seq) if len(found) > len(records) else None)
