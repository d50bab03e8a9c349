"""Files that git ignores, brought from a repository into a new worktree: copied, or linked to.

Owns that nothing outside of the two is read or written: every folder is opened by descriptor and no symlink is followed
on the way, neither in the repository nor in what a branch checked out. Blocking: for a thread. Must not own: the list
(core/fleet_file.py).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from ..core import errors
from .tools import beneath

ENTRIES = 400_000  # of one copy
BYTES = 8 << 30
_PIECE = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def bring(top: str, worktree: str, copies: Iterable[str], links: Iterable[str]) -> list[str]:
    """Bring them; a sentence for each that was not there, or was there already. Raises Conflict, Failed,
    LimitExceeded, Unavailable."""
    said: list[str] = []
    root = os.open(top, _DIRECTORY)
    target = os.open(worktree, _DIRECTORY)
    try:
        for path in copies:
            said += _one(root, target, path.rstrip("/"), top, link=False)
        for path in links:
            said += _one(root, target, path.rstrip("/"), top, link=True)
    except OSError as why:
        raise errors.Failed(f"what git ignores could not be brought along: {why.strerror} ({why.filename})") from None
    finally:
        os.close(root)
        os.close(target)
    return said


def _one(root: int, target: int, path: str, top: str, *, link: bool) -> list[str]:
    above, _, name = path.rpartition("/")
    try:
        source = beneath.open_beneath(root, above or ".", _DIRECTORY)
    except FileNotFoundError:
        return [f"{path} is not there"]
    except OSError:
        raise errors.Conflict(f"{path}: a symlink is on the way to it; it was not followed") from None
    try:
        info = _stat(source, name)
        if info is None:
            return [f"{path} is not there"]
        if stat.S_ISLNK(info.st_mode):
            _check_link(top, path)
        elif not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
            return [f"{path} is neither a file nor a folder"]
        into = _folder(target, above, path)
        try:
            if _stat(into, name) is not None:
                return [f"{path} is in the worktree already"]
            if link:
                os.symlink(os.path.join(top, path), name, dir_fd=into)
            else:
                _Copy(path).entry(source, into, name)
        finally:
            os.close(into)
    finally:
        os.close(source)
    return []


def _check_link(top: str, path: str) -> None:
    """A symlink on the list may lead to another place of the repository, and nowhere else."""
    real = os.path.realpath(os.path.join(top, path))
    if not beneath.holds(os.path.realpath(top), real):
        raise errors.Conflict(f"{path} is a symlink that leads out of the repository, to {real}: it was not followed")


def _folder(target: int, above: str, path: str) -> int:
    """The folder in the worktree, made where it is missing; through no symlink that a branch may hold."""
    here = os.open(".", _DIRECTORY, dir_fd=target)
    for part in filter(None, above.split("/")):
        try:
            if _stat(here, part) is None:
                os.mkdir(part, dir_fd=here)
            below = os.open(part, _DIRECTORY, dir_fd=here)
        except OSError:
            os.close(here)
            raise errors.Conflict(f"{path}: in the worktree there is no folder for it, or a symlink") from None
        os.close(here)
        here = below
    return here


def _stat(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


class _Copy:
    """One copy, within bounds."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._entries = self._bytes = 0

    def entry(self, source: int, into: int, name: str) -> None:
        self._entries += 1
        if self._entries > ENTRIES:
            raise errors.LimitExceeded(f"{self._path}: more than {ENTRIES} files; link it instead")
        info = _stat(source, name)
        if info is None:
            return  # it is gone by now
        if stat.S_ISLNK(info.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=into)
        elif stat.S_ISDIR(info.st_mode):
            self._folder(source, into, name, info)
        elif stat.S_ISREG(info.st_mode):
            self._file(source, into, name)

    def _folder(self, source: int, into: int, name: str, info: os.stat_result) -> None:
        os.mkdir(name, 0o700, dir_fd=into)
        inside, made = os.open(name, _DIRECTORY, dir_fd=source), os.open(name, _DIRECTORY, dir_fd=into)
        try:
            for one in os.listdir(inside):
                self.entry(inside, made, one)
            os.fchmod(made, stat.S_IMODE(info.st_mode))
        finally:
            os.close(inside)
            os.close(made)

    def _file(self, source: int, into: int, name: str) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        old = os.open(name, flags, dir_fd=source)
        try:
            info = os.fstat(old)
            if not stat.S_ISREG(info.st_mode):
                return  # it was swapped for something that is none
            new = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=into)
            try:
                while piece := os.read(old, _PIECE):
                    self._bytes += len(piece)
                    if self._bytes > BYTES:
                        raise errors.LimitExceeded(f"{self._path}: more than {BYTES >> 30} GiB; link it instead")
                    while piece:
                        piece = piece[os.write(new, piece) :]
                os.fchmod(new, stat.S_IMODE(info.st_mode))
                os.utime(new, ns=(info.st_atime_ns, info.st_mtime_ns))
            finally:
                os.close(new)
        finally:
            os.close(old)
