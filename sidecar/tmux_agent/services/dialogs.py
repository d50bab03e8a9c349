"""Notices what no hook of an agent tells: its own dialog was answered there, it was interrupted, or it died.

Owns when to look: while agents are known tmux tells when titles change (TmuxServer.watch; nothing polls, and no process
starts), and a pane's screen is read only where its title leaves it open. A hook is right until none has told anything
for a moment; then the screen is. Must not own: what titles and screens say (core/titles.py, core/screen_reading.py),
approvals, states.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ..core import errors, titles
from ..core.model import Agent, AgentState, Approval
from ..core.screen_reading import Look, Seen, read
from ..core.titles import Title
from .agents import BUSY, DRAWN_SECONDS, KERNELS, SCREEN, Agents
from .approvals import Approvals
from .screen_files import ScreenFiles
from .tmux.control import TmuxServer

CLAUDE, CODEX, GEMINI = "claude", "codex", "gemini"
TITLED = (CLAUDE, CODEX, GEMINI)
LEFT = {CLAUDE: "its dialog has left the pane", GEMINI: "Esc was pressed in its pane"}
GAVE_UP = "gave its turn up"  # the rule in gemini.yaml: its prompt alone waits there also while its hook is held
OPEN = (*BUSY, AgentState.UNKNOWN)  # states that a prompt that waits ends


class Dialogs:
    """Built by the system; used in the event loop only."""

    def __init__(
        self,
        files: ScreenFiles,
        agents: Agents,
        approvals: Approvals,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._files = files
        self._agents = agents
        self._approvals = approvals
        self._spawn = spawn
        self._watched: dict[str, frozenset[str]] = {}  # by server: what the titles are compared for
        self._since: dict[str, float] = {}  # when an approval was first heard of, by the loop's clock

    def forget(self, server: TmuxServer) -> None:
        """Its connection is a new one, or is gone: nothing is watched."""
        self._watched.pop(server.socket, None)

    def changed(self, server: TmuxServer) -> None:
        """Approvals or states may have changed: have the titles compared, or not any more."""
        now = asyncio.get_running_loop().time()
        watched = frozenset(one.request_id for one in self._asking(server))
        self._since |= {request_id: now for request_id in watched if request_id not in self._since}
        watched |= {f"{one.session} {one.state.value} {one.waiting_on != ''}" for one in self._titled(server)}
        if watched != self._watched.get(server.socket, frozenset()) and server.connected.is_set():
            self._watched[server.socket] = watched
            pending = {one.request_id for one in self._approvals.pending()}
            self._since = {one: since for one, since in self._since.items() if one in pending}
            self._spawn(self._watch(server, on=bool(watched)))

    async def titles(self, server: TmuxServer, value: str) -> None:
        """What tmux found: the titles that say something. Comes after each change, and once after each _watch()."""
        shown = titles.read(value)
        before = asyncio.get_running_loop().time() - DRAWN_SECONDS
        young = False
        for approval in self._asking(server):
            if self._since.get(approval.request_id, before) > before:
                young = True
                continue
            title = shown.get(approval.origin.pane or "")
            if state := await self._left(server, approval, title):
                self._agents.shows(approval.origin.session, state, "its screen")
                await self._approvals.withdraw(approval.request_id, LEFT[approval.origin.agent or ""])
            elif title is not Title.CALM:  # Claude's is about to be drawn, or to go; nothing tells of Gemini's
                young = True
        for agent in self._titled(server):
            if agent.waiting_on:
                continue
            if self._agents.quiet(agent.session) < DRAWN_SECONDS:
                young = True
            else:
                await self._look(server, agent, shown.get(agent.pane or ""))
        if young:
            await self._watch(server, on=True)

    async def gone(self, session: str, why: str) -> None:
        """An agent has left. Its hooks run in sessions of their own and outlive it: nobody ends their questions."""
        for one in self._approvals.pending():
            if one.hook_key and one.origin.session == session:
                await self._approvals.withdraw(one.request_id, why)

    # --- inside ---

    def _asking(self, server: TmuxServer) -> list[Approval]:
        """Open questions whose agent shows in its pane that it asks, or has given them up."""
        here = [one for one in self._approvals.pending() if one.origin.pane and one.origin.server == server.socket]
        return [one for one in here if one.hook_key and one.origin.agent in (CLAUDE, GEMINI)]

    def _titled(self, server: TmuxServer) -> list[Agent]:
        """Those whose titles tell beside their hooks. Of who has no hooks the whole screen is read (screens.py)."""
        here = [one for one in self._agents.list() if one.pane and one.server == server.socket]
        return [one for one in here if one.kind in TITLED and not KERNELS.fullmatch(one.session)]

    async def _left(self, server: TmuxServer, approval: Approval, title: Title | None) -> AgentState | None:
        """What the agent does where it does not ask any more; None: it still does.

        A held Gemini says in its title that it works, also after Esc, of which nothing but its screen tells.
        """
        if title is Title.CALM:
            return None
        if title is Title.READY:
            return AgentState.IDLE
        seen = await self._seen(server, approval.origin.pane, approval.origin.agent or "")
        if approval.origin.agent == GEMINI:
            return AgentState.IDLE if seen.rule == GAVE_UP else None
        return {"working": AgentState.WORKING, "idle": AgentState.IDLE}.get(seen.state)

    async def _look(self, server: TmuxServer, agent: Agent, title: Title | None) -> None:
        """Believe the pane of an agent whose hooks are quiet, unless one comes meanwhile."""
        state, why = await self._says(server, agent, title)
        if self._agents.quiet(agent.session) < DRAWN_SECONDS:
            return
        if state and (state is not AgentState.IDLE or agent.state in OPEN):
            self._agents.shows(agent.session, state, why, titled=title is not None)

    async def _says(self, server: TmuxServer, agent: Agent, title: Title | None) -> tuple[AgentState | None, str]:
        """The state that a pane shows and what shows it; None: it says nothing."""
        match title:
            case Title.WORKING:
                return AgentState.WORKING, "its title"
            case Title.ASKING:
                return AgentState.WAITING, "its title"
            case Title.READY:
                return AgentState.IDLE, "its title"
            case Title.CALM if agent.state in OPEN:
                seen = await self._seen(server, agent.pane, agent.kind)
                return {"waiting": AgentState.WAITING, "idle": AgentState.IDLE}.get(seen.state), SCREEN
            case None if agent.kind == CODEX and (kept := self._agents.kept(agent.session)) and kept.titled:
                return AgentState.IDLE, "its title"
        return None, ""

    async def _watch(self, server: TmuxServer, *, on: bool) -> None:
        """Watched anew, the value is told within a second in any case."""
        await server.watch(titles.FORMAT if on else "")

    async def _seen(self, server: TmuxServer, pane: str | None, agent: str) -> Seen:
        """What a pane's screen says; unknown where the pane is gone, or tmux is."""
        try:
            lines = await server.foreign("capture-pane", "-p", "-t", pane or "")
        except errors.TmuxAgentError:
            return Seen()
        rules = self._files.of((agent,))
        return read(rules, Look(lines=tuple(lines))) if rules else Seen()
