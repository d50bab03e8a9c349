"""The methods `fleet.*`. Called by methods.py only.

Owns who may. A person's call is done; anybody else's is judged like every other action. Must not own: what follows
(services/fleet.py), how it is shown (fleet_look.py).
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from ..core import errors
from ..core import protocol as p
from ..core import replies_fleet as r
from ..core.fleet import FleetAgent, SpawnSpec
from ..core.model import Fleet, Role, Tmux
from ..services.fleet_finish import How
from ..services.system import System
from ..services.tools import panes
from ..services.wishes import Wish
from . import fleet_look
from .allowed import allowed

TEXT = 128 << 10  # characters of what is sent


def wanted(params: Any) -> Fleet:
    """What is wanted, as an action; of a spawn, before it is planned."""
    match params:
        case p.FleetSend(name=name, text=text):
            return Fleet(verb="send", name=name, text=text)
        case p.FleetKill(name=name):
            return Fleet(verb="kill", name=name)
        case p.FleetPause(name=name):
            return Fleet(verb="pause", name=name)
        case p.FleetResume(name=name):
            return Fleet(verb="resume", name=name)
        case p.FleetFinish(name=name):
            return Fleet(verb="finish", name=name)
    return Fleet(verb="spawn")


async def call(system: System, params: Any, wish: Wish) -> Any:
    """Raises NotFound, InvalidParams, Conflict, Denied, Expired, Withdrawn, LimitExceeded, Failed, Unavailable."""
    fleet = system.fleet
    match params:
        case p.FleetList(finished=finished):
            agents = fleet.list(finished=finished)
            told = (fleet_look.shown(system, one, task=fleet_look.sees(one, wish.origin)) for one in agents)
            return r.FleetListed(agents=tuple(told))
        case p.FleetGet(name=name):
            one = fleet.get(name)
            return await fleet_look.whole(system, one, task=fleet_look.sees(one, wish.origin))
        case p.FleetTemplates():
            return await fleet_look.templates(system, _folder(params.repository, wish))
        case p.FleetRead():
            return await _read(system, params, wish)
        case p.FleetSpawn():
            return await _spawn(system, params, wish)
        case p.FleetPause(name=name) | p.FleetResume(name=name) if name.startswith("%"):
            return await _pane(system, params, wish)
    return await _one(system, params, wish)


def _folder(given: str, wish: Wish) -> str:
    folder = given or wish.origin.cwd
    if not folder.startswith("/"):
        raise errors.InvalidParams("params.repository: an absolute path")
    return folder


async def _spawn(system: System, params: p.FleetSpawn, wish: Wish) -> Any:
    given = {name: value for name, value in msgspec.structs.asdict(params).items() if name != "dry_run"}
    folder = _folder(params.repository, wish)
    spec = msgspec.convert(given | {"repository": folder, "server": params.server or ""}, SpawnSpec)
    planned = await system.fleet.plan(spec, wish.origin)
    if params.dry_run:
        return fleet_look.would(planned, await system.guard.checked(planned.action, wish.origin))
    async with _allowed(system, msgspec.structs.replace(wish, action=planned.action)):
        return fleet_look.shown(system, await system.fleet.spawn(spec, wish.origin, planned))


async def _read(system: System, params: p.FleetRead, wish: Wish) -> r.FleetText:
    """A person looks at what they may see anyhow; anybody else reads a pane, which is judged."""
    one = system.fleet.get(params.name)
    if not one.has_session:
        raise errors.Conflict(f"{one.name} has no pane ({one.state.value}): `tmux-agent resume {one.name}` starts one")
    options = {"last_n_lines": params.last_n_lines, "from_history": params.from_history}
    action = Tmux(verb="read", target=one.pane, server=one.server, options=options)
    if wish.origin.role is Role.OPERATOR:
        server = system.servers.choose(one.server, wish.origin)
        outcome = await panes.run(action, server, read_limit=system.settings.panes.read_lines)
    else:
        outcome = await system.guard.perform(msgspec.structs.replace(wish, action=action))
    return msgspec.convert(outcome.data, r.FleetText)


async def _one(system: System, params: Any, wish: Wish) -> Any:
    """Something done to one agent of the fleet."""
    fleet = system.fleet
    one = fleet.get(params.name)
    how = How()
    if isinstance(params, p.FleetFinish):
        how = How(merge=params.merge, into=params.into, keep_branch=params.keep_branch, discard=params.discard)
        how = await fleet.can_finish(params.name, how)  # nobody is asked about what cannot be done
    does = how.lines(one) if isinstance(params, p.FleetFinish) else ()
    if isinstance(params, p.FleetSend) and not 0 < len(params.text) <= TEXT:
        raise errors.InvalidParams(f"params.text: 1 to {TEXT} characters")
    async with _allowed(system, wish, branch=one.branch, repository=one.repository, agent=one.agent, does=does):
        return await _done(system, params, wish, one, how)


async def _done(system: System, params: Any, wish: Wish, one: FleetAgent, how: How) -> Any:
    fleet = system.fleet
    match params:
        case p.FleetSend(text=text, enter=enter):
            return fleet_look.shown(system, await fleet.send(params.name, text, enter=enter))
        case p.FleetKill():
            return fleet_look.shown(system, await fleet.kill(params.name))
        case p.FleetPause():
            count = await fleet.pause(params.name)
            return fleet_look.moved(fleet.get(params.name), count)
        case p.FleetResume(fresh=fresh):
            return fleet_look.moved(await fleet.resume(params.name, wish.origin, fresh=fresh))
        case p.FleetFinish():
            did = await fleet.finish(params.name, how)
            return r.FleetFinished(name=params.name, branch=one.branch, did=did)
    raise errors.Internal(f"{type(params).__name__} is declared and not answered")


async def _pane(system: System, params: p.FleetPause | p.FleetResume, wish: Wish) -> r.FleetMoved:
    """Any agent's pane stands still, or goes on."""
    server = system.servers.choose(params.server, wish.origin)
    pane = server.pane(params.name)
    if found := next((one for one in system.fleet.list() if (one.server, one.pane) == (server.socket, pane.id)), None):
        given = msgspec.structs.replace(params, name=found.name)
        name = msgspec.structs.replace(wish.action, name=found.name)
        moved: r.FleetMoved = await _one(system, given, msgspec.structs.replace(wish, action=name))
        return moved
    resumes = isinstance(params, p.FleetResume)
    if resumes and not system.pausing.is_paused(pane.pid):
        raise errors.Conflict(f"what runs in {pane.id} does not stand still")
    count = 0
    async with _allowed(system, wish):
        process = system.pausing.read(pane.pid)
        if process is None:
            raise errors.NotFound(f"what ran in {pane.id} has ended")
        if resumes:
            await system.pausing.resume(process.pid, process.started)
        else:
            count = await system.pausing.pause(process.pid, process.started, [server.pid])
    return r.FleetMoved(
        name=pane.id, state="running" if resumes else "paused", server=server.socket, pane=pane.id,
        session=pane.session_name, processes=count,
    )  # fmt: skip


def _allowed(system: System, wish: Wish, **more: Any) -> AbstractAsyncContextManager[None]:
    wish = msgspec.structs.replace(wish, action=msgspec.structs.replace(wish.action, **more))
    return allowed(system, wish, "a person wants it of the fleet")
