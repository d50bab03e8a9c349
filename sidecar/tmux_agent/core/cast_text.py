"""A recording's output as plain text: the lines as they stood when the next one began.

Owns what a line editor's and a progress bar's moves within a line come to. What was drawn on the alternate screen (an
editor, a pager, some agents) is no text of lines and is left out; what is drawn by moving over the screen is there in
the order in which it was drawn. Pure. Must not own: secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .cast import Happened
from .cast_frame import BEGINS
from .sequences import TOKEN

_MOVES = frozenset("ABEFHdf")  # to another line
WIDE = 10_000  # characters of one line


class Transcript:
    """`feed` gives the lines that a text completes; `rest` the one that has no end."""

    def __init__(self) -> None:
        self._line: list[str] = []
        self._at = 0
        self._alternate = False

    def feed(self, text: str) -> Iterator[str]:
        for token in TOKEN.finditer(text):
            kind, piece = token.lastgroup, token[0]
            if kind == "csi" and token["final"] in _MOVES and self._line:
                yield self.rest()
            elif kind == "csi":
                self._sequence(token)
            elif self._alternate:
                continue
            elif piece == "\n":
                yield self.rest()
            elif kind == "text":
                self._write(piece)
            elif piece in "\r\b\t":
                self._at = {"\r": 0, "\b": max(0, self._at - 1), "\t": self._at - self._at % 8 + 8}[piece]

    def rest(self) -> str:
        """The line as it stands; the next one begins."""
        line, self._line, self._at = "".join(self._line).rstrip(), [], 0
        return line

    def _write(self, piece: str) -> None:
        self._at = min(self._at, WIDE)
        self._line += [" "] * (self._at - len(self._line))
        self._line[self._at : self._at + len(piece)] = piece[: WIDE - self._at]
        self._at += len(piece)

    def _sequence(self, token: re.Match[str]) -> None:
        params, final = token["params"], token["final"]
        if params in ("?1049", "?1047", "?47"):
            self._alternate = final == "h"
        if self._alternate or not re.fullmatch("[0-9]{0,4}", params):
            return
        count = int(params or 1) or 1
        if final == "K":
            self._erase(params)
        elif final in "CD":
            self._at = max(0, self._at + (count if final == "C" else -count))
        elif final == "G":
            self._at = count - 1
        elif final == "P":
            del self._line[self._at : self._at + count]
        elif final == "@":
            self._line[self._at : self._at] = [" "] * count

    def _erase(self, params: str) -> None:
        if params == "1":
            self._line[: self._at] = [" "] * min(self._at, len(self._line))
        else:
            del self._line[0 if params == "2" else self._at :]


def lines(events: Iterable[Happened]) -> Iterator[str]:
    """The lines of a recording, without their ends; nothing for what has no text. What it showed when it began is among
    them, what it showed when a part began that is not the first is not: it is there already."""
    transcript = Transcript()
    for count, one in enumerate(one for one in events if one.code == "o"):
        if count == 0 or not one.data.startswith(BEGINS):
            yield from transcript.feed(one.data)
    if rest := transcript.rest():
        yield rest
