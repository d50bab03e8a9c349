"""`tmux-agent agents`: agents that are known, their state since when, what they wait for. `explain PANE` says why."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...core.model import Agent

WIDE = 80  # columns; below, only the pane, the state and what it is about have room
ORDER = ("waiting", "error", "done", "working", "idle", "unknown")  # who needs somebody comes first


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def main(args: argparse.Namespace) -> int:
    from datetime import UTC

    import msgspec

    from ...client import Client
    from ...core.model import Agent
    from .. import out

    with Client(patience=2) as client:
        found = client.call("agent.list")["agents"]
    if args.json:
        out.as_json(found)
        return 0
    agents = msgspec.convert(found, list[Agent], strict=False)
    if not agents:
        print("no agent is known")
        return 0
    agents.sort(key=lambda one: (ORDER.index(one.state.value), one.since))
    head, rows = table(agents, datetime.now(UTC), wide=out.columns() >= WIDE)
    out.table(head, rows, [one.state.value for one in agents])
    return 0


def table(agents: list[Agent], now: datetime, *, wide: bool) -> tuple[list[str], list[list[str]]]:
    """Head and rows."""
    from ...core import display, limits, wording
    from ...services import local_time

    def about(one: Agent) -> str:
        return limits.line(one, now, local_time.mine())

    def state(one: Agent) -> str:
        return "limit" if one.limit and one.state.value == "error" else one.state.value

    def row(one: Agent) -> list[str]:
        age = display.ago((now - one.since).total_seconds())
        kind = wording.walled(one.kind or "?", one.tier == "sandbox")
        if not wide:
            return [one.pane or "–", state(one), age, f"{kind} {about(one)}".strip()]
        name = one.name or one.session[:8]
        return [one.pane or "–", state(one), age, kind, one.place or "–", name, about(one)]

    head = ["PANE", "STATE", "SINCE", "AGENT", "WHERE", "NAME", "WHAT"] if wide else ["PANE", "STATE", "SINCE", "WHAT"]
    return head, [row(one) for one in agents]
