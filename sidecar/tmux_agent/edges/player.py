"""Plays a recording at a terminal, as `tmux-agent play` does it: keys, time, and a terminal that is left as it was.

Owns the terminal while it plays. What is written passes core/cast_safe.py. Keys: space pauses, q ends, ← → go five
seconds, + - change the speed. Must not own: reading files (services/cast_files.py).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import time
from bisect import bisect_right
from collections.abc import Iterator
from types import FrameType

from ..core import cast, display
from ..core.cast import Cast
from ..core.cast_frame import BEGINS
from ..core.cast_safe import Safe, restore

STEP = 5.0  # seconds of an arrow
FASTEST, SLOWEST = 64.0, 1 / 16
BURST = 64 << 10  # characters that are written before keys are looked at
ENTERS, LEAVES = "\x1b[?1049h", "\x1b[?1049l"
KEYS = {
    b" ": "pause", b"q": "quit", b"\x03": "quit", b"\x04": "quit", b"+": "faster", b"=": "faster", b"-": "slower",
    b"\x1b[C": "ahead", b"\x1bOC": "ahead", b"\x1b[D": "back", b"\x1bOD": "back",
}  # fmt: skip


class _Ended(Exception):
    """The terminal, or whoever started us, wants it to end."""


class Player:
    """One recording at one terminal. `hold`: at its end it waits for q."""

    def __init__(self, recording: Cast, fd: int, *, speed: float, idle_limit: float, hold: bool) -> None:
        self._events = recording.events
        self._times = times(recording, idle_limit)
        self._header = recording.header
        self._fd = fd
        self._hold = hold
        self._speed = speed
        self._next = 0  # event
        self._at = 0.0  # seconds of the recording, at `_since`
        self._since = 0.0
        self._paused = False
        self._rest = b""
        self._wake = -1  # readable once the terminal has another size
        self._safe = Safe(self._rows(recording.header.height))

    def play(self) -> None:
        """To its end, or until it is ended."""
        with self._terminal():
            self._since = time.monotonic()
            self._write(self._safe.begin())
            while True:
                self._show()
                done = self._next >= len(self._events)
                if done and not self._hold:
                    return
                if done and not self._paused:
                    self._pause("the end")
                for key in self._keys(None if self._paused else self._wait()):
                    if not self._press(key):
                        return

    # --- time ---

    def _now(self) -> float:
        """Seconds of the recording that are played."""
        return self._at if self._paused else self._at + (time.monotonic() - self._since) * self._speed

    def _wait(self) -> float:
        """Seconds until the next event."""
        return max(0.0, (self._times[self._next] - self._now()) / self._speed)

    def _set(self, at: float) -> None:
        self._at, self._since = min(max(0.0, at), self._times[-1] if self._times else 0.0), time.monotonic()

    # --- drawing ---

    def _show(self) -> None:
        """What is due, some of it where it is much."""
        out, size = [], 0
        while self._next < len(self._events) and self._times[self._next] <= self._now() and size < BURST:
            out.append(self._drawn(self._next))
            size += len(out[-1])
            self._next += 1
        self._write("".join(out))

    def _drawn(self, index: int) -> str:
        one = self._events[index]
        if one.code == "r" and (shape := cast.size_of(one.data)):
            return self._safe.resized(self._rows(shape[1]))
        return self._safe.feed(one.data) if one.code == "o" else ""

    def _again(self, at: float) -> None:
        """Draw what stood there at another time: from the keyframe before it."""
        self._set(at)
        self._next = bisect_right(self._times, self._at)
        begins = next((i for i in range(self._next - 1, 0, -1) if self._events[i].data.startswith(BEGINS)), 0)
        height = self._header.height
        for one in self._events[:begins]:
            height = (cast.size_of(one.data) or (0, height))[1] if one.code == "r" else height
        self._safe = Safe(self._rows(height))
        self._write(self._safe.begin())
        for index in range(begins, self._next):
            self._write(self._drawn(index))

    def _rows(self, recorded: int) -> int:
        return max(1, min(recorded, os.get_terminal_size(self._fd).lines))

    def _pause(self, why: str) -> None:
        """Stand still, and say so in the last line; going on draws the screen again."""
        self._set(self._now())
        self._paused = True
        size = os.get_terminal_size(self._fd)
        words = f" {why}  {display.ago(self._at)} of {display.ago(self._times[-1] if self._times else 0)}"
        words += f"  ×{self._speed:g}   space goes on · ← → 5 s · + - speed · q ends "
        self._write(f"\x1b[m\x1b(B\x0f\x1b[r\x1b[{size.lines};1H\x1b[7m{display.cut(words, size.columns)}\x1b[m")

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        while data:
            data = data[os.write(self._fd, data) :]

    # --- keys ---

    def _keys(self, seconds: float | None) -> Iterator[str]:
        ready = select.select([self._fd, self._wake], [], [], seconds)[0]
        if self._wake in ready:
            os.read(self._wake, 512)
            yield "draw"
        if self._fd not in ready:
            return
        typed = os.read(self._fd, 1024)
        if not typed:
            raise _Ended
        yield from self._read(typed)

    def _read(self, typed: bytes) -> Iterator[str]:
        """The keys that are ours; an escape sequence is one key, whole."""
        typed = self._rest + typed
        self._rest = b""
        while typed:
            length = 1
            if typed[:1] == b"\x1b":
                if len(typed) < 3:
                    self._rest = typed
                    return
                length = 3
            if name := KEYS.get(typed[:length]):
                yield name
            typed = typed[length:]

    def _press(self, key: str) -> bool:
        """False where it ends."""
        match key:
            case "quit":
                return False
            case "pause" if self._paused:
                at_end = self._next >= len(self._events)
                self._paused = False
                self._again(0.0 if at_end else self._at)
            case "pause":
                self._pause("paused")
            case "ahead" | "back" | "draw":
                paused, self._at = self._paused, self._now()
                self._paused = False
                self._again(self._at + {"ahead": STEP, "back": -STEP, "draw": 0.0}[key])
                if paused and self._next < len(self._events):
                    self._pause("paused")
            case "faster" | "slower":
                paused = self._paused
                self._set(self._now())
                self._speed = min(FASTEST, max(SLOWEST, self._speed * (2 if key == "faster" else 0.5)))
                if paused:
                    self._pause("paused")
        return True

    # --- the terminal ---

    @contextlib.contextmanager
    def _terminal(self) -> Iterator[None]:
        """Keys come one by one and are not shown; afterwards all is as it was, also where we are told to end."""
        old = termios.tcgetattr(self._fd)
        new = [*old[:6], list(old[6])]
        new[0] &= ~(termios.IXON | termios.ICRNL)
        new[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN)
        before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
        before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, lambda *_: None)
        self._wake, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        termios.tcsetattr(self._fd, termios.TCSADRAIN, new)
        try:
            self._write(ENTERS)
            yield
        except _Ended:
            pass
        finally:
            with contextlib.suppress(OSError):  # the terminal is gone: there is nothing to leave as it was
                self._write(restore() + LEAVES)
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSADRAIN, old)
            signal.set_wakeup_fd(-1)
            os.close(self._wake)
            os.close(waker)
            for number, handler in before.items():
                signal.signal(number, handler)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise _Ended


def times(recording: Cast, idle_limit: float) -> list[float]:
    """When each event is played: as it was, but for pauses, which last `idle_limit` seconds at the most (0: as long as
    they were, or as the recording itself says)."""
    limit = idle_limit or recording.header.idle_time_limit or 0.0
    found: list[float] = []
    at = before = 0.0
    for one in recording.events:
        at += min(one.at - before, limit) if limit > 0 else one.at - before
        before = one.at
        found.append(at)
    return found
