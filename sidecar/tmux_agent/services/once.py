"""An action that is done once, over restarts: through the guard, or learned of where it was under way before a kill.

The key of a wish makes it the same wish after a restart; for what tmux was told, tmux keeps a mark with it that tells
whether it was done. Must not own: what is done (pipeline_acts.py, typist.py), who is asked (guard.py).
"""

from __future__ import annotations

import contextlib
import math

from ..core import errors
from ..core.model import Action, Approval, ApprovalState, Origin, Outcome
from ..core.pipeline_run import Place
from .approvals import Approvals
from .guard import Guard
from .ids import new_id
from .tmux.servers import Servers
from .tmux.watched import place_of
from .toolbox import Toolbox
from .wishes import Wish

AGAIN = 8  # times that an action which was not begun before a kill is begun anew
ONCE = {"once": True}  # options of an action of tmux that is done so
FOREVER = math.inf  # whoever wants it ends the wait


class Unsure(errors.Conflict):
    """It was under way when the sidecar died, and nobody can tell whether it was done."""


class Once:
    """Built by the system; used in the event loop only."""

    def __init__(self, guard: Guard, approvals: Approvals, toolbox: Toolbox, servers: Servers) -> None:
        self._guard = guard
        self._approvals = approvals
        self._toolbox = toolbox
        self._servers = servers

    async def do(
        self, action: Action, origin: Origin, key: str, *, approved: bool, also: Action | None = None,
        place: Place | None = None,
    ) -> Outcome:  # fmt: skip
        """Do it, or learn what came of it before a kill. One that was not begun then is begun now, if in `place` there
        is still what was there when it was first wanted. Raises as Guard.declared does, and Unsure."""
        for again in range(AGAIN):
            this = f"{key}/{again}" if again else key
            wish = Wish(action=action, origin=origin, request_id=new_id(), key=this, timeout=FOREVER)
            if place is not None and await self._approvals.asked_before(wish.resume_key or "") is None:
                await self._still(place)
            try:
                outcome = await self._guard.declared(wish, approved=approved, also=also)
            except errors.Conflict:
                before = await self._approvals.asked_before(wish.resume_key or "")
                if before is None or before.state is not ApprovalState.UNKNOWN:
                    raise
                found = await self._became(action, origin, before)
                if found is None:
                    continue
                outcome = found
            if done := await self._approvals.asked_before(wish.resume_key or ""):
                with contextlib.suppress(errors.TmuxAgentError):  # the pane's server may have gone with it
                    await self._toolbox.forget(action, origin, done.request_id)
            return outcome
        raise Unsure(f"the sidecar died each of {AGAIN} times that it was begun; look before you retry")

    async def begun(self, action: Action, origin: Origin, key: str) -> bool:
        """Whether it was done, or begun at least, at any time. Raises Unavailable."""
        wish = Wish(action=action, origin=origin, request_id="", key=key)
        before = await self._approvals.asked_before(wish.resume_key or "")
        return before is not None and before.state in (ApprovalState.APPROVED, ApprovalState.UNKNOWN)

    async def _still(self, place: Place) -> None:
        """Raises Conflict where the pane has been given another program (respawn-pane): it was not meant."""
        server = self._servers.get(place.server)
        if server is None:
            raise errors.Conflict("its tmux server is gone")
        await server.refresh()
        if place_of(server, server.pane(place.pane)) != place:
            raise errors.Conflict("its pane has been given another program since the run began")

    async def _became(self, action: Action, origin: Origin, before: Approval) -> Outcome | None:
        try:
            return await self._toolbox.became(action, origin, before.facts, before.request_id)
        except errors.TmuxAgentError as why:
            raise Unsure(why.message) from None
