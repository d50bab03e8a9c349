"""The audit log from the reader's side: verify, query, follow, find. Works on the files alone, without a sidecar.

Owns reading and filtering; must not write, and must not own the chain's rules (core/chain.py) or how records are
shown (edges/verbs/audit.py). The sidecar may be writing meanwhile: a last line without its end is simply not read yet.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ..core import chain
from ..core.chain import Head, Record
from .audit_file import rotated
from .schema import look
from .store import head as head_of

BLOCK = 1 << 18  # bytes per piece that is verified at once: small enough to stay in the processor's cache
FOLLOW_SECONDS = 0.5  # between looks at a log that is followed: a plain file has no event without inotify


class Checked(Struct, frozen=True, kw_only=True):
    """What verification found over all files. `file` and `line` (from 1) name the first bad line, `seq` its record."""

    ok: bool
    records: int
    head: Head
    file: str | None = None
    line: int | None = None
    seq: int | None = None
    why: str = ""
    torn_bytes: int = 0  # of an unfinished last line: being written, or cut off at the sidecar's next start


class Filter(Struct, frozen=True, kw_only=True):
    """Which records are wanted: every member that is set must fit. Times are RFC 3339 in UTC, compared as text."""

    types: frozenset[str] = frozenset()  # exact, or a whole family: "approval." fits every approval.…
    request_id: str = ""
    agent: str = ""
    server: str = ""  # tmux socket
    pane: str = ""
    since: str = ""
    until: str = ""

    def fits(self, record: Record) -> bool:
        family = record.type.partition(".")[0] + "."
        return (
            (not self.types or record.type in self.types or family in self.types)
            and self.request_id in ("", record.request_id)
            and (not self.agent or record.origin.get("agent") == self.agent)
            and (not self.server or record.origin.get("server") == self.server)
            and (not self.pane or record.origin.get("pane") == self.pane)
            and (not self.since or record.timestamp >= self.since)
            and (not self.until or record.timestamp < self.until)
        )


class AuditLog:
    """The log at `path` with its rotated files, or these `files`, oldest first. OSError comes out as it is."""

    def __init__(self, path: Path, files: Iterable[Path] | None = None) -> None:
        self._path = path
        self._files = None if files is None else list(files)

    def files(self) -> list[Path]:
        """Those there are, oldest first."""
        if self._files is not None:
            return self._files
        return rotated(self._path) + ([self._path] if self._path.exists() else [])

    def verify(self, start: int = 1, head: Head | None = None) -> Checked:
        """Check the chain from record number `start` on; with `head` (what the database knew before), its end."""
        files, at = (self.files(), Head()) if start <= 1 else self._from(start)
        found = self._check(files, at, start)
        if found.ok and head is not None and head != found.head and not self._has(head):
            end = found.head.seq
            why = f"the log ends with record {end}, the database has seen {head.seq}: its end was cut or replaced"
            return replace(found, ok=False, seq=end + 1, why=why)
        return found

    def verify_behind(self, head: Head) -> Checked:
        """Check that `head` is in the log, and the chain from there to its end."""
        if head == Head():
            return self.verify()
        files, at = self._from(head.seq + 1)
        if at != head and not (at == Head() and self._has(head)):
            why = f"the log does not have record {head.seq} as the database knew it: it was cut or replaced"
            return Checked(ok=False, records=0, head=head, seq=head.seq, why=why)
        return self._check(files, head, head.seq + 1)

    def _check(self, files: list[Path], at: Head, start: int) -> Checked:
        records, torn = 0, 0
        for number, file in enumerate(files):
            first_line, offset = self._place(file, start) if number == 0 and start > 1 else (0, 0)
            found = chain.verify(_blocks(file, offset), at)
            records, at = records + found.records, found.head
            torn = torn_bytes(file)
            why, line = found.why, (found.first_bad or 0) + first_line
            if found.ok and torn and file != files[-1]:
                found, why, line = found._replace(ok=False), "the last line has no end", first_line + found.records + 1
            if not found.ok:
                return Checked(
                    ok=False, records=records, head=at, file=str(file), line=line, seq=found.bad_seq, why=why
                )
        return Checked(ok=True, records=records, head=at, torn_bytes=torn)

    def _has(self, head: Head) -> bool:
        """Whether the record is there, with others behind it that came since `head` was read."""
        found = self.newest(before=head.seq + 1, limit=1)
        return bool(found) and Head(found[0].seq, found[0].hash) == head

    def records(self, wanted: Filter | None = None, after: int = 0) -> Iterator[Record]:
        """Those that fit, oldest first, with numbers over `after`; lines that are no records are passed over."""
        wanted = wanted or Filter()
        needle = wanted.request_id.encode()
        for file in self.files():
            for block in _blocks(file):
                if needle and needle not in block:
                    continue
                yield from (one for one in _read(block.splitlines()) if one.seq > after and wanted.fits(one))

    def newest(self, wanted: Filter | None = None, before: int | None = None, limit: int = 100) -> list[Record]:
        """Those that fit, newest first, with numbers under `before`; at most `limit`."""
        wanted, found = wanted or Filter(), []
        for file in reversed(self.files()):
            for block in _blocks_from_end(file):
                for record in _read(reversed(block.splitlines())):
                    if (before is None or record.seq < before) and wanted.fits(record):
                        found.append(record)
                        if len(found) == limit:
                            return found
        return found

    def tail(self, count: int, wanted: Filter | None = None) -> list[Record]:
        """The last `count` that fit, oldest first."""
        return self.newest(wanted, limit=count)[::-1] if count else []

    def follow(self, after: int, wanted: Filter | None = None) -> Iterator[Record]:
        """Those with numbers over `after` as they come, for ever; goes on into new files. Blocks: not for the loop."""
        wanted = wanted or Filter()
        offset, inode = 0, -1
        while True:
            try:
                status = os.stat(self._path)
                if status.st_ino != inode:
                    for one in self.records(None, after):  # all files: none is missed when two rotations fall together
                        after = one.seq
                        if wanted.fits(one):
                            yield one
                    offset, inode = 0, status.st_ino
                if status.st_size < offset:
                    offset = 0
                for block in _blocks(self._path, offset):
                    offset += len(block)
                    for one in _read(block.splitlines()):
                        if one.seq > after:
                            after = one.seq
                            if wanted.fits(one):
                                yield one
            except FileNotFoundError:
                inode = -1  # not there yet, or renamed by a rotation between two looks: look at all files again
            time.sleep(FOLLOW_SECONDS)

    def _from(self, start: int) -> tuple[list[Path], Head]:
        """The files from the one with record `start` on, and the head before it (its own `prev`, taken on trust)."""
        files = self.files()
        for number, file in enumerate(files):
            for block in _blocks(file):
                for record in _read(block.splitlines()):
                    if record.seq >= start:
                        return files[number:], Head(start - 1, record.prev)
        return [], Head()

    @staticmethod
    def _place(file: Path, start: int) -> tuple[int, int]:
        """How many lines and bytes of a file stand before record `start`."""
        lines = offset = 0
        for block in _blocks(file):
            for line in block.split(b"\n")[:-1]:
                if any(one.seq >= start for one in _read([line])):
                    return lines, offset
                lines, offset = lines + 1, offset + len(line) + 1
        return lines, offset


def database_head(database: Path) -> Head | None:
    """The end of the chain as the state database knows it; None where there is none to read."""
    return look(database, head_of)


def torn_bytes(file: Path) -> int:
    """The length of a last line without end."""
    with file.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(size - 2 * chain.MAX_LINE, 0))
        return len(opened.read().rpartition(b"\n")[2])


def _blocks(file: Path, offset: int = 0) -> Iterator[bytes]:
    """The file in pieces of whole lines; what follows the last LF is left out."""
    with file.open("rb", buffering=0) as opened:
        opened.seek(offset)
        rest = b""
        while piece := opened.read(BLOCK):
            whole, lf, tail = piece.rpartition(b"\n")
            if lf:
                yield rest + whole + lf
                rest = tail
            else:
                rest += piece


def _blocks_from_end(file: Path) -> Iterator[bytes]:
    """The same pieces from the end of the file to its begin."""
    with file.open("rb", buffering=0) as opened:
        end = opened.seek(0, os.SEEK_END)
        rest = b""  # of the piece behind: the end of its first line's text
        while end > 0:
            start = max(end - BLOCK, 0)
            opened.seek(start)
            piece = opened.read(end - start) + rest
            end = start
            if start:
                rest, _, piece = piece.partition(b"\n")
                if not piece:
                    continue
                rest += b"\n"
            yield piece


def _read(lines: Iterable[bytes]) -> Iterator[Record]:
    for line in lines:
        try:
            yield chain.read(line)
        except ValueError:
            continue  # not a record: verify names it, readers go on
