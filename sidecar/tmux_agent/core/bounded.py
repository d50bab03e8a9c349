"""Bytes of which the beginning and the end are kept. Pure. Must not own: where they come from."""

from __future__ import annotations


class Bounded:
    """What was printed, in memory that does not grow: the first and the last half of `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def add(self, piece: bytes) -> None:
        self.total += len(piece)
        room = self._half - len(self._head)
        self._head += piece[:room]
        self._tail += piece[room:] if room < len(piece) else b""
        if len(self._tail) > 2 * self._half:  # trimmed now and then: every time would copy for every piece
            del self._tail[: -self._half]

    @property
    def left_out(self) -> int:
        return max(0, self.total - 2 * self._half)

    def parts(self) -> tuple[bytes, bytes]:
        """The beginning and the end; what was left out, if anything was, lies between them."""
        return bytes(self._head), bytes(self._tail[-self._half :])

    def text(self) -> str:
        """Decoded as UTF-8, what is not replaced by U+FFFD; a gap is named with its size."""
        head, tail = self.parts()
        if not self.left_out:
            return (head + tail).decode("utf-8", "replace")
        return head.decode("utf-8", "replace") + self.gap() + tail.decode("utf-8", "replace")

    def gap(self) -> str:
        """What stands in place of what was left out."""
        return f"\n… {self.left_out} bytes left out …\n"
