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
    # What docs/state.md promises to people who look with sqlite3: the tables above may change, these names may not.
    """
    CREATE VIEW pane_states AS
    SELECT json_extract(told, '$.agent.pane') AS pane,
           json_extract(told, '$.agent.server') AS server,
           json_extract(told, '$.agent.place') AS place,
           json_extract(told, '$.agent.kind') AS agent,
           json_extract(told, '$.agent.state') AS state,
           json_extract(told, '$.agent.since') AS since,
           coalesce(json_extract(told, '$.agent.detail'), '') AS detail,
           coalesce(json_extract(told, '$.agent.cwd'), '') AS cwd,
           coalesce(json_extract(told, '$.agent.branch'), '') AS branch,
           json_extract(told, '$.agent.pid') AS pid,
           session
    FROM (SELECT session, CAST(body AS TEXT) AS told FROM agents)
    WHERE json_extract(told, '$.agent.pane') IS NOT NULL;
    CREATE VIEW requests AS
    SELECT request_id,
           CASE WHEN phase = 'running' THEN 'running' ELSE state END AS state,
           json_extract(told, '$.created') AS created,
           coalesce(json_extract(told, '$.origin.agent'), '') AS agent,
           json_extract(told, '$.origin.pane') AS pane,
           json_extract(told, '$.action.type') AS action,
           coalesce(json_extract(told, '$.risk'), 'low') AS risk,
           coalesce(json_extract(told, '$.rule'), '') AS rule,
           coalesce(json_extract(told, '$.reason'), '') AS reason,
           json_extract(told, '$.answer.at') AS answered,
           coalesce(json_extract(told, '$.answer.comment'), '') AS comment
    FROM (SELECT *, CAST(body AS TEXT) AS told FROM approvals);
    CREATE VIEW permissions AS
    SELECT id,
           json_extract(told, '$.scope') AS scope,
           json_extract(told, '$.created') AS created,
           coalesce(json_extract(told, '$.agent'), '') AS agent,
           json_extract(told, '$.expires') AS expires,
           uses_left,
           revoked,
           coalesce(json_extract(told, '$.text'), '') AS text
    FROM (SELECT *, CAST(body AS TEXT) AS told FROM grants);
    """,
    """
    CREATE TABLE notices (
        id INTEGER PRIMARY KEY,
        channel TEXT NOT NULL,
        key TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('waiting','sent','failed','dropped')),
        at REAL NOT NULL,
        due REAL NOT NULL,
        tries INTEGER NOT NULL,
        asks INTEGER NOT NULL,
        why TEXT NOT NULL DEFAULT '',
        body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX notices_waiting ON notices (id) WHERE state = 'waiting';
    CREATE INDEX notices_keys ON notices (key, channel, at) WHERE key <> '';
    """,
    """
    CREATE TABLE watched_panes (
        server TEXT NOT NULL, server_pid INTEGER NOT NULL, pane TEXT NOT NULL, pane_pid INTEGER NOT NULL,
        body BLOB NOT NULL, PRIMARY KEY (server, server_pid, pane, pane_pid)
    ) STRICT;
    CREATE TABLE pipeline_runs (
        run_id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, state TEXT NOT NULL, server TEXT, server_pid INTEGER,
        pane TEXT, pane_pid INTEGER, started_at TEXT NOT NULL, ended_at TEXT, note TEXT NOT NULL, body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX pipeline_runs_open ON pipeline_runs (run_id) WHERE state = 'running';
    CREATE TABLE pipeline_stages (
        run_id TEXT NOT NULL REFERENCES pipeline_runs ON DELETE CASCADE, stage TEXT NOT NULL, attempt INTEGER NOT NULL,
        state TEXT NOT NULL, started_at TEXT, ended_at TEXT, reason TEXT NOT NULL,
        PRIMARY KEY (run_id, stage, attempt)
    ) STRICT, WITHOUT ROWID;
    CREATE VIEW stage_history AS
        SELECT runs.pipeline, runs.pane AS pane_id, stages.stage, stages.attempt, stages.state AS status,
               stages.started_at, stages.ended_at, stages.reason, stages.run_id
        FROM pipeline_stages AS stages JOIN pipeline_runs AS runs USING (run_id);
    """,
    """
    CREATE TABLE links (nonce TEXT PRIMARY KEY, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE limits (session TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
    """,
    """
    CREATE TABLE deliveries (
        number INTEGER PRIMARY KEY, hook TEXT NOT NULL, id TEXT NOT NULL, received REAL NOT NULL, body BLOB NOT NULL,
        UNIQUE (hook, id)
    ) STRICT;
    """,
    """
    CREATE TABLE watch_requests (
        server TEXT NOT NULL, server_pid INTEGER NOT NULL, pane TEXT NOT NULL, pane_pid INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE emitted (id TEXT NOT NULL UNIQUE) STRICT;
    """,
    """
    CREATE TABLE fleet_agents (
        name TEXT PRIMARY KEY, fleet_id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL CHECK (state IN ('spawning','running','paused','ended','finished')), body BLOB NOT NULL
    ) STRICT;
    """,
    """
    CREATE TABLE queue_tasks (
        task_id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE queue_paused (yes INTEGER PRIMARY KEY CHECK (yes = 1)) STRICT;
    """,
    """
    CREATE TABLE executions (
        id TEXT PRIMARY KEY, server TEXT NOT NULL, server_pid INTEGER NOT NULL, pane TEXT NOT NULL,
        pane_pid INTEGER NOT NULL, session TEXT NOT NULL, command TEXT NOT NULL, asked TEXT NOT NULL,
        started REAL NOT NULL, ended REAL, status TEXT NOT NULL, exit_code INTEGER, note TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE terminal_uses (
        server TEXT NOT NULL, server_pid INTEGER NOT NULL, session TEXT NOT NULL, commands INTEGER NOT NULL,
        last REAL NOT NULL, PRIMARY KEY (server, server_pid, session)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE changed_shells (
        pid INTEGER NOT NULL, started INTEGER NOT NULL, what TEXT NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (pid, started)
    ) STRICT, WITHOUT ROWID;
    """,
)

T = TypeVar("T")

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Damaged(Exception):
    """A file is no sound state database; its text says what was found."""


def damage_in(error: sqlite3.Error) -> bool:
    """Whether this error says that the file is damaged, and not that it cannot be read or written for now."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def open_database(path: Path) -> sqlite3.Connection:
    """The database at `path`, made where there is none, for the calling thread only.

    Raises Damaged, or Unavailable where it cannot be opened for another reason (no space, no right to, made by a newer
    version): either way it was not touched.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return _connect(path)
    except sqlite3.Error as error:
        if damage_in(error):
            raise Damaged(str(error)) from error
        raise Unavailable(f"the state database {path} cannot be opened: {error}") from error
    except OSError as error:
        raise Unavailable(f"the state database {path} cannot be opened: {error.strerror}") from error


def read_only(path: Path, *, still: bool = False) -> sqlite3.Connection:
    """A connection that writes nothing; `still` says that nobody else does (a backup). Raises sqlite3.Error."""
    immutable = "&immutable=1" if still else ""
    uri = f"{path.absolute().as_uri()}?mode=ro{immutable}"
    return sqlite3.connect(uri, uri=True, timeout=1.0, isolation_level=None)


def check_file(db: sqlite3.Connection) -> int:
    """Which schema a sound database has. Raises Damaged, or sqlite3.Error where it cannot be read."""
    _check_pages(db)
    done: int = db.execute("PRAGMA user_version").fetchone()[0]
    if not 0 < done <= len(_MIGRATIONS):
        raise Damaged(f"its schema is {done}, and this version knows 1 to {len(_MIGRATIONS)}")
    return done


def _check_pages(db: sqlite3.Connection) -> None:
    """Raises Damaged."""
    found = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    if found != "ok":
        raise Damaged(" ".join(found.replace("*** in database main ***", "").split()))


def look(path: Path, read: Callable[[sqlite3.Connection], T]) -> T | None:
    """What `read` finds in a database that perhaps a sidecar is writing; None where there is none that can be read."""
    if not path.exists():
        return None
    try:
        connection = read_only(path)
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
        _check_pages(connection)
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
