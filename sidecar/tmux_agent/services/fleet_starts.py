"""The begin of an agent in a session of its own, until its program runs: and its recording, from the first byte.

Owns that nothing of a session or a recording is left where it does not start. Must not own: worktrees and commands
(fleet_spawn.py), rows and states that follow (fleet.py), recordings as such (casts.py).
"""

from __future__ import annotations

import contextlib

import msgspec

from ..core import errors
from ..core.fleet import FleetAgent, FleetState
from . import fleet_spawn
from .casts import Casts
from .pausing import Pausing
from .tmux.control import TmuxServer
from .tmux.servers import Servers
from .tmux.watched import place_of


class Starts:
    """Built by the fleet; used in the event loop only."""

    def __init__(self, servers: Servers, pausing: Pausing, casts: Casts) -> None:
        self._servers = servers
        self._pausing = pausing
        self._casts = casts

    async def begin(self, one: FleetAgent, server: TmuxServer, argv: tuple[str, ...] = ()) -> FleetAgent:
        """Its row, once it runs in a new session, started by `argv` or as it is always. Raises Conflict, Failed,
        Unavailable."""
        return await self.go_on(one, server, await fleet_spawn.make_session(one, server, argv or one.argv))

    async def go_on(self, one: FleetAgent, server: TmuxServer, made: fleet_spawn.Session) -> FleetAgent:
        """The same, of a session that is there. Raises as `begin`: then it was ended."""
        top = self._pausing.read(made.pane_pid)
        one = msgspec.structs.replace(one, cast="")  # that of a run before is its own
        try:
            one = await self._recorded(one, server, made)
            runs = await fleet_spawn.until_started(one, server, made, self._pausing.table)
            if top is None and runs:
                raise errors.Failed(f"{one.argv[0]} ended as soon as it was started")
        except errors.TmuxAgentError:
            await fleet_spawn.end_session(one, server)
            await self._unrecorded(one)
            raise
        state = FleetState.RUNNING if runs else FleetState.ENDED
        where = {"pane": made.pane, "pane_pid": made.pane_pid, "pane_started": top.started if top else 0}
        return msgspec.structs.replace(one, state=state, **where)

    async def _recorded(self, one: FleetAgent, server: TmuxServer, made: fleet_spawn.Session) -> FleetAgent:
        """With its recording, where one is wanted, which has begun before it starts. Raises as Casts.start."""
        if not one.record:
            return one
        await self._servers.refresh(server)
        await self._casts.look(server)  # an earlier sidecar may have begun it
        name = self._casts.of(server.socket, made.pane)
        if name is None:
            place = place_of(server, server.pane(made.pane))
            name = (await self._casts.start(place, mask=one.record == "masked", by=f"fleet {one.fleet_id}")).id
        one = msgspec.structs.replace(one, cast=name)
        await fleet_spawn.let_start(one, server)
        return one

    async def _unrecorded(self, one: FleetAgent) -> None:
        """What was recorded of one that did not start goes with it."""
        if one.cast:
            await self.end_recording(one.cast)
            await self._casts.remove(await self._casts.get(one.cast))

    async def end_recording(self, name: str) -> None:
        """Of an agent that has ended; nothing where it has ended with its pane."""
        with contextlib.suppress(errors.NotFound):
            await self._casts.stop(name, "its agent has ended")
