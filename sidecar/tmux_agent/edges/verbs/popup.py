"""`tmux-agent popup [ID]`: open the popup on the tmux client that looks at this pane."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", nargs="?", help="start at this request")


def main(args: argparse.Namespace) -> int:
    from ...client import Client

    with Client(patience=2) as client:
        client.call("popup.open", {"request_id": args.id})
    return 0
