"""What the page of pipelines opens: a whole run, which pipeline to start, its keys.

Owns: what these say and their keys. Must not own: what acts (pipelines.py), how a run looks (run_lines.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tmux_agent.core.replies import RunData
from tmux_agent.edges.ui import run_lines
from tmux_agent.edges.ui.desk import Start
from tmux_agent.edges.ui.dialogs import Pick, Text
from tmux_agent.edges.ui.run_rows import Rows
from tmux_agent.edges.ui.text import Line, literal

if TYPE_CHECKING:
    from tmux_agent.edges.ui.popup import Popup

MARKERS = 20
HELP = (
    ("Enter", "the whole run: what its stages do and did, its last markers"),
    ("r", "try the stage again; on a run, all that failed"),
    ("s", "skip the stage: what needs it goes on"),
    ("x", "cancel the run"),
    ("S", "start a pipeline: shows what it would do first"),
    ("a", "the request that the stage waits for, to answer it"),
    ("o", "go to its pane"),
    ("j k", "next, previous line; arrows, PgUp, PgDn, Home, End too"),
    ("q Esc", "close; closing does nothing"),
)
MARKED = ("running", "approval", "retrying", "success", "failed", "skipped", "unknown")


def choose(popup: Popup, found: list[Start], take: Callable[[Start], None]) -> Pick:
    """Which pipeline is to be started, and in which pane."""
    heading: Line = [("class:title", "start"), ("class:faint", "  a pipeline; what it would do is shown first")]
    rows = [_start_line(one) for one in found]
    return Pick(heading, rows, popup.lines, "what it would do", lambda at: take(found[at]))


def _start_line(one: Start) -> Line:
    why = "" if one.matches else "  no pane matches: in the one you came from"
    return [*literal(one.pipeline[:200]), *literal(f"  {one.place} {one.pane}{why}", "class:faint")]


class Whole(Text):
    """All of one run, read anew whenever something of it has changed."""

    def __init__(self, popup: Popup, rows: Rows, run: RunData) -> None:
        super().__init__([("class:title", "run"), ("", "  "), *literal(run.pipeline[:200])], [])
        self._popup, self._rows = popup, rows
        self._seen: RunData | None = None  # as the page had it
        self._run = run
        self._markers: list[str] = []
        self.refresh()

    def refresh(self) -> None:
        if self.behind:  # the page that it was opened from: the rows are its own
            self.behind.refresh()
        now = self._rows.run(self._run.run_id)
        if now is not self._seen:
            self._seen = now
            self._popup.spawn(self._read())

    async def _read(self) -> None:
        desk = self._popup.desk.pipelines
        self._run = await desk.whole(self._run.run_id)
        self._markers = await desk.markers(self._run, MARKERS)

    def lines(self, width: int, height: int) -> list[Line]:
        self._content = run_lines.whole(self._run, self._markers, width, self._popup.clock(), self._popup.lines)
        return super().lines(width, height)


def help_lines(popup: Popup) -> list[Line]:
    lines: list[Line] = [[("class:key", f"{key:<7}"), ("", text)] for key, text in HELP]
    marks: Line = []
    for state in MARKED:
        style = run_lines.STYLES.get(state, "class:faint")
        marks += [(style, popup.lines.stages[state]), ("class:faint", f" {state}  ")]
    return [*lines, [], marks]
