"""The page of pipelines (prefix + P): what runs, what each stage waits for, and what its person can do about it.

Owns: which runs are shown in which order, the selection (it follows its stage), keys. Must not own: how lines look
(run_lines.py), whether something may be done (the Desk decides). What acts is confirmed first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from tmux_agent.core.menus import Page
from tmux_agent.core.protocol import PipelineCancel, PipelineRetry, PipelineSkip, PipelineStart
from tmux_agent.core.replies import RunData, StageData
from tmux_agent.edges.ui import run_lines
from tmux_agent.edges.ui.compose import Keys
from tmux_agent.edges.ui.desk import Acting, Start
from tmux_agent.edges.ui.dialogs import FAR, SCROLL, Dialog, Sure, Text
from tmux_agent.edges.ui.text import Line, cut, literal, wrap_words

if TYPE_CHECKING:
    from tmux_agent.edges.ui.popup import Popup

ENDED = 8  # runs that have ended, the last ones
MARKERS = 20
AGAIN = ("failed", "unknown", "cancelled")  # states of stages that can be tried again
PRESSING = ("approval", "failed", "unknown")  # what a person looks for first
DETAIL = 3  # lines

KEYS: Keys = [
    ("Enter", "all"), ("r", "retry"), ("s", "skip"), ("x", "cancel"), ("S", "start"), ("a", "answer"),
    ("o", "go there"), ("?", "more"),
]  # fmt: skip
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


class Row(NamedTuple):
    """One line that can be selected: a run, or a stage of it."""

    run: RunData
    stage: StageData | None = None

    @property
    def id(self) -> tuple[str, str]:
        return self.run.run_id, self.stage.name if self.stage else ""


def begin(popup: Popup, page: Page) -> None:
    popup.open(Overview(popup, page))


class Overview(Dialog):
    """All runs. `fill` reads those that have ended; the others are in memory."""

    def __init__(self, popup: Popup, page: Page) -> None:
        self._popup, self._page = popup, page
        self._desk = popup.desk.pipelines
        self._runs: dict[str, RunData] = {}  # in the order in which they are shown
        self._active: set[str] = set()
        self._open: set[str] = set()  # all stages are shown: they were under way in this popup
        self._rows: list[Row] = []
        self._names: dict[str, int] = {}  # cells of the longest name of a run's stages
        self._at: tuple[str, str] | None = None
        self._top = 0
        self._height = 1
        self.refresh()

    # --- what there is ---

    def refresh(self) -> None:
        """Runs keep their places; new ones come first."""
        active = {one.run_id: one for one in self._desk.runs()}
        changed = bool(set(self._active) - set(active))
        new = [run_id for run_id in active if run_id not in self._runs]
        self._active = set(active)
        self._open |= self._active
        self._runs = {run_id: active[run_id] for run_id in new} | self._runs | active
        self._requests = self._desk.requests()
        self._lay_out()
        if changed:
            self._popup.spawn(self.fill())

    async def fill(self) -> None:
        """Reads runs that have ended. Raises what the Desk raises."""
        kept = {one.run_id: one for one in await self._desk.ended(ENDED) if one.run_id not in self._active}
        mine = {run_id: kept.get(run_id, run) for run_id, run in self._runs.items()}
        self._runs = {**mine, **kept}
        self._lay_out()

    def _lay_out(self) -> None:
        before = self._position()
        self._rows = [row for run in self._runs.values() for row in self._rows_of(run)]
        self._names = {run.run_id: run_lines.names(run) for run in self._runs.values()}
        if self._at is None or self._at not in (row.id for row in self._rows):
            self._at = self._first() if self._at is None or not self._rows else self._near(before)
        else:
            self._top += self._position() - before  # what is selected stays where it is on the screen

    def _rows_of(self, run: RunData) -> list[Row]:
        shown = [one for one in run.stages if run.run_id in self._open or one.state in ("failed", "unknown")]
        return [Row(run), *(Row(run, one) for one in shown)]

    def _first(self) -> tuple[str, str] | None:
        """What a person looks for: a stage that needs them, else one that runs, else the first line."""
        rows = [row for row in self._rows if row.stage and row.run.run_id in self._active]
        for states in (PRESSING, ("running", "retrying")):
            for row in rows:
                if row.stage and row.stage.state in states:
                    return row.id
        return self._rows[0].id if self._rows else None

    def _near(self, before: int) -> tuple[str, str]:
        return self._rows[min(before, len(self._rows) - 1)].id

    def _position(self) -> int:
        return next((at for at, row in enumerate(self._rows) if row.id == self._at), 0)

    def current(self) -> Row | None:
        return self._rows[self._position()] if self._rows else None

    def run(self, run_id: str) -> RunData | None:
        """As it was seen last."""
        return self._runs.get(run_id)

    # --- lines ---

    @property
    def keys(self) -> Keys:  # type: ignore[override]  # where nothing is selected, few do something
        return KEYS if self._rows else [("S", "start"), ("q", "close"), ("?", "keys")]

    @property
    def heading(self) -> Line:  # type: ignore[override]  # it counts
        left = self._desk.hidden()
        count = f"{len(self._active) + left} under way" if self._active else "nothing runs"
        return [("class:title", "pipelines"), ("", f"  {count}"),
                ("class:faint", f"  the newest {len(self._active)} are shown" if left else "")]  # fmt: skip

    def lines(self, width: int, height: int) -> list[Line]:
        now, signs, row = self._popup.clock(), self._popup.lines, self.current()
        wrong = [line for one in self._desk.wrong() for line in wrap_words(f"{signs.warn} {one}", width, "class:warn")]
        head = [*wrong[: max(1, height // 3)], *([[]] if wrong else [])]
        foot: list[Line] = []
        if row and height >= 10:
            asked = row.id in self._requests
            foot = [[], *run_lines.detail(row.run, row.stage, width, signs, asked)[:DETAIL]]
        self._height = max(1, height - len(head) - len(foot))
        below = [] if self._active else [*([[]] if self._rows else []), *self._idle(width)]
        self._hold(len(self._rows) + len(below))
        first, end = self._top, self._top + self._height
        shown = [self._line(one, width, now) for one in self._rows[first:end]]
        shown += below[max(0, first - len(self._rows)) : max(0, end - len(self._rows))]
        shown += [[] for _ in range(self._height - len(shown))]
        return [*head, *shown, *foot][:height]

    def _hold(self, count: int) -> None:
        """The selection in sight, and no empty lines where there are others."""
        at, last = self._position(), max(0, count - self._height)
        if self._rows:
            low = at - self._height + 1
            self._top = last if at == len(self._rows) - 1 and last <= at else min(max(self._top, low), at)
        self._top = min(max(self._top, 0), last)

    def _line(self, row: Row, width: int, now: datetime) -> Line:
        chosen = row.id == self._at
        bar = ("class:cursor", self._popup.lines.bar) if chosen else ("", " ")
        if row.stage is None:
            return [bar, *run_lines.run_line(row.run, width - 1, now, chosen)]
        asked = row.id in self._requests
        names, signs = self._names[row.run.run_id], self._popup.lines
        return [bar, ("", " "), *run_lines.stage_line(row.stage, width - 2, names, now, signs, asked, chosen)]

    def _idle(self, width: int) -> list[Line]:
        found = self._desk.declared()
        if not found and self._desk.wrong():
            return []
        return run_lines.declared(found, self._desk.folder(), width)

    # --- keys ---

    def press(self, key: str) -> None:
        if key == "c-c":
            self._popup.close()
        elif key in SCROLL:
            self._move(key)
        elif key == "?":
            self._show(Text([("class:title", "keys")], help_lines(self._popup)))
        elif key == "S":
            self._choose()
        elif (row := self.current()) and key in DOES:
            DOES[key](self, row)

    def _move(self, key: str) -> None:
        step = {"pagedown": self._height - 1, "pageup": 1 - self._height}.get(key, SCROLL[key])
        if not self._rows:
            self._top += min(max(step, -FAR), FAR)
            return
        self._at = self._rows[min(max(self._position() + step, 0), len(self._rows) - 1)].id

    def _show(self, dialog: Dialog) -> None:
        dialog.behind = self
        self._popup.open(dialog)

    def whole(self, row: Row) -> None:
        self._show(Whole(self._popup, self, row.run))

    def go(self, row: Row) -> None:
        pane = (row.stage.pane if row.stage else None) or row.run.pane
        if not pane or not row.run.server:
            self._popup.say("it runs in no pane", "class:medium")
            return
        server = row.run.server

        async def jump() -> None:
            await self._desk.go(server, pane)
            self._popup.close()

        self._popup.spawn(jump())

    def answer(self, row: Row) -> None:
        stages = [row.stage.name] if row.stage else [one.name for one in row.run.stages]
        asked = [self._requests[key] for name in stages if (key := (row.run.run_id, name)) in self._requests]
        if asked:
            self._popup.show_request(asked[0])
        else:
            soon = row.stage is not None and row.stage.state == "approval"
            said = "its request comes in a moment: press again" if soon else "it waits for no answer of yours"
            self._popup.say(said, "class:medium")

    # --- what acts ---

    def retry(self, row: Row) -> None:
        stage = row.stage
        if not any(one.state in AGAIN for one in ([stage] if stage else row.run.stages)):
            what = f"{stage.name}: {run_lines.SAID[stage.state]}" if stage else "nothing of it has failed"
            self._popup.say(f"{what}; there is nothing to try again", "class:medium")
            return
        text = "Begun anew, with all that it does:" if stage else "All that failed is begun anew:"
        wanted = PipelineRetry(run_id=row.run.run_id, stage=stage.name if stage else "")
        self._sure("retry", row, text, wanted, AGAIN)

    def skip(self, row: Row) -> None:
        if row.stage is None or row.stage.state in run_lines.DONE:
            what = f"{row.stage.name}: {run_lines.SAID[row.stage.state]}" if row.stage else "choose one of its stages"
            self._popup.say(f"{what}; there is nothing to skip", "class:medium")
            return
        wanted = PipelineSkip(run_id=row.run.run_id, stage=row.stage.name)
        self._sure("skip", row, "It is taken for done, and what needs it goes on. Not done is:", wanted)

    def cancel(self, row: Row) -> None:
        if row.run.state != "running":
            self._popup.say(f"this run has ended ({row.run.state})", "class:medium")
            return
        text = "The run ends. What it has typed or started goes on by itself; nothing follows any more."
        wanted = PipelineCancel(run_id=row.run.run_id, why="a person cancelled it")
        self._confirm("cancel", row.run, "", text, [], wanted)

    def _sure(self, verb: str, row: Row, text: str, wanted: Acting, states: tuple[str, ...] = ()) -> None:
        """Asks, with what the stages do."""
        name = row.stage.name if row.stage else ""

        async def ask() -> None:
            run = await self._desk.whole(row.run.run_id)
            width = self._popup.canvas.inner
            about = [one for one in run.stages if one.name == name or (not name and one.state in states)]
            more = [line for one in about for text in one.does for line in run_lines.action_lines(text, "", width)]
            if self._popup.dialog is self:
                self._confirm(verb, row.run, name, text if more else text.partition(":")[0] + ".", more, wanted)

        self._popup.spawn(ask())

    def _confirm(self, verb: str, run: RunData, stage: str, text: str, more: list[Line], wanted: Acting) -> None:
        where = f" in {run_lines.place(run)}" if run_lines.place(run) else ""
        about = f"{stage} of {run.pipeline}{where}" if stage else f"{run.pipeline}{where}"
        heading: Line = [("class:title", verb), ("", "  "), *literal(about[:500])]
        self._show(Sure(heading, text, self._popup.now, lambda: self._do(verb, about, wanted), more))

    def _do(self, verb: str, about: str, wanted: Acting) -> None:
        async def act() -> None:
            run = await self._desk.act(wanted)
            if isinstance(wanted, PipelineStart):
                self.refresh()
                self._at, self._top = (run.run_id, ""), 0
            self._popup.say(f"{verb}: {about}", "class:good")

        self._popup.open(self)
        self._popup.spawn(act())

    # --- starting ---

    def _choose(self) -> None:
        found = self._desk.starts(self._page)
        if not found:
            self._popup.say("no pipeline is declared that could be started", "class:medium")
            return
        self._show(Choose(self._popup, found, self._would))

    def _would(self, start: Start) -> None:
        async def ask() -> None:
            run = await self._desk.would(start)
            chosen = self._popup.dialog
            if isinstance(chosen, Choose):
                wanted = PipelineStart(pipeline=start.pipeline, pane_id=start.pane, server=start.server)
                more = run_lines.would(run, self._popup.canvas.inner)
                self._confirm("start", run, "", "It would do this:", more, wanted)

        self._popup.spawn(ask())


DOES: dict[str, Callable[[Overview, Row], None]] = {
    "enter": Overview.whole,
    "r": Overview.retry,
    "s": Overview.skip,
    "x": Overview.cancel,
    "a": Overview.answer,
    "o": Overview.go,
}


class Choose(Dialog):
    """Which pipeline is to be started, and in which pane."""

    heading = [("class:title", "start"), ("class:faint", "  a pipeline; what it would do is shown first")]  # noqa: RUF012
    keys = [("j k", "choose"), ("Enter", "what it would do"), ("Esc", "back")]  # noqa: RUF012

    def __init__(self, popup: Popup, found: list[Start], take: Callable[[Start], None]) -> None:
        self._popup, self._found, self._take = popup, found, take
        self._at = self._top = 0

    def lines(self, width: int, height: int) -> list[Line]:
        self._top = min(max(self._top, self._at - height + 1), self._at)
        return [self._line(at, width) for at in range(self._top, min(len(self._found), self._top + height))]

    def _line(self, at: int, width: int) -> Line:
        one, chosen = self._found[at], at == self._at
        bar = ("class:cursor", self._popup.lines.bar) if chosen else ("", " ")
        why = "" if one.matches else "  no pane matches: in the one you came from"
        name = literal(one.pipeline[:200], "class:chosen" if chosen else "")
        where = literal(f"  {one.place} {one.pane}{why}", "class:faint")
        return cut([bar, *name, *where], width)

    def press(self, key: str) -> None:
        if key == "enter":
            self._take(self._found[self._at])
        elif key in SCROLL:
            self._at = min(max(self._at + SCROLL[key], 0), len(self._found) - 1)


class Whole(Text):
    """All of one run, read anew whenever something of it has changed."""

    def __init__(self, popup: Popup, overview: Overview, run: RunData) -> None:
        super().__init__([("class:title", "run"), ("", "  "), *literal(run.pipeline[:200])], [])
        self._popup, self._overview = popup, overview
        self._seen: RunData | None = None  # as the overview had it
        self._run = run
        self._markers: list[str] = []
        self.refresh()

    def refresh(self) -> None:
        self._overview.refresh()
        now = self._overview.run(self._run.run_id)
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
