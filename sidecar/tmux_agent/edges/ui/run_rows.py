"""Which runs the page of pipelines shows, and which line of them is selected.

Owns: that nothing moves under the finger. Runs keep their places, the selection follows its stage and stays on its line
of the screen. Must not own: drawing (run_lines.py), keys (pipelines.py).
"""

from __future__ import annotations

from typing import NamedTuple

from tmux_agent.core.replies import RunData, StageData
from tmux_agent.edges.ui import run_lines
from tmux_agent.edges.ui.desk import Pipelines

ENDED = 8  # runs that have ended, the last ones
KEPT = 50  # runs that ended while the page was open
PRESSING = ("approval", "failed", "unknown")  # what a person looks for first
BROKEN = ("failed", "unknown")  # what is shown of a run that has ended

At = tuple[str, str]  # run id, stage: "" for the run itself


class Row(NamedTuple):
    """One line that can be selected: a run, or a stage of it."""

    run: RunData
    stage: StageData | None = None

    @property
    def id(self) -> At:
        return self.run.run_id, self.stage.name if self.stage else ""


class Rows:
    """`refresh` looks at the runs under way, which are in memory; `fill` reads those that have ended."""

    def __init__(self, desk: Pipelines) -> None:
        self._desk = desk
        self._runs: dict[str, RunData] = {}  # in the order in which they are shown
        self._open: set[str] = set()  # all stages are shown: they were under way while the page was open
        self._at: At | None = None
        self.active: frozenset[str] = frozenset()
        self.all: list[Row] = []
        self.names: dict[str, int] = {}  # cells of the longest name of a run's stages
        self.top = 0  # the first row that is shown
        self.height = 1

    # --- what there is ---

    def refresh(self) -> bool:
        """Runs keep their places; new ones come first. Whether one has ended, and `fill` knows more of it."""
        active = {one.run_id: one for one in self._desk.runs()}
        ended = bool(self.active - active.keys())
        new = {run_id: run for run_id, run in active.items() if run_id not in self._runs}
        self.active = frozenset(active)
        self._open |= self.active
        self._runs = new | self._runs | active
        self._lay_out()
        return ended

    async def fill(self) -> None:
        """Raises what the Desk raises."""
        kept = {one.run_id: one for one in await self._desk.ended(ENDED) if one.run_id not in self.active}
        known = [run_id for run_id in self._runs if run_id not in self.active][:KEPT]
        mine = {run_id: kept.get(run_id, run) for run_id, run in self._runs.items() if run_id in {*self.active, *known}}
        self._runs = {**mine, **kept}
        self._open &= self._runs.keys()
        self._lay_out()

    def _lay_out(self) -> None:
        before = self.position()
        self.all = [row for run in self._runs.values() for row in self._rows_of(run)]
        self.names = {run.run_id: run_lines.names(run) for run in self._runs.values()}
        if self._at in {row.id for row in self.all}:
            self.top += self.position() - before  # what is selected stays where it is on the screen
        elif self.all:
            self._at = self._first() if self._at is None else self.all[min(before, len(self.all) - 1)].id

    def _rows_of(self, run: RunData) -> list[Row]:
        shown = [one for one in run.stages if run.run_id in self._open or one.state in BROKEN]
        return [Row(run), *(Row(run, one) for one in shown)]

    def _first(self) -> At:
        """What a person looks for: a stage that needs them, else one that runs, else the first line."""
        stages = [(row.id, row.stage.state) for row in self.all if row.stage and row.run.run_id in self.active]
        found = (id_ for states in (PRESSING, ("running", "retrying")) for id_, state in stages if state in states)
        return next(found, self.all[0].id)

    def run(self, run_id: str) -> RunData | None:
        """As it was seen last."""
        return self._runs.get(run_id)

    # --- the selection ---

    def position(self) -> int:
        return next((at for at, row in enumerate(self.all) if row.id == self._at), 0)

    def current(self) -> Row | None:
        return self.all[self.position()] if self.all else None

    def select(self, run_id: str) -> None:
        self._at, self.top = (run_id, ""), 0

    def move(self, delta: int) -> None:
        """To another row; where there is none, what is shown instead moves."""
        if self.all:
            self._at = self.all[min(max(self.position() + delta, 0), len(self.all) - 1)].id
        else:
            self.top += delta

    def hold(self, height: int, below: int) -> None:
        """Of `height` lines and `below` more under the rows: the selection in sight, and none empty for nothing."""
        self.height = height
        at, last = self.position(), max(0, len(self.all) + below - height)
        if self.all:
            low = at - height + 1
            self.top = last if at == len(self.all) - 1 and last <= at else min(max(self.top, low), at)
        self.top = min(max(self.top, 0), last)
