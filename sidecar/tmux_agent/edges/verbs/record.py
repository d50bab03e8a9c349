"""`tmux-agent record FILE`: what happens from now on, for `tmux-agent replay`.

Owns the file, its bound, and when the recording ends. A client like any other: it hears what its caller may hear. Must
not own: the form of the lines (core/recording.py).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from ...core.recording import Entry

BYTES = 64 << 20
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a new file; - is standard output")
    parser.add_argument("--pane", action="append", default=[], metavar="%N", help="only what concerns this pane")
    parser.add_argument("--type", action="append", default=[], metavar="TYPE", help="only events of this type")
    parser.add_argument("--for", dest="span", type=_seconds, metavar="10m", help="how long (until it is interrupted)")
    parser.add_argument("--bytes", type=int, default=BYTES, metavar="N", help=f"how much at the most ({BYTES})")


def _seconds(text: str) -> float:
    found = _SPAN.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: say 30s, 10m, 2h or 1d")
    return float(found[1]) * _UNITS[found[2]]


def main(args: argparse.Namespace) -> int:
    """0 also where it was interrupted: that is how a recording ends. Raises Unavailable, Failed."""
    with contextlib.ExitStack() as closing:
        out = sys.stdout.buffer if args.file == "-" else closing.enter_context(_new(args.file))
        asyncio.run(_Recorder(args, out).run())
    return 0


def _new(path: str) -> IO[bytes]:
    from ...core.errors import Failed

    try:
        return open(path, "xb", opener=_private)
    except FileExistsError:
        raise Failed(f"{path} is there: name a new file, nothing was recorded") from None
    except OSError as why:
        raise Failed(f"{path} cannot be written: {why.strerror}") from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


class _Recorder:
    """One recording."""

    def __init__(self, args: argparse.Namespace, out: IO[bytes]) -> None:
        self._args = args
        self._out = out
        self._left = args.bytes
        self._began = time.monotonic()
        self._lost = 0
        self._entries = 0

    async def run(self) -> None:
        from ...core.recording import End

        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        why = "full"
        try:
            async with asyncio.timeout(self._args.span):
                await self._record()
        except TimeoutError:
            why = "time"
        except asyncio.CancelledError:
            why = "interrupted"  # the way to end it
        self._put(End(at=round(self._at(), 6), why=why, lost=self._lost), last=True)
        name = "" if self._args.file == "-" else f" in {self._args.file}"
        print(f"{self._entries} entries{name}; ended: {why}", file=sys.stderr)

    async def _record(self) -> None:
        """Until it is full."""
        from ... import __version__
        from ...client import AsyncClient
        from ...core.model import Role
        from ...core.recording import VERSION, Session, entry_of, pane_of

        async with AsyncClient(patience=2) as client:
            hello, health = await client.hello(), await client.health()
            operator = hello.origin.role is Role.OPERATOR
            if not operator:
                print(f"only what is yours is heard: {hello.origin.why}", file=sys.stderr)
            panes, types = tuple(self._args.pane), tuple(self._args.type)
            started = _utc()
            session = Session(
                version=VERSION, started=started, by=__version__, panes=panes, types=types, operator=operator
            )
            if not self._put(session):
                return
            heard = client.events(*types, since=health.audit.records, output=not types)
            async with contextlib.aclosing(heard) as events:
                async for event in events:
                    if event.type == "events.lost":
                        self._lost += int(event.data.get("count", 0))
                    entry = entry_of(event, self._at())
                    if panes and pane_of(entry) not in panes:
                        continue
                    if not self._put(entry):
                        return
                    self._entries += 1

    def _at(self) -> float:
        return time.monotonic() - self._began

    def _put(self, entry: Entry, *, last: bool = False) -> bool:
        """Write it, whole; False where it would be too much. The last line always fits."""
        from ...core.recording import line

        text = line(entry)
        if not last and len(text) > self._left:
            return False
        self._left -= len(text)
        self._out.write(text)
        self._out.flush()
        return True


def _utc() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
