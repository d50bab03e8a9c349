"""Opening what a path means, and nothing else: by descriptor, beneath a folder, through no symlink.

Owns: where a path leads (`place`), opening it beneath a root, making folders there, and what an OSError means to a
caller. Must not own: what is done with the descriptor, or whether the policy allows it.

A path is resolved twice on purpose. `place` follows symlinks by name and gives the real path, on which the policy
decides; `open_beneath` then walks that real path by descriptor and refuses every symlink. Whoever swaps a folder for a
link in between gets `conflict`, never another file. Linux openat2(2) does the walk where the kernel has it and lets us;
else we walk component by component with O_NOFOLLOW (openat2(2), open(2)).
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from ...core import errors

_SYS_OPENAT2 = 437  # the same number on every architecture that numbers calls in common
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_AGAIN = 16  # tries when a rename elsewhere makes openat2 unsure (EAGAIN)
_PATH_ONLY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Place(Struct, frozen=True):
    """Where a path leads: `real` is absolute and free of symlinks, `root` the root that holds it ("" if none does)."""

    real: str
    root: str

    @property
    def relative(self) -> str:
        """`real` as seen from `root`, or from / where no root holds it; "." for the root itself."""
        return os.path.relpath(self.real, self.root or "/")


def place(path: str, cwd: str, roots: tuple[str, ...], *, follow_last: bool = True) -> Place:
    """Resolves `path` (relative ones from `cwd`) as the kernel would: `..` after a symlink leaves the link's target.

    `follow_last=False` leaves a symlink at the end alone, for deleting it. Of nested roots the innermost counts.
    Raises InvalidParams for a path that cannot be one.
    """
    if not path or "\0" in path or len(path) > 4096:
        raise errors.InvalidParams("path: must be 1 to 4096 characters without NUL")
    if not os.path.isabs(path) and not os.path.isabs(cwd):
        raise errors.InvalidParams(
            f"path: {path!r} is relative and there is no folder to take it from; give the full path"
        )
    full = os.path.join(cwd, path)
    last = os.path.basename(full.rstrip("/"))
    try:
        if follow_last or last in ("", ".", ".."):
            real = os.path.realpath(full)
        else:
            real = os.path.join(os.path.realpath(os.path.dirname(full.rstrip("/"))), last)
        real.encode("utf-8")  # what is not UTF-8 could not be told to anybody
    except (ValueError, OSError) as error:
        raise errors.InvalidParams(f"path: {path!r} cannot be resolved: {error}") from None
    real = "/" + real.lstrip("/")  # POSIX lets realpath keep two leading slashes
    return Place(real, max((root for root in roots if holds(root, real)), key=len, default=""))


def holds(root: str, real: str) -> bool:
    """Whether `real` is `root` or below it; whole components are compared, and both must be resolved."""
    return real == root or real.startswith(root.rstrip("/") + "/")


@functools.cache
def _openat2_works() -> bool:
    """Asked once: old kernels lack the call (ENOSYS), some seccomp profiles forbid it (EPERM)."""
    root = os.open("/", _PATH_ONLY | os.O_DIRECTORY)
    try:
        os.close(_openat2(root, ".", _PATH_ONLY | os.O_DIRECTORY, 0))
    except OSError:
        return False
    finally:
        os.close(root)
    return True


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _openat2(folder: int, relative: str, flags: int, mode: int) -> int:
    how = struct.pack("QQQ", flags, mode, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
    path = os.fsencode(relative)
    for _ in range(_AGAIN):
        fd = int(_libc().syscall(_SYS_OPENAT2, folder, ctypes.c_char_p(path), how, ctypes.c_size_t(len(how))))
        if fd >= 0:
            return fd
        if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            break
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), relative)


def _walk(folder: int, relative: str, flags: int, mode: int) -> int:
    parts = [part for part in relative.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), relative)
    here = os.open(".", _PATH_ONLY | os.O_DIRECTORY, dir_fd=folder)
    try:
        for part in parts[:-1]:
            below = os.open(part, _PATH_ONLY | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        return os.open(parts[-1] if parts else ".", flags | os.O_NOFOLLOW, mode, dir_fd=here)
    finally:
        os.close(here)


def open_beneath(folder: int, relative: str, flags: int, mode: int = 0) -> int:
    """A new descriptor of `relative` below the open `folder`; OSError (ELOOP or ENOTDIR) where a symlink is in the way.

    With O_PATH|O_NOFOLLOW a symlink at the very end is opened as itself. The caller closes the descriptor.
    """
    flags |= os.O_CLOEXEC
    if _openat2_works():
        return _openat2(folder, relative, flags, mode if flags & os.O_CREAT else 0)
    return _walk(folder, relative, flags, mode)


@contextmanager
def opened(where: Place, flags: int) -> Iterator[int]:
    """`where` opened beneath its root (or / where it has none), closed at the end. Raises OSError."""
    root = os.open(where.root or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = open_beneath(root, where.relative, flags)
    finally:
        os.close(root)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def parent(where: Place, *, create: bool = False) -> Iterator[tuple[int, str]]:
    """The folder that holds `where`, open, and the last name in it. `create` makes missing folders.

    Folders that were made are removed again if the block fails. Raises OSError; InvalidParams for a root itself.
    """
    if where.relative == ".":
        raise errors.InvalidParams(f"{where.real} is a root folder itself; name something inside it")
    folder, _, name = where.relative.rpartition("/")
    root = os.open(where.root or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    made: list[tuple[int, str]] = []
    fd = -1
    try:
        fd = _make_folders(root, folder, made) if create else open_beneath(root, folder or ".", _DIRECTORY)
        yield fd, name
    except BaseException:
        for above, one in reversed(made):
            _remove_if_empty(above, one)
        raise
    finally:
        for one_fd in (root, *([fd] if fd >= 0 else []), *(above for above, _ in made)):
            os.close(one_fd)


_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


def _make_folders(root: int, folder: str, made: list[tuple[int, str]]) -> int:
    """Opens `folder` below `root`, making what is missing; `made` gets (a descriptor of the folder above, name)."""
    here = os.open(".", _DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    try:
        for part in [part for part in folder.split("/") if part]:
            try:
                os.mkdir(part, 0o777, dir_fd=here)
                made.append((os.dup(here), part))
            except FileExistsError:
                pass  # there already, which is what was wanted; a file of that name fails in the next line
            below = open_beneath(here, part, _DIRECTORY)
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return here


def _remove_if_empty(above: int, name: str) -> None:
    try:
        os.rmdir(name, dir_fd=above)
    except OSError:
        pass  # somebody else uses it by now; it is theirs


def kind(mode: int) -> str:
    """What a file is, in a word that people and facts share."""
    tests = (
        (stat.S_ISREG, "file"), (stat.S_ISDIR, "dir"), (stat.S_ISLNK, "symlink"),
        (stat.S_ISFIFO, "fifo"), (stat.S_ISSOCK, "socket"),
    )  # fmt: skip
    return next((word for test, word in tests if test(mode)), "device")


_NOTHING_DONE = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the disk failed",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
}


def explain(error: OSError, doing: str, path: str) -> errors.TmuxAgentError:
    """The error of ours that an OSError means: what was being done, to what, why not. Nothing was changed."""
    number = error.errno or 0
    what = f"could not {doing} {path}"
    if number in _NOTHING_DONE:
        return errors.Unavailable(f"{what}: {_NOTHING_DONE[number]}; nothing was changed")
    if number == errno.ENOENT:
        return errors.NotFound(f"{what}: there is no such file or folder")
    if number in (errno.ELOOP, errno.EXDEV):
        return errors.Conflict(f"{what}: a symlink appeared on the way, so the path leads elsewhere now; ask again")
    if number == errno.EEXIST:
        return errors.Conflict(f"{what}: it exists by now; read it first")
    if number == errno.EBUSY or number == errno.ESTALE:
        return errors.Conflict(f"{what}: {os.strerror(number)}; try again")
    if number in (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ENOTEMPTY, errno.ENXIO):
        return errors.InvalidParams(f"{what}: {os.strerror(number).lower()}")
    return errors.Failed(f"{what}: {os.strerror(number).lower() if number else error}; nothing was changed")
