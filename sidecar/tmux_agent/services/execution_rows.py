"""Executions in persistent terminals, in the state database. SQL only; every function belongs on the journal's thread.

A row is written when an execution begins and again when it ends; while it runs, tmux keeps a mark as well
(executions.py), so that one of the two is always there.
"""

from __future__ import annotations

import sqlite3

from msgspec import Struct

KEEP = 1000  # executions; the oldest go
SESSIONS = 1000  # that are counted; those that were used longest ago go


class Row(Struct, frozen=True, kw_only=True):
    """One execution. Times are seconds since the epoch; `ended` is None while it runs, as far as is known."""

    id: str
    server: str
    server_pid: int
    pane: str
    pane_pid: int
    session: str
    command: str
    asked: str
    started: float
    ended: float | None = None
    status: str = "running"
    exit_code: int | None = None
    note: str = ""


class Use(Struct, frozen=True):
    """How often executions were typed into a session, and when last."""

    server: str
    server_pid: int
    session: str
    commands: int
    last: float


def put(db: sqlite3.Connection, row: Row) -> None:
    """The execution as it is now."""
    db.execute(
        "INSERT OR REPLACE INTO executions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (row.id, row.server, row.server_pid, row.pane, row.pane_pid, row.session, row.command, row.asked, row.started,
         row.ended, row.status, row.exit_code, row.note),
    )  # fmt: skip
    db.execute(
        "DELETE FROM executions WHERE id <= (SELECT id FROM executions ORDER BY id DESC LIMIT 1 OFFSET ?)", (KEEP,)
    )


def put_new(db: sqlite3.Connection, row: Row, session: tuple[str, int, str]) -> None:
    """An execution that begins, counted for its session (server, its pid, id)."""
    put(db, row)
    db.execute(
        "INSERT INTO terminal_uses VALUES (?, ?, ?, 1, ?) ON CONFLICT (server, server_pid, session)"
        " DO UPDATE SET commands = commands + 1, last = excluded.last",
        (*session, row.started),
    )
    db.execute(
        "DELETE FROM terminal_uses WHERE last <= (SELECT last FROM terminal_uses ORDER BY last DESC LIMIT 1 OFFSET ?)",
        (SESSIONS,),
    )


def asked(db: sqlite3.Connection) -> dict[str, str]:
    """The names that clients gave their requests → the executions that came of them."""
    return dict(db.execute("SELECT asked, id FROM executions WHERE asked != ''").fetchall())


def uses(db: sqlite3.Connection) -> list[Use]:
    rows = db.execute("SELECT server, server_pid, session, commands, last FROM terminal_uses").fetchall()
    return [Use(*row) for row in rows]


def one(db: sqlite3.Connection, id_: str) -> Row | None:
    found = db.execute("SELECT * FROM executions WHERE id = ?", (id_,)).fetchone()
    return None if found is None else _row(found)


def newest(db: sqlite3.Connection, limit: int) -> list[Row]:
    """The newest first."""
    found = db.execute("SELECT * FROM executions ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    return [_row(one) for one in found]


def put_changed(db: sqlite3.Connection, pid: int, started: int, what: str, at: float) -> None:
    """A shell in which something is run that lasts."""
    db.execute("INSERT OR REPLACE INTO changed_shells VALUES (?, ?, ?, ?)", (pid, started, what, at))


def changed(db: sqlite3.Connection) -> list[tuple[int, int, str, float]]:
    return db.execute("SELECT pid, started, what, at FROM changed_shells").fetchall()


def forget_changed(db: sqlite3.Connection, names: list[tuple[int, int]]) -> None:
    db.executemany("DELETE FROM changed_shells WHERE pid = ? AND started = ?", names)


def _row(values: tuple) -> Row:  # type: ignore[type-arg]
    return Row(**dict(zip(Row.__struct_fields__, values, strict=True)))
