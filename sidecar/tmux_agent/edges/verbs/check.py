"""`tmux-agent check TYPE KEY=VALUE…`: try an external check by hand, and print what it says.

The keys are those of a pipeline's `external_check` (docs/checks.md). It looks from here, without the sidecar, but a
command goes through the sidecar's guard. Exit code 0 for success, 1 for everything else.
"""

from __future__ import annotations

import argparse
import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...core import model
    from ...core.checks import Check, Reading
    from ...services.checks.follow import Checks

STYLES = {"success": "done", "failure": "error", "unreachable": "error", "pending": "pending"}


def add(parser: argparse.ArgumentParser) -> None:
    from ...core.checks import TYPES

    parser.add_argument("type", nargs="?", metavar="TYPE", help=", ".join(TYPES))
    parser.add_argument("keys", nargs="*", metavar="KEY=VALUE", help="as in YAML: repository=user/repo max_wait=60")
    parser.add_argument("--file", metavar="FILE", help="read external_check: from there (- is standard input)")
    parser.add_argument("--once", action="store_true", help="look once")
    parser.add_argument("--since", default="0s", metavar="AGO", help="how long ago it began: 10m, 2h (0s)")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="ADDRESS", help="for a webhook (127.0.0.1:0)")
    parser.add_argument("--json", action="store_true", help="print a reading a line as JSON")


def main(args: argparse.Namespace) -> int:
    spec, ago = _spec(args), _ago(args.since)
    return asyncio.run(_follow(args, spec, ago))


def _spec(args: argparse.Namespace) -> Check:
    """Raises InvalidParams."""
    import sys

    from msgspec import Struct

    from ...core import checks, config, errors
    from ...services.config_file import own_text

    if bool(args.file) == bool(args.type):
        raise errors.InvalidParams(
            "what is to be checked? tmux-agent check http url=https://example.org, or --file FILE"
        )
    if args.file:
        try:
            text = sys.stdin.read() if args.file == "-" else own_text(Path(args.file))
        except (OSError, UnicodeDecodeError) as why:
            raise errors.InvalidParams(f"{args.file} cannot be read: {why}") from None
    else:
        if wrong := [key for key in args.keys if "=" not in key or "\n" in key]:
            raise errors.InvalidParams(f"{wrong[0]!r} is no KEY=VALUE")
        pairs = (key.partition("=") for key in args.keys)
        text = "".join(
            [f"external_check:\n  type: {args.type}\n", *(f"  {name}: {value}\n" for name, _, value in pairs)]
        )
    kind: Any = type("Checked", (Struct,), {"__annotations__": {"external_check": checks.Check}})
    found, problems = config.load(text, args.file or "the command line", kind)
    if found is None:
        raise errors.InvalidParams("\n".join(str(problem) for problem in problems))
    spec: Check = found.external_check
    return spec


def _ago(text: str) -> timedelta:
    """Raises InvalidParams."""
    from msgspec import Struct

    from ...core import config, errors

    kind: Any = type("Since", (Struct,), {"__annotations__": {"since": float}})
    found, problems = config.load(f"since: {text}", "--since", kind)
    if found is None or not 0 <= found.since <= 366 * 86400:
        why = str(problems[0]) if problems else "--since: at most a year"
        raise errors.InvalidParams(why)
    return timedelta(seconds=found.since)


async def _follow(args: argparse.Namespace, spec: Check, ago: timedelta) -> int:
    import os
    import tempfile
    from contextlib import aclosing

    from ...core.checks import WebhookCheck
    from ...services.checks.follow import Checks, utc_now
    from ...services.journal import Journal
    from ...services.places import find
    from ...services.secrets import Secrets
    from ..http import Http

    listener = Http()
    with tempfile.TemporaryDirectory() as folder:  # for what a webhook is told while this runs
        journal = Journal(Path(folder, "state.db"), Path(folder, "audit.jsonl"))
        await journal.start()
        try:
            checks = Checks(journal, Secrets(find(os.environ), os.environ), os.environ, address=lambda: listener.url)
            if isinstance(spec, WebhookCheck):
                await _listen(listener, checks, args.listen)
            since = utc_now() - ago
            if args.once:
                found = await checks.look(spec, since=since, run=_run)
                _show(found, args.json)
                return 0 if found.state == "success" else 1
            async with aclosing(checks.follow(spec, since=since, key="by hand", run=_run)) as readings:
                async for found in readings:
                    _show(found, args.json)
            return 0 if found.state == "success" else 1
        finally:
            await listener.close()
            await journal.close()


async def _listen(listener: Any, checks: Checks, address: str) -> None:
    from ...core.settings import Http as Settings
    from .. import webhooks

    listener.route("POST", webhooks.PREFIX, webhooks.handler(lambda: checks.deliveries))
    await listener.open(Settings(listen=address))


async def _run(command: model.Command) -> model.Outcome:
    """Through the sidecar's guard, as `tmux-agent run`."""
    import os

    from ...client import AsyncClient
    from ...core.model import Outcome

    program, *rest = command.argv
    params = {"command": program, "args": rest, "cwd": command.cwd or os.getcwd(), "timeout": command.timeout}
    async with AsyncClient(name="check") as client:
        data = await client.call("command.run", params)
    return Outcome(ok=data.get("exit_code") == 0, data=data)


def _show(found: Reading, as_json: bool) -> None:
    import msgspec

    from .. import out

    if as_json:
        print(msgspec.json.encode(found).decode(), flush=True)
        return
    when = datetime.now().astimezone().strftime("%H:%M:%S")
    state = out.paint(f"{found.state:<11}", STYLES[found.state])
    print(" ".join(part for part in (when, state, found.detail, found.url) if part), flush=True)
