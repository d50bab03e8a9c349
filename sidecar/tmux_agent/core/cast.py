"""Recordings of a pane in asciinema's form, asciicast v2: lines to write, lines to read.

Owns the form of a file: a header, then `[seconds, code, data]`, one JSON value a line (https://docs.asciinema.org,
"asciicast v2"): `o` is output, `r` another size, `m` a note. Ours says in its header besides which recording it is a
part of, and when that part began. Pure. Must not own: where files are (services/cast_files.py), what may reach a
terminal (cast_safe.py), what is masked (cast_mask.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

VERSION = 2
LINE_BYTES = 16 << 20  # of one line that is read
FILE_BYTES = 1 << 30  # of one file
MOST = 10_000_000  # events of one file
SIDE = 2000  # columns or rows, the most that a terminal is taken to have
LONGEST = 366 * 86400.0  # seconds; a time beyond is a damaged one


class Part(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What our header says besides: a member that other players leave alone."""

    id: str
    part: int = 1
    at: float = 0.0  # seconds from the beginning of the recording to the beginning of this part
    pane: str = ""
    masked: bool = False


class Header(Struct, frozen=True, kw_only=True, omit_defaults=True):
    version: int
    width: int
    height: int
    timestamp: int | float | None = None  # seconds since the epoch
    title: str | None = None
    env: dict[str, str | None] | None = None
    idle_time_limit: float | None = None
    tmux_agent: Part | None = None


class Happened(Struct, frozen=True, array_like=True):
    """One event: `at` in seconds since the beginning."""

    at: float
    code: str
    data: str


class Cast(Struct, frozen=True):
    """A whole recording, its parts joined."""

    header: Header
    events: tuple[Happened, ...]

    @property
    def seconds(self) -> float:
        return self.events[-1].at if self.events else 0.0


class Damaged(ValueError):
    """A file that is no recording: its text says where and why."""


_header = msgspec.json.Decoder(Header)
_event = msgspec.json.Decoder(tuple[float, str, str])
_version = msgspec.json.Decoder(dict[str, Any])


def header_line(header: Header) -> bytes:
    """The first line, with LF. `version` first, as players look for it."""
    return msgspec.json.encode(header) + b"\n"


def line(at: float, code: str, data: str) -> bytes:
    """The line of an event, with LF."""
    return msgspec.json.encode((round(at, 6), code, data)) + b"\n"


def size(columns: int, rows: int) -> str:
    """The data of an `r`."""
    return f"{columns}x{rows}"


def size_of(data: str) -> tuple[int, int] | None:
    """Columns and rows of an `r`; None where it is none."""
    columns, _, rows = data.partition("x")
    if not (columns.isascii() and columns.isdigit() and rows.isascii() and rows.isdigit()):
        return None
    if len(columns) > 4 or len(rows) > 4:
        return None
    return min(max(int(columns), 1), SIDE), min(max(int(rows), 1), SIDE)


def read_header(text: bytes) -> Header:
    """Raises Damaged."""
    try:
        said = _version.decode(text).get("version")
        if said != VERSION:
            raise Damaged(f"line 1: asciicast version {said!r}, and only version 2 can be read")
        header = _header.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
        raise Damaged(f"line 1: it is no asciicast header: {why}") from None
    if not (0 < header.width <= SIDE and 0 < header.height <= SIDE):
        raise Damaged(f"line 1: no terminal is {header.width} columns by {header.height} rows")
    return header


def events(lines: Iterable[bytes]) -> Iterator[Happened]:
    """What happened, of the lines after the header. A last line that was cut short is left out. Raises Damaged."""
    before = 0.0
    for number, text in enumerate(lines, start=2):
        if number > MOST:
            raise Damaged(f"more than {MOST} lines")
        if not text.strip():
            continue
        try:
            at, code, data = _event.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
            if not text.endswith(b"\n"):
                return  # its recorder was killed while it wrote
            raise Damaged(f"line {number}: {why}") from None
        if not -LONGEST < at < LONGEST:
            raise Damaged(f"line {number}: {at:g} seconds")
        before = max(before, at)
        yield Happened(before, code, data)


def read(lines: Iterable[bytes]) -> Cast:
    """One file. Raises Damaged."""
    rest = iter(lines)
    header = read_header(next(rest, b""))
    return Cast(header, tuple(events(rest)))


def joined(parts: Sequence[Cast]) -> Cast:
    """Parts of one recording, in order, as one: each begins when its header says, and never before the last one's end.

    Where the size was another meanwhile, that is said in between. Raises Damaged where there are none.
    """
    if not parts:
        raise Damaged("there is nothing to read: every part of it is gone")
    first = parts[0].header
    base = first.tmux_agent.at if first.tmux_agent else 0.0
    happened: list[Happened] = []
    shape = (first.width, first.height)
    for part in parts:
        header = part.header
        began = max((header.tmux_agent.at if header.tmux_agent else 0.0) - base, happened[-1].at if happened else 0.0)
        if (header.width, header.height) != shape:
            shape = (header.width, header.height)
            happened.append(Happened(began, "r", size(*shape)))
        for one in part.events:
            happened.append(Happened(began + one.at, one.code, one.data))
            shape = (size_of(one.data) or shape) if one.code == "r" else shape
    return Cast(first, tuple(happened))


def written(cast: Cast) -> Iterator[bytes]:
    """A recording as the lines of one file."""
    yield header_line(cast.header)
    for one in cast.events:
        yield line(one.at, one.code, one.data)
