"""What the command line prints: tables, colours, errors of two lines. Everything foreign goes through core/display.py.

Owns the look of the terminal commands (not of the popup). Must not own: what is printed.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, TextIO

import msgspec

from ..core import display, errors

NAME_CELLS = 9  # of wrapped(): "waits for"

COLOURS = {
    "high": "1;31",
    "medium": "33",
    "low": "32",
    "deny": "1;31",
    "denied": "1;31",
    "error": "1;31",
    "ask": "33",
    "pending": "33",
    "waiting": "1;33",
    "allow": "32",
    "approved": "32",
    "working": "36",
    "done": "32",
    "dim": "2",
    "bold": "1",
}


def colourful(stream: TextIO) -> bool:
    """Whether `stream` wants colours: a terminal, and no NO_COLOR (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """`text` in the colour of a word such as "high" or "deny"; unknown words have none."""
    code = COLOURS.get(style)
    return f"\x1b[{code}m{text}\x1b[0m" if code and colourful(stream or sys.stdout) else text


def table(head: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> None:
    """Print aligned columns; `styles` names one style a row. The last column takes what is left of the line."""
    cells = [[display.safe(cell) for cell in row] for row in rows]
    widths = [max(display.width(line[i]) for line in ([*head], *cells)) for i in range(len(head))]
    room = columns() - sum(widths[:-1]) - 2 * (len(head) - 1)
    print(paint(_line(head, widths, room), "dim"))
    for index, row in enumerate(cells):
        print(paint(_line(row, widths, room), styles[index] if styles else ""))


def _line(cells: Sequence[str], widths: Sequence[int], room: int) -> str:
    padded = [cell + " " * (width - display.width(cell)) for cell, width in zip(cells[:-1], widths, strict=False)]
    last = display.middle(cells[-1], room) if room >= 8 and sys.stdout.isatty() else cells[-1]
    return "  ".join([*padded, last]).rstrip()


def wrapped(name: str, text: str, style: str = "") -> None:
    """Print a name in a column of its own, and a text beside it, in as many lines as it takes."""
    room = max(20, min(columns(), 120) - NAME_CELLS - 2)
    lines = textwrap.wrap(display.safe(text), room) or [""]
    for index, line in enumerate(lines):
        head = (display.safe(name) if index == 0 else "").ljust(NAME_CELLS)
        print(f"{paint(head, 'dim')}  {paint(line, style)}".rstrip())


def columns() -> int:
    """Of the terminal that stdout is; very many where it is none."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except OSError:
        return 10_000


def as_json(value: Any) -> None:
    """Print a value as indented JSON."""
    print(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())


def complain(error: errors.TmuxAgentError) -> int:
    """Print an error as two lines, what and what to do; gives the exit code."""
    what, _, do = display.safe(error.message, newlines=True).partition(": ")
    print(f"{paint('error', 'error', sys.stderr)}: {what}", file=sys.stderr)
    if do:
        print(f"  {do}", file=sys.stderr)
    return 3 if isinstance(error, errors.Denied | errors.Expired | errors.Withdrawn) else 1
