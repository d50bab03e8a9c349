"""Copies of the state database: made while it is in use, checked before they count, few, and within a bound.

Owns the folder `state-backups` beside the database. A copy is a whole SQLite file named by when it was made and the
last record that it knows, `20261120T103000Z-000000001234.db`, so that names sort by age; one being made ends in `.new`.
Must not own: when one is made (backup_times.py), what it is used for (restoring.py). Every function blocks: for threads
and the command line.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from ..core import chain
from ..core.chain import Head
from ..core.errors import Conflict, Unavailable
from . import store
from .places import ready_folder
from .schema import Damaged, check_file, damage_in, read_only

STAMP = "%Y%m%dT%H%M%SZ"
KEEP, ROOM = 8, 256 << 20

_NAME = re.compile(r"(\d{8}T\d{6}Z)-(\d{12})\.db")


class Backup(Struct, frozen=True, kw_only=True):
    """One copy that is whole and sound. `size` in bytes; `head` is the last record that it knows."""

    path: Path
    made: datetime
    size: int
    head: Head

    @property
    def name(self) -> str:
        return self.path.name


def folder_of(database: Path) -> Path:
    """Where the copies of a database are."""
    return database.with_name("state-backups")


def listed(database: Path) -> list[Path]:
    """The copies there are, newest first; whether they are sound, `check` says."""
    try:
        found = [one for one in folder_of(database).iterdir() if _NAME.fullmatch(one.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(found, key=lambda one: one.name, reverse=True)


def made_at(path: Path) -> datetime:
    """When a listed copy was made."""
    return datetime.strptime(path.name.partition("-")[0], STAMP).replace(tzinfo=UTC)


def known_head(path: Path) -> int:
    """Number of the last record that a listed copy knows."""
    return int(path.stem.partition("-")[2])


def make(database: Path, now: datetime, keep: int = KEEP, room: int = ROOM) -> Backup:
    """Copy the database as it is now, check the copy, and let the oldest go that are over `keep` or `room` bytes.

    Raises Damaged (it cannot be copied, or the copy is not sound, as then the database is not), Conflict (another is
    being made), Unavailable (no space, nothing to copy): then there is no new copy, and none is gone.
    """
    folder = folder_of(database)
    ready_folder(folder)
    with _alone(folder):
        fresh = folder / f"{now.strftime(STAMP)}.new"
        try:
            _copy(database, fresh, room)
            with open(fresh, "rb") as written:
                os.fsync(written.fileno())
            checked = check(fresh)
            final = folder / f"{now.strftime(STAMP)}-{checked.head.seq:012}.db"
            fresh.rename(final)
            _sync(folder)
        except OSError as error:
            raise Unavailable(f"no backup could be made in {folder}: {error.strerror}") from error
        finally:
            fresh.unlink(missing_ok=True)
        _prune(database, keep, room)
        return Backup(path=final, made=now.replace(microsecond=0), size=checked.size, head=checked.head)


def check(path: Path) -> Backup:
    """A copy that is sound: as a file, in its rows, and its chain head is its last record. Raises Damaged."""
    try:
        with contextlib.closing(read_only(path, still=True)) as db:
            check_file(db)
            if wrong := store.check_rows(db) or _wrong_head(db):
                raise Damaged(wrong)
            head = store.head(db)
        made = made_at(path) if _NAME.fullmatch(path.name) else datetime.now(UTC)
        return Backup(path=path, made=made, size=path.stat().st_size, head=head)
    except (sqlite3.Error, OSError) as error:
        raise Damaged(str(error)) from error


def wrong_with(database: Path) -> str:
    """What is wrong with the database itself, which may be in use; "" for nothing."""
    if not database.exists():
        return "there is none"
    try:
        with contextlib.closing(read_only(database)) as db:
            check_file(db)
            return store.check_rows(db)
    except (sqlite3.Error, Damaged) as error:
        return str(error)


def newest_sound(database: Path) -> Backup | None:
    """The newest copy that is sound; None where there is none."""
    for path in listed(database):
        with contextlib.suppress(Damaged):
            return check(path)
    return None


def _copy(database: Path, fresh: Path, room: int) -> None:
    """From a connection of its own, as of one instant; whoever writes is not kept waiting."""
    if not database.exists():
        raise Unavailable(f"there is no state database at {database}: start the sidecar once")
    if database.stat().st_size > room:
        raise Unavailable(f"{database} is larger than all its backups may be ({room} bytes): raise state.backups_bytes")
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with contextlib.closing(read_only(database)) as db:
            db.execute("VACUUM INTO ?", (str(fresh),))
    except sqlite3.Error as error:
        if damage_in(error):
            raise Damaged(str(error)) from error
        raise Unavailable(f"no backup could be made in {fresh.parent}: {error}") from error


def _wrong_head(db: sqlite3.Connection) -> str:
    """Whether the chain head is the last record that is kept beside it; "" where it is."""
    head = store.head(db)
    kept = store.lines_after(db, head.seq - 1)
    if head == Head() or not kept:
        return ""  # no record yet, or void ones only since the last one
    (seq, line), *more = kept
    before = Head(seq - 1, chain.read(line).prev) if not more else head
    return "" if chain.verify([line], before).head == head else "its chain head is not its last record"


def _prune(database: Path, keep: int, room: int) -> None:
    total = 0
    for number, path in enumerate(listed(database)):
        total += path.stat().st_size
        if number and (number >= keep or total > room):
            path.unlink()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One at a time, whichever process; what a killed one left is removed. Raises Conflict, Unavailable."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"{folder} cannot be opened: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("another backup is being made: wait for it") from None
        for left in folder.glob("*.new*"):
            left.unlink()
        yield
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
