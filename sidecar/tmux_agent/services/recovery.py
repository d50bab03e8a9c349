"""Bringing the database's chain head and the log file together again: at start, and when the file was disturbed.

Owns what each difference between the two means. Must not own: sealing new records, approvals. Nothing is ever
deleted but a torn last line; what was found goes into the database before the file is touched, and from there into
the next group of records, so that a crash in here tells it twice at worst.

The file may differ from the head in these ways, and only in these:
  behind the head is a torn line       the writer died while writing: cut off
  behind the head are whole records    of one group: it died, or could not take them back, before the commit: nobody was
                                       told and nothing was done; they stay in the chain and are named void
                                       of several: the database lost changes that it had (its WAL was damaged or
                                       removed); what they tell is brought back (aftermath.py)
  the last full file ends with the
  head                                 it died while rotating; the new file is all behind the head
  the head is not in the file          somebody cut or removed it: put back from the outbox where that reaches,
                                       else named as damage
  behind the head is something else    somebody wrote into it: named as damage, left as evidence
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..core import chain
from ..core.chain import Head, Record
from . import aftermath, store
from .audit_file import AuditFile, last_line, rotated
from .audit_log import AuditLog

Finding = dict[str, Any]
DAMAGED = "audit.damaged"
LOST = "lost"  # member of a finding that says what the state database has lost


class _Repair(NamedTuple):
    head: Head  # where the chain goes on
    findings: list[Finding]
    size: int  # where the file is cut
    put_back: bytes = b""
    void: Sequence[Record] = ()  # behind the head, of one group
    lost: Sequence[Record] = ()  # behind the head, of several
    known: bool = True  # nothing else can have been lost


def reconcile(db: sqlite3.Connection, file: AuditFile, why: str = "") -> None:
    """Open the file and make it and the head agree; `why` says what made the caller doubt (it becomes a finding).

    Raises OSError, sqlite3.Error: then nothing was lost and it can be tried again.
    """
    file.open()
    head = store.head(db)
    repair = _plan(db, file, head)
    findings = [_damage(why), *repair.findings] if why else repair.findings
    if findings or repair.head != head or not repair.known:
        db.execute("BEGIN IMMEDIATE")
        try:
            findings = findings + _brought_back(db, repair)
            known = store.findings(db)
            store.set_findings(db, known + [finding for finding in findings if finding not in known])
            store.set_head(db, repair.head)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
    if repair.size < file.size:
        file.cut(repair.size)
    if repair.put_back:
        file.append(repair.put_back)
        file.keep()


def _brought_back(db: sqlite3.Connection, repair: _Repair) -> list[Finding]:
    """Bring back what the records behind the head tell, and say what was lost."""
    aftermath.be_careful(db, repair.void)
    if not repair.lost and repair.known:
        return []
    loss = aftermath.bring_back(db, repair.lost)
    if not repair.known:
        aftermath.trust_nothing(db, loss)
    why = f"the state database had lost its last changes; records brought in: {loss.records}"
    if not repair.known:
        why = "the state database had lost changes, and the log does not tell them all: every permission is revoked"
    return [_recovered(why=why, **{LOST: True}, **loss.told())]


def _damage(why: str, **data: Any) -> Finding:
    return {"type": DAMAGED, "data": {"why": why, **data}}


def _recovered(**data: Any) -> Finding:
    return {"type": "sidecar.recovered", "data": data}


def _plan(db: sqlite3.Connection, file: AuditFile, head: Head) -> _Repair:
    whole = file.whole()
    torn = file.size - whole
    findings = [_recovered(torn_bytes=torn)] if torn else []
    if head == Head():
        return _new_database(file, whole, findings)
    end = file.end_of(head)
    if end is None and _last_of_older(file) == head:
        end = 0
        if not whole:
            findings.append(rotation(rotated(file.path)[-1].name, head))
    if end is None:
        return _fallen_behind(file, head, whole, findings) or _without_head(db, file, head, whole, findings)
    return _behind(file.tail(end)[: whole - end], head, whole, findings)


def _new_database(file: AuditFile, whole: int, findings: list[Finding]) -> _Repair:
    """The database has never committed a record; the log may be there already."""
    last = _last_in(file.path) or _last_of_older(file)
    if last is None and whole:
        return _Repair(Head(), [*findings, _damage("the log file holds something that is no record")], whole)
    if last is None:
        return _Repair(Head(), findings, whole)
    why = "the state database is new: it knows nothing of what the records before this one tell"
    return _Repair(last, [*findings, _recovered(why=why, continued=last.seq)], whole)


def _behind(extra: bytes, head: Head, whole: int, findings: list[Finding]) -> _Repair:
    """What the lines behind the head are, and where the chain goes on."""
    checked = chain.verify([extra], head)
    records = [chain.read(line) for line in extra.splitlines()[: checked.records]]
    if not checked.ok:
        findings = [*findings, _damage(f"foreign lines in the log: {checked.why}", after=checked.head.seq)]
    if len({record.timestamp for record in records}) > 1:  # a group has one time
        return _Repair(checked.head, findings, whole, lost=records, known=checked.ok)
    if records:
        findings = [_recovered(void=[head.seq + 1, checked.head.seq]), *findings]
    return _Repair(checked.head, findings, whole, void=records)


def _fallen_behind(file: AuditFile, head: Head, whole: int, findings: list[Finding]) -> _Repair | None:
    """Where the head is in an older file than the last, or in none, and the log goes on behind it."""
    last = _last_in(file.path) or _last_of_older(file)
    if last is None or last.seq <= head.seq:
        return None
    log = AuditLog(file.path)
    checked = log.verify_behind(head)
    lost = [one for one in log.records(after=head.seq) if one.seq <= checked.head.seq]
    return _Repair(last, findings, whole, lost=lost, known=checked.ok)


def _last_of_older(file: AuditFile) -> Head | None:
    older = rotated(file.path)
    return _last_in(older[-1]) if older else None


def _without_head(db: sqlite3.Connection, file: AuditFile, head: Head, whole: int, findings: list[Finding]) -> _Repair:
    """Neither the file nor the end of the one before has the head's record."""
    before = _last_in(file.path) or _last_of_older(file) or Head()
    lines = store.lines_after(db, before.seq) if before.seq < head.seq else []
    back = b"".join(line for _, line in lines)
    if lines and chain.verify([back], before)[:3] == (True, head.seq - before.seq, head):
        said = _recovered(put_back=[before.seq + 1, head.seq])
        cut = _damage("the end of the log had been cut off or removed; the database had it still")
        return _Repair(head, [*findings, cut, said], whole, back)
    missing = _damage("the last records that were written are no longer in the log", missing=[before.seq + 1, head.seq])
    return _Repair(head, [*findings, missing], whole)


def rotation(previous: str, head: Head) -> Finding:
    """The first record of a new file."""
    return {"type": "audit.rotated", "data": {"previous": previous, "seq": head.seq, "hash": head.hash}}


def _last_in(path: Path) -> Head | None:
    """The last whole line of a file, where it is a record."""
    try:
        record = chain.read(last_line(path))
    except ValueError:
        return None
    return Head(record.seq, record.hash)
