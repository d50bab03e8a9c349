"""The page of the fleet (prefix + F): its agents, live, and what their person can do about each.

Owns: the page, its keys and what they do; what ends something is confirmed first. Must not own: how an agent looks
(fleet_lines.py), a new one (spawning.py), whether something may be done (the Desk decides).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tmux_agent.core.errors import TmuxAgentError
from tmux_agent.core.menus import Page
from tmux_agent.core.protocol_fleet import FleetFinish, FleetKill, FleetPause, FleetResume, FleetSend
from tmux_agent.core.replies_fleet import FleetData
from tmux_agent.edges.ui import fleet_lines, spawning
from tmux_agent.edges.ui.compose import Keys
from tmux_agent.edges.ui.desk import FleetActing, Look
from tmux_agent.edges.ui.dialogs import SCROLL, Ask, Dialog, Pick, Sure, Text
from tmux_agent.edges.ui.text import Line, literal

if TYPE_CHECKING:
    from tmux_agent.edges.ui.popup import Popup

PREVIEW = 200  # lines
DETAIL = 4  # lines; more where they are short
KEYS: Keys = [
    ("Enter", "preview"), ("o", "go there"), ("a", "answer"), ("s", "send"), ("z", "pause"), ("f", "finish"),
    ("x", "kill"), ("S", "spawn"), ("?", "more"),
]  # fmt: skip
HELP = (
    ("Enter", "the last lines of its pane"),
    ("o", "go to its pane"),
    ("a", "the request that it waits for, to answer it"),
    ("s", "send: typed at its prompt as soon as that is free"),
    ("z", "pause it, or let it go on; one whose session is gone begins again where it was"),
    ("f", "finish: merge or keep its branch, remove its worktree"),
    ("x", "kill its session; its worktree and branch stay"),
    ("S", "spawn an agent"),
    ("j k", "next, previous line; arrows, PgUp, PgDn, Home, End too"),
    ("q Esc", "close; closing does nothing"),
)
LIVE = ("running", "paused")


def begin(popup: Popup, page: Page) -> None:
    popup.open(Overview(popup, page))


class Overview(Dialog):
    """All agents of the fleet. What has to be read of one is read when the page opens and when its state changes."""

    def __init__(self, popup: Popup, page: Page, chosen: str = "") -> None:
        self._popup, self._page = popup, page
        self._desk = popup.desk.fleet
        self._chosen = chosen
        self._top = 0
        self._height = 1
        self._agents: list[FleetData] = []
        self._requests: dict[str, str] = {}
        self._looks: dict[str, Look] = {}
        self._read: dict[str, object] = {}  # by name: in which state it was read
        self._reads = False
        self.refresh()

    def refresh(self) -> None:
        at = self._at()
        self._agents = self._desk.agents()
        self._requests = self._desk.requests()
        names = [one.name for one in self._agents]
        if names and self._chosen not in names:
            self._chosen = names[min(at, len(names) - 1)]
        if not self._reads and self._stale() and self.seen:
            self._popup.spawn(self.fill())

    def _stale(self) -> list[FleetData]:
        return [one for one in self._agents if self._read.get(one.name) != (one.state, one.agent_state, one.since)]

    async def fill(self) -> None:
        self._reads = True
        try:
            while stale := self._stale():
                one = stale[0]
                self._read[one.name] = (one.state, one.agent_state, one.since)
                try:
                    self._looks[one.name] = await self._desk.look(one)
                except TmuxAgentError as why:  # of this one; the others are read all the same
                    self._looks[one.name] = Look(last=why.message)
                self._popup.refresh()
        finally:
            self._reads = False

    # --- lines ---

    @property
    def keys(self) -> Keys:  # type: ignore[override]  # where nobody is selected, few do something
        return KEYS if self._agents else [("S", "spawn an agent"), ("q", "close"), ("?", "keys")]

    @property
    def heading(self) -> Line:  # type: ignore[override]  # it counts
        live = sum(one.state in LIVE for one in self._agents)
        count = f"{live} running" if live else "nobody runs"
        ended = len(self._agents) - live
        return [("class:title", "fleet"), ("", f"  {count}"), ("class:faint", f"  {ended} ended" if ended else "")]

    def lines(self, width: int, height: int) -> list[Line]:
        if not self._agents:
            return [[], *fleet_lines.none_yet(width)][:height]
        now, signs = self._popup.clock(), self._popup.lines
        columns = fleet_lines.Columns(self._agents, self._looks, width)
        one, foot = self._agents[self._at()], list[Line]()
        if height >= 8:
            look, asked = self._looks.get(one.name), one.name in self._requests
            foot = [[], *fleet_lines.detail(one, look, width, asked=asked)[: DETAIL if columns.wide else 2 * DETAIL]]
        self._height = max(1, height - len(foot))
        at = self._at()
        self._top = max(0, min(max(self._top, at - self._height + 1), at, len(self._agents) - self._height))
        shown: list[Line] = []
        for each in self._agents[self._top : self._top + self._height]:
            chosen = each is one
            bar = ("class:cursor", signs.bar) if chosen else ("", " ")
            asked = each.name in self._requests
            look = self._looks.get(each.name)
            line = fleet_lines.row(each, look, columns, width - 1, now, signs, asked=asked, chosen=chosen)
            shown.append([bar, *line])
        shown += [[] for _ in range(self._height - len(shown))]
        return [*shown, *foot][:height]

    # --- keys ---

    def _at(self) -> int:
        return next((at for at, one in enumerate(self._agents) if one.name == self._chosen), 0)

    def press(self, key: str) -> None:
        if key == "c-c":
            self._popup.close()
        elif key in SCROLL:
            self._move(key)
        elif key == "?":
            help_lines: list[Line] = [[("class:key", f"{key:<7}"), ("", text)] for key, text in HELP]
            self._show(Text([("class:title", "keys")], help_lines))
        elif key == "S":
            spawning.begin(self._popup, self._page, self)
            self._popup.spawn(spawning.fill(self._popup))
        elif self._agents and key in DOES:
            DOES[key](self, self._agents[self._at()])

    def _move(self, key: str) -> None:
        if self._agents:
            page = max(1, self._height - 1)
            at = self._at() + {"pagedown": page, "pageup": -page}.get(key, SCROLL[key])
            self._chosen = self._agents[min(max(at, 0), len(self._agents) - 1)].name

    def _show(self, dialog: Dialog) -> None:
        dialog.behind = self
        self._popup.open(dialog)

    def preview(self, one: FleetData) -> None:
        async def read() -> None:
            lines = await self._desk.lines(one, PREVIEW)
            heading: Line = [("class:title", "pane"), ("", "  "), *literal(f"{one.name} {one.pane}")]
            content = [literal(line[:2000]) for line in lines] or [[("class:faint", "There is nothing.")]]
            if self._popup.dialog is self:
                self._show(Text(heading, content, at_end=True))

        self._popup.spawn(read())

    def go(self, one: FleetData) -> None:
        async def jump() -> None:
            await self._desk.go(one)
            self._popup.close()

        self._popup.spawn(jump())

    def answer(self, one: FleetData) -> None:
        if request_id := self._requests.get(one.name):
            self._popup.show_request(request_id)
        elif one.agent_state == "waiting":
            self._popup.say("its own dialog asks: o goes to its pane", "class:medium")
        else:
            self._popup.say("it waits for no answer of yours", "class:medium")

    # --- what acts ---

    def send(self, one: FleetData) -> None:
        if one.state != "running":
            self._popup.say(f"{one.name}: {one.state}; nothing can be typed there", "class:medium")
            return

        def take(text: str) -> None:
            if text:
                self._do(f"sent to {one.name}", FleetSend(name=one.name, text=text))

        about = "Typed at its prompt, and Enter pressed, as soon as the prompt is free."
        self._show(Ask([("class:title", "send"), ("", "  "), *literal(one.name)], about, "send it", take))

    def pause(self, one: FleetData) -> None:
        """Needs no second key: it is undone by the same."""
        if one.state == "running":
            self._do(f"{one.name} stands still; z lets it go on", FleetPause(name=one.name))
        else:
            self._do(f"{one.name} goes on", FleetResume(name=one.name))

    def kill(self, one: FleetData) -> None:
        if one.state not in LIVE:
            self._popup.say(f"{one.name}: its session is gone already", "class:medium")
            return
        text = f"Its session {one.session} ends, with all that runs in it. Its worktree and its branch stay."
        self._sure("kill", one, text, FleetKill(name=one.name))

    def finish(self, one: FleetData) -> None:
        ways = (
            (f"merge {one.branch} into {one.base}", "", FleetFinish(name=one.name, merge=True)),
            (f"keep the branch {one.branch}", "  as it is", FleetFinish(name=one.name, keep_branch=True)),
            ("it is merged or pushed already", "  refused where it is not", FleetFinish(name=one.name)),
            ("throw all of it away", "  also what is not committed", FleetFinish(name=one.name, discard=True)),
        )

        def take(at: int) -> None:
            what, _, wanted = ways[at]
            self._sure("finish", one, f"{what}. Its session ends, and {one.worktree} is removed.".capitalize(), wanted)

        rows: list[Line] = [[*literal(what), ("class:faint", about)] for what, about, _ in ways]
        heading: Line = [("class:title", "finish"), ("", "  "), *literal(one.name)]
        self._show(Pick(heading, rows, self._popup.lines, "choose", take))

    def _sure(self, verb: str, one: FleetData, text: str, wanted: FleetActing) -> None:
        heading: Line = [("class:title", verb), ("", "  "), *literal(one.name)]
        self._show(Sure(heading, text, self._popup.now, lambda: self._do(f"{verb}: {one.name}", wanted)))

    def _do(self, said: str, wanted: FleetActing) -> None:
        async def act() -> None:
            await self._desk.act(wanted)
            self._popup.say(said, "class:good")

        self._popup.open(self)
        self._popup.say("…", "class:faint")
        self._popup.spawn(act())


DOES: dict[str, Callable[[Overview, FleetData], None]] = {
    "enter": Overview.preview,
    "p": Overview.preview,
    "o": Overview.go,
    "a": Overview.answer,
    "s": Overview.send,
    "z": Overview.pause,
    "x": Overview.kill,
    "f": Overview.finish,
}
