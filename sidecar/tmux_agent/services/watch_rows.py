"""What was seen of watched panes, in the state database. SQL only; every function belongs on the journal's thread."""

from __future__ import annotations

import sqlite3

import msgspec

from ..core.pipeline_run import Place

KEEP = 2000  # panes; the longest ago go
EMITTED = 20_000  # ids of markers that came over the socket


def all_seen(db: sqlite3.Connection) -> dict[Place, tuple[bytes, ...]]:
    """The markers that each pane showed or printed last, in order."""
    rows = db.execute("SELECT server, server_pid, pane, pane_pid, body FROM watched_panes").fetchall()
    return {
        Place(server=server, server_pid=server_pid, pane=pane, pane_pid=pane_pid): tuple(
            msgspec.json.decode(body, type=tuple[bytes, ...])
        )
        for server, server_pid, pane, pane_pid, body in rows
    }


def put_seen(db: sqlite3.Connection, place: Place, seen: tuple[bytes, ...]) -> None:
    key = (place.server, place.server_pid, place.pane, place.pane_pid)
    db.execute("INSERT OR REPLACE INTO watched_panes VALUES (?, ?, ?, ?, ?)", (*key, msgspec.json.encode(seen)))
    db.execute(
        "DELETE FROM watched_panes WHERE rowid <= (SELECT max(rowid) FROM watched_panes) - ?", (KEEP,)
    )


def named(db: sqlite3.Connection) -> set[Place]:
    """The panes that somebody named."""
    rows = db.execute("SELECT server, server_pid, pane, pane_pid FROM watch_requests").fetchall()
    return {
        Place(server=server, server_pid=server_pid, pane=pane, pane_pid=pane_pid)
        for server, server_pid, pane, pane_pid in rows
    }


def put_named(db: sqlite3.Connection, place: Place, *, on: bool) -> None:
    key = (place.server, place.server_pid, place.pane, place.pane_pid)
    db.execute("DELETE FROM watch_requests WHERE server = ? AND server_pid = ? AND pane = ? AND pane_pid = ?", key)
    if on:
        db.execute("INSERT INTO watch_requests VALUES (?, ?, ?, ?)", key)


def has_come(db: sqlite3.Connection, name: str) -> bool:
    """Whether a marker of this name (whose it is, and its id) has come."""
    return db.execute("SELECT 1 FROM emitted WHERE id = ?", (name,)).fetchone() is not None


def note_marker(db: sqlite3.Connection, name: str) -> bool:
    """Whether a marker of this name comes for the first time; from now on it has come."""
    added = db.execute("INSERT OR IGNORE INTO emitted (id) VALUES (?)", (name,)).rowcount == 1
    db.execute("DELETE FROM emitted WHERE rowid <= (SELECT max(rowid) FROM emitted) - ?", (EMITTED,))
    return added
