"""`tmux-agent call METHOD [JSON]`: any method of the socket, as curl would."""

from __future__ import annotations

import argparse
import sys


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD", help="for example health, policy.check (docs/protocol.md)")
    parser.add_argument("params", metavar="JSON", nargs="?", default="{}", help="params; - reads standard input")
    parser.add_argument("--json", action="store_true", help="always on; accepted so that every verb takes it")


def main(args: argparse.Namespace) -> int:
    import msgspec

    from ...client import Client
    from ...core import errors
    from .. import out

    text = sys.stdin.read() if args.params == "-" else args.params
    try:
        params = msgspec.json.decode(text, type=dict)
    except msgspec.DecodeError as why:
        raise errors.InvalidParams(f"the params are not a JSON object: {why}") from None
    with Client(name="call", patience=2) as client:
        out.as_json(client.call(args.method, params))
    return 0
