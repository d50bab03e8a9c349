"""Agents without hooks: what they wait for is read from their panes, asked here, and answered by the keys they name.

Owns when a pane is looked at (its program wrote to its terminal, or read from it, and a moment has passed:
tty_watch.py; nothing polls), the approvals that come of it (door "screen"), and that they go when their dialog does.
Hooks come first: a pane whose agent tells by hooks, or has asked in another way, is asked about once, and by its screen
only where its hook may wait no longer and its own dialog asks. Must not own: what a screen says
(core/screen_reading.py), pressing (screen_answers.py), states (agents.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from ..core import errors
from ..core.limits import Notice
from ..core.model import Agent, AgentState, Approval, Origin, Risk, Role, digest
from ..core.rate import Bucket
from ..core.screen_question import DOOR, presses, question
from .agents import BUSY, DRAWN_SECONDS, KERNELS, SCREEN, Agents
from .approvals import Approvals
from .guard import Guard
from .identity import Identity
from .ids import new_id
from .pane_view import View, view
from .processes import processes_here
from .screen_files import ScreenFiles
from .tmux.control import TmuxServer
from .tmux.snapshot import Pane
from .tty_watch import TtyWatch

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.15  # after something was written: what is drawn in several writes is whole by then
LEAST_SECONDS = 0.6  # between two looks at a pane that goes on writing
STATES = {"waiting": AgentState.WAITING, "working": AgentState.WORKING, "idle": AgentState.IDLE,
          "new": AgentState.IDLE,
          "limit": AgentState.ERROR}  # fmt: skip
RESTS = {"idle": BUSY, "new": (*BUSY, AgentState.DONE, AgentState.ERROR)}  # states that such a prompt ends
HIDES = ("codex",)  # its dialog while a hook waits, which may not wait as long as a person takes
SHOWS_REST = ("codex", "opencode")  # whose prompt on the screen tells what no hook of theirs does
QUESTIONS, QUESTIONS_A_SECOND = 20, 0.1  # of one pane at once, and in the long run: people read slowly
TELL_OF_LIMITS = ("claude", "opencode")  # by their hooks, where they have hooks
GONE = "its dialog has left the pane"
ORPHANED = 40.0  # seconds after a restart until a tmux server that has not come back is taken for gone

Place = tuple[str, str]  # server socket and pane id


class _Watched:
    """A pane, and when it was looked at."""

    __slots__ = ("asked", "last", "looking", "pressing", "rate", "timer", "tty")

    def __init__(self, tty: str) -> None:
        self.tty = tty
        self.last = 0.0
        self.looking = asyncio.Lock()
        self.timer: asyncio.TimerHandle | None = None
        self.asked: tuple[str, str] | None = None  # the question of the last look: asked once it stands still
        self.pressing = False
        self.rate = Bucket(QUESTIONS, QUESTIONS_A_SECOND, 0.0)


class Screens:
    """Built by the system; used in the event loop only."""

    def __init__(
        self,
        files: ScreenFiles,
        agents: Agents,
        approvals: Approvals,
        guard: Guard,
        identity: Identity,
        refresh: Callable[[TmuxServer], Coroutine[Any, Any, None]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._files = files
        self._agents = agents
        self._approvals = approvals
        self._guard = guard
        self._identity = identity
        self._refresh = refresh
        self._spawn = spawn
        self.limited: Callable[[str, Notice, str], None] = lambda *_: None  # by which session, what it says, why
        self._table = processes_here()
        self._tty = TtyWatch(self._wrote)
        self.wrote: Callable[[TmuxServer], object] = lambda _: None  # told when a pane of a server is looked at
        self._servers: dict[str, TmuxServer] = {}
        self._panes: dict[Place, _Watched] = {}
        self._given_up: dict[str, Approval] = {}  # by session: what its hook asked, which may wait no longer

    def start(self) -> None:
        self._tty.start()

    def close(self) -> None:
        self._tty.close()
        for watched in self._panes.values():
            if watched.timer:
                watched.timer.cancel()
        self._panes.clear()

    # --- which panes ---

    def changed(self, server: TmuxServer) -> None:
        """Its panes may be others: each is looked at that is new, or has another program."""
        self._servers[server.socket] = server
        places = {(server.socket, pane.id): pane.tty for pane in server.panes if not pane.dead}
        self._leave(server, places)
        for place, tty in places.items():
            if place not in self._panes:
                self._panes[place] = _Watched(tty)
                self._soon(place)

    def lost(self, server: TmuxServer) -> None:
        """The server is gone."""
        self._servers.pop(server.socket, None)
        self._leave(server, {})

    def look_again(self) -> None:
        """The rules may be others."""
        for place in self._panes:
            self._soon(place)

    async def drop_orphans(self) -> None:
        """Withdraw what an earlier sidecar asked for a tmux server that has not come back since."""
        await asyncio.sleep(ORPHANED)
        for one in self._asked():
            if one.origin.server not in self._servers:
                await self._withdraw(one, "its tmux server is gone")

    def _leave(self, server: TmuxServer, places: Mapping[Place, str]) -> None:
        """The panes of a server that are gone, or have another terminal than these."""
        for place, watched in list(self._panes.items()):
            if place[0] == server.socket and places.get(place) != watched.tty:
                del self._panes[place]
                if watched.timer:
                    watched.timer.cancel()
                self._tty.disarm(watched.tty)
        for one in self._asked():  # also of what an earlier sidecar asked; the next look ends those of other programs
            if one.origin.server == server.socket and place_of(one.origin) not in places:
                self._spawn(self._withdraw(one, "its pane is gone"))

    # --- when ---

    def _wrote(self, tty: str, gone: bool) -> None:
        for (socket, pane), watched in self._panes.items():
            if watched.tty == tty and gone:
                self._spawn(self._refreshed(self._servers[socket]))
            elif watched.tty == tty:
                self._soon((socket, pane))

    async def _refreshed(self, server: TmuxServer) -> None:
        """respawn-pane gives a pane another terminal, and tells nobody."""
        await self._refresh(server)
        self.changed(server)

    def _soon(self, place: Place) -> None:
        watched = self._panes[place]
        if watched.timer is None:
            loop = asyncio.get_running_loop()
            wait = max(SETTLE_SECONDS, watched.last + LEAST_SECONDS - loop.time())
            watched.timer = loop.call_later(wait, self._due, place)

    def _due(self, place: Place) -> None:
        watched = self._panes[place]
        watched.timer, watched.last = None, asyncio.get_running_loop().time()
        self._tty.arm(watched.tty)  # before it is looked at: what is written from here on tells again
        self.wrote(self._servers[place[0]])
        self._spawn(self._look(place))

    # --- what ---

    async def view(self, place: Place) -> View | None:
        """What there is in a pane now; None where no rules are about its program, or it is gone."""
        server = self._servers.get(place[0])
        return await view(server, place[1], self._table, self._files) if server else None

    def serves(self, agent: Agent) -> bool:
        """Whether the tmux server of an agent is connected."""
        return agent.server in self._servers

    async def program(self, agent: Agent) -> str:
        """ "pid:started" of what is in front of an agent's pane, if it is that agent; else ""."""
        view = await self.view((agent.server or "", agent.pane or ""))
        return view.program.session if view and view.program.agent == agent.kind else ""

    async def _look(self, place: Place) -> None:
        watched = self._panes.get(place)
        if watched is None:
            return
        async with watched.looking:  # one after the other: a slow disk must not let two of them ask
            view = await self.view(place)
            if not watched.pressing and self._panes.get(place) is watched:
                await self._follow(place, watched, view)

    async def _follow(self, place: Place, watched: _Watched, view: View | None) -> None:
        asks = view.asks() if view else None
        waiting = [one for one in self._asked() if place_of(one.origin) == place]
        for one in waiting:
            if (one.origin.session, one.digest) != asks:
                await self._withdraw(one, GONE)
        before, watched.asked = watched.asked, asks
        hooked = self._hooked(place)
        left = self._left_to_itself(place) if hooked else None
        if view and view.seen.state in STATES and view.program.agent and not hooked:
            words = view.seen.limit.words if view.seen.limit else view.seen.rule
            self._agents.on_screen(self._origin(place, view), STATES[view.seen.state], words)
        if view and view.program.agent:
            self._limit(place, view)
        if view and view.seen.state in RESTS and hooked:
            self._rests(place, RESTS[view.seen.state])
        silent = hooked and left is None
        if view is None or asks is None or silent or any((one.origin.session, one.digest) == asks for one in waiting):
            return
        if asks != before:
            self._soon(place)  # it may still be drawn
        elif not self._asked_elsewhere(place) and watched.rate.take(asyncio.get_running_loop().time()):
            await self._ask(place, view, self._given_up.get(left.session) if left else None)

    def _limit(self, place: Place, view: View) -> None:
        """Of a usage limit the hooks of some agents tell nothing, nor that it is over."""
        for one in self._agents.list():
            hooked = not KERNELS.fullmatch(one.session)
            here = (one.server, one.pane, one.kind) == (*place, view.program.agent)
            if not here or (hooked and one.kind in TELL_OF_LIMITS):
                continue
            if hooked and self._agents.quiet(one.session) < DRAWN_SECONDS:
                self._soon(place)
            elif view.seen.limit:
                said = view.seen.limit
                self.limited(one.session, Notice(words=said.words, resets=said.resets, alone=said.alone), SCREEN)
            elif hooked and one.limit and one.limit.why == SCREEN and view.seen.state in STATES:
                self._agents.shows(one.session, STATES[view.seen.state], SCREEN)

    def _rests(self, place: Place, over: tuple[AgentState, ...]) -> None:
        """Codex tells by no hook, and perhaps by no title, of a turn that its model refused: its prompt waits. Nor of a
        new conversation, before its first prompt; opencode neither, and of nothing while no sidecar hears it."""
        for one in self._agents.list():
            if (one.server, one.pane) != place or one.kind not in SHOWS_REST:
                continue
            if one.state not in over or one.waiting_on:
                continue
            if self._agents.quiet(one.session) < DRAWN_SECONDS:
                self._soon(place)
            else:
                self._agents.shows(one.session, AgentState.IDLE, SCREEN)

    def _asked(self) -> list[Approval]:
        """What was asked so and waits."""
        return [one for one in self._approvals.pending() if one.origin.door == DOOR]

    def _asked_elsewhere(self, place: Place) -> bool:
        """Whether something in this pane has asked by a hook or over the socket: that is the question."""
        return any(one.origin.door != DOOR and place_of(one.origin) == place for one in self._approvals.pending())

    def _hooked(self, place: Place) -> bool:
        """Whether the agent there tells by hooks: sessions of its own naming come from nowhere else."""
        there = (one for one in self._agents.list() if (one.server, one.pane) == place)
        return any(not KERNELS.fullmatch(one.session) for one in there)

    def gave_up(self, approval: Approval) -> None:
        """The hook that asked may wait no longer: its agent's own dialog shows now."""
        here = {one.session for one in self._agents.list()}
        self._given_up = {session: one for session, one in self._given_up.items() if session in here}
        self._given_up[approval.origin.session] = approval
        if (place := place_of(approval.origin)) in self._panes:
            self._soon(place)

    def _left_to_itself(self, place: Place) -> Agent | None:
        """The agent there that waits at its own dialog while none of its hooks does."""
        for one in self._agents.list():
            if (one.server, one.pane) != place or one.kind not in HIDES:
                continue
            waits = one.state is AgentState.WAITING
            if not waits:
                self._given_up.pop(one.session, None)
            elif self._agents.quiet(one.session) < DRAWN_SECONDS:
                self._soon(place)  # its next hook may be on its way
            else:
                return one
        return None

    async def _ask(self, place: Place, view: View, before: Approval | None) -> None:
        """`before`: what a hook asked of the same, whose rules hold here, too."""
        assert view.seen.dialog
        origin = self._origin(place, view)
        asked = question(view.seen.dialog, view.agent)
        decision = self._guard.check(asked, origin)
        approval = Approval(
            request_id=new_id(),
            digest=digest(asked),
            action=asked,
            origin=origin,
            created=datetime.now(UTC),
            kind="question",
            rule=DOOR,
            reason=presses(view.seen.dialog),
            risk=max(decision.risk, Risk.MEDIUM, before.risk if before else Risk.LOW, key=lambda risk: risk.rank),
            step_up=decision.step_up or (before.step_up if before else ()),
        )
        try:
            await self._approvals.open(approval)
        except (errors.LimitExceeded, errors.Unavailable) as why:
            log.warning("a dialog in pane %s is not asked about: %s", place[1], why.message)

    def _origin(self, place: Place, view: View) -> Origin:
        """Who asks: the program in the foreground, in the pane where it was seen."""
        pane: Pane = self._servers[place[0]].pane(place[1])
        found = self._identity.identify(view.program.process.pid, os.getuid(), door=DOOR)
        return replace(
            found,
            role=Role.AGENT,
            why=f"its screen, by rule {view.seen.rule!r} for {view.agent}",
            server=place[0],
            pane=place[1],
            place=pane.place,
            agent=view.program.agent,
            name="" if view.program.agent else view.program.names[0],
            session=view.program.session,
            sandbox=self._agents.tier(*place) == "sandbox",
        )

    async def _withdraw(self, approval: Approval, note: str) -> None:
        if self._approvals.waits(approval.request_id):
            await self._approvals.withdraw(approval.request_id, note)

    # --- for whoever answers ---

    def hold(self, place: Place, *, on: bool) -> None:
        """While keys are pressed there, its dialog is not asked about anew."""
        watched = self._panes.get(place)
        if watched is not None:
            watched.pressing, watched.asked = on, None
            if not on:
                self._soon(place)

    def server(self, place: Place) -> TmuxServer:
        """Raises errors.Conflict where it is gone."""
        if place[0] not in self._servers:
            raise errors.Conflict("its tmux server is gone")
        return self._servers[place[0]]

    async def stale(self, approval: Approval) -> None:
        """What it asks about is no longer there."""
        await self._withdraw(approval, GONE)


def place_of(origin: Origin) -> Place:
    """Where somebody is."""
    return (origin.server or "", origin.pane or "")
