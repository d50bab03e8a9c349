"""`tmux-agent run -- PROGRAM ARG…`: run one program, judged first; its output and exit code are given back."""

from __future__ import annotations

import argparse
import sys


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cwd", metavar="DIR", help="run it there (default: here)")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="end it after this long")
    parser.add_argument("--dry-run", action="store_true", help="say what would happen, and do nothing")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("argv", nargs="+", metavar="-- PROGRAM ARG", help="the program and its arguments")


def main(args: argparse.Namespace) -> int:
    from ...client import Client
    from .. import out
    from . import asked

    command, *rest = args.argv
    params = {"command": command, "args": rest, "cwd": args.cwd, "timeout": args.timeout, "dry_run": args.dry_run}
    with Client(name="run") as client, asked.waiting(client):
        data = client.call("command.run", params)
    if args.json:
        out.as_json(data)
        return 0
    if args.dry_run:
        print(f"{out.paint(data['verdict'], data['verdict'])}  rule {data['rule']!r}: {data['reason']}")
        return 0
    sys.stdout.write(data.get("stdout", ""))
    sys.stderr.write(data.get("stderr", ""))
    code = data.get("exit_code")
    return 1 if code is None else int(code)
