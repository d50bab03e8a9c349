"""The pane of a try, as tmux has it: kept after its program has ended, so that nothing it said last is lost.

Owns asking tmux about such a pane, and ending what is left of its session. A pane of another tmux server with the same
number is not meant. Must not own: what it means (queue_panes.py), agents that run (fleet.py).
"""

from __future__ import annotations

import contextlib

from ..core import errors
from ..core.fleet import FleetAgent
from ..core.pipeline_run import Place
from . import fleet_spawn
from .processes import processes_here
from .tmux import dead
from .tmux.control import TmuxServer
from .tmux.servers import Servers


class QueueSessions:
    """Built by the system; used in the event loop only."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._table = processes_here()

    def server(self, place: Place | None) -> TmuxServer | None:
        """The tmux server that a pane is on, if it is attached."""
        found = self._servers.get(place.server) if place else None
        return found if found is not None and place is not None and found.pid == place.server_pid else None

    async def remains(self, place: Place) -> None:
        """Have tmux keep the pane when its program ends."""
        if server := self.server(place):
            with contextlib.suppress(errors.Failed):  # it has ended
                await server.command("set-option", "-p", "-t", place.pane, "remain-on-exit", "on")

    async def text(self, place: Place | None) -> str:
        """What the pane shows, with its history; "" where it is gone."""
        if (server := self.server(place)) is None or place is None:
            return ""
        try:
            lines = await server.foreign("capture-pane", "-p", "-J", "-S", "-", "-t", place.pane)
        except errors.TmuxAgentError:
            return ""
        return "".join(f"{line.rstrip()}\n" for line in lines).rstrip("\n") + "\n"

    async def status(self, place: Place | None) -> int | None:
        """The exit code of its program; None where that runs, or nobody knows."""
        if (server := self.server(place)) is None or place is None:
            return None
        try:
            return await dead.exit_code(server, place.pane)
        except errors.TmuxAgentError:
            return None

    async def end(self, one: FleetAgent, place: Place | None) -> None:
        """End the session of an agent that has ended. Raises Unavailable: its tmux server is not attached yet."""
        server = self.server(place)
        if server is not None:
            await fleet_spawn.end_session(one, server)
        elif place is not None and self._table.read(place.server_pid) is not None:
            raise errors.Unavailable(f"the tmux server at {place.server} is not attached yet")
