"""`tmux-agent sessions`: the agents of the fleet, each with its branch, state and worktree."""

from __future__ import annotations

import argparse
from typing import Any

WIDE = 80  # columns; below, who it is, how it is and what it is about have room


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--finished", action="store_true", help="also those whose worktree is gone")
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def main(args: argparse.Namespace) -> int:
    from ...client import Client
    from .. import out

    with Client(patience=2) as client:
        agents = client.call("fleet.list", {"finished": args.finished})["agents"]
    if args.json:
        out.as_json(agents)
    elif not agents:
        print("no agent of the fleet: `tmux-agent spawn BRANCH` starts one")
    else:
        wide = out.columns() >= WIDE
        head = ["NAME", "STATE", *(["AGENT", "BRANCH", "PANE"] if wide else []), "WHAT"]
        out.table(head, [_row(one, wide) for one in agents], [_state(one) for one in agents])
    return 0


def _state(one: dict[str, Any]) -> str:
    said = one.get("agent_state", "") if one["state"] == "running" else ""
    return said or str(one["state"])


def _asks(one: dict[str, Any]) -> str:
    """What it waits for, and how to get there."""
    if one.get("waiting_on"):
        return f"in the popup: {one['waiting_on']}"
    if _state(one) == "waiting":
        return f"in its pane, `tmux-agent attach {one['name']}`: {one.get('detail') or 'a dialog of its own'}"
    return ""


def _row(one: dict[str, Any], wide: bool) -> list[str]:
    about = one.get("note") or _asks(one) or one.get("detail") or one.get("task", "").partition("\n")[0]
    tier = " (sandbox)" if one.get("tier") == "sandbox" else ""
    more = [one["agent"] + tier, one["branch"], one.get("pane") or "–"] if wide else []
    return [one["name"], _state(one), *more, about]
