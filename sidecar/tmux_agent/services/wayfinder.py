"""Where the person's keys lead: menus, the next agent that waits, and what a menu's choice opens.

Owns which menu a key opens and whom `next` goes to. A key press and a choice prove nothing (anybody who reaches tmux's
socket can make them), so none of them does more than anybody could do by tmux itself: what answers, interrupts or
kills happens in a popup, whose relay the kernel vouches for. Must not own: menus on clients (tmux/menus.py), popups.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..core import errors, menus
from ..core.menus import Choice, Page
from ..core.model import Agent, AgentState, Approval
from .agents import Agents
from .approvals import Approvals
from .tmux import seats
from .tmux.control import TmuxServer
from .tmux.menus import Menus
from .tmux.messages import say
from .tmux.popups import Wanted
from .tmux.signals import Chosen

log = logging.getLogger(__name__)

LEADING = {  # keys that lead where a choice of a menu does
    "next": Choice(to="next"), "pending": Choice(to="pending"), "agent": Choice(to="agent"),
    "pipelines": Choice(to="pipelines"), "fleet": Choice(to="fleet"), "spawn": Choice(to="spawn"),
}  # fmt: skip
Open = Callable[[TmuxServer, str, Wanted], Any]


class Wayfinder:
    """Built by the daemon; used in the event loop only. `open_popup` may raise NotFound, Unavailable; `is_paused` says
    of a pane's pid whether what runs there stands still."""

    def __init__(
        self, agents: Agents, approvals: Approvals, open_popup: Open, is_paused: Callable[[int], bool]
    ) -> None:
        self._agents = agents
        self._is_paused = is_paused
        self._approvals = approvals
        self._open_popup = open_popup
        self._menus = Menus()
        self._seen: set[str] = set()  # ids of what was gone to, while it waits

    async def close(self) -> None:
        await self._menus.close()

    def forget(self, server: TmuxServer) -> None:
        """The server is gone."""
        self._menus.forget(server)

    # --- keys and choices ---

    async def pressed(self, server: TmuxServer, key: str, client: str) -> None:
        """A key of that name (scripts/variables.sh) was pressed at a client."""
        try:
            if key == "menu":
                await self._main_menu(server, client)
            elif key in LEADING:
                await self._lead(server, client, LEADING[key])
        except errors.TmuxAgentError as why:
            await say(server, [client], why.message)

    async def chosen(self, server: TmuxServer, event: Chosen) -> None:
        """An item of a menu was chosen; of one that is not out any more, nothing comes."""
        found = self._menus.chosen(server, event.menu, event.index)
        if found is None:
            return
        client, choice = found
        try:
            await self._lead(server, client, choice)
        except errors.TmuxAgentError as why:
            await say(server, [client], why.message)

    async def _lead(self, server: TmuxServer, client: str, choice: Choice) -> None:
        match choice.to:
            case "popup":
                self._open_popup(server, client, Wanted(at=choice.request_id or None))
            case "page":
                assert choice.page is not None
                server.pane(choice.page.pane)
                self._open_popup(server, client, Wanted(page=choice.page))
            case "pane":
                await self._go(server, client, choice.pane)
            case "next":
                await self._next(server, client)
            case "agent":
                await self._agent_menu(server, client, choice.pane)
            case "pending":
                await self._pending_menu(server, client)
            case "pipelines" | "fleet" | "spawn":
                here = choice.pane or (await seats.seat(server, client)).pane
                page = Page(what=choice.to, server=server.socket, pane=here)
                self._open_popup(server, client, Wanted(page=page))

    async def _go(self, server: TmuxServer, client: str, pane: str) -> None:
        server.pane(pane)
        await server.command("switch-client", "-c", client, "-t", pane)

    # --- menus ---

    async def _main_menu(self, server: TmuxServer, client: str) -> None:
        here = (await seats.seat(server, client)).pane
        agents = self._placed(server)
        mine = next((one for one in agents if one.pane == here), None)
        self._menus.open(server, client, menus.main(self._approvals.pending(), agents, mine))

    async def _pending_menu(self, server: TmuxServer, client: str) -> None:
        waiting = self._approvals.pending()
        if not waiting:
            await say(server, [client], "nothing waits for you")
            return
        self._menus.open(server, client, menus.pending(waiting))

    async def _agent_menu(self, server: TmuxServer, client: str, pane: str) -> None:
        pane = pane or (await seats.seat(server, client)).pane
        one = next((one for one in self._placed(server) if one.pane == pane), None)
        if one is None:
            raise errors.NotFound("no agent is known in this pane")
        paused = self._is_paused(server.pane(pane).pid)
        self._menus.open(server, client, menus.agent(one, self._waiting_in(server, pane), paused=paused))

    def _placed(self, server: TmuxServer) -> list[Agent]:
        """Who is in the panes of a server, one a pane, who waits first: known agents, and others that ask."""
        panes = {pane.id for pane in server.panes if not pane.dead}
        found: dict[str, Agent] = {}
        for one in sorted(self._agents.list(), key=lambda one: one.state is not AgentState.WAITING):
            if one.server == server.socket and one.pane in panes:
                found.setdefault(one.pane or "", one)
        for approval in self._approvals.pending():
            pane = approval.origin.pane or ""
            if approval.origin.server == server.socket and pane in panes:
                known = found.get(pane) or _asker(approval)
                found[pane] = msgspec.structs.replace(known, state=AgentState.WAITING)
        return sorted(found.values(), key=lambda one: (one.state is not AgentState.WAITING, one.place, one.pane or ""))

    def _waiting_in(self, server: TmuxServer, pane: str) -> list[Approval]:
        pending = self._approvals.pending()
        return [one for one in pending if (one.origin.server, one.origin.pane) == (server.socket, pane)]

    # --- the next that waits ---

    async def _next(self, server: TmuxServer, client: str) -> None:
        """Goes to the pane of the oldest request that was not gone to yet; after the last, round and round."""
        waiting = self._waiting(server)
        self._seen &= {name for _, names in waiting for name in names}
        here = (await seats.seat(server, client)).pane
        for pane, names in waiting:
            if pane == here:
                self._seen |= names
        fresh = [pane for pane, names in waiting if not names <= self._seen]
        around = [pane for pane, _ in waiting]
        at = around.index(here) + 1 if here in around else 0
        target = next((pane for pane in (*fresh, *around[at:], *around[:at]) if pane != here), None)
        if target is None:
            await say(server, [client], self._nowhere(waiting))
            return
        self._seen |= dict(waiting)[target]
        await self._go(server, client, target)

    def _nowhere(self, waiting: Sequence[object]) -> str:
        if waiting:
            return "nobody else waits: you are there"
        elsewhere = len(self._approvals.pending())
        return f"nobody waits in a pane here; {elsewhere} elsewhere" if elsewhere else "nobody waits for you"

    def _waiting(self, server: TmuxServer) -> list[tuple[str, set[str]]]:
        """Panes in which somebody waits, the longest first, with the names of what waits there."""
        alive = {pane.id for pane in server.panes if not pane.dead}
        found = [(one.created, one.origin.server, one.origin.pane, one.request_id) for one in self._approvals.pending()]
        found += [
            (one.since, one.server, one.pane, f"{one.session} {one.since}")
            for one in self._agents.list()
            if one.state is AgentState.WAITING
        ]
        panes: dict[str, set[str]] = {}
        for _, socket, pane, name in sorted(found, key=lambda one: one[0]):
            if socket == server.socket and pane in alive:
                panes.setdefault(pane or "", set()).add(name)
        return list(panes.items())


def _asker(approval: Approval) -> Agent:
    """Whoever asks from a pane and has no hooks, as an agent."""
    origin = approval.origin
    return Agent(
        session=origin.session,
        kind=origin.agent or "",
        name=origin.name or origin.exe.rpartition("/")[2],
        state=AgentState.WAITING,
        since=approval.created,
        server=origin.server,
        pane=origin.pane,
        place=origin.place or "",
    )
