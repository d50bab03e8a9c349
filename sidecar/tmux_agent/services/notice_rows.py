"""The queue of messages in the state database: SQL of the table `notices`. On the journal's writer thread, as store.py.

Owns what a row means. Must not own: when something is sent (notify.py, notify_lane.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from ..core.message import Message

Connection = sqlite3.Connection
KEPT = 2000  # rows that no longer wait


class Row(Struct, kw_only=True):
    """One message on its way to one channel. Times are seconds since 1970."""

    channel: str
    key: str
    at: float  # when it was posted
    due: float  # not before
    message: Message
    asks: bool = False  # it is about an approval that waited then, and told only while that waits
    id: int = 0
    tries: int = 0


def add(db: Connection, rows: Iterable[Row], dedupe: Mapping[str, float]) -> list[Row]:
    """Queue what is not a repetition: a channel has had its key within `dedupe` seconds (for ever where it asks)."""
    added = []
    for row in rows:
        since = 0.0 if row.asks else row.at - dedupe.get(row.channel, 0.0)
        again = (
            row.key
            and db.execute(
                "SELECT 1 FROM notices WHERE channel = ? AND key = ? AND at > ?", (row.channel, row.key, since)
            ).fetchone()
        )
        if not again:
            row.id = (
                db.execute(
                    "INSERT INTO notices (channel, key, state, at, due, tries, asks, body)"
                    " VALUES (?, ?, 'waiting', ?, ?, 0, ?, ?)",
                    (row.channel, row.key, row.at, row.due, row.asks, msgspec.json.encode(row.message)),
                ).lastrowid
                or 0
            )
            added.append(row)
    db.execute("DELETE FROM notices WHERE state <> 'waiting' AND id <= (SELECT max(id) FROM notices) - ?", (KEPT,))
    return added


def waiting(db: Connection) -> list[Row]:
    """All that were neither sent nor given up, oldest first."""
    found = db.execute(
        "SELECT id, channel, key, at, due, tries, asks, body FROM notices WHERE state = 'waiting' ORDER BY id"
    )
    return [
        Row(id=id_, channel=channel, key=key, at=at, due=due, tries=tries, asks=bool(asks),
            message=msgspec.json.decode(body, type=Message))
        for id_, channel, key, at, due, tries, asks, body in found
    ]  # fmt: skip


def known(db: Connection, keys: Sequence[str]) -> set[str]:
    """Those of the keys that were ever queued."""
    return {key for key in keys if db.execute("SELECT 1 FROM notices WHERE key = ?", (key,)).fetchone()}


def settle(db: Connection, ids: Iterable[int], state: str, why: str = "") -> None:
    """`state` is sent, failed or dropped."""
    db.executemany("UPDATE notices SET state = ?, why = ? WHERE id = ?", [(state, why, one) for one in ids])


def postpone(db: Connection, rows: Iterable[Row], why: str) -> None:
    """Note when they are due next, how often they were tried, and what came of the last try."""
    values = [(row.due, row.tries, why, row.id) for row in rows]
    db.executemany("UPDATE notices SET due = ?, tries = ?, why = ? WHERE id = ?", values)


class Traffic(Struct, kw_only=True):
    """What became of a channel's messages, as far as they are kept."""

    waiting: int = 0
    sent: int = 0
    failed: int = 0
    last: str = ""  # when the newest was posted
    why: str = ""  # it failed, since the last that was taken


def traffic(db: Connection) -> dict[str, Traffic]:
    """By channel."""
    found: dict[str, Traffic] = {}
    for channel, state, at, why in db.execute("SELECT channel, state, at, why FROM notices ORDER BY id"):
        one = found.setdefault(channel, Traffic())
        one.waiting += state == "waiting"
        one.sent += state == "sent"
        one.failed += state == "failed"
        one.last = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        one.why = "" if state == "sent" else why if state in ("failed", "waiting") and why else one.why
    return found
