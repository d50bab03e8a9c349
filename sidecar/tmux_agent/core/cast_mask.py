"""Secrets taken out of a recording's output, character by character, without breaking the sequences between them.

Owns what is held back so that a secret that comes in pieces is seen whole, and which characters of the output a secret
is: each becomes a `*`, so that everything else stays where it was. What counts as one is redact.py's. Strings that no
screen shows (titles, the clipboard, links) are dropped: they hold command lines. Pure.

The limit: a secret is found where it stands in one piece within WINDOW characters of output. One that a program draws
in pieces that other text parts (columns side by side), that is typed with longer pauses than the writer waits between
two halves of a line (see `settle`), or that has no shape and no label, stays.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from msgspec import Struct

from . import redact
from .cast import Happened
from .sequences import TOKEN

WINDOW = 16 << 10  # characters; half of it stays behind, so that what is cut by one look is whole in the next
PIECE = 2048  # characters of one event at the most
WRAPPED = 8  # characters of a word that may go on in the next row
_MOVES = frozenset("ABEFGHdf`")  # what stands behind one of these is elsewhere on the screen
_PLAIN = re.compile(r"(?:[^\x00-\x1f\x7f-\x9f]|\r?\n|\t)+")  # most of all output: lines, without a sequence in them


class Mask:
    """Gives what it was given, in order, later; with the times that it had."""

    def __init__(self) -> None:
        self._held: list[Happened] = []
        self._size = 0

    @property
    def holds(self) -> bool:
        return bool(self._held)

    def feed(self, one: Happened) -> Iterator[list[Happened]]:
        """What it gives for that, as often as it has looked: between two looks others may have the processor."""
        if one.code != "o":
            self._held.append(one)
            return
        for piece in _pieces(one.data):
            self._held.append(Happened(one.at, "o", piece))
            self._size += len(piece)
            if self._size > WINDOW:
                yield self._release(WINDOW // 2)

    def settle(self) -> list[Happened]:
        """Nothing has come for a while: all but the line that has no end yet."""
        for index in range(len(self._held) - 1, -1, -1):
            if self._held[index].code == "o" and "\n" in self._held[index].data:
                return self._release(sum(len(one.data) for one in self._held[index + 1 :] if one.code == "o"))
        return []

    def end(self) -> list[Happened]:
        return self._release(0)

    def _release(self, kept: int) -> list[Happened]:
        """Mask all that is held, and give what is more than `kept` characters."""
        self._held = masked(self._held)
        out = 0
        while out < len(self._held) and (self._size > kept or self._held[out].code != "o"):
            self._size -= len(self._held[out].data) if self._held[out].code == "o" else 0
            out += 1
        given, self._held = self._held[:out], self._held[out:]
        return given


def _pieces(text: str) -> Iterator[str]:
    """Without strings, in pieces that end between two sequences."""
    kept: list[str] = []
    size = 0
    for token in _tokens(text):
        if token.lastgroup == "string":
            continue
        for start in range(0, len(token[0]), PIECE):
            kept.append(token[0][start : start + PIECE])
            size += len(kept[-1])
            if size >= PIECE:
                yield "".join(kept)
                kept, size = [], 0
    if kept:
        yield "".join(kept)


def _tokens(text: str) -> Iterator[re.Match[str]]:
    """What the text consists of: whole lines at once (of no group), and between them sequences."""
    at = 0
    while at < len(text):
        token = _PLAIN.match(text, at) or TOKEN.match(text, at)
        assert token is not None
        at = token.end()
        yield token


def masked(events: list[Happened]) -> list[Happened]:
    """The same events without the secrets in their output."""
    hits: dict[int, set[int]] = {}
    for parted in (True, False):  # what stands elsewhere on the screen is other text; or the same, wrapped
        shown, moves = _shown(events, parted=parted)
        if spans := list(_secrets("".join(one.text for one in shown))):
            _mark(shown, spans, hits)
        if not moves:
            break
    out = list(events)
    for index, places in hits.items():
        letters = list(events[index].data)
        for at in places:
            letters[at] = letters[at] if letters[at].isspace() else "*"
        out[index] = Happened(events[index].at, "o", "".join(letters))
    return out


class _Shown(Struct):
    """Characters that are shown: the event that they are from, and where in it they begin (-1: put between them)."""

    text: str
    index: int
    at: int = -1


def _shown(events: list[Happened], *, parted: bool) -> tuple[list[_Shown], bool]:
    """In the order in which they came; whether anything moves, so that it may be read in two ways."""
    found: list[_Shown] = []
    moves = False
    for index, one in enumerate(events):
        for token in _tokens(one.data) if one.code == "o" else ():
            kind, piece = token.lastgroup, token[0]
            if kind is None or kind == "text":
                found.append(_Shown(piece, index, token.start()))
            elif kind == "csi" and token["final"] in _MOVES:
                moves = True
                if parted or not found or _ends_short(found[-1].text):
                    found.append(_Shown("\n", index))
            elif piece == "\r":  # and no end of a line
                moves = True
                if parted:
                    found.append(_Shown("\n", index))
                elif found and found[-1].text.endswith(" "):  # a line editor at the right margin
                    found[-1].text = found[-1].text[:-1]
            elif kind == "csi" and token["final"] == "C":
                found.append(_Shown(" ", index))
    return found, moves


def _ends_short(text: str) -> bool:
    """Whether its last word is too short to be one that goes on in the next row."""
    return len(text) < WRAPPED or any(letter.isspace() for letter in text[-WRAPPED:])


def _mark(shown: list[_Shown], spans: list[tuple[int, int]], hits: dict[int, set[int]]) -> None:
    """Add the characters of these spans of the shown text, by event."""
    starts = list(accumulate((len(one.text) for one in shown), initial=0))
    for start, end in spans:
        for number in range(bisect_right(starts, start) - 1, len(shown)):
            one, begins = shown[number], starts[number]
            if begins >= end:
                break
            if one.at >= 0:
                first, last = max(start - begins, 0), min(end - begins, len(one.text))
                hits.setdefault(one.index, set()).update(range(one.at + first, one.at + last))


def _secrets(text: str) -> Iterator[tuple[int, int]]:
    """Where in the text secrets stand: what redacting it leaves out. All from where the two do not fit together."""
    without = redact.redact_text(text)
    if without == text:
        return
    first, *rest = without.split(redact.MARK)
    if not text.startswith(first):
        yield 0, len(text)
        return
    at = len(first)
    for count, piece in enumerate(rest, start=1):
        last = count == len(rest)
        end = len(text) - len(piece) if last else text.find(piece, at)
        if end < at or not text.startswith(piece, end):
            yield at, len(text)
            return
        yield at, end
        at = end + len(piece)
