"""`tmux-agent resume %7`: have an agent go on after its usage limit; in a pane, the popup asks first.

A pane cannot have it done, because an agent could type there too (docs/security.md).
"""

from __future__ import annotations

import argparse
import sys


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="PANE|SESSION", help="its pane (%%7), or the first characters of its session")
    parser.add_argument("--server", metavar="SOCKET", help="the tmux server, where there are several")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def main(args: argparse.Namespace) -> int:
    from ...client import Client
    from .. import out

    where = {"server": args.server} if args.server else {}
    with Client(patience=2) as client:
        if client.hello().origin.role.value != "operator":
            client.call("popup.open", {"resume": args.target, **where})
            print("say yes in the popup: a pane cannot, since an agent could type there", file=sys.stderr)
            return 0
        done = client.call("agent.resume", {"target": args.target, **where})
    if args.json:
        out.as_json(done)
    else:
        print(done["summary"])
    return 0
