"""`tmux-agent doctor`: what is wrong with the set-up, and the command that mends it. Exit code 1 where something is.

Owns how the checks look. Must not own: what is checked (edges/doctor.py).
"""

from __future__ import annotations

import argparse

MARKS = {"ok": ("✓", "ok", "low"), "warning": ("!", "!!", "medium"), "wrong": ("✗", "NO", "high")}  # mark, ASCII, style


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")


def main(args: argparse.Namespace) -> int:
    import os
    import sys

    from ...core import display
    from .. import out
    from ..doctor import checks

    found = []
    plain = "utf" not in (sys.stdout.encoding or "").lower()
    for check in checks(os.environ):
        found.append(check)
        if args.json:
            continue
        mark, ascii_mark, style = MARKS[check.mark]
        print(f"{out.paint(ascii_mark if plain else mark, style)} {check.area:<9} {display.safe(check.what)}")
        if check.mend:
            print(f"  {'':<9} {out.paint('→' if not plain else '->', 'dim')} {display.safe(check.mend)}")
    if args.json:
        out.as_json(found)
    return 1 if any(check.mark == "wrong" for check in found) else 0
