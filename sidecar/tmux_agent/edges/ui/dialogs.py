"""What takes the detail's place for a while: reason, editor, judged edit, allow again, pane, help, "are you sure".

Owns: what each dialog says and which of its keys do what. Must not own: answering (it calls back), the frame, the list.
A dialog is left with Esc, and leaving answers nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime

from tmux_agent.core import display
from tmux_agent.core.model import Decision, Verdict
from tmux_agent.edges.ui.compose import Keys
from tmux_agent.edges.ui.desk import GrantProposal
from tmux_agent.edges.ui.detail import FOLDED, Detail
from tmux_agent.edges.ui.edit import Editor
from tmux_agent.edges.ui.highlight import code
from tmux_agent.edges.ui.pages import Spot
from tmux_agent.edges.ui.styles import Lines
from tmux_agent.edges.ui.text import ODD, Line, cut, fit, literal, wrap, wrap_words

Done = Callable[[], None]
SUBMIT = ("c-s", "f10")
FAR = 1 << 30


class Dialog(ABC):
    """Base of what takes the detail's place. `press` gets keys that its editor does not take."""

    heading: Line
    keys: Keys
    editor: Editor | None = None
    seen = False  # painted at least once; before that no key counts
    behind: Dialog | None = None  # where Esc leads; None: the list

    @abstractmethod
    def lines(self, width: int, height: int) -> list[Line]:
        """What stands above the editor, or everything."""

    def press(self, key: str) -> None:  # noqa: B027 - most dialogs take some keys, those that take none need nothing
        """A key other than Esc."""

    def refresh(self) -> None:  # noqa: B027 - most dialogs show what does not change
        """Takes over what the desk knows now; before a paint, where something happened."""


class Ask(Dialog):
    """One line from the person. Enter takes it."""

    def __init__(
        self, heading: Line, text: str, label: str, take: Callable[[str], None], *, secret: bool = False
    ) -> None:
        self.heading = heading
        self.editor = Editor("", multiline=False, secret=secret)
        self._text = text
        self._take = take
        self._secret = secret  # taken as it is typed
        self.keys = [("Enter", label), ("Esc", "back")]

    def lines(self, width: int, height: int) -> list[Line]:
        about = wrap_words(self._text, width, "class:faint")[: max(0, height - 2)]
        return [*about, []] if height > 4 else about[: max(0, height - 1)]

    def press(self, key: str) -> None:
        if key == "enter" and self.editor:
            text = self.editor.text.replace("\n", " ")
            self._take(text if self._secret else text.strip())


class Edit(Dialog):
    """Many lines. Ctrl-S has them looked at; nothing is approved from here."""

    def __init__(self, heading: Line, text: str, what: str, take: Callable[[str], None], label: str) -> None:
        self.heading = heading
        self.editor = Editor(text, multiline=True)
        self.problem = ""
        self.draft = True  # what was typed is kept when it is left
        self._what = what
        self._take = take
        self.keys = [("Ctrl-S", label), ("F10", "the same"), ("Esc", "back")]

    def lines(self, width: int, height: int) -> list[Line]:
        said: Line = literal(self.problem, "class:warn") if self.problem else [("class:faint", self._what)]
        return [cut(said, width), []] if height > 4 else [cut(said, width)]

    def press(self, key: str) -> None:
        if key in SUBMIT and self.editor:
            self._take(self.editor.text)


class Judged(Dialog):
    """An edited action as it would be judged; `a` approves exactly what is shown."""

    def __init__(
        self,
        heading: Line,
        lay_out: Callable[[int], Detail],
        decision: Decision,
        clock: Callable[[], datetime],
        approve: Done,
        again: Done,
    ) -> None:
        self.heading = heading
        self._lay_out = lay_out
        self._detail: Detail | None = None
        self._decision = decision
        self._clock = clock
        self._approve = approve
        self._again = again
        self._top: Spot = FOLDED
        self.keys = [("e", "edit on"), ("Esc", "back")]
        if decision.verdict is not Verdict.DENY:
            self.keys.insert(0, ("a", "approve this"))

    def lines(self, width: int, height: int) -> list[Line]:
        verdict = self._decision.verdict
        said = {Verdict.DENY: "The policy denies this edit", Verdict.ASK: "The policy asks a person about this edit",
                Verdict.ALLOW: "The policy allows this edit"}[verdict]  # fmt: skip
        style = "class:warn" if verdict is Verdict.DENY else "bold"
        head: Line = [(style, said), ("class:faint", ": "), *literal(self._decision.reason or self._decision.rule)]
        if self._detail is None or self._detail.width != width:
            self._detail, self._top = self._lay_out(width), FOLDED
        return [cut(head, width), [], *self._detail.view(self._top, max(1, height - 2), self._clock())]

    def press(self, key: str) -> None:
        if key == "a" and self._decision.verdict is not Verdict.DENY:
            self._approve()
        elif key == "e":
            self._again()
        elif self._detail:
            self._top = self._detail.move(self._top, SCROLL.get(key, 0), self._clock())


class Grant(Dialog):
    """Allow again: which scope, what it would not match, then save and approve."""

    def __init__(
        self,
        heading: Line,
        proposals: list[GrantProposal],
        lines: Lines,
        save: Callable[[GrantProposal], None],
        edit: Callable[[int, GrantProposal], None],
    ) -> None:
        self.heading = heading
        self.proposals = proposals
        self.chosen = 0  # the narrowest
        self._lines = lines
        self._save = save
        self._edit = edit
        move = f"{lines.up_key}{lines.down_key}"
        self.keys = [(move, "choose"), ("Enter", "save and approve"), ("e", "edit the rule"), ("Esc", "back")]

    def lines(self, width: int, height: int) -> list[Line]:
        what = min(width // 3, max(display.width(display.safe(p.what[:200])) for p in self.proposals))
        limit = min(width // 4, max(display.width(display.safe(p.limit[:200])) for p in self.proposals))
        out: list[Line] = []
        for at, proposal in enumerate(self.proposals):
            on = at == self.chosen
            strong = "class:chosen" if on else ""
            lead: Line = [("class:cursor", f"({self._lines.radio}) ") if on else ("class:faint", "( ) ")]
            lead += [
                *fit(literal(proposal.what, strong), what),
                ("", "   "),
                *fit(literal(proposal.limit, strong), limit),
            ]
            out.append(cut([*lead, ("", "   "), *literal(proposal.note, "class:faint")], width))
        chosen = self.proposals[self.chosen]
        if chosen.note and height > len(out) + 3:  # whole, where the row had to cut it
            out += [[], *wrap_words(chosen.note, width, "class:faint")[:4]]
        if chosen.rule_text and height > len(out) + 4:
            rule = wrap(code(chosen.rule_text, "yaml"), width, "  ", f"{self._lines.onward} ")
            out += [[], [("class:label", "the rule")], *rule]
        return out[:height]

    def press(self, key: str) -> None:
        if key in ("down", "j", "up", "k"):
            step = 1 if key in ("down", "j") else -1
            self.chosen = min(max(self.chosen + step, 0), len(self.proposals) - 1)
        elif key == "e":
            self._edit(self.chosen, self.proposals[self.chosen])
        elif key == "enter" and self.seen:
            self._save(self.proposals[self.chosen])


class Pick(Dialog):
    """One of several lines."""

    def __init__(
        self, heading: Line, rows: Sequence[Line], lines: Lines, label: str, take: Callable[[int], None]
    ) -> None:
        self.heading = heading
        self.keys = [("j k", "choose"), ("Enter", label), ("Esc", "back")]
        self._rows, self._lines, self._take = rows, lines, take
        self._at = self._top = 0

    def lines(self, width: int, height: int) -> list[Line]:
        self._top = min(max(self._top, self._at - height + 1), self._at)
        return [self._line(at, width) for at in range(self._top, min(len(self._rows), self._top + height))]

    def _line(self, at: int, width: int) -> Line:
        bar = ("class:cursor", self._lines.bar) if at == self._at else ("", " ")
        return cut([bar, *self._rows[at]], width)

    def press(self, key: str) -> None:
        if key == "enter" and self.seen:
            self._take(self._at)
        elif key in SCROLL:
            self._at = min(max(self._at + SCROLL[key], 0), len(self._rows) - 1)


class Text(Dialog):
    """Lines to read: a pane's end, the help."""

    def __init__(self, heading: Line, content: list[Line], *, at_end: bool = False) -> None:
        self.heading = heading
        self.keys = [("PgUp PgDn", "scroll"), ("Esc", "back")]
        self._content = content
        self._top = FAR if at_end else 0
        self._height = 1

    def lines(self, width: int, height: int) -> list[Line]:
        self._height = height
        self._top = min(max(self._top, 0), max(0, len(self._content) - height))
        return [cut(line, width) for line in self._content[self._top : self._top + height]]

    def press(self, key: str) -> None:
        self._top += min(max(SCROLL.get(key, 0), -FAR), FAR) * (self._height - 1 if key.startswith("page") else 1)


class Sure(Text):
    """Whether to do what cannot be taken back. Only y does it, and not at once. `more`: lines below `text`."""

    def __init__(self, heading: Line, text: str, now: Callable[[], float], do: Done, more: Sequence[Line] = ()) -> None:
        super().__init__(heading, [])
        self.keys = [("y", "do it"), *([("PgUp PgDn", "scroll")] if more else []), ("Esc", "leave it")]
        self._text, self._more = text, more
        self._now, self._do = now, do
        self._painted: float | None = None

    def lines(self, width: int, height: int) -> list[Line]:
        self._painted = self._now() if self._painted is None else self._painted
        self._content = [[], *wrap_words(self._text, width, ""), *self._more]
        return super().lines(width, height)

    def press(self, key: str) -> None:
        if key != "y":
            super().press(key)
        elif self._painted is not None and self._now() - self._painted > SETTLED_S:
            self._do()


SETTLED_S = 0.3  # after it was painted, when its person has read rather than typed
SCROLL = {"pagedown": 10, "pageup": -10, "down": 1, "j": 1, "up": -1, "k": -1, "home": -FAR, "end": FAR}

HELP: tuple[tuple[str, str], ...] = (
    ("a", "approve what is marked, else what is selected"),
    ("d", "deny; asks for a reason, which the agent reads"),
    ("e", "edit, see how the edit is judged, then approve it"),
    ("g", "allow again: this session, for a while, always"),
    ("1-9", "choose an option of a question"),
    ("space", "mark, to answer several at once; a approves only alike ones together"),
    ("x", "many alike ones in one row, or one by one"),
    ("o", "go to the agent's pane"),
    ("p", "the last lines of the agent's pane"),
    ("j k", "next, previous request; arrows, Home, End too"),
    ("PgUp PgDn", "scroll the whole action"),
    ("Enter", "full view; Enter never approves"),
    ("q Esc", "close; closing answers nothing"),
)


def help_lines() -> list[Line]:
    lines: list[Line] = [[("class:key", f"{key:<11}"), ("", text)] for key, text in HELP]
    risks: Line = [("class:label", "risk       ")]
    for word, text in (("high", "  "), ("medium", "  "), ("low", "")):
        risks += [(f"class:{word}", word), ("", text)]
    about: Line = [(ODD, "⟨U+202E⟩"), ("class:faint", "   a character that hides or acts is shown by its name")]
    return [*lines, [], risks, about]
