"""The popup's view of the fleet: its agents, what a new one may be made of, and what its person wants of them.

Owns that each wish comes from a person still. Must not own: drawing (ui/fleet.py, ui/spawning.py), what a wish does
(edges/fleet.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from ..core import errors, redact, screen_usage
from ..core.menus import Page
from ..core.model import Origin
from ..core.protocol_fleet import FleetSpawn
from ..core.replies_fleet import FleetData, FleetWould
from ..services import worktrees
from ..services.fleet_plan import KNOWN
from ..services.ids import new_id
from ..services.system import System
from ..services.tmux.control import TmuxServer
from ..services.wishes import Wish
from . import fleet, fleet_look, pane_lines
from .ui.desk import Choices, FleetActing, Look

LINES = 60  # of a screen, in which the last one and what it says of cost are looked for


class FleetDesk:
    """What edges/ui/desk.py describes as Fleet. `still_persons` gives who acts, or raises Forbidden, on record."""

    def __init__(self, system: System, still_persons: Callable[[str, str], Origin], mine: Callable[[], Origin]) -> None:
        self._system = system
        self._still_persons = still_persons
        self._mine = mine

    # --- looking ---

    def agents(self) -> list[FleetData]:
        return [fleet_look.shown(self._system, one) for one in self._system.fleet.list()]

    def requests(self) -> dict[str, str]:
        asked: dict[tuple[str, str], str] = {}
        for one in self._system.approvals.pending():
            asked.setdefault((one.origin.server or "", one.origin.pane or ""), one.request_id)
        found = ((one.name, asked.get((one.server, one.pane))) for one in self._system.fleet.list() if one.pane)
        return {name: request_id for name, request_id in found if request_id}

    async def look(self, one: FleetData) -> Look:
        whole = await fleet_look.whole(self._system, self._system.fleet.get(one.name))
        lines: list[str] = []
        if one.state in ("running", "paused"):
            with contextlib.suppress(errors.TmuxAgentError):  # its pane ended meanwhile, which is told as its state
                lines = await self.lines(one, LINES)
        last = next((line.strip() for line in reversed(lines) if self._says(line, one.agent)), "")
        return Look(
            ahead=whole.ahead, files=whole.files, added=whole.added, removed=whole.removed,
            uncommitted=len(whole.uncommitted), last=redact.redact_text(last), usage=screen_usage.said(lines),
        )  # fmt: skip

    def _says(self, line: str, agent: str) -> bool:
        """Whether a line tells something, and is not what the agent draws below its prompt."""
        rules = self._system.screen_files.of((agent,))
        drawn = [rule.foot or rule.sign for rule in rules.rules if rule.state == "idle"] if rules else []
        return any(map(str.isalnum, line)) and not any(one and one.search(line.strip()) for one in drawn)

    async def lines(self, one: FleetData, count: int) -> list[str]:
        return await pane_lines.last(*self._placed(one), count)

    def _placed(self, one: FleetData) -> tuple[TmuxServer, str]:
        server = self._system.servers.get(one.server)
        if server is None or one.state not in ("running", "paused"):
            raise errors.NotFound(f"{one.name} has no pane: {one.state}; z begins it again where it was")
        return server, server.pane(one.pane).id

    # --- a new one ---

    async def choices(self, page: Page) -> Choices:
        folder = await self._folder(page)
        found = await fleet_look.templates(self._system, folder)
        trees = await worktrees.worktrees(found.repository)
        taken = {tree.branch for tree in trees}
        every = await worktrees.branches(found.repository)
        return Choices(
            repository=found.repository,
            branches=tuple(branch for branch in every if branch not in taken),
            agents=tuple(dict.fromkeys((*found.agents, *KNOWN))),
            templates=tuple(one.name for one in found.templates if one.trusted),
            here=trees[0].branch,
            wrong=found.wrong,
        )

    async def _folder(self, page: Page) -> str:
        server = self._system.servers.get(page.server)
        if server is None:
            raise errors.NotFound(f"the tmux server at {page.server} is gone")
        pane = server.pane(page.pane).id
        return "\n".join(await server.foreign("display-message", "-p", "-t", pane, "#{pane_current_path}"))

    async def would(self, wanted: FleetSpawn) -> FleetWould:
        asked = msgspec.structs.replace(wanted, dry_run=True)
        found: FleetWould = await fleet.call(self._system, asked, self._wish(asked, self._mine(), new_id()))
        return found

    async def spawn(self, wanted: FleetSpawn) -> FleetData:
        found: FleetData = await self._done(wanted)
        return found

    # --- acting ---

    async def act(self, wanted: FleetActing) -> None:
        await self._done(wanted)

    async def _done(self, wanted: FleetActing | FleetSpawn) -> Any:
        request_id = new_id()
        origin = self._still_persons(f"fleet.{fleet.wanted(wanted).verb}", request_id)
        return await fleet.call(self._system, wanted, self._wish(wanted, origin, request_id))

    def _wish(self, wanted: FleetActing | FleetSpawn, origin: Origin, request_id: str) -> Wish:
        return Wish(action=fleet.wanted(wanted), origin=origin, request_id=request_id)

    async def go(self, one: FleetData) -> None:
        server, pane = self._placed(one)
        await server.command("switch-client", "-c", self._mine().client or "", "-t", pane)
