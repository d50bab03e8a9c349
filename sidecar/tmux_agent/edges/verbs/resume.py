"""`tmux-agent resume TARGET`: an agent goes on that was paused, ended, or reached its usage limit.

In a pane, the popup asks first: a pane cannot have it done, because an agent could type there too (docs/security.md).
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...client import Client


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", metavar="NAME|PANE|SESSION",
        help="a name of `tmux-agent sessions`, a pane (%%7), or the first characters of a session",
    )  # fmt: skip
    parser.add_argument("--fresh", action="store_true", help="in a new session: without what was said before")
    parser.add_argument("--attach", action="store_true", help="go to its session")
    parser.add_argument("--server", metavar="SOCKET", help="the tmux server, where there are several")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def main(args: argparse.Namespace) -> int:
    from ...client import Client
    from .. import out
    from . import asked

    where = {"server": args.server} if args.server else {}
    with Client(patience=2) as client:
        if _of_the_fleet(client, args.target, where):
            moved = asked.call(client, "fleet.resume", {"name": args.target, "fresh": args.fresh, **where})
            return _went_on(client, moved, args)
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


def _of_the_fleet(client: Client, target: str, where: dict[str, str]) -> bool:
    """Whether it is an agent of the fleet, or a pane that stands still."""
    if not target.startswith("%"):
        return any(one["name"] == target for one in client.call("fleet.list")["agents"])
    panes = client.call("tmux.panes", where)["panes"]
    return any(one["id"] == target and one.get("paused") for one in panes)


def _went_on(client: Client, moved: dict[str, Any], args: argparse.Namespace) -> int:
    from .. import out
    from .attach import go

    if args.attach:
        return go(client.call("fleet.get", {"name": moved["name"]})["agent"])
    if args.json:
        out.as_json(moved)
    else:
        print(f"{moved['name']} goes on")
    return 0
