"""One pane's output by tmux's own pipe: `pipe-pane` into a FIFO that only we read.

Owns the FIFO, its descriptor, and whether the pane's pipe is ours. A pane has one pipe; another's is never taken. Where
ours ends (the pane closed, or a person piped it elsewhere) that is told. Must not own: what is in the output.
Source: docs/tmux.md, tmux(1) PIPE-PANE.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import select
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from ...core import errors
from ...core.pipeline_run import Place
from .control import TmuxServer

# Where we are killed, its `cat` dies of its next write. tmux would notice at the one after that, and until then nobody
# could tell such a pipe from somebody else's. So another takes its place, which lets nothing pile up in tmux and holds
# our FIFO open: by that the next sidecar knows it.
COMMAND = "exec 3>{}; cat >&3; exec cat >/dev/null"
CHUNK = 1 << 16  # bytes of one read; others have their turn between two
WIDE = 1 << 18  # the same of a pane that is recorded: what we are slow to read piles up in tmux


class Pipe:
    """Made by `open_pipe`. `data` gets what came, `ended` is called once where no more comes; both in the loop."""

    def __init__(self, fd: int, path: Path, data: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        self._fd = fd
        self._path = path
        self._data = data
        self._ended = ended
        self.ended = asyncio.Event()  # no more comes
        self._chunk = CHUNK
        asyncio.get_running_loop().add_reader(fd, self._read)

    @property
    def open(self) -> bool:
        return self._fd >= 0

    def _read(self) -> None:
        try:
            data = os.read(self._fd, self._chunk)
        except BlockingIOError:
            return
        if data:
            self._data(data)
        else:
            self.close()
            self._ended()

    def widen(self) -> None:
        """Take more at once, as far as the system has room for it."""
        with contextlib.suppress(OSError):
            if sys.platform == "linux":
                fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, WIDE)
            self._chunk = WIDE

    def close(self) -> None:
        """Stop reading. tmux's side ends by itself with the next output, or by `release`."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
            self.ended.set()
            self._path.unlink(missing_ok=True)


async def open_pipe(
    server: TmuxServer, place: Place, folder: Path, above: int, data: Callable[[bytes], None],
    ended: Callable[[], None],
) -> tuple[Pipe | None, list[str], int]:  # fmt: skip
    """Begin to read a pane's output, and what it showed until that very moment (with `above` lines of its history):
    nothing is in both, nothing in neither; and the column in which the cursor stood. No pipe where the pane's is
    somebody else's.

    Raises errors.Unavailable, errors.Failed (the pane is gone), OSError.
    """
    name = f"{place.server_pid}-{place.pane[1:]}-{place.pane_pid}"
    ours = _leftovers(folder, name)
    path = folder / f"{name}-{secrets.token_hex(4)}"
    fd = _fifo(path)
    try:
        command = COMMAND.format(shlex.quote(str(path))).replace("#", "##").replace("%", "%%")
        cursor = ("display-message", "-p", "-t", place.pane, "#{cursor_x}")
        lines, said = await server.foreign_choice(
            ("capture-pane", "-p", "-J", "-S", f"-{above}", "-t", place.pane),
            place.pane,
            "0" if ours else "#{pane_pipe}",
            [("display-message", "-p", "taken"), ("display-message", "-p", "0")],
            [("pipe-pane", "-O", "-t", place.pane, command), cursor],
        )
    except BaseException:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    if said[0] == ["taken"]:
        os.close(fd)
        path.unlink(missing_ok=True)
        return None, lines, 0
    return Pipe(fd, path, data, ended), lines, int(said[1][0])


def clean(folder: Path) -> None:
    """Take away what an earlier sidecar left of pipes that have ended."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            if not _has_writer(fd):
                path.unlink()
            os.close(fd)


def _leftovers(folder: Path, name: str) -> bool:
    """Whether the pane's pipe is one that an earlier sidecar left. What it left is taken away."""
    found = False
    for path in folder.glob(f"{name}-*"):
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            found = found or _has_writer(fd)
            os.close(fd)
        path.unlink(missing_ok=True)
    return found


async def release(server: TmuxServer, pane: str) -> None:
    """End tmux's side of a pipe that is ours."""
    with contextlib.suppress(errors.TmuxAgentError):  # the pane or the server is gone: so is the pipe
        await server.command("pipe-pane", "-t", pane)


def _fifo(path: Path) -> int:
    """A new FIFO, open for reading without waiting."""
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)


def _has_writer(fd: int) -> bool:
    """Whether a `cat` of an earlier sidecar still holds the other end."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    if any(events & select.POLLIN for _, events in poll.poll(0)):
        return True
    try:
        return os.read(fd, 1) != b""  # nothing is there: the end where nobody writes, else it would have to wait
    except BlockingIOError:
        return True
