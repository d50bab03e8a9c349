"""The local bus: messages as JSON lines in a folder, for programs that follow them (the bridge, a portal).

    bus/messages.jsonl           what is written to: {"seq": 17, "at": "…Z", "title": …, …} a line
    bus/messages.00000012.jsonl  an older part, named after the first number in it

Owns the numbers, whole lines, rotation and its bound. Each line has the number after that of the line before, over
rotations and restarts, so a reader keeps one number and knows what it has missed. A line is on the disk before anybody
is told that it was sent; half a line that a crash left is taken out by the next writer, and no reader takes it for one.
A part that is rotated away keeps its content: who has it open reads it to its end. Must not own: who reads.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ..core import redact
from ..core.errors import Unavailable
from ..core.message import Message
from . import private_files

PART_BYTES = 4 << 20
PARTS = 5  # older ones that are kept
_CHUNK = 1 << 16


class Line(Struct, frozen=True):
    """One line: its number, and the whole of it as it is written."""

    seq: int
    message: Message


class _Head(Struct):
    seq: int


class LocalBus:
    """One folder. Any number of writers and readers, in any processes, may be at work on it."""

    def __init__(self, folder: Path, part_bytes: int = PART_BYTES, parts: int = PARTS) -> None:
        self.folder = folder
        self.file = folder / "messages.jsonl"
        self._part_bytes = part_bytes
        self._parts = parts

    # --- writing ---

    def add(self, messages: Sequence[Message]) -> str:
        """Append messages, on the disk when this returns; "" or why it could not be done."""
        try:
            private_files.make_folder(self.folder)
            if problem := private_files.folder_problem(self.folder):
                return problem
            with self._locked():
                self._append(messages)
        except OSError as why:
            return f"{self.file} cannot be written: {why.strerror}"
        return ""

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _append(self, messages: Sequence[Message]) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        out = os.open(self.file, flags, 0o600)
        try:
            self._mend(out)
            seq = self._last(out)
            at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            lines = b"".join(_line(seq + number, at, one) for number, one in enumerate(messages, 1))
            if os.fstat(out).st_size and os.fstat(out).st_size + len(lines) > self._part_bytes:
                os.close(out)
                out = -1
                self._rotate()
                out = os.open(self.file, flags, 0o600)
            _write_all(out, lines)
            os.fsync(out)
        finally:
            if out >= 0:
                os.close(out)

    def _mend(self, out: int) -> None:
        """Take out half a line at the end."""
        size = os.fstat(out).st_size
        if size and os.pread(out, 1, size - 1) != b"\n":
            os.ftruncate(out, _start_of_last(out, size))

    def _last(self, out: int) -> int:
        """The last number that was given, in this part or the one before."""
        size = os.fstat(out).st_size
        if size:
            start = _start_of_last(out, size - 1)
            return _seq(os.pread(out, size - start, start))
        older = self._older()
        if not older:
            return 0
        with open(older[-1], "rb") as part:
            size = part.seek(0, os.SEEK_END)
            start = _start_of_last(part.fileno(), size - 1)
            return _seq(os.pread(part.fileno(), size - start, start))

    def _rotate(self) -> None:
        with open(self.file, "rb") as part:
            first = _seq(part.readline())
        self.file.rename(self.folder / f"messages.{first:08d}.jsonl")
        for old in self._older()[: -self._parts]:
            old.unlink(missing_ok=True)

    def _older(self) -> list[Path]:
        return sorted(self.folder.glob("messages.*.jsonl"), key=lambda path: int(path.name.split(".")[1]))

    # --- reading ---

    def parts(self) -> list[tuple[int, Path]]:
        """Every part with the number of its first line, oldest first; one without a whole line is left out."""
        found = [(int(path.name.split(".")[1]), path) for path in self._older()]
        with contextlib.suppress(FileNotFoundError), open(self.file, "rb") as part:
            first = _read(part.readline())
            if first is not None:
                found.append((first.seq, self.file))
        return found

    def last(self) -> int:
        """The newest number; 0 where there is none."""
        first = max((number for number, _ in self.parts()), default=1)
        return max((line.seq for line in Follower(self, first - 1).lines()), default=0)


class Follower:
    """One reader, which has had all lines up to the number `seq`."""

    def __init__(self, bus: LocalBus, seq: int) -> None:
        self.seq = seq
        self.missed = 0  # lines that were rotated away before they were read
        self._bus = bus
        self._file = -1
        self._at = 0
        self._done = -1  # inode of the part that was read to its end

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def lines(self) -> Iterator[Line]:
        """Every whole line that is there and was not had. Raises Unavailable where one cannot be read."""
        try:
            while self._file >= 0 or self._open_next():
                yield from self._rest()
                if self._is_current():
                    return
                yield from self._rest()  # what came between the last look and the rotation
                self._done = os.fstat(self._file).st_ino
                self.close()
        except OSError as why:
            raise Unavailable(f"{self._bus.folder} cannot be read: {why.strerror}") from None

    def _open_next(self) -> bool:
        """Open the part that has the next line, or the oldest that is left."""
        while path := self._next():
            try:
                file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # rotated since it was listed: its new name is listed now
            # Parts were rotated while they were listed, or this one was before it was opened: then another comes first.
            again = self._next()
            if again and _inode(again) == os.fstat(file).st_ino:
                self._file, self._at = file, 0
                return True
            os.close(file)
        return False

    def _next(self) -> Path | None:
        """The part that has the next line, as far as one look tells; None where all is read."""
        parts = self._bus.parts()
        fitting = [one for one in parts if one[0] <= self.seq + 1]
        candidates = [*fitting[-1:], *(one for one in parts if one[0] > self.seq + 1)]
        return next((path for _, path in candidates if _inode(path) != self._done), None)

    def _is_current(self) -> bool:
        try:
            return self._bus.file.stat().st_ino == os.fstat(self._file).st_ino
        except FileNotFoundError:
            return False

    def _rest(self) -> Iterator[Line]:
        """Whole lines from where the last one ended; half a line is left for the next time."""
        rest = b""
        while data := os.pread(self._file, _CHUNK, self._at + len(rest)):
            whole, end, rest = (rest + data).rpartition(b"\n")
            for raw in (whole + end).splitlines(keepends=True):
                self._at += len(raw)
                line = _read(raw)
                if line is not None and line.seq > self.seq:
                    self.missed += line.seq - self.seq - 1 if self.seq else 0
                    self.seq = line.seq
                    yield line


def _inode(path: Path) -> int:
    """0 where it is gone."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _line(seq: int, at: str, message: Message) -> bytes:
    fields: dict[str, Any] = {"seq": seq, "at": at, **redact.redact(msgspec.to_builtins(message))}
    return msgspec.json.encode(fields) + b"\n"


def _read(raw: bytes) -> Line | None:
    """One line; None where somebody else has written into the file."""
    try:
        return Line(msgspec.json.decode(raw, type=_Head).seq, msgspec.json.decode(raw, type=Message))
    except msgspec.MsgspecError:
        return None


def _seq(raw: bytes) -> int:
    try:
        return msgspec.json.decode(raw, type=_Head).seq
    except msgspec.MsgspecError:
        raise OSError(0, "its last line is none of ours: move the file away") from None


def _start_of_last(file: int, end: int) -> int:
    """Where the line begins that ends at `end` (its own line end is not looked at)."""
    while end > 0:
        start = max(0, end - _CHUNK)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
