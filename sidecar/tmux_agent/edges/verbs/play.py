"""`tmux-agent play ID|FILE`: show a recording, at this terminal, in a popup or in a new pane."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ...core.cast import Cast
    from ...services.cast_files import CastFiles


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="ID|FILE", help="as `tmux-agent cast list` has it, or any asciicast v2 file")
    parser.add_argument("--speed", type=_speed, default=1.0, metavar="N", help="times as fast (1)")
    parser.add_argument("--idle-limit", type=_seconds, default=0.0, metavar="S", help="no pause lasts longer")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--popup", action="store_true", help="in a popup over the client that looks at this pane")
    where.add_argument("--pane", action="store_true", help="in a new pane beside this one")
    parser.add_argument("--hold", action="store_true", help="at the end wait for q")
    parser.epilog = "keys: space pauses, q ends, ← → go 5 seconds, + - change the speed"


def _speed(text: str) -> float:
    value = _number(text)
    if not 0.05 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r}: 0.05 to 100")
    return value


def _seconds(text: str) -> float:
    value = _number(text)
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r}: seconds, more than 0")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def main(args: argparse.Namespace) -> int:
    """Raises NotFound, Failed, and what the sidecar says to --popup and --pane."""
    from ...core.errors import Failed

    if args.popup:
        return _popup(args)
    if args.pane:
        return _pane(args)
    found = recording(args.what)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Failed("it plays at a terminal: `tmux-agent cast export --format txt` gives the text")
    from ..player import Player

    with open("/dev/tty", "r+b", buffering=0) as terminal:
        Player(found, terminal.fileno(), speed=args.speed, idle_limit=args.idle_limit, hold=args.hold).play()
    return 0


def recording(what: str) -> Cast:
    """Raises NotFound, InvalidParams, Failed."""
    from ...services.cast_files import read_file

    if path := _path(what):
        return read_file(path)
    files = _files()
    return files.read(files.get(what))


def _path(what: str) -> Path | None:
    """The file that is meant, where it is one."""
    from pathlib import Path

    path = Path(what)
    return path.absolute() if "/" in what or what.endswith(".cast") or path.is_file() else None


def _files() -> CastFiles:
    from ...services import places
    from ...services.cast_files import CastFiles

    return CastFiles(places.find(os.environ).casts)


def _popup(args: argparse.Namespace) -> int:
    from ...client import Client
    from . import asked

    recording(args.what)  # what is wrong with it is said here, and not in a popup that closes
    path = _path(args.what)
    params = {"what": str(path or args.what), "speed": args.speed, "idle_limit": args.idle_limit}
    with Client(name="play") as client:
        asked.call(client, "cast.play", params)
    return 0


def _pane(args: argparse.Namespace) -> int:
    from ...client import Client
    from ...core.errors import InvalidParams
    from ...services import places
    from ..casts import player
    from . import asked

    recording(args.what)  # what is wrong with it is said here, and not in a pane that closes
    command, *words = player(places.find(os.environ).state)
    idle = ["--idle-limit", f"{args.idle_limit:g}"] if args.idle_limit else []
    words += ["--hold", "--speed", f"{args.speed:g}", *idle, str(_path(args.what) or args.what)]
    with Client(name="play") as client:
        pane = os.environ.get("TMUX_PANE") or client.hello().origin.pane
        if not pane:
            raise InvalidParams("a pane is opened beside yours: run it in tmux, or without --pane")
        asked.call(client, "tmux.create_pane", {"target": pane, "command": command, "args": words})
    return 0
