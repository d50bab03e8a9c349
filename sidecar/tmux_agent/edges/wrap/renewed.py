"""An agent's credentials inside the sandbox are a copy, so that it can put a new file in their place as agents do; kept
here the same as the person's own file, whichever of the two is renewed.

Owns both copies. What is inside is hostile: it is reached through the folder as it was before the agent began, opened
without following a link, and bounded. Must not own: which files these are (core/sandbox_agents.py), being told of
changes (follow.py).
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Callable, Iterable

_BYTES = 1 << 20


class Credentials:
    """Made once all is mounted, before the agent begins. `root`: where the sandbox's root can be reached from here.
    Raises OSError."""

    def __init__(self, root: str, paths: Iterable[str], say: Callable[[str], object]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._files = [_File(root, path) for path in paths]

    def folders(self) -> dict[str, Callable[[str], object]]:
        """What is to be followed, with what is to be called."""
        found: dict[str, Callable[[str], object]] = {}
        for one in self._files:
            found[f"/proc/self/fd/{one.folder}"] = lambda _: self.keep()
            found[os.path.dirname(one.real)] = lambda _: self.bring()
        return found

    def keep(self) -> None:
        """What was renewed inside is the person's own from now on."""
        self._each(_File.keep)

    def bring(self) -> None:
        """What the person's own file holds is inside from now on."""
        self._each(_File.bring)

    def _each(self, does: Callable[[_File], None]) -> None:
        with self._lock:
            for one in self._files:
                try:
                    does(one)
                except OSError as why:
                    self._say(f"{one.real} and the agent's copy may differ from now on: {why.strerror}")


class _File:
    """One pair of files, and what both held last."""

    def __init__(self, root: str, path: str) -> None:
        self.real, self._name = os.path.realpath(path), os.path.basename(path)
        self.folder = os.open(f"{root}{os.path.dirname(path)}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._last = self._inside()

    def keep(self) -> None:
        text = self._inside()
        if text not in (b"", self._last):  # nothing, while it is written anew
            self._last = text
            _put(self.real, text)

    def bring(self) -> None:
        text = _read(self.real)
        if text not in (b"", self._last):
            self._last = text
            _put(self._name, text, self.folder)

    def _inside(self) -> bytes:
        return _read(self._name, self.folder)


def _read(path: str, folder: int | None = None) -> bytes:
    """What a file holds; nothing where it is none, or too long."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return b""
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return b""
        text = file.read(_BYTES + 1)  # it may grow meanwhile
        return text if len(text) <= _BYTES else b""


def _put(path: str, text: bytes, folder: int | None = None) -> None:
    """Another file in its place, so that nobody reads half of it. Raises OSError."""
    fresh = f"{path}.{os.urandom(4).hex()}"
    number = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(text)
        os.rename(fresh, path, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=folder)
        raise
