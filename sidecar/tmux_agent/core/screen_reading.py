"""What an agent's screen says, by the rules of its file: it waits for an answer, works, rests, or has reached a limit.

Owns finding the live region of a screen, the question in it and the keys that it names. Pure. Must not own: the rules
(screen_rules.py), tmux, what follows (services/screens.py).

All of it is hostile: an agent prints what it likes. So only what is at the very end of the screen counts, a question is
never answered by what is read here, and where a screen fits no rule it is `unknown`. Where a region begins, more is
taken rather than less: nothing that stands in a dialog can hide what stands above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from . import display, screen_limits
from .screen_limits import Reached
from .screen_rules import Rule, Rules, key_of, keys_of

UNKNOWN = "unknown"
LINES = 200  # of a screen that are looked at, from its end
COLUMNS = 1000  # characters of a line
FOOT = 4  # written lines at the end that may hold the keys' help
ABOVE = 12  # lines above a question that belong to it, where nothing says where it begins
CHOICES = 12
ABOUT = 3  # lines
_ABOUT_CELLS = 200
_EDGES = "│┃║ \t"  # of the boxes that dialogs are drawn in
_BOTTOM = re.compile(r"[╰└┗╚╹][─━═▀]*[╯┘┛╝]?")
_FRAMED = re.compile(r"^\s*[│┃║] ?(.*?)(?: *[│┃║])?$")
_RULER = re.compile(r"\s*[╭╰┌└┏┗╹]?[─━═╌▀]{18,}[╮╯┐┘┓┛]?")  # nothing but drawn, and long
_SGR = re.compile(r"\x1b\[([0-9;:]*)m|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[^\[\]]|[\x0e\x0f]")


class Look(Struct, frozen=True, kw_only=True):
    """A screen at one moment. `styled`: the same lines with their colours, as tmux captures them; may be empty.

    `cursor`: column and row, from 0.
    """

    lines: tuple[str, ...]
    cursor: tuple[int, int] = (0, 0)
    styled: tuple[str, ...] = ()


class Choice(Struct, frozen=True):
    """One answer that a dialog names. `keys`: tmux's names of keys, or "=text" for what is typed as it is."""

    label: str
    keys: tuple[str, ...]
    deny: bool = False


class Dialog(Struct, frozen=True, kw_only=True):
    """A question on the screen. `text`: its live region as it stands there; `rows`: the first and last row of that."""

    question: str
    about: str  # the lines above its answers, in one: what it asks about, for lists
    text: str
    choices: tuple[Choice, ...]
    rows: tuple[int, int]
    cut: bool = False  # it began above the screen


class Seen(Struct, frozen=True, kw_only=True):
    """What a screen says, and by which rule."""

    state: str = UNKNOWN  # waiting, working, idle, new (idle, and no conversation yet), limit or unknown
    rule: str = ""
    dialog: Dialog | None = None
    limit: Reached | None = None


def read(rules: Rules, look: Look) -> Seen:
    """What the screen says by the first rule that fits; unknown where none does."""
    screen = _Screen(look)
    if not screen.written:
        return Seen()
    for rule in rules.rules:
        if seen := _fits(rule, screen):
            return seen
    return Seen()


def _fits(rule: Rule, screen: _Screen) -> Seen | None:
    if rule.foot and not any(rule.foot.search(screen.plain[row]) for row in screen.written[-FOOT:]):
        return None
    if rule.state == "limit":
        reached = screen_limits.find(rule, screen.lines, screen.plain, screen.end)
        return Seen(state=rule.state, rule=rule.name, limit=reached) if reached else None
    start, cut = screen.start(rule)
    if rule.sign and not any(rule.sign.search(screen.plain[row]) for row in range(start, screen.end + 1)):
        return None
    if rule.only and not all(rule.only.search(screen.plain[row]) for row in screen.written if row >= start):
        return None
    if not (rule.choice or rule.buttons or rule.ask):
        return Seen(state=rule.state, rule=rule.name)
    dialog = _asked(rule, screen, start) if rule.ask else _listed(rule, screen, start, cut)
    return Seen(state=rule.state, rule=rule.name, dialog=dialog) if dialog else None


def _last(pattern: re.Pattern[str], lines: Sequence[str]) -> re.Match[str] | None:
    return next((found for line in reversed(lines) if (found := pattern.search(line))), None)


class _Screen:
    """The lines that are looked at, with and without what is drawn around them."""

    def __init__(self, look: Look) -> None:
        first = max(0, len(look.lines) - LINES)
        self.look = look
        self.lines = ["" if row < first else line[:COLUMNS].rstrip() for row, line in enumerate(look.lines)]
        self.plain = [line.strip(_EDGES) for line in self.lines]
        self.written = [row for row, line in enumerate(self.lines) if line]
        self.end = self.written[-1] if self.written else -1

    def start(self, rule: Rule) -> tuple[int, bool]:
        """The row where the live region begins; True where it began above the screen."""
        first = self.written[0]
        if rule.block:
            row = self.end
            while row > first and rule.block.search(self.lines[row - 1]):
                row -= 1
            return row, row == first and not rule.begins(self.lines[row])
        if rule.turn:
            turns = [row for row in self.written if rule.turn.search(self.lines[row])]
            return (turns[-2] if len(turns) > 1 else first if turns else self.end + 1), False
        if rule.top is None:
            return max(first, self.end - ABOVE), False
        found = next((row for row in self.written if rule.top.search(self.lines[row])), None)
        return (first, True) if found is None else (found, False)

    def about(self, start: int, end: int, question: str) -> str:
        """The last lines between two rows but the question itself."""
        lines = [line for line in self.plain[start:end] if not _RULER.fullmatch(line) and question != line]
        return display.cut(" · ".join([line for line in lines if line][-ABOUT:]), _ABOUT_CELLS)

    def text(self, rule: Rule, start: int) -> str:
        """The region as it stands there, without the box around it."""
        lines = self.lines[start : self.end + 1]
        for _ in range(2 if rule.block else 0):  # boxes stand in boxes
            lines = [_FRAMED.sub(r"\1", line).rstrip() for line in lines]
        lines = ["" if _RULER.fullmatch(line) else line for line in lines]
        return "\n".join(lines).strip("\n")


# --- a question in a line, with the cursor behind it ---------------------------------------------


def _asked(rule: Rule, screen: _Screen, start: int) -> Dialog | None:
    assert rule.ask
    column, row = screen.look.cursor
    line = screen.lines[screen.end]
    blanks = column - display.width(line)
    found = rule.ask.search(screen.plain[screen.end])
    if row != screen.end or not 0 <= blanks <= 2 or found is None:
        return None
    named = [(answer, keys_of(answer, found)) for answer in rule.answers]
    choices = tuple(Choice(answer.label, keys, answer.deny) for answer, keys in named if keys)
    if not any(not one.deny for one in choices):
        return None
    question = found.groupdict().get("question") or screen.plain[screen.end]
    text, about = screen.text(rule, start), screen.about(start, screen.end, question)
    return Dialog(question=question.strip(), about=about, text=text, choices=choices, rows=(start, screen.end))


# --- choices below each other, or side by side ----------------------------------------------------


def _listed(rule: Rule, screen: _Screen, start: int, cut: bool) -> Dialog | None:
    found = _buttons(rule, screen) if rule.buttons else _choices(rule, screen, start)
    if found is None:
        return None
    row, choices = found
    asked = _last(rule.question, screen.plain[start:row]) if rule.question else None
    if rule.question and asked is None:
        return None
    words = (asked.groupdict().get("question") or asked[0]).strip() if asked else rule.words
    text, about = screen.text(rule, start), "" if rule.words else screen.about(start, row, words)
    return Dialog(question=words, about=about, text=text, choices=choices, rows=(start, screen.end), cut=cut)


def _choices(rule: Rule, screen: _Screen, start: int) -> tuple[int, tuple[Choice, ...]] | None:
    """The run of choices at the end of the region, and its first row. Below it stands at most the keys' help."""
    assert rule.choice
    found: list[Choice] = []
    more: list[int] = []  # rows that may go on with the choice above them
    first, below = screen.end, 0
    for row in range(screen.end, start - 1, -1):
        line = screen.plain[row]
        match = rule.choice.search(line)
        if match is None and not found and not more and (not line or _is_below(rule, line)):
            below += bool(line)
            if below > FOOT:
                return None
        elif match is not None:
            indent = screen.lines[row].find(match["label"])
            if any(_indent(screen.lines[other]) < indent for other in more):
                break
            label = " ".join([match["label"].strip(), *(screen.plain[other] for other in reversed(more))])
            chosen = bool(match.groupdict().get("chosen"))
            key = "Enter" if chosen else key_of((match["key"] or "").strip())
            if not key or len(found) == CHOICES:
                return None
            found.insert(0, Choice(label, (key,), bool(rule.deny and rule.deny.search(label))))
            first, more = row, []
        elif line:
            more.append(row)
        else:
            break
    keys = [one.keys for one in found]
    whole = found and len(set(keys)) == len(keys) and any(not one.deny for one in found)
    return (first, tuple(found)) if whole else None


def _is_below(rule: Rule, line: str) -> bool:
    return bool(_BOTTOM.fullmatch(line) or (rule.foot and rule.foot.search(line)))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(_EDGES))


def _buttons(rule: Rule, screen: _Screen) -> tuple[int, tuple[Choice, ...]] | None:
    """The row of buttons. Which one is chosen shows in its background alone; where that is not clear, none is named."""
    for row in reversed(screen.written[-FOOT:]):
        places = [screen.lines[row].find(label) for label in rule.buttons]
        if -1 in places or places != sorted(places):
            continue
        chosen = _chosen(screen, row, places)
        if chosen is None:
            return None
        choices = []
        for at, label in enumerate(rule.buttons):
            moves = ("Right",) * (at - chosen) if at > chosen else ("Left",) * (chosen - at)
            choices.append(Choice(label, (*moves, "Enter"), bool(rule.deny and rule.deny.search(label))))
        return row, tuple(choices)
    return None


def _chosen(screen: _Screen, row: int, places: Sequence[int]) -> int | None:
    """Which of the texts at `places` of a row has a background that no other has."""
    if len(screen.look.styled) != len(screen.look.lines):
        return None
    behind = next(found for at, found in enumerate(_backgrounds(screen.look.styled)) if at == row)
    if len(behind) <= places[-1]:
        return None
    seen = [behind[place] for place in places]
    alone = [at for at, one in enumerate(seen) if seen.count(one) == 1]
    return alone[0] if len(alone) == 1 and len(set(seen)) == 2 else None


def _backgrounds(styled: Sequence[str]) -> Iterator[list[str]]:
    """Of each line the background behind each character. What is set goes on in the next line, as tmux writes it."""
    now = ""
    for line in styled:
        behind: list[str] = []
        at = 0
        for match in _SGR.finditer(line):
            behind += [now] * (match.start() - at)
            at = match.end()
            if match[1] is not None:
                now = _background(now, match[1])
        yield behind + [now] * (len(line) - at)


def _background(now: str, codes: str) -> str:
    """The background after the codes of one SGR sequence (ECMA-48, with 38 and 48 as xterm has them)."""
    words = iter(re.split("[;:]", codes or "0"))
    for word in words:
        if word in ("38", "48"):
            kind = next(words, "")
            rest = [next(words, "") for _ in range({"5": 1, "2": 3}.get(kind, 0))]
            now = " ".join([kind, *rest]) if word == "48" else now
        elif word in ("", "0", "49"):
            now = ""
        elif re.fullmatch("4[0-7]|10[0-7]|7", word):
            now = word
        elif word == "27" and now == "7":
            now = ""
    return now
