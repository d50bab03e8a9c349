"""Tells the person at the client in use of new requests, in the ways they chose; in none where they chose none.

Owns when: bursts are one, and nobody is disturbed who types, whom something else covers, or who looks at the asking
pane already. Must not own: what is said and in which bytes (core/attention.py), people elsewhere (notify.py).

Typing is a key (or click) at that client within the last `@tmux-agent-attention-idle` seconds: tmux knows no more than
the time of the last one. What has to wait is told afterwards, if it still waits. No event tells when a popup, menu,
prompt or copy mode ends: only while something is held back by one, it is looked at again every two seconds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import time
from collections.abc import Callable
from typing import Any

from ..core import attention, errors
from ..core.model import Approval
from .approvals import Approvals
from .identity import Identity
from .tmux import seats
from .tmux.control import TmuxServer
from .tmux.messages import say
from .tmux.popups import Wanted
from .tmux.seats import Seat
from .tmux.servers import Servers

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.3  # what comes within is told together
APART_SECONDS = 5.0  # between two notifications
PRESENT_SECONDS = 60.0  # without a key, after which nobody sits in front of a client any more
AGAIN_SECONDS = 2.0  # between two looks at what covers a client

Open = Callable[[TmuxServer, str, Wanted], Any]
Shows = Callable[[TmuxServer, str], bool]


class Attention:
    """Built by the daemon; used in the event loop only. `opened` is called for every approval that opens, `changed`
    where clients came or went. `open_popup` and `shows_popup` are the popups'.
    """

    def __init__(
        self, servers: Servers, approvals: Approvals, identity: Identity, open_popup: Open, shows_popup: Shows
    ) -> None:
        self._servers = servers
        self._approvals = approvals
        self._identity = identity
        self._open_popup = open_popup
        self._shows_popup = shows_popup
        self._owed: dict[str, set[str]] = {kind: set() for kind in attention.KINDS}  # ids that each way has to tell of
        self._told_at = -APART_SECONDS
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def opened(self, approval: Approval) -> None:
        for owed in self._owed.values():
            owed.add(approval.request_id)
        self._look_in(GATHER_SECONDS)

    def changed(self) -> None:
        if any(self._owed.values()):
            self._look_in(GATHER_SECONDS)

    def looked(self) -> None:
        """A key of ours was pressed: the person looks at what waits already."""
        self._forget(set().union(*self._owed.values()))

    async def looks_at(self, socket: str, pane: str) -> bool:
        """Whether a person has a pane in front of them, and has pressed a key there within the last minute."""
        server = self._servers.get(socket)
        if server is None or not server.connected.is_set():
            return False
        try:
            there = await seats.seats(server)
        except errors.TmuxAgentError:
            return False  # a server that goes away: nobody looks at it
        return any(seat.pane == pane and seat.focused and seat.idle < PRESENT_SECONDS for seat in there)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _look_in(self, seconds: float) -> None:
        """Once, at the earliest time that was asked for."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            seconds = min(seconds, max(0.0, self._timer.when() - loop.time()))
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._task is not None and not self._task.done():
            self._look_in(GATHER_SECONDS)
            return
        self._task = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        try:
            if again := await self._tell():
                self._look_in(again)
        except errors.TmuxAgentError as why:  # a server that goes away; the badge tells where it comes back
            log.warning("nobody was told of what waits: %s", why)
        except Exception:  # a defect of ours: the next request is to be told all the same
            log.exception("nobody was told of what waits")
            self._forget(set().union(*self._owed.values()))

    # --- one look ---

    async def _tell(self) -> float:
        """Tells what may be told now; the seconds after which to look again, 0 where nothing is left to be told."""
        self._forget({one for owed in self._owed.values() for one in owed if not self._approvals.waits(one)})
        if not any(self._owed.values()):
            return 0
        found = await self._in_use()
        if found is None:
            return 0
        server, seat, wanted, persons = found
        for kind in attention.KINDS:
            if kind not in wanted or (kind in attention.COVERS and server.version < seats.PROMPTS):
                self._owed[kind].clear()
        if not persons:
            self._owed["popup"].clear()  # it would only say why nobody may answer in it
        self._forget(self._seen(server, seat))
        if not any(self._owed.values()):
            return 0
        return await self._held(server, seat) or await self._deliver(server, seat)

    async def _in_use(self) -> tuple[TmuxServer, Seat, tuple[str, ...], bool] | None:
        """The client that got the last key, on servers whose person wants to be told, the ways, and whether it is a
        person's; None where nobody is there (then a client that comes is looked at), or nobody wants anything.
        """
        found: list[tuple[TmuxServer, Seat, tuple[str, ...], bool]] = []
        wished = False
        for server in self._servers.all():
            if not server.connected.is_set():
                continue
            wanted = attention.chosen(await _option(server, "@tmux-agent-attention"))
            wished = wished or bool(wanted)
            for seat in await seats.seats(server) if wanted else ():
                name = seat.client.name
                if self._identity.around(server.socket, name) is None:  # else the tmux around it is in use
                    persons = self._identity.client_is_persons(server.socket, name) is None
                    found.append((server, seat, wanted, persons))
        if not wished:
            self._forget(set().union(*self._owed.values()))
        return min(found, key=lambda one: (not one[3], one[1].idle), default=None)

    def _seen(self, server: TmuxServer, seat: Seat) -> set[str]:
        """What the person sees already: in our popup, or in the pane that they look at."""
        owed = set().union(*self._owed.values())
        if self._shows_popup(server, seat.client.name):
            return owed
        if not seat.focused:
            return set()
        looked_at = (server.socket, seat.pane)
        return {one.request_id for one in self._waiting(owed) if (one.origin.server, one.origin.pane) == looked_at}

    async def _held(self, server: TmuxServer, seat: Seat) -> float:
        """Seconds for which everything is held back; 0 where nothing is."""
        quiet = attention.idle_seconds(await _option(server, "@tmux-agent-attention-idle")) + 1.0  # tmux's seconds
        if seat.idle < quiet:
            return max(0.1, quiet - seat.idle)
        if seat.pressing:
            return AGAIN_SECONDS
        return max(0.0, self._told_at + APART_SECONDS - time.monotonic())

    async def _deliver(self, server: TmuxServer, seat: Seat) -> float:
        for kind in attention.KINDS:
            if kind not in attention.COVERS and (told := self._take(kind)):
                text = attention.sentence(told)
                _write(seat.client.tty, attention.terminal_bytes(kind, text, term=seat.term, utf8=seat.utf8))
        if not any(self._owed.values()):
            return 0
        client = seat.client.name
        if seat.in_mode or await seats.covered(server, client) or await seats.prompting(server, client):
            return AGAIN_SECONDS
        if told := self._take("popup"):
            self._owed["message"].clear()
            self._open_popup(server, client, Wanted(at=told[0].request_id, unbidden=True))
        elif told := self._take("message"):
            await say(server, [client], attention.sentence(told))
        return 0

    def _take(self, kind: str) -> list[Approval]:
        """What a way has to tell of, which it has told then."""
        told = self._waiting(self._owed[kind])
        self._owed[kind].clear()
        if told:
            self._told_at = time.monotonic()
        return told

    def _waiting(self, ids: set[str]) -> list[Approval]:
        return [one for one in self._approvals.pending() if one.request_id in ids]

    def _forget(self, ids: set[str]) -> None:
        for owed in self._owed.values():
            owed -= ids


async def _option(server: TmuxServer, name: str) -> str:
    said = await server.command("show-options", "-gqv", name)
    return said[0] if said else ""


def _write(tty: str, data: bytes) -> None:
    """To a client's terminal, beside tmux, which has no command for it. One short write, which the kernel does not mix
    with tmux's; a terminal that takes nothing is not waited for.
    """
    try:
        fd = os.open(tty, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as why:
        log.warning("no notification at %s: %s", tty, why.strerror)
        return
    try:
        info = os.fstat(fd)
        if stat.S_ISCHR(info.st_mode) and os.isatty(fd) and info.st_uid == os.getuid():
            os.write(fd, data)
        else:
            log.warning("no notification at %s: it is no terminal of yours", tty)
    except OSError as why:
        log.warning("no notification at %s: %s", tty, why.strerror)
    finally:
        os.close(fd)
