"""The state database's shape: opening it, and the numbered migrations. Must not own: what the rows mean (store.py).

A migration is never edited once it was released; a new one is added below it. `PRAGMA user_version` is the number of
the last one that ran.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..core.errors import Unavailable

_MIGRATIONS = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE outbox (seq INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT;
    CREATE TABLE approvals (
        request_id TEXT PRIMARY KEY,
        state TEXT NOT NULL CHECK (state IN ('pending','approved','denied','expired','withdrawn','unknown')),
        phase TEXT NOT NULL CHECK (phase IN ('','running','done')),
        digest TEXT NOT NULL,
        once TEXT UNIQUE,
        body BLOB NOT NULL,
        outcome BLOB
    ) STRICT;
    CREATE INDEX approvals_open ON approvals (request_id) WHERE state = 'pending' OR phase = 'running';
    CREATE TABLE grants (
        id TEXT PRIMARY KEY, uses_left INTEGER, revoked INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE plans (plan_id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE agents (session TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
    """,
    """
    CREATE TABLE runs (request_id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
    """,
)

T = TypeVar("T")

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def open_database(path: Path, stamp: str) -> tuple[sqlite3.Connection, Path | None]:
    """The database, for the calling thread only, and where a damaged one was set aside (None: it was fine).

    Raises Unavailable where it cannot be opened for another reason (no space, no right to, made by a newer version):
    then it was not touched. A damaged file is renamed with `stamp`, never deleted.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            return _connect(path), None
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                raise
        aside = _set_aside(path, stamp)
        return _connect(path), aside
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"the state database {path} cannot be opened: {error}") from error


def look(path: Path, read: Callable[[sqlite3.Connection], T]) -> T | None:
    """What `read` finds in a database that perhaps a sidecar is writing; None where there is none that can be read."""
    if not path.exists():
        return None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)
        try:
            return read(connection)
        finally:
            connection.close()
    except sqlite3.Error:
        return None  # the sidecar is who reports what is wrong with it


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None)
    try:
        # FULL: a committed row survives a power cut, as its record in the audit log does.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            damage = sqlite3.DatabaseError(f"damaged: {found}")
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    done = connection.execute("PRAGMA user_version").fetchone()[0]
    if done > len(_MIGRATIONS):
        raise Unavailable(
            f"the state database {path} was made by a newer version (schema {done}, this one knows "
            f"{len(_MIGRATIONS)}): update tmux-agent, or point it at another state folder"
        )
    for number, script in enumerate(_MIGRATIONS[done:], start=done + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")


def _set_aside(path: Path, stamp: str) -> Path:
    """Rename the database, then its side files. Cut short, SQLite drops the old WAL of a new, empty database itself."""
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in ("", "-wal", "-shm"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    return aside
