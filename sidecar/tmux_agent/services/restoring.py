"""A state database that is damaged or gone: the newest sound backup in its place, and what was lost, said.

Owns the order of these steps. Killed between any two of them, the next start does them again:

    1  the backup is copied to `state.db.restored` (none is sound: an empty one is made)
    2  what the audit log tells of since is brought into the copy (aftermath.py), and the finding that says so
    3  the damaged file and its side files are renamed to `state.db.damaged-…`, never deleted before DAMAGED newer ones
    4  the copy is renamed to `state.db`

So there is no instant in which a database without step 2 has the name `state.db`: a grant that was revoked after the
backup does not come back to life. Must not own: backups (state_backups.py), what records mean (aftermath.py). For the
journal's writer thread, and for the command line while no sidecar runs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

from ..core import chain, display
from ..core.chain import Head
from ..core.errors import Unavailable
from . import aftermath, state_backups, store
from .audit_file import last_line, rotated
from .audit_log import AuditLog
from .recovery import LOST
from .schema import Damaged, open_database
from .state_backups import Backup

DAMAGED = 5  # files that were set aside are kept; of more the oldest go, so that a bad disk does not fill itself
RECORDS = 100_000  # at the end of the log that an empty database is told of
SIDE_FILES = ("", "-wal", "-shm", "-journal")


def open_or_restore(database: Path, audit: Path, now: datetime) -> sqlite3.Connection:
    """The database, for the calling thread only; where it is damaged or gone, after another was put in its place.

    Raises Unavailable where it cannot be opened, nor another be put in its place; then it was not touched.
    """
    why = _gone(database, audit)
    if not why:
        db = None
        try:
            db = open_database(database)
            if wrong := store.check_rows(db):
                raise Damaged(wrong)
            return db
        except Damaged as error:
            why = f"the state database was damaged ({display.safe(str(error))[:200]})"
            if db is not None:
                db.close()
    restore(database, audit, now, why)
    return open_database(database)


def restore(database: Path, audit: Path, now: datetime, why: str, backup: Backup | None = None) -> str:
    """Put `backup` (else the newest sound one, else an empty one) in the place of the database.

    Gives what was done and lost in one sentence; the next start records it. Raises Unavailable: nothing was changed.
    """
    backup = backup or state_backups.newest_sound(database)
    fresh = database.with_name(f"{database.name}.restored")
    try:
        _remove(fresh)
        if backup is not None:
            shutil.copyfile(backup.path, fresh)
            fresh.chmod(0o600)
        aside = database.with_name(f"{database.name}.damaged-{now.strftime(state_backups.STAMP)}")
        place = {"set_aside": str(aside)} if database.exists() else {}
        said = _brought_up(fresh, AuditLog(audit), why, backup, place)
        _swap(database, fresh, aside)
        return said
    except (OSError, sqlite3.Error, Damaged) as error:
        raise Unavailable(f"{why}, and no other could be put in its place: {error}") from error
    finally:
        _remove(fresh)


def _gone(database: Path, audit: Path) -> str:
    """Why there must have been a database that is not there any more; "" where there is one, or never was."""
    try:
        if database.stat().st_size:
            return ""
        what = "was empty"
    except FileNotFoundError:
        what = "was gone"
    known = state_backups.listed(database) or rotated(audit) or (audit.is_file() and audit.stat().st_size)
    return f"the state database {what}" if known else ""


def _brought_up(fresh: Path, log: AuditLog, why: str, backup: Backup | None, place: dict[str, Any]) -> str:
    """Tell the copy of all that came since, and leave word of it for the next start; in words."""
    with contextlib.closing(open_database(fresh)) as db:
        head = store.head(db)
        after, last, end, known = _lost_time(log, head if backup else None)
        records = (one for one in log.records(after=after) if one.seq <= last) if last > after else ()
        db.execute("BEGIN IMMEDIATE")
        loss = aftermath.bring_back(db, records)
        if not known:
            aftermath.trust_nothing(db, loss)
        if end.seq > head.seq:
            store.set_head(db, end)
        said = f"{why}; {_instead(backup)}{_since(loss, known)}"
        data = {"why": said, LOST: True, **place, "backup": backup.name if backup else ""}
        finding = {"type": "sidecar.recovered", "data": data | {"continued": end.seq} | loss.told()}
        store.set_findings(db, [finding, *store.findings(db)])
        db.execute("COMMIT")
    if (left := fresh.with_name(f"{fresh.name}-wal")).exists():
        raise Unavailable(f"{left} is in use: end what has {fresh} open")
    with open(fresh, "rb") as written:
        os.fsync(written.fileno())
    return said


def _lost_time(log: AuditLog, head: Head | None) -> tuple[int, int, Head, bool]:
    """Behind which record, up to which one the log tells what is lost; where it ends; and whether that is all.

    `head` is the last record that the copy knows; None: it knows nothing, and only the end of the log is told.
    """
    try:
        end = _end(log)
        if head is None:
            return max(end.seq - RECORDS, 0), end.seq, end, True
        behind = log.verify_behind(head)
        return head.seq, behind.head.seq, end, behind.ok
    except OSError:
        return 0, 0, Head(), False  # it cannot be read: the ledger says that, too


def _instead(backup: Backup | None) -> str:
    if backup is None:
        return "there was no sound backup, so a new one was begun: permissions and plans are lost"
    return f"the backup of {backup.made:%Y-%m-%d %H:%M} UTC is used"


def _since(loss: aftermath.Loss, known: bool) -> str:
    if not known:
        return "; the audit log does not tell what came since, so every permission is revoked"
    parts = [f"records brought in that came since: {loss.records}" if loss.records else "nothing came since"]
    if loss.grants_lost:
        parts.append(f"permissions lost that were given since: {len(loss.grants_lost)}")
    if loss.unknown:
        parts.append(f"requests unknown: {len(loss.unknown)} (`tmux-agent audit tail --type approval.unknown`)")
    if loss.pipelines:
        parts.append(f"pipelines stopped that were under way: {len(loss.pipelines)}")
    return "; " + ", ".join(parts)


def _end(log: AuditLog) -> Head:
    """The last record of the log, whatever stands before it: the chain goes on there."""
    for file in reversed(log.files()):
        with contextlib.suppress(ValueError):
            record = chain.read(last_line(file))
            return Head(record.seq, record.hash)
    return Head()


def _swap(database: Path, fresh: Path, aside: Path) -> None:
    for suffix in SIDE_FILES:
        source = database.with_name(database.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    fresh.rename(database)
    folder = os.open(database.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    kept = sorted({one.name[:-4] if one.name.endswith(("-wal", "-shm")) else one.name for one in set_aside(database)})
    for name in kept[:-DAMAGED]:
        _remove(database.with_name(name))


def set_aside(database: Path) -> list[Path]:
    """The files that were put aside, with their side files, oldest first."""
    return sorted(database.parent.glob(f"{database.name}.damaged-*"))


def _remove(path: Path) -> None:
    for suffix in SIDE_FILES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
