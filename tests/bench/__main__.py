"""`python -m tests.bench [--quick] [NAME …]`: the table of scripts/bench."""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import unicodedata
from collections.abc import Callable

from tests.bench import (
    audit,
    badge,
    check,
    fleet,
    hook,
    idle,
    kills,
    pipelines,
    popup,
    queue,
    sandbox,
    scan,
    state,
    terminals,
    watching,
)
from tests.bench.world import Row

PARTS: dict[str, Callable[[bool], list[Row]]] = {
    "hook": hook.rows,
    "check": check.rows,
    "popup": popup.rows,
    "badge": badge.rows,
    "state": state.rows,
    "audit": audit.rows,
    "idle": idle.rows,
    "scan": scan.rows,
    "watching": watching.rows,
    "pipelines": pipelines.rows,
    "sandbox": sandbox.rows,
    "fleet": fleet.rows,
    "terminals": terminals.rows,
    "queue": queue.rows,
    "kills": kills.rows,
}
HEADINGS = ("what", "floor", "ours", "ratio", "bound", "")
WIDTHS = (54, 14, 38, 9, 26, 1)


def line(*cells: str) -> str:
    return "  ".join(cell + " " * (width - cells_of(cell)) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def cells_of(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def shown(row: Row) -> str:
    mark = " " if row.held is None else "✓" if row.held else "✗"
    return line(row.name, row.floor, row.ours, row.ratio, row.bound, mark)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Each bound beside its floor, of this run.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, idle for ten seconds")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(PARTS)}")
    args = parser.parse_args()
    if wrong := [name for name in args.names if name not in PARTS]:
        parser.error(f"no such measurement: {', '.join(wrong)}; there are {', '.join(PARTS)}")
    tmux = subprocess.run(["tmux", "-V"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {tmux}\n")
    print(line(*HEADINGS))
    for name in args.names or PARTS:
        try:
            rows = PARTS[name](args.quick)
        except (AssertionError, OSError, RuntimeError) as why:  # one that cannot be taken leaves the others
            rows = [Row(name=name, ours=f"not measured ({type(why).__name__}, above)", held=False)]
            print(why, file=sys.stderr)
        for row in rows:
            print(shown(row), flush=True)


main()
