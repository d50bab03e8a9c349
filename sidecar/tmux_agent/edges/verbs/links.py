"""`tmux-agent links`: print a signed link to a request, or sign with a new key (from a terminal outside tmux)."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    under = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    show = under.add_parser("show", help="print a link that answers this request, once")
    show.add_argument("id", metavar="ID", help="the request, as `tmux-agent pending` lists it")
    show.add_argument("--json", action="store_true", help="print it as JSON")
    rotate = under.add_parser("rotate", help="sign links with a new key; those that are open stay good until they end")
    rotate.add_argument("--now", action="store_true", help="links that are open are good no more")
    rotate.add_argument("--json", action="store_true", help="print as JSON how many earlier keys are still taken")


def main(args: argparse.Namespace) -> int:
    from ...client import Client
    from .. import out

    with Client(patience=2) as client:
        if args.what == "show":
            data = client.call("link.show", {"request_id": args.id})
        else:
            data = client.call("link.rotate", {"at_once": args.now})
    if args.json:
        out.as_json(data)
    elif args.what == "show":
        print(data["url"])
    else:
        earlier = data["earlier"]
        print("new key;", f"links of {earlier} earlier are taken until they end" if earlier else "no other counts")
    return 0
