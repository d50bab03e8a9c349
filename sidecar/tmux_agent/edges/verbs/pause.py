"""`tmux-agent pause NAME`: all processes of an agent stand still (SIGSTOP) until `tmux-agent resume NAME`."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="NAME|PANE", help="of `tmux-agent sessions`, or a pane (%%7)")
    parser.add_argument("--server", metavar="SOCKET", help="the tmux server of a pane, where there are several")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def main(args: argparse.Namespace) -> int:
    from ...client import Client
    from .. import out
    from . import asked

    with Client() as client:
        data = asked.call(client, "fleet.pause", {"name": args.target, "server": args.server})
    if args.json:
        out.as_json(data)
    else:
        print(f"{data['name']} stands still, {data.get('processes', 0)} processes")
    return 0
