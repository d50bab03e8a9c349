"""The audit log's files on the disk, from the writer's side: append, take back, cut, rotate, look at the end.

Owns descriptors, sizes and names. Must not own: what the records mean, when a group is written, the database
(journal.py); reading for people (audit_log.py). Everything here belongs to the journal's writer thread; OSError goes
up to it.

`audit.jsonl` is written; a full one is renamed to `audit-<number of its last record>.jsonl`, twelve digits, so that
names sort by age.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..core import chain

_PIECE = 1 << 20


def rotated(path: Path) -> list[Path]:
    """The older files of the log at `path`, oldest first."""
    shape = re.compile(re.escape(path.stem) + r"-\d{12}" + re.escape(path.suffix))
    try:
        return sorted(found for found in path.parent.iterdir() if shape.fullmatch(found.name))
    except FileNotFoundError:
        return []


def last_line(path: Path) -> bytes:
    """The last whole line of a file, with LF; b"" where there is none of a record's length."""
    with path.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - 2 * chain.MAX_LINE, 0))
        lines = file.read().rsplit(b"\n", 2)
    return lines[-2] + b"\n" if len(lines) > 1 else b""


class AuditFile:
    """The file that is appended to. `size` counts what is kept: what was appended and not taken back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._fd = -1
        self._appended = 0

    def open(self) -> None:
        """Open the file, made 0600 in a folder made 0700, and take its present size as kept."""
        self.close()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self.path, flags, 0o600)
        self.size = os.fstat(self._fd).st_size
        self._appended = 0
        if not self.size:
            self._sync_folder()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def disturbed(self) -> str:
        """What somebody else did to the file since the last look ("" for nothing). One stat, no reading."""
        if self._fd < 0:
            return "not open"
        mine = os.fstat(self._fd)
        try:
            there = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return "the file was moved away or deleted while the sidecar was running"
        if (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino):
            return "the file was replaced by another one while the sidecar was running"
        if mine.st_size != self.size:
            return f"the file's size was changed by somebody else, from {self.size} to {mine.st_size} bytes"
        return ""

    def append(self, data: bytes) -> None:
        """Write and fdatasync. Afterwards `keep` or `take_back`; on OSError, `take_back`."""
        rest = memoryview(data)
        while rest:
            written = os.write(self._fd, rest)
            self._appended += written
            rest = rest[written:]
        os.fdatasync(self._fd)

    def keep(self) -> None:
        self.size += self._appended
        self._appended = 0

    def take_back(self) -> None:
        """Remove what was appended and not kept."""
        if self._appended:
            self.cut(self.size)

    def cut(self, size: int) -> None:
        """End the file at `size`."""
        os.ftruncate(self._fd, size)
        os.fdatasync(self._fd)
        self.size, self._appended = size, 0

    def tail(self, start: int) -> bytes:
        """The kept bytes from `start` on."""
        return os.pread(self._fd, self.size - start, start)

    def whole(self) -> int:
        """The offset behind the last line that has its end."""
        return self._behind_last(b"\n") or 0

    def end_of(self, head: chain.Head) -> int | None:
        """The offset behind the record that is `head`; None where the file does not have it."""
        return self._behind_last(chain.ending(head.hash))

    def _behind_last(self, mark: bytes) -> int | None:
        """Search from the end, where it nearly always is. Not by mmap: a file cut meanwhile would be a SIGBUS."""
        end = self.size
        while end > 0:
            start = max(end - _PIECE, 0)
            found = os.pread(self._fd, end - start + len(mark) - 1, start).rfind(mark)
            if found >= 0:
                return start + found + len(mark)
            end = start
        return None

    def rotate(self, last: int) -> str:
        """Put the file aside under the number of its last record and open a new one; the name it has now."""
        aside = self.path.with_name(f"{self.path.stem}-{last:012}{self.path.suffix}")
        self.path.rename(aside)
        self._sync_folder()
        self.open()
        return aside.name

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
