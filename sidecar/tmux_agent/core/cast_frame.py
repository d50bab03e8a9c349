"""A keyframe: what a pane shows, as output that draws it on any terminal, so that playing can begin there.

Owns what tmux is asked for it and how the answer is written. Pure. Must not own: asking (services/casts.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

# Each is a number, but for the last.
_ASKED = (
    "pane_width", "pane_height", "cursor_x", "cursor_y", "cursor_flag", "wrap_flag", "insert_flag", "origin_flag",
    "scroll_region_upper", "scroll_region_lower", "alternate_on", "alternate_saved_x", "alternate_saved_y",
    "default-terminal",
)  # fmt: skip
FORMAT = "\t".join(f"#{{{name}}}" for name in _ASKED)
# Of every keyframe: nothing before it matters.
BEGINS = "\x1b[?1049l\x1b(B\x1b)0\x0f\x1b[m\x1b[?6l\x1b[4l\x1b[r\x1b[H\x1b[2J"


class Frame(Struct, frozen=True):
    """A pane at one moment. `screen` is what it shows, `below` what lies under the alternate screen."""

    columns: int
    rows: int
    cursor: tuple[int, int]  # column, row, from 0
    shown: bool
    wraps: bool
    inserts: bool
    origin: bool
    margins: tuple[int, int]  # first and last row that scrolls, from 0
    alternate: bool
    saved: tuple[int, int]
    terminal: str  # $TERM of what runs there
    screen: tuple[str, ...]
    below: tuple[str, ...]


def asked(pane: str) -> list[Sequence[str]]:
    """The commands, for one line, whose answers `frame` reads."""
    return [
        ("display-message", "-p", "-t", pane, FORMAT),
        ("capture-pane", "-p", "-e", "-N", "-t", pane),
        ("capture-pane", "-p", "-e", "-N", "-a", "-q", "-t", pane),
    ]


def frame(answers: Sequence[Sequence[str]]) -> Frame | None:
    """None where tmux said something else."""
    words = answers[0][0].split("\t") if answers and answers[0] else []
    if len(words) != len(_ASKED):
        return None
    n = [int(word) if word.isascii() and word.isdigit() and len(word) < 6 else 0 for word in words[:-1]]
    return Frame(
        columns=n[0], rows=n[1], cursor=(n[2], n[3]), shown=n[4] == 1, wraps=n[5] == 1, inserts=n[6] == 1,
        origin=n[7] == 1, margins=(n[8], n[9]), alternate=n[10] == 1, saved=(n[11], n[12]), terminal=words[-1],
        screen=tuple(answers[1]), below=tuple(answers[2]) if n[10] == 1 else (),
    )  # fmt: skip


def drawn(one: Frame) -> str:
    """As output."""
    out = [BEGINS, "\x1b[?7l"]
    if one.alternate:
        out += [_lines(one.below, one.rows), _to(one.saved), "\x1b[?1049h\x1b[H\x1b[2J"]
    out += [_lines(one.screen, one.rows), "\x1b[m\x0f"]
    if one.margins[0] > 0 or 0 < one.margins[1] < one.rows - 1:
        out.append(f"\x1b[{one.margins[0] + 1};{one.margins[1] + 1}r")
    out.append("\x1b[?7h" if one.wraps else "")
    out.append(_to(one.cursor))
    out.append("\x1b[4h" if one.inserts else "")
    out.append("\x1b[?25h" if one.shown else "\x1b[?25l")
    if one.origin:  # counts from the margin, and moves the cursor
        out.append(f"\x1b[?6h{_to((one.cursor[0], max(0, one.cursor[1] - one.margins[0])))}")
    return "".join(out)


def _lines(lines: Sequence[str], rows: int) -> str:
    return "".join(f"\x1b[{row};1H{line}" for row, line in enumerate(lines[:rows], start=1) if line.strip(" "))


def _to(place: tuple[int, int]) -> str:
    return f"\x1b[{place[1] + 1};{place[0] + 1}H"
