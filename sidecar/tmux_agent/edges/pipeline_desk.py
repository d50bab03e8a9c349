"""The popup's view of pipelines: runs, what may be started, and what its person wants of them.

Owns the bounds of what is shown, and that each wish comes from a person still. Must not own: drawing
(ui/pipelines.py), what a wish does (edges/pipelines.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core import errors
from ..core import protocol as p
from ..core import replies as r
from ..core.menus import Page
from ..core.model import Origin
from ..core.pipeline_run import Run, RunState, StageRun, StageState
from ..services.audit_log import Filter
from ..services.ids import new_id
from ..services.system import System
from ..services.wishes import Wish
from . import audit_lines, pipelines
from .ui.desk import Start

RUNS = 40  # shown at once of those under way, the newest; `tmux-agent pipeline list` shows all
PANES = 50  # in which one pipeline can be started from here
LATE = timedelta(seconds=5)  # the marker that ends a run is recorded a moment after it


class PipelineDesk:
    """What edges/ui/desk.py describes as Pipelines. `still_persons` gives who acts, or raises Forbidden, on record."""

    def __init__(self, system: System, still_persons: Callable[[str, str], Origin], mine: Callable[[], Origin]) -> None:
        self._system = system
        self._still_persons = still_persons
        self._mine = mine
        self._shown: dict[str, tuple[Run, r.RunData]] = {}  # by id, as long as nothing of a run changes

    # --- looking ---

    def runs(self) -> list[r.RunData]:
        newest = self._under_way()[: -RUNS - 1 : -1]
        self._shown = {run.run_id: (run, self._brief(run)) for run in newest}
        return [data for _, data in self._shown.values()]

    def _brief(self, run: Run) -> r.RunData:
        before, data = self._shown.get(run.run_id, (None, None))
        return data if before is run and data else pipelines.shown(self._system, run, brief=True)

    def hidden(self) -> int:
        return max(0, len(self._under_way()) - RUNS)

    def _under_way(self) -> list[Run]:
        """Without those that have ended, and only have something to tell still."""
        return [run for run in self._system.pipelines.runs() if run.state is RunState.RUNNING]

    def requests(self) -> dict[tuple[str, str], str]:
        named: dict[str, dict[str, str]] = {}  # by run id: what the run asks, by the key of services/pipeline_acts.py
        printed: dict[tuple[str, str], str] = {}  # by pane: what asks there, a marker or an agent
        for one in self._system.approvals.pending():
            kind, _, rest = (one.hook_key or "").partition(":")
            if kind == "pipeline":
                run_id, _, key = rest.partition(":")
                named.setdefault(run_id, {})[key] = one.request_id
            else:
                printed.setdefault((one.origin.server or "", one.origin.pane or ""), one.request_id)
        found = {}
        for run in self._under_way() if named or printed else ():
            for stage in run.stages:
                if asked := _request(run, stage, named.get(run.run_id, {}), printed):
                    found[run.run_id, stage.name] = asked
        return found

    async def ended(self, count: int) -> list[r.RunData]:
        kept = await self._system.pipelines.history(count + len(self._system.pipelines.runs()))
        ended = [run for run in kept if run.state is not RunState.RUNNING][:count]
        return [pipelines.shown(self._system, run, brief=True) for run in ended]

    async def whole(self, run_id: str) -> r.RunData:
        return pipelines.shown(self._system, await self._system.pipelines.get(run_id))

    async def markers(self, run: r.RunData, count: int) -> list[str]:
        panes = sorted({one for one in (run.pane, *(stage.pane for stage in run.stages)) if one})
        since, until = _text(run.created), _text(run.ended + LATE) if run.ended else ""
        found = []
        for pane in panes[:PANES]:
            wanted = Filter(server=run.server or "", pane=pane, since=since, until=until)
            found += await pipelines.last_markers(self._system, wanted, count)
        return [audit_lines.marker(one) for one in sorted(found, key=lambda one: one.seq)[-count:]]

    # --- what there is ---

    def declared(self) -> list[r.PipelineData]:
        return [pipelines.declared(one) for one in self._system.pipelines.files.all()]

    def wrong(self) -> list[str]:
        return [str(one) for one in self._system.pipelines.files.errors]

    def folder(self) -> str:
        return str(self._system.pipelines.files.folder)

    def starts(self, page: Page) -> list[Start]:
        server = self._system.servers.get(page.server)
        panes = [pane for pane in server.panes if not pane.dead] if server else []
        here = [pane for pane in panes if pane.id == page.pane]
        found: list[Start] = []
        for spec in self._system.pipelines.files.all():
            fits = [pane for pane in panes if server and self._system.watching.fits(spec, server, pane)][:PANES]
            named: dict[str, Any] = {"pipeline": spec.name, "server": page.server, "matches": bool(fits)}
            found += [Start(pane=pane.id, place=pane.place, **named) for pane in fits or here]
        return found

    async def would(self, start: Start) -> r.RunData:
        asked = p.PipelineDryRun(pipeline=start.pipeline, pane_id=start.pane, server=start.server)
        found: r.RunData = await pipelines.look(self._system, asked, self._mine())
        return found

    # --- acting ---

    async def act(self, wanted: pipelines.Acting) -> r.RunData:
        request_id = new_id()
        action = pipelines.wanted(wanted)
        origin = self._still_persons(f"pipeline.{action.verb}", request_id)
        return await pipelines.act(self._system, wanted, Wish(action=action, origin=origin, request_id=request_id))

    async def go(self, server: str, pane: str) -> None:
        there = self._system.servers.get(server)
        if there is None:
            raise errors.NotFound(f"the tmux server at {server} is gone")
        there.pane(pane)
        await there.command("switch-client", "-c", self._mine().client or "", "-t", pane)


def _request(run: Run, one: StageRun, named: Mapping[str, str], printed: Mapping[tuple[str, str], str]) -> str | None:
    """What a stage asks: its approval or one of its actions; else what asks in its pane while it runs."""
    mine = f"{run.run_id}/{one.name}/{one.attempt}/"
    for key, request_id in named.items():
        if key.startswith(mine):
            return request_id
    runs = one.state is StageState.RUNNING and one.place is not None
    return printed.get((one.place.server, one.place.pane)) if runs and one.place else None


def _text(at: datetime) -> str:
    """As the audit log writes it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
