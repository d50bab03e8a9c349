"""`tmux-agent cast …`: record what a pane shows, list what was recorded, give it out, remove it."""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import IO, Any

_SIZE = re.compile(r"(\d+)([kKmMgG]?)(?:i?[bB])?")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def add(parser: argparse.ArgumentParser) -> None:
    under = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    start = under.add_parser("start", help="record a pane from now on (without one: this pane)")
    start.add_argument("--mask", action="store_true", help="take secrets out, by their shape and the word before them")
    start.add_argument("--max-size", type=_bytes, default=0, metavar="10M", help="end it when it is as large as that")
    stop = under.add_parser("stop", help="end the recording of a pane (without one: of this pane)")
    for sub in (start, stop):
        sub.add_argument("pane", nargs="?", metavar="PANE", help="its id (%%7)" if sub is start else "its id, or ID")
        sub.add_argument("--server", metavar="SOCKET", help="the tmux server, where there are several")
    listed = under.add_parser("list", help="recordings, the oldest first")
    export = under.add_parser("export", help="write a recording into one file")
    export.add_argument("id", metavar="ID|FILE")
    export.add_argument("file", metavar="FILE", help="a new file; - is standard output")
    export.add_argument("--format", choices=("cast", "txt"), default="cast", help="asciicast v2 (cast), or plain text")
    remove = under.add_parser("remove", help="remove a recording that has ended")
    remove.add_argument("id", metavar="ID")
    for sub in (start, stop, listed, remove):
        sub.add_argument("--json", action="store_true", help="print the answer as JSON")


def _bytes(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: say 500k, 10M or 1G")
    return int(found[1]) * _UNITS[found[2].lower()]


def main(args: argparse.Namespace) -> int:
    """Raises what the sidecar says; Failed where a file cannot be read or written."""
    if args.what == "export":
        return _export(args)
    from ...client import Client
    from .. import out
    from . import asked

    with Client(name="cast") as client:
        data = asked.call(client, f"cast.{args.what}", _params(args))
    if args.json:
        out.as_json(data)
    elif args.what == "list":
        _list(data["casts"])
    elif args.what == "start":
        print(f"{data['id']}  records {data['title']}; end it with: tmux-agent cast stop {data['pane']}")
    elif args.what == "stop":
        print(f"{data['id']}  {_size(data['bytes'])}; play it with: tmux-agent play {data['id']}")
    return 0


def _params(args: argparse.Namespace) -> dict[str, Any]:
    if args.what == "list":
        return {}
    if args.what == "remove":
        return {"id": args.id}
    params: dict[str, Any] = {"server": args.server} if args.server else {}
    if args.what == "stop" and args.pane and not args.pane.startswith("%"):
        return {"id": args.pane}
    if args.pane:
        params["pane_id"] = args.pane
    if args.what == "start":
        params |= {"mask": args.mask, "max_bytes": args.max_size}
    return params


def _list(casts: list[dict[str, Any]]) -> None:
    from .. import out

    if not casts:
        print("no recordings (in a pane only its own are listed): `tmux-agent cast start %7` records one")
        return
    rows = []
    for one in casts:
        state = one["state"] + (", masked" if one.get("masked") else "")
        what = "  ".join(filter(None, [one["title"], one.get("why", "")]))
        since = one["started"][:16].replace("T", " ")
        rows.append([one["id"], state, since, _long(one["seconds"]), _size(one["bytes"]), what])
    out.table(["ID", "STATE", "SINCE (UTC)", "LASTS", "SIZE", "OF"], rows)


def _long(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.0f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def _export(args: argparse.Namespace) -> int:
    from ...core import cast, cast_text
    from ...core.errors import Failed
    from .play import recording

    found = recording(args.id)
    lines = cast.written(found) if args.format == "cast" else (
        f"{line}\n".encode() for line in cast_text.lines(found.events)
    )  # fmt: skip
    if args.file == "-":
        _put(sys.stdout.buffer, lines)
        return 0
    try:
        with open(args.file, "xb", opener=_private) as out:
            _put(out, lines)
    except FileExistsError:
        raise Failed(f"{args.file} is there: name a new file, nothing was written") from None
    except OSError as why:
        raise Failed(f"{args.file} cannot be written: {why.strerror}") from None
    return 0


def _put(out: IO[bytes], lines: Any) -> None:
    for line in lines:
        out.write(line)
    out.flush()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
