"""`tmux-agent finish NAME`: end an agent and remove its worktree; its branch is merged, kept, or was pushed before."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of `tmux-agent sessions`")
    parser.add_argument("--merge", action="store_true", help="merge its branch first, into the branch that it began at")
    parser.add_argument("--into", default="", metavar="BRANCH", help="merge it into this one instead")
    parser.add_argument("--keep-branch", action="store_true", help="the branch stays, merged or not")
    parser.add_argument("--discard", action="store_true", help="throw away what is not committed, merged or pushed")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def main(args: argparse.Namespace) -> int:
    from ...client import Client
    from ...core import display
    from .. import out
    from . import asked

    params = {
        "name": args.name, "merge": args.merge or bool(args.into), "into": args.into, "keep_branch": args.keep_branch,
        "discard": args.discard,
    }  # fmt: skip
    with Client() as client:
        data = asked.call(client, "fleet.finish", params)
    if args.json:
        out.as_json(data)
    else:
        for line in data["did"]:
            print(display.safe(line))
    return 0
