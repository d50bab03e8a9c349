"""`tmux-agent agents`: agents that are known, their state, what they wait for."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def main(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    import msgspec

    from ...client import Client
    from ...core import display
    from ...core.model import Agent
    from .. import out

    with Client(patience=2) as client:
        found = client.call("agent.list")["agents"]
    if args.json:
        out.as_json(found)
        return 0
    agents = msgspec.convert(found, list[Agent], strict=False)
    now = datetime.now(UTC)
    rows = [
        [
            one.kind or "?",
            one.name or one.session[:12],
            one.pane or "–",
            one.place or "–",
            one.state.value,
            display.ago((now - one.since).total_seconds()),
            one.waiting_on or one.detail,
        ]
        for one in agents
    ]
    head = ["AGENT", "SESSION", "PANE", "WHERE", "STATE", "SINCE", "WHAT"]
    out.table(head, rows, [one.state.value for one in agents]) if rows else print("no agent is known")
    return 0
