"""`tmux-agent send NAME TEXT`: type at an agent's prompt, as soon as it waits, and press Enter."""

from __future__ import annotations

import argparse
import sys


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of `tmux-agent sessions`")
    parser.add_argument("text", help="what is typed; - reads it from the input")
    parser.add_argument("--no-enter", action="store_true", help="leave it at the prompt")
    parser.add_argument("--json", action="store_true", help="print the agent as JSON")


def main(args: argparse.Namespace) -> int:
    from ...client import Client
    from .. import out
    from . import asked

    text = sys.stdin.read().rstrip("\n") if args.text == "-" else args.text
    with Client() as client:
        data = asked.call(client, "fleet.send", {"name": args.name, "text": text, "enter": not args.no_enter})
    if args.json:
        out.as_json(data)
    else:
        print(f"typed at the prompt of {data['name']}")
    return 0
