"""A new agent for the fleet (prefix + S): one form with completion, what would be done, and a yes.

Owns: the form, its fields and keys. Must not own: what is possible, and doing it (the Desk decides).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tmux_agent.core.errors import TmuxAgentError
from tmux_agent.core.menus import Page
from tmux_agent.core.protocol_fleet import FleetSpawn
from tmux_agent.edges.ui import fleet, fleet_lines, view
from tmux_agent.edges.ui.desk import Choices
from tmux_agent.edges.ui.dialogs import Dialog, Sure, Text
from tmux_agent.edges.ui.edit import Editor
from tmux_agent.edges.ui.text import Line, cells, cut, literal, wrap_words
from tmux_agent.edges.ui.words import tilde

if TYPE_CHECKING:
    from tmux_agent.edges.ui.popup import Popup

FIELDS = ("branch", "agent", "template", "task", "base", "sandbox")
ABOUT = {
    "branch": "a new branch, or one that is checked out nowhere",
    "agent": "who works there",
    "template": "a text of yours around its task",
    "task": "typed at its prompt as soon as that waits",
    "base": "what a new branch begins at",
    "sandbox": "yes: it reaches only its worktree",
}
DEFAULTS = {
    "agent": "by fleet.toml, else claude", "template": "none", "task": "none", "sandbox": "by fleet.toml, else no",
}  # fmt: skip
LABEL = 10  # cells
SHOWN = 8  # candidates


def begin(popup: Popup, page: Page, behind: Dialog | None = None) -> None:
    form = Form(popup, page)
    form.behind = behind
    popup.open(form)


async def fill(popup: Popup) -> None:
    """Reads what may be chosen, if the form is open still. Raises what the Desk raises."""
    if isinstance(popup.dialog, Form):
        await popup.dialog.fill()


class Form(Dialog):
    """Fields, one of which is edited. Tab completes it, Enter goes to the next, and after the last to what would be
    done."""

    keys = [("Tab", "complete"), ("Enter", "next"), ("Ctrl-S", "what would be done"), ("Esc", "leave")]  # noqa: RUF012

    def __init__(self, popup: Popup, page: Page) -> None:
        self._popup, self._page = popup, page
        self._values = dict.fromkeys(FIELDS, "")
        self._choices: Choices | None = None
        self._at = 0
        self._typed = ""  # what the candidates are for: Tab goes through those that begin with it
        self._completed = ""  # what Tab wrote
        self.editor: Editor = Editor("", multiline=False)
        self.problem = ""

    async def fill(self) -> None:
        self._choices = await self._popup.desk.fleet.choices(self._page)
        self._popup.refresh()

    @property
    def heading(self) -> Line:  # type: ignore[override]  # it says where, once that is known
        where = tilde(self._choices.repository) if self._choices else "…"
        return [("class:title", "spawn an agent"), ("class:faint", "  in "), *literal(where, "class:faint")]

    # --- lines ---

    def lines(self, width: int, height: int) -> list[Line]:
        self._values[FIELDS[self._at]] = self.editor.text
        out: list[Line] = []
        if self.problem or (self._choices and self._choices.wrong):
            said = self.problem or f"its fleet.toml does not count: {self._choices.wrong}"  # type: ignore[union-attr]
            out += [*wrap_words(said, width, "class:warn")[: max(1, height // 3)], []]
        fits = max(1, height - len(out) - 2)
        first = min(max(0, self._at - fits + 1), max(0, len(FIELDS) - fits))  # the one that is edited is seen
        out += [self._field(name, width) for name in FIELDS[first : first + fits]]
        room = height - len(out) - 4
        if room >= 0:
            out += [[], *([self._offers(width)] if room else []), []]
        label: Line = [("class:label", FIELDS[self._at]), ("class:faint", f"  {ABOUT[FIELDS[self._at]]}")]
        return [*out[: max(0, height - 2)], cut(label, width)]

    def _field(self, name: str, width: int) -> Line:
        chosen = name == FIELDS[self._at]
        bar = ("class:cursor", self._popup.lines.bar) if chosen else ("", " ")
        value = self._values[name]
        shown = literal(value, "class:chosen" if chosen else "") if value else [("class:faint", self._default(name))]
        return cut([bar, ("class:label", f"{name:<{LABEL}}"), *shown], width)

    def _default(self, name: str) -> str:
        if name == "base":
            return (self._choices.here if self._choices else "") or "HEAD"
        return DEFAULTS.get(name, "")

    def _offers(self, width: int) -> Line:
        """Candidates of the field, on one line."""
        out: Line = []
        for one in self._candidates()[:SHOWN]:
            style = "class:key" if one == self._completed else "class:faint"
            piece = [*literal(one, style), ("", "  ")]
            if out and cells(out) + cells(piece) > width:
                break
            out += piece
        return cut(out, width)

    def _candidates(self) -> tuple[str, ...]:
        typed = self._typed if self.editor.text == self._completed else self.editor.text
        every: dict[str, tuple[str, ...]] = {"sandbox": ("yes", "no")}
        if found := self._choices:
            every |= {"branch": found.branches, "base": found.branches, "agent": found.agents}
            every |= {"template": found.templates}
            every["base"] = tuple(dict.fromkeys((*filter(None, (found.here,)), *found.branches)))
        return tuple(one for one in every.get(FIELDS[self._at], ()) if one.startswith(typed))

    # --- keys ---

    def press(self, key: str) -> None:
        if key in ("tab", "s-tab"):
            self._complete(1 if key == "tab" else -1)
        elif key in ("up", "down"):
            self._go(self._at + (1 if key == "down" else -1))
        elif key == "enter" and self._at + 1 < len(FIELDS):
            self._go(self._at + 1)
        elif key in ("enter", "c-s"):
            self._look()

    def _go(self, at: int) -> None:
        self._values[FIELDS[self._at]] = self.editor.text
        self._at = min(max(at, 0), len(FIELDS) - 1)
        self._put(self._values[FIELDS[self._at]])
        self._typed = self._completed = ""

    def _put(self, text: str) -> None:
        self.editor = Editor(text, multiline=False)
        if self._popup.dialog is self:
            view.focus(self._popup)

    def _complete(self, step: int) -> None:
        if self.editor.text != self._completed or not self._completed:
            self._typed = self.editor.text
        found = self._candidates()
        if not found:
            self._popup.say("nothing to complete here", "class:medium")
            return
        at = found.index(self._completed) + step if self._completed in found else (0 if step > 0 else -1)
        self._completed = found[at % len(found)]
        self._put(self._completed)

    # --- what would be done, and doing it ---

    def _wanted(self) -> FleetSpawn:
        values = {name: text.strip() for name, text in self._values.items()}
        sandbox = {"yes": True, "no": False}.get(values["sandbox"].lower())
        repository = self._choices.repository if self._choices else ""
        return FleetSpawn(
            branch=values["branch"], repository=repository, agent=values["agent"], template=values["template"],
            task=values["task"], base=values["base"], sandbox=sandbox, server=self._page.server,
        )  # fmt: skip

    def _look(self) -> None:
        self._values[FIELDS[self._at]] = self.editor.text
        if not self._values["branch"].strip():
            self._go(0)
            self._popup.say("on which branch?", "class:medium")
            return
        if self._values["sandbox"].strip().lower() not in ("", "yes", "no"):
            self._go(FIELDS.index("sandbox"))
            self._popup.say("sandbox: yes or no", "class:medium")
            return
        if self._choices is None:
            self._popup.say("its repository is still being read", "class:medium")
            return
        wanted = self._wanted()

        async def ask() -> None:
            try:
                found = await self._popup.desk.fleet.would(wanted)
            except TmuxAgentError as why:
                self.problem = why.message
                return
            self.problem = ""
            if self._popup.dialog is self:
                more = fleet_lines.would(found, self._popup.canvas.inner)
                heading: Line = [("class:title", "spawn"), ("", "  "), *literal(found.name)]
                sure = Sure(heading, "It would do this:", self._popup.now, lambda: self._spawn(wanted), more)
                sure.behind = self
                self._popup.open(sure)

        self._popup.spawn(ask())

    def _spawn(self, wanted: FleetSpawn) -> None:
        said = "The worktree is made, then its session; set-up commands may take a while. Leaving does not stop it."
        heading: Line = [("class:title", "spawning"), ("", "  "), *literal(wanted.branch)]
        working = Text(heading, [[], *wrap_words(said, self._popup.canvas.inner)])
        self._popup.open(working)

        async def do() -> None:
            try:
                found = await self._popup.desk.fleet.spawn(wanted)
            except TmuxAgentError as why:
                self.problem = why.message
                if self._popup.dialog is working:
                    self._popup.open(self)
                return
            if self._popup.dialog is working:
                overview = fleet.Overview(self._popup, self._page, found.name)
                self._popup.open(overview)
                await overview.fill()
            self._popup.say(f"spawned: {found.name}", "class:good")

        self._popup.spawn(do())
