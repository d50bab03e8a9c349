"""Several alike requests, one below the other, each of them whole; what differs between them is marked.

Owns: how they are laid out, and which of them have been drawn whole. Must not own: which are alike (core/shapes.py),
answering. A request counts as drawn only when every line of its action was in a window that was painted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial

from tmux_agent.core import display
from tmux_agent.core.blocks import Block, blocks
from tmux_agent.core.model import Approval
from tmux_agent.edges.ui import words
from tmux_agent.edges.ui.board import Request
from tmux_agent.edges.ui.detail import NARROW, asker_line, block_lines
from tmux_agent.edges.ui.pages import CHUNK, START, Pages, Spot, split
from tmux_agent.edges.ui.styles import Lines
from tmux_agent.edges.ui.text import Line, cells, cut, fit, literal, wrap, wrap_words

DIFFERS = "class:differs"


class Together:
    """Laid out for one width; `marks` are the ids that are marked. Cheap to make; lines come when asked for."""

    def __init__(self, requests: Sequence[Request], width: int, lines: Lines, marks: Iterable[str]) -> None:
        self.requests = tuple(requests)
        self.width = width
        self._lines = lines
        self._marks = frozenset(marks)
        self._narrow = width < NARROW
        self._common = common_words(one.approval for one in requests)
        self._told = len({_reason(one.approval) for one in requests}) > 1  # reasons differ: each is told
        self._air = 1 if self._narrow else 2  # between number and action
        self._gutter = 1 + len(str(len(requests))) + self._air
        self._column = self._reasons_at()
        self._owners: list[Request | None] = [None]  # by chunk; the first is the head, made anew each time
        self._of: dict[str, range] = {}  # request → its chunks
        chunks: list[Callable[[], list[Line]]] = [list]
        for number, one in enumerate(requests, 1):
            made = self._chunks(number, one)
            self._of[one.id] = range(len(chunks), len(chunks) + len(made))
            chunks += made
            self._owners += [one] * len(made)
        self._pages = Pages(chunks)
        self._window: list[tuple[int, int, int]] = []  # of the last view: chunk, its first line and how many
        self._height = 0
        self._painted: dict[int, int] = {}  # chunk → its painted lines, a bit each
        self._whole: dict[str, str] = {}

    # --- one of them ---

    def _chunks(self, number: int, one: Request) -> list[Callable[[], list[Line]]]:
        texts = blocks(one.approval.action, one.approval.preview, one.approval.origin.cwd, words.HOME)
        pieces = [
            (piece, how if len(text) <= CHUNK else how.partition(":")[0], inside)
            for text, how in texts
            for piece, inside in split(text)
        ]
        first, *rest = [piece for piece in pieces if piece[0]] or pieces[:1]
        made: list[Callable[[], list[Line]]] = [partial(self._first, number, one, first[:2], not rest)]
        made += [partial(self._further, (piece, how), inside) for piece, how, inside in rest]
        if one.approval.parts[1:]:
            made.append(partial(self._parts, one))
        if made[1:] and not self._narrow:
            made.append(lambda: [[]])
        return made

    def _first(self, number: int, one: Request, block: Block, alone: bool) -> list[Line]:
        """Number and mark, the beginning of the action, and what became of it meanwhile or is special about it."""
        text, how = block
        plain = how in ("plain", "code:bash")
        room = self.width - self._gutter
        if one.ended:
            line = [*literal(one.ended, "class:warn"), ("", "  "), *literal(text[:200], "class:gone")]
            found = [cut(line, room)]
        elif plain:
            found = wrap(self._differing(text), room)
        else:
            found = block_lines(block, room)
        mark = self._lines.no if one.ended else self._lines.mark if one.id in self._marks else " "
        lead: Line = [
            ("class:key", mark),
            *fit([("class:faint", str(number))], self._gutter - 1 - self._air, right=True),
        ]
        lead.append(("", " " * self._air))
        pad: Line = [("", " " * self._gutter)]
        out = [[*(lead if at == 0 else pad), *line] for at, line in enumerate(found)]
        return self._with_reason(out, one, alone) if self._told and not one.ended else out

    def _with_reason(self, out: list[Line], one: Request, alone: bool) -> list[Line]:
        """What is known of this one and not of the others: beside it where there is room."""
        reason = _reason(one.approval)
        if not reason or one.approval.parts[1:]:
            return out
        told = literal(reason[:500], "class:faint")
        used = cells(out[0])
        if alone and len(out) == 1 and used < self._column and cells(told) <= self.width - self._column:
            return [[*out[0], ("", " " * (self._column - used)), *told]]
        below = wrap_words(reason, self.width - self._gutter, "class:faint")
        return [*out, *([("", " " * self._gutter), *line] for line in below)]

    def _further(self, block: Block, inside: bool) -> list[Line]:
        pad = ("", " " * self._gutter)
        return [[pad, *line] for line in block_lines(block, self.width - self._gutter, inside=inside)]

    def _parts(self, one: Request) -> list[Line]:
        out: list[Line] = []
        for part in one.approval.parts:
            line: Line = [
                ("class:faint", display.middle(display.safe(part.source[:4000]), self.width // 3)),
                ("", "  "),
            ]
            line += literal(part.reason or part.rule, "class:faint")
            out += [cut([("", " " * self._gutter), *line], self.width)]
        return out

    def _differing(self, text: str) -> Line:
        """The text with the words marked that not all of them have."""
        out: Line = []
        for at, line in enumerate(text.split("\n")):
            out += [("", "\n")] if at else []
            for place, word in enumerate(line.split(" ")):
                out += [("", " ")] if place else []
                out += literal(word, "" if word in self._common else DIFFERS)
        return out

    def _reasons_at(self) -> int:
        """The column at which reasons stand beside short actions."""
        if not self._told or self._narrow:
            return 0
        lengths = (display.width(display.safe(words.one_line(one.approval.action)[:200])) for one in self.requests)
        return min(self.width // 2, self._gutter + 3 + max(length for length in lengths))

    # --- all of them ---

    def head(self, now: datetime) -> list[Line]:
        """Who wants how many things, and why that is asked."""
        oldest = self.requests[0].approval
        out = [asker_line(oldest, self.width, f" ({len(self.requests)} alike)")]
        if oldest.rule and oldest.kind != "question":
            rule = "no rule knows it" if oldest.rule == "unmatched" else f"{oldest.rule}  {oldest.where}"
            out.append(cut([("class:faint", "asks because  "), *literal(rule)], self.width))
        if not self._told and (reason := _reason(oldest)):
            out.append(
                cut([("class:faint", "because  " if self._narrow else "because       "), *literal(reason)], self.width)
            )
        ends = [one.approval for one in self.requests if one.approval.expires and not one.ended]
        if ends:
            label, said = words.waits(min(ends, key=lambda one: one.expires or now), now)
            first = f"the first {label}  "
            out.append(cut([("class:faint", first), *said], self.width))
        return out if self._narrow else [*out, []]

    def _all(self, now: datetime) -> Pages:
        chunks = [partial(self._pages.chunk, at) for at in range(1, self._pages.count())]
        return Pages([lambda: self.head(now), *chunks])

    def view(self, top: Spot, height: int, now: datetime) -> list[Line]:
        """`height` lines or fewer from `top`; before START is START."""
        pages = self._all(now)
        out: list[Line] = []
        self._window, self._height = [], height
        chunk, line = max(top, START)
        while chunk < pages.count() and len(out) < height:
            taken = pages.chunk(chunk)[line : line + height - len(out)]
            self._window.append((chunk, line, len(taken)))
            out += taken
            chunk, line = chunk + 1, 0
        return out

    def whole(self, height: int, now: datetime) -> bool:
        """Whether all of it fits."""
        return self._all(now).fits(height)

    def move(self, top: Spot, delta: int, now: datetime) -> Spot:
        """`top` moved by `delta` lines, held so that the window stays full; huge values mean the ends."""
        pages = self._all(now)
        if self._height <= 0 or pages.fits(self._height) or delta <= -(1 << 20):
            return START
        if delta >= 1 << 20:
            return pages.last(self._height)
        return pages.move(max(top, START), delta, self._height)

    def coming(self) -> dict[str, str]:
        """Every request that will have been painted whole once the last view is, with the digest it has."""
        found = dict(self._whole)
        for owner in {self._owners[chunk] for chunk, *_ in self._window}:
            if owner is not None and all(self._lines_seen(chunk)[1] for chunk in self._of[owner.id]):
                found[owner.id] = owner.approval.digest
        return found

    def drawn(self) -> dict[str, str]:
        """The last view has been painted. The same, from now on."""
        self._whole = self.coming()
        self._painted |= {chunk: self._lines_seen(chunk)[0] for chunk, *_ in self._window if chunk}
        return self._whole

    def _lines_seen(self, chunk: int) -> tuple[int, bool]:
        """Which lines of a chunk were painted with the last view, a bit each, and whether those are all."""
        bits = self._painted.get(chunk, 0)
        for at, first, count in self._window:
            if at == chunk:
                bits |= ((1 << count) - 1) << first
        return bits, bits == (1 << len(self._pages.chunk(chunk))) - 1


def _reason(approval: Approval) -> str:
    return approval.reason or (approval.parts[0].reason if approval.parts else "")


def common_words(approvals: Iterable[Approval]) -> frozenset[str]:
    """Words that stand in each of the actions' first lines."""
    found: frozenset[str] | None = None
    for one in approvals:
        text = blocks(one.action, one.preview, one.origin.cwd, words.HOME)[0][0]
        mine = frozenset(text.replace("\n", " ").split(" "))
        found = mine if found is None else found & mine
    return found or frozenset()
