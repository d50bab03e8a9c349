"""The queue in the state database. SQL only; every function belongs on the journal's thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from ..core.queue_task import Queue, Task


def load(db: sqlite3.Connection) -> Queue:
    """All that is kept, oldest first."""
    rows = db.execute("SELECT body FROM queue_tasks ORDER BY task_id").fetchall()
    tasks = [msgspec.json.decode(body, type=Task) for (body,) in rows]
    paused = db.execute("SELECT 1 FROM queue_paused").fetchone() is not None
    return Queue({one.task_id: one for one in tasks}, paused)


def task(db: sqlite3.Connection, task_id: str) -> Task | None:
    row = db.execute("SELECT body FROM queue_tasks WHERE task_id = ?", (task_id,)).fetchone()
    return None if row is None else msgspec.json.decode(row[0], type=Task)


def pause(db: sqlite3.Connection) -> None:
    """Nothing begins any more."""
    db.execute("INSERT OR IGNORE INTO queue_paused VALUES (1)")


def put(db: sqlite3.Connection, changed: Iterable[Task], dropped: Iterable[str], *, paused: bool) -> None:
    """The tasks that have changed as they are now, without those that are dropped."""
    db.executemany(
        "INSERT OR REPLACE INTO queue_tasks VALUES (?, ?, ?, ?)",
        [(one.task_id, one.name, one.state.value, msgspec.json.encode(one)) for one in changed],
    )
    db.executemany("DELETE FROM queue_tasks WHERE task_id = ?", [(task_id,) for task_id in dropped])
    db.execute("DELETE FROM queue_paused")
    if paused:
        pause(db)
