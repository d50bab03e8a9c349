"""What a file action would meet: the facts that a decision and a person's yes are bound to.

Owns: `FileFacts`, telling whether they still hold, and reading a regular file without ever waiting for one. Changes
nothing. Must not own: the actions themselves (files.py).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from ...core import errors
from ...core.model import File
from ...core.settings import Files
from . import beneath
from .beneath import Place


class FileFacts(Struct, frozen=True, kw_only=True):
    """What stands where a path leads. `root` is "" where no root holds it; sizes in bytes.

    `sha256` is there only for a regular file that the action would change or copy and that is within the limit.
    """

    path: str
    real: str
    root: str
    exists: bool = False
    kind: str = ""  # file, dir, symlink, fifo, socket, device; "" where there is nothing
    size: int = 0
    mode: int = 0
    links: int = 0
    uid: int = 0
    mtime_ns: int = 0
    ino: int = 0
    dev: int = 0
    sha256: str = ""
    target: FileFacts | None = None  # of a copy


def observe(action: File, roots: tuple[str, ...], limits: Files) -> FileFacts:
    """What `action` would meet now. Blocking but bounded; opens no FIFO or device. `roots` must be real paths.

    Raises InvalidParams (no such path can be), Failed and kin where it cannot be looked at.
    """
    hashed = action.verb in ("write", "edit", "copy", "delete")
    where = beneath.place(action.path, action.cwd, roots, follow_last=action.verb != "delete")
    facts = _facts(action.path, where, limits.write_bytes if hashed else 0)
    if action.verb != "copy":
        return facts
    if not action.target:
        raise errors.InvalidParams("destination: must say where the copy goes")
    target = beneath.place(action.target, action.cwd, roots)
    return msgspec.structs.replace(facts, target=_facts(action.target, target, limits.write_bytes))


def _facts(path: str, where: Place, hash_up_to: int) -> FileFacts:
    try:
        with beneath.opened(where, os.O_PATH | os.O_NOFOLLOW) as fd:
            found = os.fstat(fd)
        sha256 = ""
        if hash_up_to and stat.S_ISREG(found.st_mode) and found.st_size <= hash_up_to:
            sha256 = hashlib.sha256(load(where, hash_up_to)[0]).hexdigest()
    except FileNotFoundError:
        return FileFacts(path=path, real=where.real, root=where.root)
    except OSError as error:
        raise beneath.explain(error, "look at", path) from None
    return FileFacts(
        path=path, real=where.real, root=where.root, exists=True, kind=beneath.kind(found.st_mode), size=found.st_size,
        mode=stat.S_IMODE(found.st_mode), links=found.st_nlink, uid=found.st_uid, mtime_ns=found.st_mtime_ns,
        ino=found.st_ino, dev=found.st_dev, sha256=sha256,
    )  # fmt: skip


def changed(before: FileFacts, after: FileFacts) -> str | None:
    """What a person saw and is no longer so, in words; None where all that matters still holds.

    The same bytes in a new inode are no change, for that is how editors save; nor are other bytes in a file that is
    only to be read.
    """
    name = before.path
    if before.real != after.real:
        return f"{name} led to {before.real} and leads to {after.real} now"
    if before.exists != after.exists:
        return f"{name} was {'removed' if before.exists else 'created'} meanwhile"
    if before.kind != after.kind:
        return f"{name} was a {before.kind} and is a {after.kind} now"
    if before.links != after.links and before.kind == "file":
        return f"{name} has {after.links} names (hard links) now and had {before.links}"
    if (before.mode, before.uid) != (after.mode, after.uid):
        return f"{name} has another mode or owner now"
    if before.sha256 != after.sha256 or (before.kind == "symlink" and before.ino != after.ino):
        return f"{name} was changed meanwhile"
    if before.target and after.target:
        return changed(before.target, after.target)
    return None


def load(where: Place, limit: int) -> tuple[bytes, os.stat_result]:
    """The bytes of a regular file. Never waits: what it is is known before it is opened for reading.

    Raises OSError, InvalidParams (no regular file), LimitExceeded.
    """
    with beneath.opened(where, os.O_PATH | os.O_NOFOLLOW) as fd:
        first = os.fstat(fd)
    if not stat.S_ISREG(first.st_mode):
        raise errors.InvalidParams(f"{where.real} is a {beneath.kind(first.st_mode)}, not a regular file")
    with beneath.opened(where, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY) as fd:
        found = os.fstat(fd)
        if (found.st_ino, found.st_dev) != (first.st_ino, first.st_dev):
            raise errors.Conflict(f"{where.real} was replaced while it was opened; try again")
        content = b"".join(_pieces(fd, limit + 1))
    if len(content) > limit:
        size = max(found.st_size, len(content))
        raise errors.LimitExceeded(f"{where.real} has {size} bytes, more than the {limit} that one call may take")
    return content, found


def _pieces(fd: int, room: int) -> Iterator[bytes]:
    """At most `room` bytes: what fstat says of a file's size need not hold (/proc, a file that grows)."""
    while room > 0 and (piece := os.read(fd, min(room, 1 << 20))):
        yield piece
        room -= len(piece)
