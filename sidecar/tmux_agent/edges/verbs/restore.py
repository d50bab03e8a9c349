"""`tmux-agent restore`: bring a file back from the backup that is made before each change.

Works on the person's own backups folder, without the sidecar.
"""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...services.tools.backups import Backup


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="ID|PATH", nargs="?", help="a backup, or a file (its newest); none: list all")
    parser.add_argument("--diff", action="store_true", help="show what restoring would change, and change nothing")
    parser.add_argument("--list", action="store_true", help="list the backups of PATH")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def main(args: argparse.Namespace) -> int:
    import os

    from ...services.places import find
    from ...services.tools.backups import Backups
    from .. import out

    backups = Backups(find(os.environ).backups)
    path = os.path.realpath(args.what) if args.what and os.path.exists(args.what) else args.what
    if path is None or args.list:
        return _list(backups.entries(path), args.json)
    backup = backups.find(path)
    if args.diff:
        print(backups.diff(backup), end="")
        return 0
    replaced = backups.restore(backup)
    if args.json:
        out.as_json({"restored": backup, "replaced": replaced})
    else:
        print(f"restored {backup.path} as it was {_when(backup)}")
        if replaced is not None:
            print(f"what stood there is kept: tmux-agent restore {replaced.id}")
    return 0


def _when(backup: Backup) -> str:
    return f"{datetime.fromtimestamp(backup.time).astimezone():%Y-%m-%d %H:%M:%S}"


def _list(entries: tuple[Backup, ...], json: bool) -> int:
    from .. import out

    if json:
        out.as_json(entries)
    elif entries:
        rows = [[one.id, _when(one), one.verb, str(one.size), one.path] for one in entries]
        out.table(["ID", "WHEN", "BEFORE", "BYTES", "FILE"], rows)
    else:
        print("no backups")
    return 0
