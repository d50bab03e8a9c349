"""Markers in the raw bytes that a pane's programs print, however they are cut, coloured or redrawn.

Owns one pane's stream: lines put together from chunks, colours taken out, what a line editor echoes left out, what is
drawn again told once. Pure. For shells and scripts; programs that draw a screen are read from the screen
(marker_screen.py). A chunk without a marker costs one pass in C.
"""

from __future__ import annotations

import re
from collections import deque

from msgspec import Struct

from . import markers

LINE = 64 << 10  # bytes of a line that is kept while it is not whole
BETWEEN = 256 << 10  # bytes since the last marker that are looked through for signs of a redraw
RECENT = 64  # markers that a redraw may show again
# The word, perhaps with colours inside. They end in no S: an end that were one would be looked at from each S before.
_WORD = re.compile(rb"(?:\x1b(?:\[[0-9;:]*[mK]|[()][0B]))*".join((b"S", b"E", b"N", b"T", b"R", b"Y")))
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]"
)
_MOVES = re.compile(rb"\x1b\[[0-9;]*[AFHdfsuJ]|\x1b[78M]|\x1b\[\?(?:47|1047|1049)[hl]")
_PLACED = re.compile(rb"\x1b\[(?:\d*[CD]|(?!1?G)\d*G|\d*;(?!1?[Hf])\d*[Hf])|\x08")  # to another column than the first
_PASTED = b"\x1b[7m"  # line editors show what was pasted, until the next key
_STRINGS = (b"]", b"P", b"X", b"^", b"_")
_ENDS = re.compile(rb"[\x07\x18\x1a]")
_CLEARED = b"\x1b[3J"  # clear(1), not a redraw
_EDITS, _RUNS = b"\x1b[?2004h", b"\x1b[?2004l"  # a line editor begins, and ends, to take a line
_MID = b"."  # stands for the part of a line that is gone: what follows is not at its start


class Found(Struct, frozen=True):
    """A marker, or a line that begins as one, with the text that said so. `confidence` from 0 to 1."""

    marker: markers.Marker | markers.Invalid
    text: str
    confidence: float


class MarkerStream:
    """One pane's stream. `feed` gives what each chunk completes, in order.

    `prompt`: it begins behind something in its line, perhaps at a prompt, whose beginning nobody has heard.
    """

    def __init__(self, *, prompt: bool = False) -> None:
        self._line = _MID if prompt else b""
        self._first = prompt  # what came is all of the line that it began in
        self._editing = False
        self._between: list[bytes] = []
        self._size = 0
        self._recent: deque[bytes] = deque(maxlen=RECENT)
        self._ids: deque[str] = deque(maxlen=4 * RECENT)
        self._string = 0  # bytes since a string for the terminal began (a title), while it has no end
        self.full_screen = False  # a program draws on the alternate screen

    def feed(self, data: bytes) -> list[Found]:
        """What `data` completes."""
        data = self._line + data if self._line else data
        if _WORD.search(data):
            return self._lines(data)
        self._note(data)
        self._keep(data)
        return []

    def _keep(self, data: bytes) -> None:
        """The end of what came, which is not a whole line yet."""
        rest = data[max(data.rfind(b"\n"), data.rfind(b"\r")) + 1 :]
        self._line = rest if len(rest) <= LINE else _MID + rest[-64:]

    def _note(self, data: bytes) -> None:
        """What tells echo and redraws from output, of bytes that are done with (and perhaps looked at again)."""
        if self._first:
            line, end, _ = data.partition(b"\n")
            self._editing, self._first = self._editing or _PASTED in line, not end
        self._string = _open_string(data, self._string)
        if b"?" in data and b"\x1b[?" in data:  # one byte is looked for five times as fast
            self._editing = self._edited(data)
            on = max(data.rfind(b"\x1b[?1049h"), data.rfind(b"\x1b[?47h"))
            off = max(data.rfind(b"\x1b[?1049l"), data.rfind(b"\x1b[?47l"))
            if on >= 0 or off >= 0:
                self.full_screen = on > off
        if self._size <= BETWEEN:
            self._between.append(data)
            self._size += len(data)

    def _lines(self, data: bytes) -> list[Found]:
        """The lines that may hold a marker; what lies between is only noted."""
        found: list[Found] = []
        at = 0
        self._line = b""
        while (span := _next_line(data, at)) is not None:
            start, end = span
            self._note(data[at:start])
            part = data[start : end or len(data)]
            said = self._read(part, whole=bool(end))
            before = b"".join((*self._between, part[: part.find(b"#")]))
            self._note(part)
            if said is not None:
                found += self._once(said[0], before)
                self._between, self._size = [part[-1:] if end else b""], 1
            if not end:  # what follows a marker's JSON is still to come, or its JSON is
                self._line = (_MID + said[1] if said else part)[:LINE]
                return found
            at = end
        self._note(data[at:])
        self._keep(data[at:])
        return found

    def _read(self, part: bytes, *, whole: bool) -> tuple[Found, bytes] | None:
        """The marker of one line, and what follows its JSON; None where there is none, or its end is still to come."""
        before = part[: part.find(b"#")]
        if self._edited(before) or _PLACED.search(before) or _open_string(before, self._string):
            return None
        text = _ESCAPES.sub("", part.decode("utf-8", "replace"))
        said = markers.read(text)
        if said is None:
            return None
        marker, rest = said
        if not whole and isinstance(marker, markers.Invalid):
            return None
        return Found(marker, text.strip()[: markers.TEXT], 0.9), rest.encode()

    def _edited(self, before: bytes) -> bool:
        """Whether a line editor shows what is typed, after `before`."""
        edits, runs = before.rfind(_EDITS), before.rfind(_RUNS)
        return edits > runs if edits >= 0 or runs >= 0 else self._editing

    def _once(self, found: Found, between: bytes) -> list[Found]:
        """It, unless it was told: drawn again, or under an id that was there."""
        name = markers.payload(found.marker)
        if isinstance(found.marker, markers.Invalid):
            again = name in self._recent
        elif found.marker.id:
            again = found.marker.id in self._ids
            self._ids.append(found.marker.id)
        else:
            again = name in self._recent and _redrawn(between)
        self._recent.append(name)
        return [] if again else [found]


def _next_line(data: bytes, at: int) -> tuple[int, int] | None:
    """The next line from `at` on that may hold a marker: where it begins, and behind its end (0: it is not whole)."""
    word = _WORD.search(data, at)
    if word is None:
        return None
    start = max(data.rfind(b"\n", at, word.start()), data.rfind(b"\r", at, word.start())) + 1
    return max(start, at), _line_end(data, word.end())


def _line_end(data: bytes, at: int) -> int:
    """Behind the line that begins at `at`; 0 where it goes on."""
    ends = [end for end in (data.find(b"\n", at), data.find(b"\r", at)) if end >= 0]
    return min(ends) + 1 if ends else 0


def _open_string(data: bytes, size: int) -> int:
    """How much of a string (OSC, DCS, …) there is without its end after `data`, `size` of it before; 0: none is open.

    As tmux does, which ends one at the next escape, too, and gives up on one that goes on.
    """
    escape = data.rfind(b"\x1b")
    if escape >= 0:
        data, size = data[escape:], int(data[escape + 1 : escape + 2] in _STRINGS)
    if not size or _ENDS.search(data) or size + len(data) > LINE:
        return 0
    return size + len(data)


def _redrawn(between: bytes) -> bool:
    """Whether these bytes, since the marker before, are of a program that draws what was there again."""
    if _EDITS in between or _CLEARED in between:
        return False  # a prompt was there: what ran has ended, and runs again; or the screen was cleared
    return b"\n" not in between or _MOVES.search(between) is not None
