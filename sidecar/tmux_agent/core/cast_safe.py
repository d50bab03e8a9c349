"""A recording's output with nothing left in it that acts on a terminal beyond drawing.

Owns what may pass, as a closed list: characters; moves, erasing, colours, margins, character sets. Whatever else a
recording holds (titles, the clipboard, links, questions that the terminal would answer into the keyboard, keyboard and
mouse modes, printing, resizing, clearing the history) is left out, and so is what is cut in half. Pure. Must not own:
when it is shown (edges/player.py).

It plays on one screen: what a program drew on the alternate screen is cleared away at its end, and the end of what was
on the main one before is drawn again.
"""

from __future__ import annotations

import re
from collections import deque

from .sequences import STRING_END, TOKEN, UNFINISHED

MAIN = 256 << 10  # characters of the main screen's output that are drawn again
_CONTROLS = frozenset("\n\r\t\b\v\f\x0e\x0f")
_ESCAPES = frozenset("78DEMH")  # cursor kept and restored, index, next line, reverse index, tab stop
_SETS = re.compile(r"\x1b[()][0AB]")
_NUMBERS = re.compile(r"(?:[0-9]{0,4}(?:[;:][0-9]{0,4}){0,40})?")
_DRAWS = frozenset("ABCDEFGHIJKLMPSTXZ@`abdefgmrsu")
_PLAIN = frozenset("su")  # without numbers: with them these are something else
_ONE = frozenset("STbg")  # with one number at the most: five of T switch the mouse on
_ALTERNATE = frozenset(("47", "1047", "1049"))
_MODES = frozenset(("6", "7", "25"))  # origin, wrapping, cursor


def reset(rows: int) -> str:
    """A screen of so many rows with nothing on it, as a recording begins."""
    return f"\x1b(B\x0f\x1b[m\x1b[?6l\x1b[4l\x1b[?7h\x1b[?25h\x1b[1;{rows}r\x1b[2J\x1b[H"


def restore() -> str:
    """What leaves a terminal as it was, whatever was drawn."""
    return "\x1b(B\x0f\x1b[r\x1b[m\x1b[?6l\x1b[4l\x1b[?7h\x1b[?25h"


class Safe:
    """`feed` gives what may be written of a text; `rows`: the height that it is drawn for."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._held = ""
        self._inside = False  # a string that has not ended
        self._alternate = False
        self._out: list[str] = []
        self._main: deque[str] = deque()
        self._kept = 0

    def begin(self) -> str:
        """What is written before everything else."""
        return reset(self._rows)

    def resized(self, rows: int) -> str:
        """The height is another from here on."""
        self._rows = rows
        return f"\x1b7\x1b[1;{rows}r\x1b8"

    def feed(self, text: str) -> str:
        text, self._held = self._held + text, ""
        if self._inside:
            found = STRING_END.match(text)
            if not found:
                self._held = "\x1b" if text.endswith("\x1b") else ""
                return ""
            self._inside, text = False, text[found.end() :]
        if found := UNFINISHED.search(text, max(0, len(text) - 300)):
            text, self._held = text[: found.start()], found[0]
        self._out = []
        for token in TOKEN.finditer(text):
            self._take(token)
        return "".join(self._out)

    def _put(self, piece: str) -> None:
        self._out.append(piece)
        if self._alternate:
            return
        self._main.append(piece)
        self._kept += len(piece)
        while self._kept > MAIN and len(self._main) > 1:
            self._kept -= len(self._main.popleft())

    def _take(self, token: re.Match[str]) -> None:
        piece = token[0]
        match token.lastgroup:
            case "text":
                self._put(piece)
            case "control" if piece in _CONTROLS:
                self._put(piece)
            case "escape" if piece[1:] in _ESCAPES or _SETS.fullmatch(piece):
                self._put(piece)
            case "escape" if piece == "\x1bc":  # as if it were new
                self._switch(on=False)
                self._put(reset(self._rows))
            case "csi":
                self._sequence(token["params"], token["mid"], token["final"])
            case "string":
                self._inside = not token["end"] and token.end() == len(token.string)

    def _sequence(self, params: str, mid: str, final: str) -> None:
        if final in "hl" and not mid:
            self._mode(params, final)
        elif final in _DRAWS and not mid and _NUMBERS.fullmatch(params) and self._harmless(params, final):
            self._put(f"\x1b[1;{self._rows}r" if final == "r" and not params else f"\x1b[{params}{final}")

    def _harmless(self, params: str, final: str) -> bool:
        if final in _PLAIN:
            return not params
        if final == "J":
            return params in ("", "0", "1", "2")  # 3 clears the history of whoever watches
        return final not in _ONE or params.isdigit() or not params

    def _mode(self, params: str, final: str) -> None:
        """Several modes may be named at once; each is looked at by itself."""
        if params == "4":
            self._put(f"\x1b[4{final}")
        if not params.startswith("?"):
            return
        for mode in params[1:].split(";")[:40]:
            if mode in _ALTERNATE:
                self._switch(on=final == "h")
            elif mode == "1048":
                self._put("\x1b7" if final == "h" else "\x1b8")
            elif mode in _MODES:
                self._put(f"\x1b[?{mode}{final}")

    def _switch(self, *, on: bool) -> None:
        """To the alternate screen, or back to what the main one showed."""
        if on and not self._alternate:
            self._alternate = True
            self._out.append("\x1b[2J")
        elif not on and self._alternate:
            self._alternate = False
            self._out.append(reset(self._rows) + "".join(self._main))
