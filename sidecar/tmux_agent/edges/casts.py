"""The methods `cast.*`. Called by methods.py only.

Owns who may, and how recordings are shown. Must not own: recording (services/casts.py), the popup that one is played in
(services/tmux/playing.py).
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ..core import cast, display, errors
from ..core import protocol as p
from ..core import replies_casts as r
from ..core.model import Origin, Role, Tmux
from ..core.reply import Nothing
from ..services.cast_files import Kept, read_head
from ..services.system import PACKAGE, System
from ..services.tmux import playing
from ..services.tmux.watched import place_of
from ..services.wishes import Wish
from .allowed import allowed

Methods = p.CastStart | p.CastStop | p.CastList | p.CastRemove | p.CastPlay
LEAST = 4096  # bytes of a recording that is to be limited


def wanted(params: Methods, origin: Origin) -> Tmux:
    """What is wanted, as an action that can be judged and shown. Raises NotFound, InvalidParams."""
    match params:
        case p.CastStart() as start:
            options = {"mask": start.mask, "max_bytes": start.max_bytes}
            target = _pane(start.pane_id, origin)
            return Tmux(verb="record", target=target, server=start.server or origin.server, options=options)
        case p.CastStop() as stop:
            target = "" if stop.id else _pane(stop.pane_id, origin)
            return Tmux(verb="record_stop", target=target, server=stop.server or origin.server, name=stop.id)
        case p.CastRemove(id=name):
            return Tmux(verb="record_remove", name=name)
        case p.CastPlay() as play:
            return Tmux(verb="record_play", name=play.what, server=play.server or origin.server)
        case p.CastList():
            return Tmux(verb="read", server=origin.server)  # judged by nobody: it is told what is the caller's own


def _pane(named: str | None, origin: Origin) -> str:
    if pane := named or origin.pane:
        return pane
    raise errors.InvalidParams("params.pane_id: name the pane (%7), for you are in none")


async def answer(system: System, params: Methods, wish: Wish) -> Any:
    """Raises NotFound, InvalidParams, Conflict, Denied, Expired, Withdrawn, LimitExceeded, Unavailable."""
    match params:
        case p.CastStart():
            return await _start(system, params, wish)
        case p.CastStop():
            return await _stop(system, params, wish)
        case p.CastList():
            kept = await system.casts.all()
            seen = [one for one in kept if wish.origin.role is Role.OPERATOR or _own(one, wish.origin)]
            return r.CastsData(casts=tuple(shown(system, one) for one in seen))
        case p.CastRemove(id=name):
            kept_one = await system.casts.get(name)
            async with allowed(system, _about(wish, kept_one), "a person removes a recording"):
                await system.casts.remove(kept_one)
            return Nothing()
        case p.CastPlay():
            return await _play(system, params, wish)


async def _start(system: System, params: p.CastStart, wish: Wish) -> r.CastData:
    if params.max_bytes and params.max_bytes < LEAST:
        raise errors.InvalidParams(f"params.max_bytes: at least {LEAST}, or 0 for no limit of its own")
    origin = wish.origin
    assert isinstance(wish.action, Tmux)
    server = system.servers.choose(params.server, origin)
    place = place_of(server, server.pane(wish.action.target))
    own = (origin.server, origin.pane) == (place.server, place.pane)
    asks = not own or origin.role is Role.OPERATOR
    by = "operator" if origin.role is Role.OPERATOR else f"{origin.server} {origin.pane}"
    async with allowed(system, wish, "a person wants a pane recorded") if asks else nullcontext():
        note = await system.casts.start(place, mask=params.mask, max_bytes=params.max_bytes, by=by)
    return shown(system, await system.casts.get(note.id))


async def _stop(system: System, params: p.CastStop, wish: Wish) -> r.CastData:
    assert isinstance(wish.action, Tmux)
    name = params.id
    if not name:
        server = system.servers.choose(params.server, wish.origin)
        name = system.casts.of(server.socket, wish.action.target) or ""
        if not name:
            raise errors.NotFound(f"pane {wish.action.target} is not recorded: `tmux-agent cast list` lists what is")
    kept = await system.casts.get(name)
    asks = wish.origin.role is Role.OPERATOR or kept.note.by != f"{wish.origin.server} {wish.origin.pane}"
    async with allowed(system, _about(wish, kept), "a person ends a recording") if asks else nullcontext():
        note = await system.casts.stop(kept.note.id)
    return shown(system, await system.casts.get(note.id))


def _about(wish: Wish, kept: Kept) -> Wish:
    """What is shown and recorded names the recording as it is known."""
    action = msgspec.structs.replace(wish.action, name=kept.note.id, target=kept.note.place.pane)
    return msgspec.structs.replace(wish, action=action)


async def _play(system: System, params: p.CastPlay, wish: Wish) -> Nothing:
    if not (0.05 <= params.speed <= 100 and 0 <= params.idle_limit <= 86400):
        raise errors.InvalidParams("params.speed: 0.05 to 100; params.idle_limit: seconds, 0 for none")
    async with allowed(system, wish, "a person plays a recording"):
        if params.what.startswith("/"):
            header = await asyncio.to_thread(read_head, Path(params.what))
            what = params.what
        else:
            kept = await system.casts.get(params.what)
            header = await asyncio.to_thread(system.casts.files.head, kept)
            what = kept.note.id
        server, client = system.showing.client_for(wish.origin)
        argv = (*player(system.places.state), "--hold", "--speed", f"{params.speed:g}", what)
        argv = (*argv, "--idle-limit", f"{params.idle_limit:g}") if params.idle_limit else argv
        title = display.for_tmux(f"a recording of {header.title or what}", 60)
        system.spawn(playing.popup(server, client, argv, _size(header), title))
    return Nothing()


def _size(header: cast.Header) -> tuple[int, int]:
    return header.width, header.height


def player(state: Path) -> tuple[str, ...]:
    """The program that plays, without what: it finds our package and state wherever tmux starts it."""
    environ = (f"PYTHONPATH={PACKAGE.parent}", f"TMUX_AGENT_STATE_DIR={state}")
    return ("env", *environ, sys.executable, "-P", "-m", "tmux_agent", "play")


def _own(kept: Kept, origin: Origin) -> bool:
    return origin.pane is not None and (kept.note.place.server, kept.note.place.pane) == (origin.server, origin.pane)


def shown(system: System, kept: Kept) -> r.CastData:
    """A recording as it is shown."""
    note = kept.note
    state = "ended" if note.ended else "recording" if system.casts.goes_on(note.id) else "interrupted"
    now = datetime.now(UTC).timestamp()
    until = note.ended or (now if state == "recording" else kept.last)
    return msgspec.convert(
        {
            "id": note.id, "state": state, "pane": note.place.pane, "server": note.place.server,
            "title": display.safe(note.title), "started": datetime.fromtimestamp(note.started, UTC),
            "seconds": max(0.0, until - note.started), "bytes": kept.bytes, "parts": len(kept.parts),
            "masked": note.mask, "max_bytes": note.max_bytes, "why": display.safe(note.why),
        },
        r.CastData,
    )  # fmt: skip
