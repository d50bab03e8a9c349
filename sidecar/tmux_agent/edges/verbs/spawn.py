"""`tmux-agent spawn BRANCH`: an agent in a worktree and a tmux session of its own. In a pane, it is asked."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("branch", help="its branch; made where there is none")
    parser.add_argument("--agent", default="", metavar="NAME", help="claude (default), codex, gemini, opencode, …")
    parser.add_argument("--template", default="", metavar="NAME", help="a template (.tmuxagent/templates/NAME.md)")
    parser.add_argument("--task", default="", metavar="TEXT", help="typed at its prompt; - reads it from the input")
    parser.add_argument("--base", default="", metavar="REF", help="where a new branch begins (default: here)")
    parser.add_argument("--repository", default="", metavar="DIR", help="a folder in the repository (default: here)")
    parser.add_argument("--project", default="", metavar="NAME", help="what people know its work by")
    parser.add_argument("--sandbox", action="store_true", default=None, help="in a sandbox (docs/sandbox.md)")
    parser.add_argument("--record", action="store_true", help="record its pane from its first byte (docs/casts.md)")
    parser.add_argument("--mask", action="store_true", help="record it, without secrets")
    parser.add_argument("--plain", action="store_true", help="without what the repository's own fleet.toml says")
    parser.add_argument("--server", metavar="SOCKET", help="the tmux server, where there are several")
    parser.add_argument("--attach", action="store_true", help="go to its session once it is there")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--json", action="store_true", help="print the agent as JSON")


def main(args: argparse.Namespace) -> int:
    import os

    from ...client import Client
    from .. import out
    from . import asked
    from .attach import go

    record = "masked" if args.mask else "plain" if args.record else ""
    task = sys.stdin.read() if args.task == "-" else args.task
    params: dict[str, Any] = {
        "branch": args.branch, "agent": args.agent, "template": args.template, "task": task, "base": args.base,
        "repository": os.path.abspath(args.repository or "."), "project": args.project, "sandbox": args.sandbox,
        "plain": args.plain, "record": record, "server": args.server, "dry_run": args.dry_run,
    }  # fmt: skip
    with Client() as client:
        data = asked.call(client, "fleet.spawn", params)
    if args.attach and not args.dry_run:
        return go(data)
    if args.json:
        out.as_json(data)
    elif args.dry_run:
        _would(data)
    else:
        print(f"{data['name']}: {data['agent']} on {data['branch']} in {data['worktree']}")
        if data.get("note"):
            print(f"  {data['note']}")
        print(f"  tmux-agent attach {data['name']}    tmux-agent read {data['name']}")
        if data.get("cast"):
            print(f"  recorded: tmux-agent play {data['cast']}")
    return 0


def _would(data: dict[str, Any]) -> None:
    import shlex

    from ...core import display
    from .. import out

    new = "a new branch" if data["new_branch"] else "an existing branch"
    out.wrapped("branch", f"{data['branch']}, {new}, from {data['base']}")
    out.wrapped("worktree", data["worktree"])
    out.wrapped("session", data["session"])
    for line in data["does"]:
        out.wrapped("does", line)
    out.wrapped("starts", f"{shlex.join(data['argv'])} ({data['tier']})")
    for number, line in enumerate(data.get("task", "").splitlines()):
        out.wrapped("" if number else "task", line)
    decision = data["decision"]
    said = f"{decision['verdict']}, rule {decision['rule']!r}: {decision['reason']}"
    out.wrapped("policy", display.safe(said), decision["verdict"])
