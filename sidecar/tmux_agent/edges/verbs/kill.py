"""`tmux-agent kill NAME`: end an agent's session and all that it started. Its worktree and its branch stay."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of `tmux-agent sessions`")
    parser.add_argument("--json", action="store_true", help="print the agent as JSON")


def main(args: argparse.Namespace) -> int:
    from ...client import Client
    from .. import out
    from . import asked

    with Client() as client:
        data = asked.call(client, "fleet.kill", {"name": args.name})
    if args.json:
        out.as_json(data)
    else:
        print(f"ended {data['name']}; its worktree is {data['worktree']}")
    return 0
