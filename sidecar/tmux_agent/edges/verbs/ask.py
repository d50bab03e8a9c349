"""`tmux-agent ask PROMPT`: ask a person and wait. Exit code 0 for yes, 3 for no, expired or withdrawn."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", help="the question")
    parser.add_argument("--option", action="append", default=[], metavar="TEXT", help="a choice (may be repeated)")
    parser.add_argument("--details", default="", help="more to read")
    parser.add_argument("--type", default="", metavar="WORD", help="action type, for rules (destructive, deploy, …)")
    parser.add_argument("--urgency", default="normal", choices=["low", "normal", "high", "critical"])
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="give up after this long (300)")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def main(args: argparse.Namespace) -> int:
    from ...client import Client
    from .. import out
    from . import asked

    with Client(name="ask") as client, asked.waiting(client):
        answer = client.ask(
            args.prompt,
            options=tuple(args.option),
            details=args.details,
            action_type=args.type,
            urgency=args.urgency,
            timeout=args.timeout,
        )
    if args.json:
        out.as_json(answer)
    elif answer.choice or answer.comment:
        print(answer.choice or answer.comment)
    return 0
