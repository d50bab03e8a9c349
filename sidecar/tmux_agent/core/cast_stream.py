"""A pane's raw output as text in whole characters and whole escape sequences, however its bytes are cut.

Owns what is held back between two chunks. Pure. Must not own: what the sequences do (cast_safe.py, cast_mask.py).
"""

from __future__ import annotations

import codecs
import re

HELD = 4096  # characters of an unfinished sequence that are waited for; a longer one is passed on in pieces

# A sequence that ends with the text: CSI without its last byte; a string without its end; an escape with less.
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_k][^\x07\x1b]*\x1b?|[ -/]*)?\Z")


class Stream:
    """`feed` gives the text that a chunk completes, "" where it completes none; `rest` what never was completed.

    Bytes that are no UTF-8 are replaced (U+FFFD).
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, data: bytes) -> str:
        text = self._held + self._decoder.decode(data)
        self._held = ""
        begins = _begins(text)
        if begins >= 0 and _UNFINISHED.match(text, begins):
            self._held, text = text[begins:], text[:begins]
        return text

    def rest(self) -> str:
        text, self._held = self._held + self._decoder.decode(b"", final=True), ""
        return text


def _begins(text: str) -> int:
    """Where the last sequence begins; -1 where there is none near the end."""
    near = max(0, len(text) - HELD)
    last = text.rfind("\x1b", near)
    if last == len(text) - 1:  # perhaps the first half of a string's terminator, ESC and a backslash
        before = text.rfind("\x1b", near, last)
        if before >= 0 and text[before + 1 : before + 2] in tuple("]PX^_k"):
            return before
    return last
