"""`tmux-agent approve ID` and `deny ID`: answer from a terminal of your own; in a pane, open the popup at the request.

A pane cannot answer, because an agent could type there too (docs/security.md).
"""

from __future__ import annotations

import argparse
import sys


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the request, as `tmux-agent pending` lists it")
    if parser.prog.endswith(" deny"):
        parser.add_argument("--reason", default="", help="told to the agent")
    else:
        parser.add_argument("--comment", default="", help="told to the agent")
    parser.add_argument("--json", action="store_true", help="print the approval as JSON")


def main(args: argparse.Namespace) -> int:
    from ...client import Client
    from ...core import errors
    from .. import out

    yes = args.verb == "approve"
    with Client(patience=2) as client:
        if client.hello().origin.role.value != "operator":
            client.call("popup.open", {"request_id": args.id})
            print("answer it in the popup: a pane cannot, since an agent could type there", file=sys.stderr)
            return 0
        shown = next((one for one in client.call("human.pending")["approvals"] if one["request_id"] == args.id), None)
        if shown is None:
            raise errors.NotFound(f"no approval {args.id} waits: `tmux-agent pending` lists those that do")
        comment = args.comment if yes else args.reason
        answer = {"request_id": args.id, "digest": shown["digest"], "approved": yes, "comment": comment}
        approval = client.call("human.respond", answer)
    if args.json:
        out.as_json(approval)
    else:
        print(out.paint(approval["state"], approval["state"]))
    return 0
