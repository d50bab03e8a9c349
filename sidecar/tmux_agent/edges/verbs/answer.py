"""`tmux-agent approve ID` and `deny ID`: answer from a terminal of your own; in a pane, open the popup at the request.

A pane cannot answer, because an agent could type there too (docs/security.md).
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...client import Client


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the request, as `tmux-agent pending` lists it")
    if parser.prog.endswith(" deny"):
        parser.add_argument("--reason", default="", help="told to the agent")
    else:
        parser.add_argument("--comment", default="", help="told to the agent")
    parser.add_argument("--json", action="store_true", help="print the approval as JSON")


def _shown(client: Client, request_id: str) -> dict[str, Any] | None:
    """The approval as it waits; None where it does not."""
    cursor = None
    while True:
        page = client.call("human.pending", {"cursor": cursor})
        for one in page["approvals"]:
            if one["request_id"] == request_id:
                found: dict[str, Any] = one
                return found
        if not (cursor := page.get("cursor")):
            return None


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
        shown = _shown(client, args.id)
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
