"""`tmux-agent attach NAME`: go to an agent's session, with this tmux client or a new one."""

from __future__ import annotations

import argparse
import os
from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of `tmux-agent sessions`")
    parser.add_argument("-r", "--read-only", action="store_true", help="look only: keys do not reach the agent")


def main(args: argparse.Namespace) -> int:
    from ...client import Client

    with Client(patience=2) as client:
        one = client.call("fleet.get", {"name": args.name})["agent"]
    return go(one, read_only=args.read_only)


def go(one: dict[str, Any], *, read_only: bool = False) -> int:
    """Become the tmux client that shows it. Raises Conflict, Unavailable."""
    from ...core.errors import Conflict, Unavailable

    if one["state"] not in ("running", "paused"):
        raise Conflict(f"{one['name']} has no session ({one['state']}): `tmux-agent resume {one['name']}` starts one")
    inside = os.environ.get("TMUX", "").partition(",")[0]
    target = ("-t", one["pane"])  # its session may have another name by now
    if inside and os.path.realpath(inside) == os.path.realpath(one["server"]):
        words = ["switch-client", *(["-r"] if read_only else []), *target]
    else:
        os.environ.pop("TMUX", None)
        words = ["attach-session", *(["-r"] if read_only else []), *target]
    try:
        os.execvp("tmux", ["tmux", "-S", one["server"], *words])  # noqa: S606 - the person's own tmux
    except OSError as why:
        raise Unavailable(f"tmux cannot be started: {why.strerror}") from None
