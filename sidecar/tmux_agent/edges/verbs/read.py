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
    from ...core.errors import Conflict
    from .. import out
    from . import asked

    with Client(name="read") as client:
        one = client.call("fleet.get", {"name": args.name})["agent"]
        if one["state"] not in ("running", "paused"):
            raise Conflict(f"{args.name} has no pane ({one['state']}): `tmux-agent resume {args.name}` starts one")
        params = {
            "target": one["pane"], "server": one["server"], "last_n_lines": args.lines, "from_history": args.history,
        }  # fmt: skip
        data = asked.call(client, "tmux.read", params)
    if args.json:
        out.as_json(data)
    else:
        for line in data.get("lines", ()):
            print(display.safe(line))
    return 0
