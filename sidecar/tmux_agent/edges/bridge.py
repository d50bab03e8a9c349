"""The bridge: follows the local bus and hands each message on, in order, keeping where it is.

A process of its own (`tmux-agent notify bridge`), so it may wait and block. It looks every few seconds, for other
programs and machines (a shared folder) may write the bus, and a plain file tells of nothing. Owns the position: the
number of the last message that every channel has taken, written after each. A crash between the two sends one message
again, never leaves one out. Must not own: the bus (services/local_bus.py), channels (services/senders.py).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import IO

from ..core import channels, display, redact
from ..core.errors import Conflict, InvalidParams, TmuxAgentError, Unavailable
from ..services import private_files
from ..services.local_bus import Follower, Line
from ..services.notify_lane import FIRST_RETRY, LAST_RETRY
from ..services.senders import Senders, within


class Bridge:
    """One run. `names` are the channels; bridges to other channels have positions of their own."""

    def __init__(self, senders: Senders, wanted: channels.Notify, names: str, folder: Path) -> None:
        if wrong := channels.unknown(wanted, names):
            raise InvalidParams(channels.known_words(wanted, wrong))
        self.channels = {name: channels.channel(wanted, name) for name in channels.named(wanted, names)}
        if not self.channels or any(one is not None and one.kind == "local_bus" for one in self.channels.values()):
            raise InvalidParams(
                "a bridge leads from the local bus to other channels: name at least one, and not itself"
            )
        self._senders = senders
        self._retries = wanted.retries
        self._folder = folder
        self._ended = threading.Event()
        self._positions = {name: folder / f"position-{_file_name(name)}" for name in self.channels}

    def run(self, *, once: bool, new: bool, interval: float) -> int:
        """Hand on until it is ended, or what is there with `once`; the exit code. Raises Conflict where another bridge
        of these channels runs, Unavailable.
        """
        for number in (signal.SIGINT, signal.SIGTERM):  # not between a message and its position
            signal.signal(number, lambda *_: self._ended.set())
        private_files.make_folder(self._folder)
        locks = [self._locked(path) for path in self._positions.values()]
        if new:
            last = self._senders.bus.last()
            for path in self._positions.values():
                if not path.exists():
                    _put(path, last)
        at = {name: _position(path) for name, path in self._positions.items()}
        follower = Follower(self._senders.bus, min(at.values()))
        try:
            while True:
                for line in follower.lines():
                    self._hand_on(line, at, once=once)
                    if self._ended.is_set():
                        return 130
                if follower.missed:
                    print(f"{follower.missed} messages were rotated away before they were read", file=sys.stderr)
                    follower.missed = 0
                if once:
                    return 0
                if self._ended.wait(interval):
                    return 130
        finally:
            follower.close()
            for lock in locks:
                lock.close()

    def _locked(self, path: Path) -> IO[bytes]:
        """Held as long as the bridge runs. Raises Conflict."""
        file = path.with_name(f"{path.name}.lock")
        lock = open(file, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115  held by run()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise Conflict(f"another bridge hands on to {path.name.removeprefix('position-')}: end that one") from None
        return lock

    def _hand_on(self, line: Line, at: dict[str, int], *, once: bool) -> None:
        """One message to every channel that has not had it. Raises Unavailable where one does not take it (`once`)."""
        for name, channel in self.channels.items():
            if line.seq <= at[name] or channel is None:
                continue
            if channels.wants(channel, line.message):
                self._send(name, channel, line, once=once)
            at[name] = line.seq
            _put(self._positions[name], line.seq)

    def _send(self, name: str, channel: channels.Channel, line: Line, *, once: bool) -> None:
        """Until it is taken: what is not handed on stays the next. With `once`, as often as `retries` says."""
        tries = 0
        while True:
            try:
                why = within(self._senders.sender(channel, (line.message,)), channel.timeout)
            except TmuxAgentError as error:
                why = error.message
            if not why:
                return
            why = display.safe(redact.redact_text(why))
            tries += 1
            if once and tries > self._retries:
                raise Unavailable(f"message {line.seq} was not taken by {name}, {why}: the next run begins with it")
            pause = min(FIRST_RETRY * 2.0 ** (tries - 1), LAST_RETRY)
            print(
                f"message {line.seq} was not taken by {name}, again in {pause:g} s: {why}", file=sys.stderr, flush=True
            )
            if self._ended.wait(pause):
                raise KeyboardInterrupt


def _file_name(name: str) -> str:
    """A channel's name is a file's name, too."""
    return name if name.isalnum() else f"{name}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _position(path: Path) -> int:
    try:
        text = private_files.read(path).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return 0
    if not text.isdecimal() or len(text) > 18:
        raise Unavailable(f"{path} is no number: remove it, and the bridge begins with the oldest message")
    return int(text)


def _put(path: Path, seq: int) -> None:
    private_files.replace(path, b"%d\n" % seq)
