"""Pipelines' runs in the state database. SQL only; every function belongs on the journal's thread.

docs/state.md promises the view `stage_history`: one row for each try of a stage.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime

import msgspec

from ..core.pipeline_run import Place, Run, StageState

KEEP = 1000  # runs that have ended; the oldest go


def open_runs(db: sqlite3.Connection) -> list[Run]:
    """Those that have not ended, oldest first."""
    rows = db.execute("SELECT body FROM pipeline_runs WHERE state = 'running' ORDER BY run_id").fetchall()
    return [_decode(body) for (body,) in rows]


def run(db: sqlite3.Connection, run_id: str) -> Run | None:
    row = db.execute("SELECT body FROM pipeline_runs WHERE run_id = ?", (run_id,)).fetchone()
    return None if row is None else _decode(row[0])


def newest(db: sqlite3.Connection, limit: int, pipeline: str = "", before: str = "") -> list[Run]:
    """The newest runs, of one pipeline, with ids before `before`."""
    rows = db.execute(
        "SELECT body FROM pipeline_runs WHERE (? = '' OR pipeline = ?) AND (? = '' OR run_id < ?)"
        " ORDER BY run_id DESC LIMIT ?",
        (pipeline, pipeline, before, before, limit),
    ).fetchall()
    return [_decode(body) for (body,) in rows]


def has_run(db: sqlite3.Connection, pipeline: str, place: Place) -> bool:
    """Whether a pipeline has begun in a pane before."""
    found = db.execute(
        "SELECT 1 FROM pipeline_runs WHERE pipeline = ?"
        " AND server = ? AND server_pid = ? AND pane = ? AND pane_pid = ?",
        (pipeline, place.server, place.server_pid, place.pane, place.pane_pid),
    ).fetchone()
    return found is not None


def put(db: sqlite3.Connection, one: Run, before: Run | None = None) -> None:
    """The run as it is now, and a row for the newest try of each of its stages that is another than `before`."""
    place = one.place
    where = (place.server, place.server_pid, place.pane, place.pane_pid) if place else (None, None, None, None)
    db.execute(
        "INSERT INTO pipeline_runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id) DO UPDATE SET"
        " state = excluded.state, ended_at = excluded.ended_at, note = excluded.note, body = excluded.body",
        (one.run_id, one.spec.name, one.state.value, *where, _time(one.created), _time(one.ended), one.note,
         msgspec.json.encode(one)),
    )  # fmt: skip
    begun = [(one.run_id, stage.name) for stage in one.stages if stage.attempt]  # before, it waited for approval
    db.executemany("DELETE FROM pipeline_stages WHERE run_id = ? AND stage = ? AND attempt = 0", begun)
    db.executemany(
        "INSERT OR REPLACE INTO pipeline_stages VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (one.run_id, stage.name, stage.attempt, stage.state.value, _time(stage.started), _time(stage.ended),
             stage.reason)
            for at, stage in enumerate(one.stages)
            if stage.state is not StageState.WAITING and (before is None or stage != before.stages[at])
        ],
    )  # fmt: skip


def begin(db: sqlite3.Connection, one: Run) -> None:
    """A new run; the oldest that has ended makes room."""
    put(db, one)
    db.execute(
        "DELETE FROM pipeline_runs WHERE state <> 'running' AND run_id <="
        " (SELECT run_id FROM pipeline_runs WHERE state <> 'running' ORDER BY run_id DESC LIMIT 1 OFFSET ?)",
        (KEEP,),
    )


def _decode(body: bytes) -> Run:
    return msgspec.json.decode(body, type=Run)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
