"""`tmux-agent exec -- TEXT`: run shell text in a shell that lives on; what it printed and its exit code are given back.

Where the policy asks a person, the popup is opened at the question, and the command waits for the answer.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...client import Client
    from ...core.replies import ExecutionData

RUNS = 124  # it still runs: as of timeout(1)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNITS = {"ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0}


def add(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--session", metavar="NAME", help="the session, made if need be (tmux-agent-shell)")
    where.add_argument("--pane", metavar="%7", help="the shell of this pane")
    parser.add_argument("--server", metavar="SOCKET", help="the tmux server, where there are several")
    parser.add_argument("--wait", type=_span, metavar="5s", default=30_000, help="for its turn, and for its end (30s)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--id", metavar="ID", help="what became of an execution that still ran")
    what.add_argument("--interrupt", metavar="ID", help="press Ctrl-C where an execution runs")
    what.add_argument("--list", action="store_true", help="sessions that were used, and the last executions")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.add_argument("text", nargs="*", metavar="-- TEXT", help="shell text; - reads it")
    parser.epilog = (
        "exit code: that of the text; 124 where it still runs (its id is told), 3 where a person or the\n"
        "policy said no, 1 where it was not run, or its end was not told"
    )


def _span(text: str) -> float:
    """Milliseconds."""
    found = _SPAN.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: say 500ms, 5s, 10m or 1h")
    return float(found[1]) * _UNITS[found[2] or "s"]


def main(args: argparse.Namespace) -> int:
    import msgspec

    from ...client import Client
    from ...core import errors
    from ...core.replies import ExecutionData
    from .. import out

    text = sys.stdin.read() if args.text == ["-"] else " ".join(args.text)
    asks = args.id or args.interrupt or args.list
    if bool(text) == bool(asks):
        raise errors.InvalidParams("nothing to run: tmux-agent exec -- TEXT, or one of --id, --interrupt and --list")
    with Client(name="exec") as client:
        if args.list:
            return _list(client, args)
        data = _asked(client, args) if asks else _executed(client, args, text)
    found = msgspec.convert(data, ExecutionData)
    if args.json:
        out.as_json(found)
    else:
        _show(found)
    return RUNS if found.status == "running" else 1 if found.exit_code is None else found.exit_code


def _asked(client: Client, args: argparse.Namespace) -> Any:
    from . import asked

    if args.interrupt:
        params = {"execution_id": args.interrupt, "wait_ms": max(1, int(args.wait))}
        return asked.call(client, "tmux.interrupt", params)
    return client.call("tmux.execution", {"execution_id": args.id, "wait_ms": int(args.wait)})


def _executed(client: Client, args: argparse.Namespace, text: str) -> Any:
    from . import asked

    named = {"session": args.session, "pane_id": args.pane, "server": args.server}
    return asked.call(client, "tmux.execute", {"command": text, "wait_ms": max(1, int(args.wait)), **named})


# --- printing ---


def _show(data: ExecutionData) -> None:
    import base64

    from ...core import display

    if sys.stdout.isatty():  # it may have been somebody else's: what it says to a terminal is not for this one
        sys.stdout.write(display.safe(data.output, newlines=True))
    elif data.encoding == "base64":
        sys.stdout.buffer.write(base64.b64decode(data.output))
    else:
        sys.stdout.buffer.write(data.output.encode("utf-8", "surrogatepass"))
    sys.stdout.flush()
    notes = [data.note]
    if data.status == "running":
        front = f" ({data.in_front} is in front)" if data.in_front else ""
        notes.append(f"still running{front}: tmux-agent exec --id {data.execution_id}, or --interrupt")
    elif not data.exact and not data.note:
        notes.append("as seen on the screen: its pane is piped elsewhere")
    for note in filter(None, notes):
        print(display.safe(note), file=sys.stderr)


def _list(client: Client, args: argparse.Namespace) -> int:
    import time

    from ...core import display
    from .. import out

    where = {"server": args.server} if args.server else {}
    sessions = [one for one in client.call("tmux.sessions", where)["sessions"] if one.get("commands")]
    found = client.call("tmux.executions", {"limit": 20})["executions"]
    if args.json:
        out.as_json({"sessions": sessions, "executions": found})
        return 0
    if not found:
        print("nothing was run yet: tmux-agent exec -- TEXT")
        return 0
    now = time.time()
    rows = [[one["name"], str(one["commands"]), display.ago(now - one["last_command"])] for one in sessions]
    if rows:
        out.table(["SESSION", "COMMANDS", "LAST"], rows)
        print()
    rows = [
        [one["execution_id"], one["session"] or one["pane_id"], _state(one), display.ago(now - one["started"]),
         one["command"].strip().split("\n")[0]]
        for one in found
    ]  # fmt: skip
    out.table(["EXECUTION", "SESSION", "STATE", "AGO", "COMMAND"], rows)
    return 0


def _state(one: dict[str, Any]) -> str:
    code = one.get("exit_code")
    return f"exit {code}" if one["status"] == "done" and code is not None else one["status"]
