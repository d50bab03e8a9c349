"""What a pane printed, byte by byte, for readers who come again: each goes on where it was, and learns what it missed.

Pure. Owns the numbers of bytes and what is kept of them. Must not own: where they come from (services/following.py).
"""

from __future__ import annotations

import re

# What may be the beginning of an escape sequence, of a character or of a line end: its rest comes later.
_OPEN = re.compile(
    rb"(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\n]{0,255}|[ -/]*)?|\r|[\xc2-\xf4]|[\xe0-\xf4][\x80-\xbf]"
    rb"|[\xf0-\xf4][\x80-\xbf]{2})\Z"
)


class OutputLog:
    """The last `limit` bytes. Bytes are numbered from 0 on."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._first = 0  # number of the first that is kept
        self._gaps: list[int] = []  # numbers before which something went by unheard

    @property
    def next(self) -> int:
        """The number of the byte that comes next."""
        return self._first + len(self._kept)

    def add(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > 2 * self._limit:  # now and then: every time would copy for every piece
            self._trim()

    def _trim(self) -> None:
        over = max(0, len(self._kept) - self._limit)
        del self._kept[:over]
        self._first += over
        self._gaps = [gap for gap in self._gaps if gap >= self._first]

    def gap(self) -> None:
        """Something went by unheard before what comes next."""
        self._gaps = [*self._gaps, self.next][-8:]

    def read(self, since: int, most: int) -> tuple[bytes, int, int, bool]:
        """From number `since` on, at most `most` bytes: what there is, the number to go on from, how many bytes are
        gone, and whether others went by unheard. Nothing ends in the middle of an escape or of a character."""
        self._trim()
        start = max(since, self._first)
        data = bytes(self._kept[start - self._first :][:most])
        held = _OPEN.search(data[-260:])
        if held is not None and held.end() - held.start() < len(data):
            data = data[: len(data) - (held.end() - held.start())]
        elif held is not None:
            data = b""
        missed = any(since <= gap <= start + len(data) for gap in self._gaps)
        return data, start + len(data), start - since, missed
