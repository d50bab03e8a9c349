"""Lines of styled text: measured, cut, padded, wrapped.

Owns: the Fragments arithmetic that every part of the popup draws with. Must not own: what is said, or any colour.
A fragment is (style, text) as prompt_toolkit takes them; a Line is fragments without a newline. Text that came from
outside enters only through `shown` or `literal`, which make it safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tmux_agent.core import display

Fragment = tuple[str, str]
Line = list[Fragment]

ODD = "class:odd"  # a replaced character
TAB = 4


def literal(text: str, style: str = "") -> Line:
    """Outside text on one line: newlines and tabs are named."""
    return [(f"{style} {ODD}" if replaced else style, piece) for piece, replaced in display.segments(text)]


def shown(text: str, style: str = "") -> Line:
    """Outside text that may hold newlines and tabs; `wrap` lays them out."""
    return [
        (f"{style} {ODD}" if replaced else style, piece) for piece, replaced in display.segments(text, newlines=True)
    ]


def cells(line: Iterable[Fragment]) -> int:
    return sum(display.width(text) for _, text in line)


def cut(line: Line, room: int) -> Line:
    """At most `room` cells, with … where something is missing."""
    if cells(line) <= room:
        return line
    out: Line = []
    left = room - 1
    for style, text in line:
        size = display.width(text)
        if size > left:
            rest = "" if style.endswith(ODD) else display.take(text, left)  # a name is shown whole or not at all
            return [*out, (style, rest), ("class:faint", "…")] if room > 0 else []
        out.append((style, text))
        left -= size
    return out


def cut_start(line: Line, room: int) -> Line:
    """The end of a line in at most `room` cells."""
    out: Line = []
    for style, text in reversed(line):
        size = display.width(text)
        out.append((style, text if size <= room else "" if style.endswith(ODD) else display.take_end(text, room)))
        room -= size
        if room <= 0:
            break
    return out[::-1]


def fit(line: Line, room: int, right: bool = False) -> Line:
    """Exactly `room` cells: cut or padded."""
    line = cut(line, room)
    pad = ("", " " * max(0, room - cells(line)))
    return [pad, *line] if right else [*line, pad]


def sides(left: Line, right: Line, room: int) -> Line:
    """`left` at the left, `right` at the right; the left is cut first."""
    right = cut(right, room)
    space = room - cells(right)
    return [*fit(left, max(0, space)), *right]


def _atoms(line: Iterable[Fragment]) -> Iterator[tuple[str, str, int]]:
    """Pieces that wrapping may not split, as (style, text, cells): a character with its marks, a whole ⟨U+…⟩ name."""
    for style, text in line:
        if style.endswith(ODD):
            yield style, text, display.width(text)
            continue
        base, size = "", 0
        for char in text:
            extra = display.width(char)
            if extra == 0 and base and char not in "\n\t":
                base += char
                continue
            if base:
                yield style, base, size
            base, size = char, extra
        if base:
            yield style, base, size


def _runs(line: Line) -> Iterator[Line]:
    """The line cut at its newlines."""
    current: Line = []
    for style, text in line:
        head, *tail = text.split("\n")
        current.append((style, head))
        for piece in tail:
            yield current
            current = [(style, piece)]
    yield current


def _wrap_run(run: Line, room: int) -> Iterator[Line]:
    if cells(run) <= room and not any("\t" in text for _, text in run):
        yield run
        return
    out: Line = []
    used = 0
    for style, text, size in _atoms(run):
        if text == "\t":
            size = TAB - used % TAB
            style, text = f"{style} class:faint", ("→" + " " * TAB)[:size]
        if used + size > room and out:
            yield out
            out, used = [], 0
        if out and out[-1][0] == style:
            out[-1] = (style, out[-1][1] + text)
        else:
            out.append((style, text))
        used += size
    yield out


def wrap(line: Line, room: int, gutter: str = "", onward: str = "", start_onward: bool = False) -> list[Line]:
    """Lines of at most `room` cells. A line of the text begins with `gutter`, what is wrapped goes on after `onward`.

    Both are the caller's, equally wide. `start_onward`: the text begins in the middle of a line.
    """
    room = max(1, room - display.width(gutter))
    out: list[Line] = []
    for at, run in enumerate(_runs(line)):
        for part, piece in enumerate(_wrap_run(run, room)):
            goes_on = part > 0 or (at == 0 and start_onward)
            head = ("class:faint", onward) if goes_on else ("", gutter)
            out.append([head, *piece] if gutter else piece)
    return out


def wrap_words(text: str, room: int, style: str = "") -> list[Line]:
    """Prose from outside, broken at spaces where that works."""
    out: list[Line] = []
    for paragraph in display.safe(text, newlines=True).split("\n"):
        current = ""
        for word in paragraph.split(" "):
            if current and display.width(current) + 1 + display.width(word) > room:
                out.extend(wrap([(style, current)], room))
                current = word
            else:
                current = f"{current} {word}" if current else word
        out.extend(wrap([(style, current)], room))
    return out
