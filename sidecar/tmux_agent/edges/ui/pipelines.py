"""The page of pipelines (prefix + P): what runs, what each stage waits for, and what its person can do about it.

Owns: the page, its keys and what they do; what acts is confirmed first. Must not own: which rows there are
(run_rows.py), how they look (run_lines.py), whether something may be done (the Desk decides).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from tmux_agent.core.menus import Page
from tmux_agent.core.protocol import PipelineCancel, PipelineRetry, PipelineSkip, PipelineStart
from tmux_agent.core.replies import RunData
from tmux_agent.edges.ui import run_lines
from tmux_agent.edges.ui.compose import Keys
from tmux_agent.edges.ui.desk import Acting, Start
from tmux_agent.edges.ui.dialogs import SCROLL, Dialog, Pick, Sure, Text
from tmux_agent.edges.ui.run_dialogs import Whole, choose, help_lines
from tmux_agent.edges.ui.run_rows import Row, Rows
from tmux_agent.edges.ui.text import Line, literal, wrap_words

if TYPE_CHECKING:
    from tmux_agent.edges.ui.popup import Popup

AGAIN = ("failed", "unknown", "cancelled")  # states of stages that can be tried again
DETAIL = 3  # lines

KEYS: Keys = [
    ("Enter", "all"), ("r", "retry"), ("s", "skip"), ("x", "cancel"), ("S", "start"), ("a", "answer"),
    ("o", "go there"), ("?", "more"),
]  # fmt: skip


def begin(popup: Popup, page: Page) -> None:
    popup.open(Overview(popup, page))


class Overview(Dialog):
    """All runs. `fill` reads those that have ended; the others are in memory."""

    def __init__(self, popup: Popup, page: Page) -> None:
        self._popup, self._page = popup, page
        self._desk = popup.desk.pipelines
        self._rows = Rows(self._desk)
        self.refresh()

    def refresh(self) -> None:
        self._requests = self._desk.requests()
        if self._rows.refresh():
            self._popup.spawn(self.fill())

    async def fill(self) -> None:
        """Raises what the Desk raises."""
        await self._rows.fill()

    # --- lines ---

    @property
    def keys(self) -> Keys:  # type: ignore[override]  # where nothing is selected, few do something
        return KEYS if self._rows.all else [("S", "start"), ("q", "close"), ("?", "keys")]

    @property
    def heading(self) -> Line:  # type: ignore[override]  # it counts
        left = self._desk.hidden()
        active = len(self._rows.active)
        count = f"{active + left} under way" if active else "nothing runs"
        shown = f"  the newest {active} are shown" if left else ""
        return [("class:title", "pipelines"), ("", f"  {count}"), ("class:faint", shown)]

    def lines(self, width: int, height: int) -> list[Line]:
        now, signs, row = self._popup.clock(), self._popup.lines, self._rows.current()
        wrong = [line for one in self._desk.wrong() for line in wrap_words(f"{signs.warn} {one}", width, "class:warn")]
        head = [*wrong[: max(1, height // 3)], *([[]] if wrong else [])]
        foot: list[Line] = []
        if row and height >= 10:
            asked = row.id in self._requests
            foot = [[], *run_lines.detail(row.run, row.stage, width, signs, asked)[:DETAIL]]
        room, rows = max(1, height - len(head) - len(foot)), self._rows.all
        below = [] if self._rows.active else [*([[]] if rows else []), *self._idle(width)]
        self._rows.hold(room, len(below))
        first, end = self._rows.top, self._rows.top + room
        shown = [self._line(one, width, now) for one in rows[first:end]]
        shown += below[max(0, first - len(rows)) : max(0, end - len(rows))]
        shown += [[] for _ in range(room - len(shown))]
        return [*head, *shown, *foot][:height]

    def _line(self, row: Row, width: int, now: datetime) -> Line:
        chosen = row == self._rows.current()
        bar = ("class:cursor", self._popup.lines.bar) if chosen else ("", " ")
        if row.stage is None:
            return [bar, *run_lines.run_line(row.run, width - 1, now, chosen)]
        asked = row.id in self._requests
        names, signs = self._rows.names[row.run.run_id], self._popup.lines
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
        elif (row := self._rows.current()) and key in DOES:
            DOES[key](self, row)

    def _move(self, key: str) -> None:
        page = self._rows.height - 1
        self._rows.move({"pagedown": page, "pageup": -page}.get(key, SCROLL[key]))

    def _show(self, dialog: Dialog) -> None:
        dialog.behind = self
        self._popup.open(dialog)

    def whole(self, row: Row) -> None:
        self._show(Whole(self._popup, self._rows, row.run))

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
                self._rows.select(run.run_id)
            self._popup.say(f"{verb}: {about}", "class:good")

        self._popup.open(self)
        self._popup.spawn(act())

    # --- starting ---

    def _choose(self) -> None:
        found = self._desk.starts(self._page)
        if not found:
            self._popup.say("no pipeline is declared that could be started", "class:medium")
            return
        self._show(choose(self._popup, found, self._would))

    def _would(self, start: Start) -> None:
        async def ask() -> None:
            run = await self._desk.would(start)
            chosen = self._popup.dialog
            if isinstance(chosen, Pick):
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
