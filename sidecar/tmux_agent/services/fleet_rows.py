"""Agents of the fleet in the state database. SQL only; every function belongs on the journal's thread."""

from __future__ import annotations

import sqlite3

import msgspec

from ..core.fleet import FleetAgent

KEEP = 500  # that are finished; the oldest go


def every(db: sqlite3.Connection) -> list[FleetAgent]:
    """Oldest first."""
    rows = db.execute("SELECT body FROM fleet_agents ORDER BY fleet_id").fetchall()
    return [msgspec.json.decode(body, type=FleetAgent) for (body,) in rows]


def put(db: sqlite3.Connection, one: FleetAgent) -> None:
    """The row of that name as it is now; of a name that is used again, only the last is kept."""
    db.execute(
        "INSERT OR REPLACE INTO fleet_agents VALUES (?, ?, ?, ?)",
        (one.name, one.fleet_id, one.state.value, msgspec.json.encode(one)),
    )
    db.execute(
        "DELETE FROM fleet_agents WHERE state = 'finished' AND fleet_id <="
        " (SELECT fleet_id FROM fleet_agents WHERE state = 'finished' ORDER BY fleet_id DESC LIMIT 1 OFFSET ?)",
        (KEEP,),
    )


def drop(db: sqlite3.Connection, one: FleetAgent) -> None:
    db.execute("DELETE FROM fleet_agents WHERE name = ? AND fleet_id = ?", (one.name, one.fleet_id))
