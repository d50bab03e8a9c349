"""`tmux-agent state backup|list|check|restore`: the state database and its copies, from the files, without the sidecar.

`restore` needs the sidecar stopped: two programs must not write one database. Owns how copies look. Must not own: how
they are made (services/state_backups.py) and brought back (services/restoring.py).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...core.settings import Settings
    from ...services.places import Places


def add(parser: argparse.ArgumentParser) -> None:
    under = parser.add_subparsers(dest="what", metavar="backup|list|check|restore", required=True)
    under.add_parser("backup", help="make a copy now, whether the sidecar runs or not")
    under.add_parser("list", help="the copies there are, newest first, and whether each is sound")
    under.add_parser("check", help="look whether the database, its copies and the audit log are sound and agree")
    restore = under.add_parser("restore", help="put a copy in the place of the database, which is set aside")
    restore.add_argument("name", nargs="?", default="", metavar="NAME", help="which (default: the newest sound one)")
    for sub in under.choices.values():
        sub.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """0 done, 1 something is damaged; raises Unavailable, Conflict, NotFound."""
    from ...services.config_file import read_settings
    from ...services.places import find

    places = find(os.environ)
    settings, _ = read_settings(places.config / "config.yaml", os.environ)
    match args.what:
        case "backup":
            return _backup(places, settings, args.json)
        case "list":
            return _list(places.database, args.json)
        case "check":
            return _check(places, settings, args.json)
        case _:
            return _restore(places, settings, args)


def _backup(places: Places, settings: Settings, as_json: bool) -> int:
    from datetime import UTC, datetime

    from ...core.errors import Failed
    from ...services import state_backups
    from ...services.schema import Damaged
    from .. import out

    keep, room = max(settings.state.backups_keep, 1), settings.state.backups_bytes
    try:
        made = state_backups.make(places.database, datetime.now(UTC), keep, room)
    except Damaged as found:
        raise Failed(f"{places.database} is damaged ({found}): see `tmux-agent state check`") from found
    if as_json:
        out.as_json({"name": made.name, "path": str(made.path), "size": made.size, "records": made.head.seq})
    else:
        print(f"{made.path}  {made.size} bytes, up to record {made.head.seq}")
    return 0


def _list(database: Path, as_json: bool) -> int:
    from ...services import state_backups
    from .. import out

    rows = [_row(path) for path in state_backups.listed(database)]
    if as_json:
        out.as_json(rows)
    elif rows:
        cells = [
            [row["name"], row["made"], f"{row['size']}", f"{row['records']}", row["wrong"] or "ok"] for row in rows
        ]
        out.table(
            ["NAME", "MADE", "BYTES", "UP TO RECORD", ""], cells, ["error" if row["wrong"] else "" for row in rows]
        )
    else:
        print(f"no copies in {state_backups.folder_of(database)}")
    return 0


def _row(path: Path) -> dict[str, Any]:
    from ...services import state_backups

    made = state_backups.made_at(path).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    wrong = _wrong(path)
    records = state_backups.known_head(path)
    return {"name": path.name, "made": made, "size": path.stat().st_size, "records": records, "wrong": wrong}


def _wrong(path: Path) -> str:
    from ...services import state_backups
    from ...services.schema import Damaged

    try:
        state_backups.check(path)
    except Damaged as found:
        return f"damaged: {found}"
    return ""


def _check(places: Places, settings: Settings, as_json: bool) -> int:
    """Everything is said; the exit code is 1 where the database or the log is not sound."""
    from ...services import state_backups
    from ...services.audit_log import AuditLog, database_head
    from .. import out

    database = state_backups.wrong_with(places.database)
    log = AuditLog(places.audit(settings.audit.file)).verify(head=database_head(places.database))
    copies = {path.name: _wrong(path) for path in state_backups.listed(places.database)}
    if as_json:
        out.as_json({"database": database or "ok", "audit": log.why or "ok", "backups": copies})
        return 1 if database or not log.ok else 0
    lines = [("database", database, str(places.database)), ("audit log", log.why, f"{log.records} records")]
    lines += [("backup", wrong, name) for name, wrong in copies.items()]
    for what, wrong, name in lines:
        print(f"{out.paint('wrong' if wrong else 'ok   ', 'error' if wrong else 'done')}  {what:<9}  {name}", end="")
        print(f"  {wrong}" if wrong else "")
    if database:
        print("what mends it: `tmux-agent sidecar stop`, then `tmux-agent state restore`")
    return 1 if database or not log.ok else 0


def _restore(places: Places, settings: Settings, args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from ...daemon import take_lock
    from ...services import restoring
    from .. import out

    with take_lock(places):
        backup = _chosen(places.database, args.name)
        audit = places.audit(settings.audit.file)
        said = restoring.restore(places.database, audit, datetime.now(UTC), "restored by hand", backup)
    if args.json:
        out.as_json({"backup": backup.name, "said": said})
    else:
        print(said)
        print("what was there before is kept beside it, as state.db.damaged-…; now `tmux-agent sidecar start`")
    return 0


def _chosen(database: Path, name: str) -> Any:
    from ...core.errors import Failed, NotFound
    from ...services import state_backups
    from ...services.schema import Damaged

    if not name:
        if (newest := state_backups.newest_sound(database)) is None:
            raise NotFound(f"there is no sound copy in {state_backups.folder_of(database)}: nothing was changed")
        return newest
    path = next((one for one in state_backups.listed(database) if one.name == name), None)
    if path is None:
        raise NotFound(f"there is no copy {name}: `tmux-agent state list` shows those there are")
    try:
        return state_backups.check(path)
    except Damaged as found:
        raise Failed(f"the copy {name} is damaged ({found}): choose another, nothing was changed") from found
