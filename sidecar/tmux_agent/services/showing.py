"""Popups come up: at a key, or because somebody wants one, and on which client.

Owns that there are none before it is known where their relays connect. Must not own: nonces and what covers a client
(tmux/popups.py), what a popup shows (edges/).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from ..core import errors
from ..core.model import Origin
from .identity import Identity
from .tmux.control import TmuxServer
from .tmux.messages import NAMED, say
from .tmux.popups import Opening, Popups, Wanted
from .tmux.servers import Servers

log = logging.getLogger(__name__)


class Showing:
    """Built by the system; used in the event loop only."""

    def __init__(
        self, identity: Identity, servers: Servers, spawn: Callable[[Coroutine[Any, Any, Any]], object]
    ) -> None:
        self._identity = identity
        self._servers = servers
        self._spawn = spawn
        self.popups: Popups | None = None  # once it is known where we listen

    def listening(self, relay: tuple[str, ...], opening: Callable[[Opening], None]) -> None:
        """Popups are opened from now on with this command of their relay; `opening` hears of each. Again where the
        socket has moved.
        """
        if self.popups is None:
            self.popups = Popups(relay, self._identity.now, opening)
        else:
            self.popups.moved(relay)

    def pressed(self, server: TmuxServer, client: str) -> None:
        """Not as a task: popups are told of keys and of what covers clients in tmux's order."""
        if self.popups is None:
            return
        around = self._identity.around(server.socket, client)
        if around and server.version >= NAMED:  # else the popup comes, and says why nobody answers in it
            text = f"this tmux runs in a pane ({around}), where agents can type: press the prefix of the tmux around it"
            self._spawn(say(server, [client], text))
            return
        try:
            self.popups.pressed(server, client)
        except errors.NotFound as why:
            log.warning("no popup: %s", why)

    def open(self, server: TmuxServer, client: str, wanted: Wanted) -> bool:
        """Open the popup on a client; False where it is open there. Raises NotFound, Unavailable."""
        if self.popups is None:
            raise errors.Unavailable("the sidecar does not listen yet: try again")
        return self.popups.open(server, client, wanted)

    def is_open(self, server: TmuxServer, client: str) -> bool:
        return self.popups is not None and self.popups.is_open(server, client)

    def client_for(self, origin: Origin) -> tuple[TmuxServer, str]:
        """The tmux client that looks at the caller's pane, else the one used last. Raises NotFound, Unavailable."""
        server = self._servers.choose(None, origin)
        people = [one for one in server.clients if not one.control]
        if not people:
            raise errors.NotFound(f"nobody is attached to tmux at {server.socket}")
        session = next((pane.session for pane in server.panes if pane.id == origin.pane), "")
        looking = [one for one in people if one.session == session] or people
        return server, max(looking, key=lambda one: one.activity).name

    async def close(self) -> None:
        if self.popups is not None:
            await self.popups.close()
