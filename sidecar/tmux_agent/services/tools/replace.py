"""A file's content replaced whole or not at all.

Owns: the temporary file beside it, what is kept of the old one (mode, owner, extended attributes), and the last look
before the rename. Must not own: which file, or with what (files.py, backups.py).
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ...core import errors

# Held for the last look and the rename only, so of two edits of one file by us the second sees the first.
_last_look = threading.Lock()


def replace(folder: int, name: str, content: bytes, old: os.stat_result | None, *, mode: int | None = None) -> None:
    """Puts a file `name` with `content` into the open `folder`, in one step and on the disk before it returns.

    `old` is what the content was made from: the file must still be that one, unchanged (None: there must be no file),
    else Conflict. Mode, owner and extended attributes of `old` are kept, but `mode` wins where it is given; a new file
    without one gets the umask's.
    Raises OSError, Conflict, Failed (its owner cannot be kept); then the folder is as it was.
    """
    with _temporary(folder, 0o600 if old or mode is not None else 0o666) as (fd, temporary):
        _write_all(fd, content)
        if old is not None:
            _keep(fd, folder, name, old)
        final = mode if mode is not None or old is None else old.st_mode
        if final is not None:
            os.fchmod(fd, stat.S_IMODE(final))  # after chown and ACLs, which change it
        os.fsync(fd)
        with _last_look:
            if old is None:
                _name_new(folder, temporary, name)
            else:
                check_same(folder, name, old)
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def _name_new(folder: int, temporary: str, name: str) -> None:
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)  # unlike rename, fails if the name is taken
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        # FAT and some network file systems have no links; there a name taken in this instant would be replaced.
        if name in os.listdir(folder):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    else:
        os.unlink(temporary, dir_fd=folder)


def remove(folder: int, name: str, old: os.stat_result) -> None:
    """Unlinks `name`, which must still be `old`, unchanged (else Conflict). Raises OSError."""
    with _last_look:
        check_same(folder, name, old)
        os.unlink(name, dir_fd=folder)
    os.fsync(folder)


def check_same(folder: int, name: str, old: os.stat_result) -> None:
    """Raises Conflict unless `name` is still the file `old`, with the content it had."""
    try:
        now = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        raise errors.Conflict(f"{name} was removed meanwhile; nothing was changed") from None
    if _identity(now) != _identity(old):
        raise errors.Conflict(f"{name} was changed meanwhile; nothing was changed, read it again")


def _identity(found: os.stat_result) -> tuple[int, int, int, int]:
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


@contextmanager
def _temporary(folder: int, mode: int) -> Iterator[tuple[int, str]]:
    name = f".tmux-agent-{secrets.token_hex(8)}"
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
    try:
        yield fd, name
    except BaseException:
        try:
            os.unlink(name, dir_fd=folder)
        except OSError:
            pass  # it has its final name by now, or the file system is gone; the first error matters
        raise
    finally:
        os.close(fd)


def _write_all(fd: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _keep(fd: int, folder: int, name: str, old: os.stat_result) -> None:
    new = os.fstat(fd)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.fchown(fd, old.st_uid, old.st_gid)
        except PermissionError:
            raise errors.Failed(
                f"{name} belongs to uid {old.st_uid}, gid {old.st_gid}, which a new version could not keep;"
                " nothing was changed"
            ) from None
    _keep_attributes(fd, folder, name)


def _keep_attributes(fd: int, folder: int, name: str) -> None:
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        for attribute in os.listxattr(source):
            try:
                os.setxattr(fd, attribute, os.getxattr(source, attribute))
            except OSError:
                pass  # kept where possible: security.* is the kernel's, and not every file system takes every name
    except OSError:
        pass  # a file system without extended attributes has none to keep
    finally:
        os.close(source)
