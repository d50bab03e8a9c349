"""`tmux-agent grants`: permissions given ahead; `--revoke ID` takes one back (from a terminal outside tmux)."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--revoke", metavar="ID", help="take this one back")
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def main(args: argparse.Namespace) -> int:
    import msgspec

    from ...client import Client
    from ...core.model import Grant
    from .. import out

    with Client(patience=2) as client:
        if args.revoke:
            client.call("grant.revoke", {"grant_id": args.revoke})
        found = client.call("grant.list")["grants"]
    if args.json:
        out.as_json(found)
        return 0
    grants = msgspec.convert(found, list[Grant], strict=False)
    rows = [
        [
            one.id,
            one.scope,
            one.agent or "any",
            f"{one.uses_left} uses" if one.uses_left is not None else "–",
            one.expires.astimezone().strftime("%H:%M:%S") if one.expires else "–",
            one.text,
        ]
        for one in grants
    ]
    out.table(["ID", "SCOPE", "AGENT", "LEFT", "UNTIL", "WHAT"], rows) if rows else print("no grants")
    return 0
