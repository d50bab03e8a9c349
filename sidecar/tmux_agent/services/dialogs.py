"""Notices what no hook of an agent tells: its own dialog was answered there, it was interrupted, or it died.

Owns when to look: while an agent works or its question waits tmux tells when titles change (TmuxServer.watch; nothing
polls, and no process starts), and a pane's screen is read only when its title changed. Must not own: what a screen
says (core/screens.py), approvals, states.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ..core import errors, screens
from ..core.model import Agent, AgentState, Approval
from ..core.screens import Screen
from .agents import Agents
from .approvals import Approvals
from .tmux.control import TmuxServer

DRAWN_SECONDS = 0.7  # after which a dialog is drawn, or was answered: its hook runs some 0.1 s ahead of it
CLAUDE, GEMINI = "claude", "gemini"


class Dialogs:
    """Built by the system; used in the event loop only."""

    def __init__(
        self, agents: Agents, approvals: Approvals, spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self._agents = agents
        self._approvals = approvals
        self._spawn = spawn
        self._watched: dict[str, frozenset[str]] = {}  # by server: what the titles are compared for
        self._since: dict[str, float] = {}  # when an approval was first heard of, by the loop's clock
        self._told: dict[str, tuple[AgentState, float]] = {}  # by session: a Gemini's state, and since when so

    def forget(self, server: TmuxServer) -> None:
        """Its connection is a new one, or is gone: nothing is watched."""
        self._watched.pop(server.socket, None)

    def changed(self, server: TmuxServer) -> None:
        """Approvals or states may have changed: have the titles compared, or not any more."""
        now = asyncio.get_running_loop().time()
        watched = frozenset(one.request_id for one in self._asking(server))
        self._since |= {request_id: now for request_id in watched if request_id not in self._since}
        watched |= {one.session for one in self._working(server)}
        for one in self._geminis(server):
            watched |= {f"{one.session} {one.state.value}"}
            if self._told.get(one.session, (None, 0))[0] is not one.state:
                self._told[one.session] = (one.state, now)
        if watched != self._watched.get(server.socket, frozenset()) and server.connected.is_set():
            self._watched[server.socket] = watched
            pending = {one.request_id for one in self._approvals.pending()}
            self._since = {one: since for one, since in self._since.items() if one in pending}
            self._spawn(self._watch(server, on=bool(watched)))

    async def titles(self, server: TmuxServer, value: str) -> None:
        """What tmux found: the panes that are calm. Comes after each change, and once after each _watch()."""
        calm = frozenset(value.split())
        busy = [one for one in self._asking(server) if one.origin.pane not in calm]
        before = asyncio.get_running_loop().time() - DRAWN_SECONDS
        young = [one for one in busy if self._since.get(one.request_id, before) > before]
        for approval in busy:
            if approval not in young and await self._left(server, approval):
                await self._approvals.withdraw(approval.request_id, "its dialog has left the pane")
        for agent in self._working(server):
            if agent.pane in calm and await self._shows(server, agent.pane) is Screen.PROMPT:
                self._agents.rests(agent.session)
        fresh = [one for one in self._geminis(server) if self._told.get(one.session, (None, 0.0))[1] > before]
        for agent in self._geminis(server):
            if agent not in fresh:
                self._titled(agent, calm)
        if young or fresh:
            await self._watch(server, on=True)

    async def gone(self, session: str, why: str) -> None:
        """An agent has left. Its hooks run in sessions of their own and outlive it: nobody ends their questions."""
        self._told.pop(session, None)
        for one in self._approvals.pending():
            if one.hook_key and one.origin.session == session:
                await self._approvals.withdraw(one.request_id, why)

    # --- inside ---

    def _asking(self, server: TmuxServer) -> list[Approval]:
        """Open questions that a dialog in a pane asks as well."""
        return [
            one
            for one in self._approvals.pending()
            if one.hook_key and one.origin.agent == CLAUDE and one.origin.pane and one.origin.server == server.socket
        ]

    def _working(self, server: TmuxServer) -> list[Agent]:
        return [
            one
            for one in self._agents.list()
            if one.state is AgentState.WORKING and one.kind == CLAUDE and one.pane and one.server == server.socket
        ]

    def _geminis(self, server: TmuxServer) -> list[Agent]:
        """Those whose title counts: while a question of ours holds its hook, it says that Gemini works."""
        busy = (AgentState.WORKING, AgentState.WAITING)
        return [
            one
            for one in self._agents.list()
            if one.kind == GEMINI and one.state in busy and not one.waiting_on and one.server == server.socket
        ]

    def _titled(self, agent: Agent, panes: frozenset[str]) -> None:
        """Gemini says in its title what it does; where it says nothing (its settings may say so) nothing follows."""
        if agent.pane in panes:
            self._agents.rests(agent.session)
        elif f"!{agent.pane}" in panes:
            self._agents.shows(agent.session, AgentState.WAITING)
        elif f"+{agent.pane}" in panes:
            self._agents.shows(agent.session, AgentState.WORKING)

    async def _left(self, server: TmuxServer, approval: Approval) -> bool:
        return await self._shows(server, approval.origin.pane) in (Screen.WORKING, Screen.PROMPT)

    async def _watch(self, server: TmuxServer, *, on: bool) -> None:
        """Watched anew, the value is told within a second in any case."""
        await server.watch(screens.CALM if on else "")

    async def _shows(self, server: TmuxServer, pane: str | None) -> Screen | None:
        """None: the pane is gone, or tmux is."""
        try:
            return screens.claude(await server.foreign("capture-pane", "-p", "-t", pane or ""))
        except errors.TmuxAgentError:
            return None
