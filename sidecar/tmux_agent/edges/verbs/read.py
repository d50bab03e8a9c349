"""`tmux-agent read NAME`: the last lines of an agent's pane."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of `tmux-agent sessions`")
    parser.add_argument("--lines", type=int, default=40, metavar="N", help="so many (40)")
    parser.add_argument("--history", action="store_true", help="also what has scrolled away")
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def main(args: argparse.Namespace) -> int:
    from ...client import Client
    from ...core import display
    from .. import out
    from . import asked

    with Client() as client:
        params = {"name": args.name, "last_n_lines": args.lines, "from_history": args.history}
        data = asked.call(client, "fleet.read", params)
    if args.json:
        out.as_json(data)
    else:
        for line in data.get("lines", ()):
            print(display.safe(display.blanks(line)))
    return 0
