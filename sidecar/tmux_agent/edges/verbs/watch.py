"""`tmux-agent watch %7`: watch a pane for markers; without a pane, those that are watched."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pane", nargs="?", help="its id (%%7)")
    parser.add_argument("--off", action="store_true", help="watch it no longer")
    parser.add_argument("--server", metavar="SOCKET", help="the tmux server, where there are several")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def main(args: argparse.Namespace) -> int:
    import msgspec

    from ...client import Client
    from ...core import display
    from ...core.replies import WatchedPane
    from .. import out

    with Client(name="watch", patience=5) as client:
        if args.pane:
            server = {"server": args.server} if args.server else {}
            client.call("sentry.watch", {"pane_id": args.pane, "on": not args.off, **server})
        found = client.call("sentry.panes")["panes"]
    if args.json:
        out.as_json(found)
        return 0
    panes = msgspec.convert(found, list[WatchedPane], strict=False)
    if not panes:
        print("no pane is watched")
        return 0
    rows = [[one.pane, one.place or "–", one.how, one.reading.state, str(len(one.invalid) or "")] for one in panes]
    out.table(["PANE", "WHERE", "READ FROM", "SAYS", "BROKEN MARKERS"], rows)
    for one in panes:
        for line in one.invalid:
            print(f"{one.pane}  {display.middle(line, max(20, min(out.columns(), 200) - 6))}")
    return 0
