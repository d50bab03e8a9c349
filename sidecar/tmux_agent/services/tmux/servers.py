"""All tmux servers that we serve: attached when their plugin calls, dropped when they are gone.

Owns which servers there are, and hands what each tells on: panes and clients to identity, key presses to the popups,
changes to whoever draws badges. Must not own: a connection (control.py), who may answer (identity.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

from ...core import errors
from ...core.model import Origin
from ..identity import Identity
from ..places import write_whole
from ..views import ClientView, PaneView, TmuxView
from .control import Compared, Connected, Dropped, Event, Lost, TmuxServer
from .signals import Changed, Chosen, Covered, Pressed, Retitled

log = logging.getLogger(__name__)

SERVERS = 64  # more sockets than this are not a person's


class Servers:
    """Built by the system. `heard` is told of every event after identity knows of it. `died` is what a server is to say
    of us once we are gone, `served` the file of the next sidecar, which serves the same.
    """

    def __init__(self, identity: Identity, died: str, served: Path) -> None:
        self._served = served
        self.before = _read(served)  # the sockets that the last sidecar served, whether a tmux answers there or not
        self._identity = identity
        self._died = died
        self.heard: Callable[[TmuxServer, Event], None] = lambda *_: None
        self._servers: dict[str, TmuxServer] = {}

    def all(self) -> tuple[TmuxServer, ...]:
        return tuple(self._servers.values())

    def get(self, socket: str) -> TmuxServer | None:
        return self._servers.get(socket)

    def choose(self, socket: str | None, origin: Origin) -> TmuxServer:
        """The named server, else the caller's own, else the only one. Raises NotFound, InvalidParams."""
        wanted = socket or origin.server
        if wanted:
            if found := self._servers.get(os.path.realpath(wanted)):
                return found
            raise errors.NotFound(f"no tmux server is known at {wanted}: its plugin is not loaded, or it is gone")
        if len(self._servers) == 1:
            return next(iter(self._servers.values()))
        if not self._servers:
            raise errors.Unavailable("no tmux server is attached: load the plugin in one")
        raise errors.InvalidParams(f"params.server: name one of {', '.join(self._servers)}")

    async def attach(self, socket: str) -> TmuxServer:
        """Serve the tmux server at this socket. Where it is served already its options are read again.

        Raises InvalidParams (no socket of ours), Unavailable (no tmux answers there), LimitExceeded.
        """
        path = os.path.realpath(socket)
        if known := self._servers.get(path):
            if known.connected.is_set():
                self.heard(known, Connected())  # the person's configuration was read again
            return known
        try:
            info = os.stat(path)
        except OSError as why:
            raise errors.InvalidParams(f"params.socket: {path}: {why.strerror}") from None
        if not stat.S_ISSOCK(info.st_mode) or info.st_uid != os.getuid():
            raise errors.InvalidParams(f"params.socket: {path} is no socket of yours")
        if len(self._servers) >= SERVERS:
            raise errors.LimitExceeded(f"{SERVERS} tmux servers are attached already")
        server = self._servers[path] = TmuxServer(path, self._heard, died=self._died)
        try:
            await server.start()
        except BaseException:
            del self._servers[path]
            raise
        self._remember()
        return server

    def _remember(self) -> None:
        try:
            write_whole(self._served, "".join(f"{socket}\n" for socket in self._servers if "\n" not in socket))
        except errors.Unavailable as why:
            log.warning("%s; the next sidecar serves tmux once its plugin calls", why)

    async def refresh(self, server: TmuxServer) -> None:
        """Read a server anew now, and let identity know. Raises Unavailable."""
        await server.refresh()
        self._identity.add_server(view(server))

    async def close(self) -> None:
        await asyncio.gather(*(server.close() for server in self.all()))
        self._servers.clear()

    def _heard(self, server: TmuxServer, event: Event) -> None:
        match event:
            case Connected() | Changed():
                self._identity.add_server(view(server))
            case Lost():
                self._servers.pop(server.socket, None)
                self._identity.remove_server(server.socket)
                self._remember()
                log.info("tmux server %s is gone", server.socket)
            case Dropped(why=why):
                log.warning("tmux server %s: connection lost (%s)", server.socket, why)
            case Pressed() | Chosen() | Covered() | Compared() | Retitled():
                pass
        self.heard(server, event)


def _read(served: Path) -> tuple[str, ...]:
    try:
        return tuple(served.read_text().splitlines()[:SERVERS])
    except (OSError, ValueError):
        return ()  # there is none yet, or it is no file of ours: their plugins will call


def view(server: TmuxServer) -> TmuxView:
    """A server as identity sees it."""
    names = {session.id: session.name for session in server.sessions}
    panes = {
        pane.id: PaneView(pane.pid, pane.tty, pane.session_name, pane.window_index, pane.window, title=pane.title)
        for pane in server.all_panes
        if not pane.dead
    }
    clients = {
        one.name: ClientView(one.pid, "" if one.control else one.tty, names.get(one.session, one.session))
        for one in server.clients
    }
    return TmuxView(server.socket, server.pid, panes, clients, server.read_at)
