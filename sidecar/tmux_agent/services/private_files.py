"""Files that nobody but the person may read or change: opened so that a check and a read are of the same file.

Owns the checks (owner, mode, no symbolic link, a regular file) and writing so that a crash leaves the old or the new.
Must not own: what is in them, which of them may be missing.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ..core.errors import Unavailable

LIMIT = 1 << 20
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def folder_problem(path: Path, *, closed: int = 0o077) -> str:
    """What is wrong with a folder that is there, with what to do about it; "" where nothing is.

    `closed`: the bits that its mode may not have.
    """
    try:
        info = path.lstat()
    except OSError as why:
        return f"{path} cannot be looked at: {why.strerror}"
    if not stat.S_ISDIR(info.st_mode):
        return f"{path} is no folder, or a symbolic link to one: put a folder of yours there"
    return _mode_problem(path, info, closed, "700")


def file_problem(path: Path, *, closed: int = 0o077) -> str:
    """The same for a file."""
    try:
        os.close(_opened(path, closed))
    except FileNotFoundError:
        return ""
    except Unavailable as why:
        return why.message
    return ""


def read(path: Path, *, closed: int = 0o077) -> bytes:
    """A file of at most 1 MiB. Raises FileNotFoundError, and Unavailable saying what is wrong with it."""
    descriptor = _opened(path, closed)
    try:
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(LIMIT + 1)
    except OSError as why:
        raise Unavailable(f"{path} cannot be read: {why.strerror}") from None
    if len(data) > LIMIT:
        raise Unavailable(f"{path} is larger than 1 MiB: it is none of ours, move it away")
    return data


def _opened(path: Path, closed: int) -> int:
    try:
        descriptor = os.open(path, _OPEN)
    except FileNotFoundError:
        raise
    except OSError as why:
        reason = "it is a symbolic link" if path.is_symlink() else why.strerror
        raise Unavailable(f"{path} is not read, {reason}: put a file of yours there") from None
    info = os.fstat(descriptor)
    problem = f"{path} is no regular file: move it away" if not stat.S_ISREG(info.st_mode) else ""
    problem = problem or _mode_problem(path, info, closed, "600")
    if problem:
        os.close(descriptor)
        raise Unavailable(problem)
    return descriptor


def _mode_problem(path: Path, info: os.stat_result, closed: int, mend: str) -> str:
    if info.st_uid != os.getuid():
        return f"{path} belongs to uid {info.st_uid}, not to you: chown it, or name another"
    if stat.S_IMODE(info.st_mode) & closed:
        return f"{path} has mode {stat.S_IMODE(info.st_mode):o}, so others may come at it: chmod {mend} {path}"
    return ""


def make_folder(path: Path) -> None:
    """Make a folder with mode 0700, and those above it that are missing. Raises OSError."""
    for missing in reversed([one for one in (path, *path.parents) if not os.path.lexists(one)]):
        missing.mkdir(mode=0o700, exist_ok=True)


def replace(path: Path, data: bytes) -> None:
    """Put `data` in place of the file (mode 0600), on the disk when this returns. Raises Unavailable.

    A symbolic link at its place is refused: what it leads to is not ours to replace.
    """
    try:
        if path.is_symlink():
            raise Unavailable(f"{path} is a symbolic link, nothing was written: remove it")
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:  # mkstemp has made it with mode 0600
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except OSError:
            os.unlink(name)
            raise
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as why:
        raise Unavailable(f"{path} cannot be written: {why.strerror}") from None
