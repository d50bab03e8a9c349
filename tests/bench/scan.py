"""Markers found in 100 MB of a build's coloured output, read as a pane's pipe is read."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.bench.world import Row, middle

from tmux_agent.core import markers
from tmux_agent.core.marker_stream import MarkerStream

SIZE = 100_000_000
EACH = 100_000  # bytes from one marker to the next
CHUNK = 1 << 16  # as services/tmux/pipe.py reads
ROUNDS = 5
_LINE = (
    b"\x1b[32m[ 42%%] \x1b[1mBuilding CXX object\x1b[0m src/core/CMakeFiles/core.dir/part_%05d.cpp.o\r\n"
    b"\x1b[33mwarning:\x1b[0m unused variable \x1b[1m'left_%d'\x1b[0m [-Wunused-variable]\r\n"
    b"\r\x1b[K\x1b[36m%3d/1000 tests\x1b[0m \x1b[2m(%d failed)\x1b[0m\r\n"
)


def output(size: int) -> tuple[bytes, int]:
    """A build's output with a coloured marker each EACH bytes, and how many."""
    parts: list[bytes] = []
    length = count = number = 0
    while length < size:
        if length >= (count + 1) * EACH:
            text = markers.line(markers.Progress(stage="build", percent=count % 101, id=f"m{count}"))
            part = f"\x1b[1;34m{text}\x1b[0m\r\n".encode()
            count += 1
        else:
            part = _LINE % (number, number, number % 1000, number % 7)
            number += 1
        parts.append(part)
        length += len(part)
    return b"".join(parts), count


def chunks(data: bytes) -> Iterator[bytes]:
    return (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))


def _ours(pieces: list[bytes]) -> int:
    stream = MarkerStream()
    return sum(len(stream.feed(piece)) for piece in pieces)


def _floor(pieces: list[bytes]) -> int:
    return sum(b"SENTRY" in piece.translate(None, b"\x1b[0123456789;m") for piece in pieces)


def rows(quick: bool) -> list[Row]:
    data, count = output(SIZE // 5 if quick else SIZE)
    pieces = list(chunks(data))
    took: dict[str, list[float]] = {"floor": [], "ours": []}
    for _ in range(ROUNDS):
        for name, way in (("floor", _floor), ("ours", _ours)):
            start = time.perf_counter()
            found = way(pieces)
            took[name].append(time.perf_counter() - start)
            if name == "ours" and found != count:
                raise AssertionError(f"{found} of {count} markers were found")
    floor, ours = (len(data) / middle(took[name]) / 1e6 for name in ("floor", "ours"))
    return [
        Row(
            name=f"markers: scan of {len(data) // 1_000_000} MB, {count} markers, all found",
            floor=f"{floor:.0f} MB/s", ours=f"{ours:.0f} MB/s", ratio=f"{floor / ours:.2f}×", bound="≥ 300 MB/s",
            held=ours >= 300,
        )
    ]  # fmt: skip
