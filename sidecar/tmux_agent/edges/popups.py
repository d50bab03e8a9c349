"""The methods `popup.*`: whoever wants one opened, and the relay that comes for it. Called by methods.py only.

Must not own: which client it comes up on and its nonce (services/tmux/popups.py), who a relay is
(services/identity.py), drawing (ui/).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ..core import errors
from ..core import protocol as p
from ..core import replies as r
from ..core.menus import page_of
from ..core.model import Origin, Role
from ..services.system import System
from ..services.tmux.control import TmuxServer
from ..services.tmux.popups import Claim, Wanted
from .connection import Call

if TYPE_CHECKING:
    from .openings import Openings


class PopupCalls:
    """`openings` imports the popup's modules when it is first called; `refused` records that somebody was."""

    def __init__(
        self,
        system: System,
        openings: Callable[[], Openings],
        refused: Callable[[Call, Origin], errors.Forbidden],
    ) -> None:
        self._system = system
        self._openings = openings
        self._refused = refused

    async def open(self, params: p.PopupOpen, origin: Origin) -> r.Nothing:
        """Raises NotFound, Unavailable."""
        if params.request_id:
            await self._system.approvals.stored(params.request_id)
        server, client = self._system.showing.client_for(origin)
        page = None
        if params.resume:
            socket = self._system.servers.choose(params.server, origin).socket
            agent = self._system.resuming.limited(params.resume, socket)
            page = page_of(agent, "resume")
        # Anybody may have a page opened, and a key in it acts: a person who types meanwhile types on.
        self._system.showing.open(server, client, Wanted(at=params.request_id, page=page, unbidden=page is not None))
        return r.Nothing()

    async def attach(self, params: p.PopupAttach, call: Call) -> None:
        """The relay of a popup: from here on its connection is a terminal. Raises Forbidden for anything else."""
        system, peer = self._system, call.origin
        claim = system.showing.popups.claim(params.nonce) if system.showing.popups else None
        grant = claim.grant if claim else None
        server = system.servers.get(grant.server) if grant else None
        if server is not None:
            await system.servers.refresh(server)
        connection = call.connection
        origin = system.identity.relay(peer.pid, peer.uid, grant, connection.accepted, pidfd=connection.pidfd)
        if origin.role is not Role.OPERATOR or claim is None or connection.sandbox:
            raise self._refused(call, origin)
        shown = self._openings().show(claim.opening, params, origin, connection.as_stream())
        system.spawn(self._show(shown, server, claim))

    async def _show(self, shown: Coroutine[Any, Any, str], server: TmuxServer | None, claim: Claim) -> None:
        typed = await shown
        if typed and server is not None and self._system.showing.popups is not None:
            await self._system.showing.popups.typed_after(server, claim.grant.client, typed)
