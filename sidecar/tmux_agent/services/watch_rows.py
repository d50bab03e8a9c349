"""What was seen of watched panes, in the state database. SQL only; every function belongs on the journal's thread."""

from __future__ import annotations

import sqlite3

import msgspec

from ..core.pipeline_run import Place

KEEP = 2000  # panes; the longest ago go


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
