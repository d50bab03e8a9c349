"""`tmux-agent pending`: what waits for a person."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the approvals as JSON")


def main(args: argparse.Namespace) -> int:
    import msgspec

    from ...client import Client
    from ...core import display
    from ...core.model import Approval
    from ...core.wording import one_line, who
    from .. import out

    found: list[dict[str, object]] = []
    with Client(patience=2) as client:
        cursor = None
        while True:
            page = client.call("human.pending", {"cursor": cursor})
            found += page["approvals"]
            cursor, others = page.get("cursor"), page.get("others", 0)
            if not cursor:
                break
    if args.json:
        out.as_json(found)
        return 0
    if others:
        print(f"{others} of other agents wait: prefix + A shows them", file=sys.stderr)
    if not found:
        print("nothing waits" if not others else "nothing of this pane waits")
        return 0
    approvals = msgspec.convert(found, list[Approval], strict=False)
    now = datetime.now(UTC)
    rows = [
        [
            one.request_id,
            who(one.origin),
            one.origin.place or "–",
            one.risk.value,
            display.ago((now - one.created).total_seconds()),
            one_line(one.action, one.origin.cwd),
        ]
        for one in approvals
    ]
    out.table(["ID", "WHO", "WHERE", "RISK", "SINCE", "WHAT"], rows, [one.risk.value for one in approvals])
    return 0
