"""A long text as lines that are made only where somebody looks.

Owns: positions in a text of many chunks, moving by lines, the window at a position. Must not own: what the chunks say.
A request may hold megabytes; laying out all of it would hold up every other popup and agent in the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tmux_agent.edges.ui.text import Line

CHUNK = 8192  # characters laid out at once

Spot = tuple[int, int]  # chunk, line in it
START: Spot = (0, 0)


def split(text: str) -> list[tuple[str, bool]]:
    """`text` in pieces of about CHUNK characters, at newlines where there are some; (piece, begins inside a line)."""
    out: list[tuple[str, bool]] = []
    at, inside = 0, False
    while len(text) - at > CHUNK:
        end = text.rfind("\n", at, at + CHUNK)
        if end > at:
            out.append((text[at:end], inside))
            at, inside = end + 1, False
        else:
            out.append((text[at : at + CHUNK], inside))
            at, inside = at + CHUNK, True
    out.append((text[at:], inside))
    return out


class Pages:
    """Chunks of lines. Each chunk is made when first needed, and kept."""

    def __init__(self, chunks: Sequence[Callable[[], list[Line]]]) -> None:
        self._make = chunks
        self._made: dict[int, list[Line]] = {}

    def chunk(self, index: int) -> list[Line]:
        if index not in self._made:
            self._made[index] = self._make[index]()
        return self._made[index]

    def count(self) -> int:
        """Number of chunks."""
        return len(self._make)

    def fits(self, height: int) -> bool:
        """Whether all of it is at most `height` lines; looks no further than needed."""
        total = 0
        for index in range(self.count()):
            total += len(self.chunk(index))
            if total > height:
                return False
        return True

    def window(self, top: Spot, height: int) -> list[Line]:
        out: list[Line] = []
        index, line = top
        while index < self.count() and len(out) < height:
            out.extend(self.chunk(index)[line : line + height - len(out)])
            index, line = index + 1, 0
        return out

    def tail(self, height: int) -> list[Line]:
        """The last `height` lines."""
        return self.window(self.last(height), height)

    def move(self, top: Spot, delta: int, height: int) -> Spot:
        """`top` moved by `delta` lines, held so that a window of `height` stays full."""
        index, line = top
        line += delta
        while line < 0 and index > 0:
            index -= 1
            line += len(self.chunk(index))
        line = max(0, line)
        while index < self.count() - 1 and line >= len(self.chunk(index)):
            line -= len(self.chunk(index))
            index += 1
        return min((index, line), self.last(height))

    def last(self, height: int) -> Spot:
        """The position whose window ends with the last line."""
        left = height
        for index in range(self.count() - 1, -1, -1):
            size = len(self.chunk(index))
            if size >= left:
                return (index, size - left)
            left -= size
        return START
