"""SQL of the state database: the log's lines, approvals, grants, plans, agents, and what else has no module of its own.

Every function takes the connection and belongs on the journal's writer thread.

Owns what a row means and how a value becomes one: the whole value as JSON in `body`, beside it only the columns that
are searched or compared. Must not own: transactions (journal.py), schema (schema.py), when anything is written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from ..core.chain import Head
from ..core.errors import Conflict, NotFound
from ..core.model import Approval, ApprovalState, Event, Grant, Outcome, Plan, digest

T = TypeVar("T")
Connection = sqlite3.Connection

# --- meta and outbox -------------------------------------------------------------------------------


def head(db: Connection) -> Head:
    """The end of the audit chain, as far as it counts."""
    found = _meta(db, "head")
    return Head() if found is None else Head(*json.loads(found))


def set_head(db: Connection, to: Head) -> None:
    _set_meta(db, "head", json.dumps(to))


def findings(db: Connection) -> list[dict[str, Any]]:
    """What recovery found and no record tells of yet: {"type", "data"} each."""
    found: list[dict[str, Any]] = json.loads(_meta(db, "findings") or "[]")
    return found


def set_findings(db: Connection, to: list[dict[str, Any]]) -> None:
    _set_meta(db, "findings", json.dumps(to))


def wraps(db: Connection, kind: type[T]) -> list[T]:
    """Agents that were wrapped."""
    return msgspec.json.decode(_meta(db, "wraps") or "[]", type=list[kind])  # type: ignore[valid-type]


def put_wraps(db: Connection, wraps: tuple[msgspec.Struct, ...]) -> None:
    _set_meta(db, "wraps", msgspec.json.encode(wraps).decode())


def _meta(db: Connection, name: str) -> str | None:
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def _set_meta(db: Connection, name: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def add_lines(db: Connection, lines: list[tuple[int, bytes]], keep: int) -> None:
    """Add sealed lines with their numbers; of all, only the `keep` newest stay."""
    db.executemany("INSERT INTO outbox VALUES (?, ?)", lines)
    db.execute("DELETE FROM outbox WHERE seq <= ?", (lines[-1][0] - keep,))


def lines_after(db: Connection, seq: int) -> list[tuple[int, bytes]]:
    """The kept lines with a number over `seq`, in order."""
    return db.execute("SELECT seq, line FROM outbox WHERE seq > ? ORDER BY seq", (seq,)).fetchall()


# --- approvals -------------------------------------------------------------------------------------


def add_approval(db: Connection, approval: Approval) -> None:
    """Raises Conflict where the id exists, or the key of something that we run or ask: it must not be done twice."""
    once = None if approval.kind == "hook" else approval.hook_key
    try:
        db.execute(
            "INSERT INTO approvals VALUES (?, ?, ?, ?, ?, ?, NULL)",
            (approval.request_id, approval.state.value, approval.phase, approval.digest, once, _encode(approval)),
        )
    except sqlite3.IntegrityError as error:
        raise Conflict(f"request {approval.request_id} was made already, under this id or this key") from error


def keep_approval(db: Connection, approval: Approval, outcome: Outcome | None = None) -> None:
    """Put a row in place, whatever it was before: for what the audit log knows better (aftermath.py)."""
    once = None if approval.kind == "hook" else approval.hook_key
    db.execute(
        "INSERT OR REPLACE INTO approvals VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            approval.request_id, approval.state.value, approval.phase, approval.digest, once, _encode(approval),
            None if outcome is None else _encode(outcome),
        ),
    )  # fmt: skip


def approval(db: Connection, request_id: str) -> Approval:
    """Raises NotFound."""
    row = db.execute("SELECT body FROM approvals WHERE request_id = ?", (request_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no request {request_id} (settled ones are kept for a while only)")
    return _decode(row[0], Approval)


def approval_once(db: Connection, key: str) -> Approval | None:
    """What was run or asked under this key, as long as it is kept; never a hook's, whose key comes again."""
    row = db.execute("SELECT body FROM approvals WHERE once = ?", (key,)).fetchone()
    return _decode(row[0], Approval) if row else None


def swap_approval(
    db: Connection, new: Approval, *, state: ApprovalState, digest: str, phase: str = ""
) -> bool:
    """Replace the row only if it still has this state, digest and phase; whether it was."""
    done = db.execute(
        "UPDATE approvals SET state = ?, phase = ?, digest = ?, body = ?"
        " WHERE request_id = ? AND state = ? AND digest = ? AND phase = ?",
        (new.state.value, new.phase, new.digest, _encode(new), new.request_id, state.value, digest, phase),
    )
    return done.rowcount == 1


def open_approvals(db: Connection) -> list[Approval]:
    """All that wait or run, oldest first."""
    rows = db.execute(
        "SELECT body FROM approvals WHERE state = 'pending' OR phase = 'running' ORDER BY request_id"
    )
    return [_decode(row[0], Approval) for row in rows]


def last_settled(db: Connection, limit: int) -> list[Approval]:
    """The newest `limit` that neither wait nor run, oldest first."""
    rows = db.execute(
        "SELECT body FROM approvals WHERE state <> 'pending' AND phase <> 'running'"
        " ORDER BY request_id DESC LIMIT ?",
        (limit,),
    ).fetchall()
    return [_decode(row[0], Approval) for row in reversed(rows)]


def startable(db: Connection) -> list[Approval]:
    """What was approved and is run as soon as its asker comes back, oldest first."""
    rows = db.execute("SELECT body FROM approvals WHERE state = 'approved' AND phase = '' ORDER BY request_id")
    return [one for row in rows if (one := _decode(row[0], Approval)).kind == "run"]


def forget_settled(db: Connection, keep: int) -> None:
    """Delete all but the newest `keep` of those that neither wait nor run (the audit log has them all)."""
    db.execute(
        "DELETE FROM approvals WHERE state <> 'pending' AND phase <> 'running' AND request_id <= (SELECT"
        " request_id FROM approvals WHERE state <> 'pending' AND phase <> 'running'"
        " ORDER BY request_id DESC LIMIT 1 OFFSET ?)",
        (keep,),
    )


def set_outcome(db: Connection, request_id: str, outcome: Outcome) -> None:
    db.execute("UPDATE approvals SET outcome = ? WHERE request_id = ?", (_encode(outcome), request_id))


def outcome(db: Connection, request_id: str) -> Outcome | None:
    """What came of it; None where it was not run, or has not ended, or is forgotten."""
    row = db.execute("SELECT outcome FROM approvals WHERE request_id = ?", (request_id,)).fetchone()
    return None if row is None or row[0] is None else _decode(row[0], Outcome)


# --- runs ------------------------------------------------------------------------------------------


def add_run(db: Connection, started: Event) -> None:
    db.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (started.request_id, _encode(started)))


def end_run(db: Connection, request_id: str) -> None:
    db.execute("DELETE FROM runs WHERE request_id = ?", (request_id,))


def runs(db: Connection) -> list[Event]:
    """The action.started of all that have not ended, oldest first."""
    return [_decode(row[0], Event) for row in db.execute("SELECT body FROM runs ORDER BY request_id")]


# --- grants ----------------------------------------------------------------------------------------


def add_grant(db: Connection, grant: Grant) -> None:
    db.execute("INSERT INTO grants VALUES (?, ?, 0, ?)", (grant.id, grant.uses_left, _encode(grant)))


def grants(db: Connection) -> list[Grant]:
    """All that were not revoked, oldest first."""
    rows = db.execute("SELECT body, uses_left FROM grants WHERE revoked = 0 ORDER BY id")
    return [msgspec.structs.replace(_decode(body, Grant), uses_left=uses) for body, uses in rows]


def use_grant(db: Connection, grant_id: str) -> None:
    """Count one use. Raises Conflict where none is left or it was revoked."""
    done = db.execute(
        "UPDATE grants SET uses_left = uses_left - 1 WHERE id = ? AND revoked = 0"
        " AND (uses_left IS NULL OR uses_left > 0)",
        (grant_id,),
    )
    if done.rowcount != 1:
        raise Conflict(f"grant {grant_id} was revoked or is used up")


def revoke_grant(db: Connection, grant_id: str) -> None:
    """Raises NotFound where there is none in force."""
    done = db.execute("UPDATE grants SET revoked = 1 WHERE id = ? AND revoked = 0", (grant_id,))
    if done.rowcount != 1:
        raise NotFound(f"there is no grant {grant_id} in force")


def lower_grant(db: Connection, grant_id: str) -> None:
    """Count one use, as far as it is there and has some left."""
    db.execute("UPDATE grants SET uses_left = max(uses_left - 1, 0) WHERE id = ?", (grant_id,))


def end_grants(db: Connection, grant_id: str | None = None) -> int:
    """Revoke this one, or all; how many were in force."""
    where = "revoked = 0" if grant_id is None else "revoked = 0 AND id = :id"
    return db.execute(f"UPDATE grants SET revoked = 1 WHERE {where}", {"id": grant_id}).rowcount  # noqa: S608


# --- links ---------------------------------------------------------------------------------------------


def use_link(db: Connection, nonce: str, expires: int, now: int) -> None:
    """Use a link up; those that have expired are forgotten. Raises Conflict where it was used before."""
    db.execute("DELETE FROM links WHERE expires < ?", (now,))
    try:
        db.execute("INSERT INTO links VALUES (?, ?)", (nonce, expires))
    except sqlite3.IntegrityError as error:
        raise Conflict("this link was used already") from error


# --- plans -----------------------------------------------------------------------------------------


def put_plan(db: Connection, plan: Plan) -> None:
    db.execute("INSERT OR REPLACE INTO plans VALUES (?, ?)", (plan.plan_id, _encode(plan)))


def delete_plan(db: Connection, plan_id: str) -> None:
    db.execute("DELETE FROM plans WHERE plan_id = ?", (plan_id,))


def plans(db: Connection) -> list[Plan]:
    """All, oldest first."""
    return [_decode(row[0], Plan) for row in db.execute("SELECT body FROM plans ORDER BY plan_id")]


# --- is it sound -----------------------------------------------------------------------------------


def check_rows(db: Connection) -> str:
    """What is wrong with the rows that everything rests on ("" for nothing): a file can be sound, and its rows not."""
    try:
        for one in open_approvals(db):
            if one.state is ApprovalState.PENDING and digest(one.action) != one.digest:
                return f"request {one.request_id} is not what its digest says"
        for read in (head, findings, runs, grants, plans):
            read(db)
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        return f"a row cannot be read: {error}"
    return ""


# --- agents ----------------------------------------------------------------------------------------


def put_agents(db: Connection, rows: Mapping[str, Any]) -> None:
    """What is kept of each session; None: nothing any more."""
    db.executemany("DELETE FROM agents WHERE session = ?", [(session,) for session in rows])
    kept = [(session, _encode(row)) for session, row in rows.items() if row is not None]
    db.executemany("INSERT INTO agents VALUES (?, ?)", kept)


def agents(db: Connection, kind: type[T]) -> dict[str, T | None]:
    """All rows by session; None where one does not fit (an older version wrote it)."""
    return {session: _fitting(body, kind) for session, body in db.execute("SELECT session, body FROM agents")}


# --- usage limits ----------------------------------------------------------------------------------


def put_limits(db: Connection, rows: Mapping[str, Any]) -> None:
    """What is kept of each session's limit; None: nothing any more."""
    db.executemany("DELETE FROM limits WHERE session = ?", [(session,) for session in rows])
    kept = [(session, _encode(row)) for session, row in rows.items() if row is not None]
    db.executemany("INSERT INTO limits VALUES (?, ?)", kept)


def limits(db: Connection, kind: type[T]) -> dict[str, T | None]:
    """All rows by session; None where one does not fit (an older version wrote it)."""
    return {session: _fitting(body, kind) for session, body in db.execute("SELECT session, body FROM limits")}


# --- deliveries ------------------------------------------------------------------------------------


def add_delivery(db: Connection, hook: str, delivery: str, received: float, body: bytes, keep: int) -> None:
    """Raises Conflict where this one was delivered before. Of each hook only the `keep` newest stay."""
    try:
        db.execute(
            "INSERT INTO deliveries (hook, id, received, body) VALUES (?, ?, ?, ?)", (hook, delivery, received, body)
        )
    except sqlite3.IntegrityError as error:
        raise Conflict(f"delivery {delivery} came before") from error
    db.execute(
        "DELETE FROM deliveries WHERE hook = ? AND number <= (SELECT number FROM deliveries WHERE hook = ?"
        " ORDER BY number DESC LIMIT 1 OFFSET ?)",
        (hook, hook, keep),
    )


def deliveries(db: Connection, hook: str, since: float) -> list[bytes]:
    """The bodies that came at or after a time (seconds since the epoch), newest first."""
    rows = db.execute(
        "SELECT body FROM deliveries WHERE hook = ? AND received >= ? ORDER BY number DESC", (hook, since)
    )
    return [row[0] for row in rows]


# --- values as JSON --------------------------------------------------------------------------------


def _encode(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a path that is not UTF-8, surrogate-escaped: only \u escapes can carry it
        return json.dumps(msgspec.to_builtins(value, str_keys=True)).encode()


def _fitting(body: bytes, kind: type[T]) -> T | None:
    try:
        return _decode(body, kind)
    except (msgspec.MsgspecError, ValueError):
        return None


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError:
        return msgspec.convert(json.loads(body), kind)
