"""The whole of one request: what exactly, with which parts and risks, why it asks, until when.

Owns: which facts of an approval are shown, in which order, folded or whole. Must not own: the frame, keys, answers.
Every character of the action can be reached; what does not fit is shown as its beginning, its length and its end.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import datetime
from functools import partial

import msgspec

from tmux_agent.core import display, wording
from tmux_agent.core.blocks import Block, blocks
from tmux_agent.core.model import Approval, Ask, File, JudgedPart, Plan, Verdict
from tmux_agent.edges.ui import highlight, words
from tmux_agent.edges.ui.pages import CHUNK, START, Pages, Spot, split
from tmux_agent.edges.ui.styles import Lines, risk_style
from tmux_agent.edges.ui.text import Fragment, Line, cut, cut_start, fit, literal, shown, wrap, wrap_words

NARROW = 60  # columns; below, labels and gaps are left out
TINY = 30  # columns; below, a part is shown without its reason
PARTS_FOLDED = 4  # parts shown beside a folded action; all of them are below it
PARTS_CHUNK = 100
FOLDED: Spot = (-1, 0)  # the position before the first line: what matters most of all of it


def asker_line(approval: Approval, width: int, more: str = "") -> Line:
    """Who wants what where; `more` stands behind what is wanted."""
    origin = approval.origin
    if width < NARROW:
        at = [literal(words.who(origin), "bold"), literal(origin.place), literal(origin.branch, "class:accent")]
        at = [[("bold", more.strip(" ()"))], *at] if more else at
        return cut([piece for part in at if part for piece in (*part, ("", "  "))], width)
    folder = getattr(approval.action, "cwd", "") or origin.cwd
    where: Line = []
    if folder:
        where = [("class:faint", "   in "), *literal(words.tilde(folder))]
    facts = [f"worktree {origin.branch}"] if origin.branch else []
    pane = " ".join(filter(None, [origin.place, origin.pane]))
    facts += [f"pane {pane}"] if pane else ["pane unknown"] if origin.door == "hook" else []
    if facts:
        where += literal(f"   ({', '.join(facts)})", "class:faint")
    if approval.kind == "question":
        where = []
    return cut([*literal(wording.person(origin), "bold"), ("bold", f" {wording.verb(approval)}{more}"), *where], width)


def block_lines(block: Block, room: int, gutter: str = "", onward: str = "", *, inside: bool = False) -> list[Line]:
    """One of an action's texts in lines of `room` cells, coloured. `inside`: it begins in the middle of a line."""
    text, how = block
    kind, _, name = how.partition(":")
    if kind == "prose":
        return [[("", gutter), *line] for line in wrap_words(text, room - len(gutter))]
    if kind == "diff":
        content = highlight.diff(text, name)
    elif kind == "code":
        content = highlight.code(text, name)
    else:
        content = shown(text)
    return wrap(content, room, gutter, onward, inside)


class Detail:
    """One approval laid out for one width. Cheap to make; lines come when asked for."""

    def __init__(self, approval: Approval, width: int, lines: Lines, plan: Plan | None) -> None:
        self.approval = approval
        self.width = width
        self._lines = lines
        self._plan = plan
        self._narrow = width < NARROW
        self._labels = 9 if self._narrow else 14  # columns of the labels of `foot`
        self._blocks = blocks(approval.action, approval.preview, approval.origin.cwd, words.HOME)
        self._body = Pages(self._body_chunks())
        self._parts = Pages(self._parts_chunks(approval.parts))
        everything = (self._body, self._parts)
        self._all: list[Callable[[], list[Line]]] = [self.head]
        self._all += [partial(pages.chunk, at) for pages in everything for at in range(pages.count())]
        self._height = 0

    # --- the parts of it ---

    def head(self) -> list[Line]:
        """Who wants what where."""
        line = asker_line(self.approval, self.width)
        return [line] if self._narrow else [line, []]

    def _body_chunks(self) -> list[Callable[[], list[Line]]]:
        return [
            partial(self._body_lines, piece, how if len(text) <= CHUNK else how.partition(":")[0], inside)
            for text, how in self._blocks
            for piece, inside in split(text)
        ]

    def _body_lines(self, text: str, how: str, inside: bool) -> list[Line]:
        if self._narrow:
            return block_lines((text, how), self.width, inside=inside)
        return block_lines((text, how), self.width, "  ", f"{self._lines.onward} ", inside=inside)

    def _parts_chunks(self, parts: tuple[JudgedPart, ...]) -> list[Callable[[], list[Line]]]:
        groups = [parts[at : at + PARTS_CHUNK] for at in range(0, len(parts), PARTS_CHUNK)]
        lines = self._part_stanzas if self._narrow else self._part_lines
        return [partial(lines, group) for group in groups]

    def _part_stanzas(self, parts: tuple[JudgedPart, ...]) -> list[Line]:
        """Narrow: each part's reason below it, whole."""
        out: list[Line] = []
        for part in parts:
            out += self._part_lines((msgspec.structs.replace(part, reason="", rule=""),))
            out += [
                [("", " " * 7), *line] for line in wrap_words(part.reason or part.rule, self.width - 7, "class:faint")
            ]
        return out

    def _part_lines(self, parts: tuple[JudgedPart, ...]) -> list[Line]:
        indent = 0 if self._narrow else 2
        reasons = self.width >= TINY and any(part.reason or part.rule for part in parts)
        share = (6 if self._narrow else 4) if reasons else 10  # tenths of the line that a part's text may take
        limit = (self.width - indent - 9) * share // 10
        sources = [display.middle(display.safe(part.source[:4000]), limit) for part in parts]
        column = max(map(display.width, sources), default=0)
        out: list[Line] = []
        for part, source in zip(parts, sources, strict=True):
            word = "denied" if part.verdict is Verdict.DENY else part.risk.value
            line: Line = [("", " " * indent), (risk_style(part.risk), f"{word:<6}"), ("", " " * (1 + indent // 2))]
            told = "" if self.width < TINY else part.reason or part.rule
            reason = literal(told, "" if part.verdict is not Verdict.ALLOW else "class:faint")
            out.append(cut([*line, *fit([("", source)], column), ("", "  "), *reason], self.width))
        return out

    def _options(self) -> list[Line]:
        action = self.approval.action
        if not isinstance(action, Ask) or not action.options:
            return []
        out: list[Line] = [[]]
        for at, option in enumerate(action.options, 1):
            lead = f"{'' if self._narrow else '  '}{at:>2}  "
            for n, line in enumerate(wrap(literal(option), self.width - len(lead))):
                out.append([("class:key", lead if n == 0 else " " * len(lead)), *line])
        return out

    def _label(self, name: str, short: str | None) -> Fragment:
        """A label's column; `short` where it is narrow, None to leave it empty."""
        said = "" if short is None else (short or name) if self._narrow else name
        return ("class:label", f"{said:<{self._labels}}")

    def _reasons(self, room: int) -> list[Line]:
        """Why the policy asks, and what the agent gives as its reason."""
        approval = self.approval
        out: list[Line] = []
        known = approval.reason in wording.one_line(approval.action)  # it says what is wanted, and no more
        if not known and not any(part.reason == approval.reason for part in approval.parts):
            reason = wrap_words(approval.reason, room)
            out += [[self._label("because", "" if at == 0 else None), *line] for at, line in enumerate(reason[:4])]
        if approval.preview and not isinstance(approval.action, File):
            says = wrap_words(approval.preview.replace("\n", ", "), room)
            out += [[self._label("it says", "says" if at == 0 else None), *line] for at, line in enumerate(says[:2])]
        return out

    def foot(self, now: datetime) -> list[Line]:
        """Why it asks, its plan, until when."""
        approval = self.approval
        out = self._reasons(self.width - self._labels)
        if approval.rule and approval.kind != "question":
            rule: Line = [("", "no rule knows it")]
            if approval.rule != "unmatched":
                rule = [*literal(approval.rule), ("", "  "), *literal(approval.where, "class:faint")]
            out.append([self._label("asks because", "rule"), *rule])
        if self._plan and self._plan.steps:
            step = self._plan.steps[min(self._plan.current, len(self._plan.steps) - 1)]
            count = f"{min(self._plan.current + 1, len(self._plan.steps))} of {len(self._plan.steps)}  "
            out.append([self._label("its plan", "plan"), ("", count), *literal(step.description)])
        if approval.step_up:
            out.append([self._label("a yes needs", "needs"), *literal(shlex.join(approval.step_up), "class:medium")])
        label, said = words.waits(approval, now)
        out.append([self._label(label, label.split()[0]), *said])
        return [cut(line, self.width) for line in out]

    # --- windows onto it ---

    def _pages(self, now: datetime) -> Pages:
        gap: list[Line] = [] if self._narrow else [[]]
        before_parts = [lambda: gap] if self.approval.parts else []
        at = 1 + self._body.count()
        tail = [self._options, lambda: gap, lambda: self.foot(now)]
        return Pages([*self._all[:at], *before_parts, *self._all[at:], *tail])

    def view(self, top: Spot, height: int, now: datetime) -> list[Line]:
        """`height` lines or fewer from `top`; FOLDED is the view to begin with."""
        self._height = height
        pages = self._pages(now)
        if top != FOLDED:
            return pages.window(top, height)
        return pages.window(START, height) if pages.fits(height) else self._folded(height, now)

    def whole(self, height: int, now: datetime) -> bool:
        """Whether nothing is hidden when folded."""
        return self._pages(now).fits(height)

    def move(self, top: Spot, delta: int, now: datetime) -> Spot:
        """`top` moved by `delta` lines; huge values mean the ends.

        Down from FOLDED is the first line, because what is folded away begins somewhere on this page.
        """
        pages = self._pages(now)
        if self._height <= 0 or delta == 0 or pages.fits(self._height):
            return top if delta == 0 else FOLDED
        if delta >= 1 << 20:
            return pages.last(self._height)
        if delta <= -(1 << 20) or (delta < 0 and top in (FOLDED, START)):
            return FOLDED
        return START if top == FOLDED else pages.move(top, delta, self._height)

    def _folded(self, height: int, now: datetime) -> list[Line]:
        """Beginning, length and end of the action, the first parts, and why it asks; as much as `height` holds."""
        head, foot = self.head(), self.foot(now)
        if height < 8:
            head = head[:1] if height >= 5 else []
            foot = foot[:1] if height >= 7 else []
        parts = (
            self._folded_parts(max(1, min(PARTS_FOLDED, height // 3)), height) + self._options()[: max(0, height - 4)]
        )
        room = height - len(head) - len(parts) - len(foot)
        if room >= 10 or (room >= 4 and self._body.fits(room - 2)):  # air, where it costs no text
            parts = [[], *parts, []] if parts else [[]]
            room = height - len(head) - len(parts) - len(foot)
        if room < 1:
            parts = parts[: max(0, len(parts) + room - 1)]
            room = max(1, height - len(head) - len(parts) - len(foot))
        lines = [*head, *self._folded_body(room), *parts, *foot]
        return [*lines, *self.foot(now)[len(foot) :]][:height]

    def _folded_parts(self, count: int, height: int) -> list[Line]:
        if not self._parts.count() or height < 4:
            return []
        lines = self._part_lines(self.approval.parts[:count])
        total = len(self.approval.parts)
        if total > len(lines):
            rest = self.approval.parts[len(lines) :]
            risk = words.worst([part.risk for part in rest])
            more = f"{'' if self._narrow else '  '}and {total - len(lines)} more, the worst of them "
            lines = [*lines, [("class:faint", more), (risk_style(risk), risk.value)]]
        return lines

    def _folded_body(self, room: int) -> list[Line]:
        if self._body.fits(room):
            return self._body.window(START, room)
        length = sum(len(text) for text, _ in self._blocks)
        if room == 1:
            return [words.summary(self.approval, self.width)]
        end = max(1, (room - 1) // 3)
        gap = f"{self._lines.gap} {display.number(length)} characters in all, PgDn shows them {self._lines.gap}"
        if self._narrow:
            gap = f"{self._lines.gap} {display.number(length)} characters, PgDn"
        first = self._body.window(START, room - 1 - end)
        told: Line = [("", "" if self._narrow else "  "), ("class:medium", gap)]
        return [*first, cut(told, self.width), *self._folded_end(end)]

    def _folded_end(self, count: int) -> list[Line]:
        """The last `count` lines, filled: a line that wrapping left almost empty would hide how the action ends."""
        gutter, onward = ("", "") if self._narrow else ("  ", f"{self._lines.onward} ")
        room = self.width - len(gutter)
        end = self._blocks[-1][0][-2 * count * self.width :]
        if "\n" in end or self._blocks[-1][1] == "prose":
            return self._body.tail(count)
        return wrap(cut_start(shown(end), room * count - count), self.width, gutter, onward, True)[-count:]
