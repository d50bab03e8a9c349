"""A person's terminal for tests: a real tmux client on a pty, read as a person reads it (pyte), with no sleeps.

`Server` is a throwaway tmux server of its own; `Terminal` attaches to it (or runs any program) and offers press(),
wait_for(), press_until(), text(), resize() and the number of bytes that reached the terminal. TMUX_AGENT_TEST_TMUX is
another tmux binary to test with.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte
from tests.patience import AGAIN, PATIENCE

TMUX = os.environ.get("TMUX_AGENT_TEST_TMUX", "tmux")
# Two clients whose keys come within a millisecond would pass for a paste.
BASE = "set -g default-shell /bin/sh\nset -g default-command 'exec cat'\nset -g assume-paste-time 0\n"


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """Ours without what would tie the program to a tmux around us."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TMUX")}
    return {**kept, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(extra or {})}


class _Screen(pyte.Screen):
    """pyte's, which does not know the private form of a status request, and cannot show half a wide character (tmux 3.6
    sends the one, and overwrites the other)."""

    @property
    def display(self) -> list[str]:
        return ["".join(self.buffer[row][column].data for column in range(self.columns)) for row in range(self.lines)]

    def report_device_status(self, mode: int, **_private: bool) -> None:
        super().report_device_status(mode)


class Terminal:
    """A program on a pty of its own, in a session of its own, with a screen."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        columns: int = 100,
        rows: int = 30,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
    ) -> None:
        self.columns, self.rows = columns, rows
        self.bytes = 0  # that reached the terminal since it was opened
        self.raw = bytearray()  # those bytes
        self._gone = False  # nothing comes any more
        self._screen = _Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._fd, worker = pty.openpty()
        self._set_size(columns, rows)
        self.tty = os.ttyname(worker)
        self.process = subprocess.Popen(
            list(argv), stdin=worker, stdout=worker, stderr=worker, env=_environment(env), cwd=cwd,
            start_new_session=True, preexec_fn=_own_the_terminal,
        )  # fmt: skip
        os.close(worker)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hangs up, as a person who closes the window does."""
        with contextlib.suppress(OSError):
            os.close(self._fd)
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGHUP)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def press(self, *keys: str | bytes) -> None:
        """Types `keys` one after the other. Prefix + A is press("\\x02", "A")."""
        for key in keys:
            data = key.encode() if isinstance(key, str) else key
            while data:
                data = data[os.write(self._fd, data) :]

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._screen.resize(rows, columns)
        self._set_size(columns, rows)

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds: float = 0.0) -> bytes:
        """What comes within `seconds` (at once what is there); empty when nothing does or the program is gone."""
        ready, _, _ = select.select([] if self._gone else [self._fd], [], [], max(seconds, 0.0))
        if not ready:
            return b""
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:  # the program is gone
            self._gone = True
            return b""
        self.bytes += len(data)
        self.raw += data
        self._stream.feed(data)
        return data

    def read_on(self, seconds: float) -> None:
        """All that comes within `seconds`."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def lines(self) -> list[str]:
        """The screen as it is now, trailing blanks cut."""
        while self.read():
            pass
        return [line.rstrip() for line in self._screen.display]

    def text(self) -> str:
        return "\n".join(self.lines())

    def screen(self) -> pyte.Screen:
        """pyte's screen, for colours and attributes (`screen().buffer[row][column].fg`)."""
        self.lines()
        return self._screen

    def wait(self, holds: Callable[[str], bool], seconds: float = PATIENCE, what: str = "the screen") -> str:
        """Reads until `holds(text)`; returns the text. Fails with the screen where it never does."""
        if not self.sees(holds, seconds):
            raise AssertionError(f"{what} did not come within {seconds} s; the screen was:\n{self.text()}")
        return self.text()

    def sees(self, holds: Callable[[str], bool], seconds: float) -> bool:
        """Reads until `holds(text)`; whether it did within `seconds`."""
        end = time.monotonic() + seconds
        while not holds(self.text()):
            left = end - time.monotonic()
            if left <= 0 or self._gone:
                return False
            self.read(left)
        return True

    def press_until(self, keys: Sequence[str], holds: Callable[[str], bool], what: str = "the screen") -> str:
        """Types `keys`, and again where nothing came of it for a while, until `holds(text)`; returns the text."""
        end = time.monotonic() + PATIENCE
        self.press(*keys)
        while not self.sees(holds, AGAIN) and time.monotonic() < end and not self._gone:
            self.press(*keys)
        return self.wait(holds, 0.0, what)

    def wait_raw(self, data: bytes, seconds: float = PATIENCE) -> None:
        """Waits until `data` is in `raw`: for measuring, without the cost of a screen."""
        end = time.monotonic() + seconds
        while data not in self.raw:
            if time.monotonic() > end:
                raise AssertionError(f"{data!r} did not come within {seconds} s")
            self.read(end - time.monotonic())

    def wait_for(self, text: str, seconds: float = PATIENCE) -> str:
        return self.wait(lambda screen: text in screen, seconds, repr(text))

    def wait_gone(self, text: str, seconds: float = PATIENCE) -> str:
        return self.wait(lambda screen: text not in screen, seconds, f"the end of {text!r}")


def _own_the_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Server:
    """A tmux server of the test's own, with the configuration given as lines. Gone, with all in it, after close()."""

    def __init__(
        self, config: str = "", *, folder: Path | None = None, env: Mapping[str, str] | None = None, tmux: str = TMUX
    ) -> None:
        # A short folder: a socket's path may have 107 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="ta-")
        self.folder = folder or Path(self._folder.name)
        self.socket = str(Path(self._folder.name) / "s")
        self.tmux = tmux
        self.env = dict(env or {})
        self.config = self.folder / "tmux.conf"
        self.config.write_text(BASE + config)
        self._terminals: list[Terminal] = []

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def argv(self, *argv: str) -> list[str]:
        return [self.tmux, "-u", "-S", self.socket, "-f", str(self.config), *argv]

    def run(self, *argv: str, check: bool = True) -> str:
        """What the tmux command prints. The first one starts the server (`new-session -d`)."""
        done = subprocess.run(
            self.argv(*argv), env=_environment(self.env), capture_output=True, text=True, timeout=PATIENCE
        )
        if check and done.returncode != 0:
            raise AssertionError(f"tmux {' '.join(argv)}: {done.stderr}")
        return done.stdout.rstrip("\n")

    def attach(self, *argv: str, columns: int = 100, rows: int = 30) -> Terminal:
        """A person's client: `tmux attach` unless other arguments are given; returns once it has drawn."""
        terminal = Terminal(self.argv(*(argv or ("attach-session",))), columns=columns, rows=rows, env=self.env)
        self._terminals.append(terminal)
        terminal.wait(lambda text: bool(text.strip()), what="the client's first screen")
        return terminal

    def close(self) -> None:
        self.run("kill-server", check=False)
        for terminal in self._terminals:
            terminal.close()
        self._folder.cleanup()
