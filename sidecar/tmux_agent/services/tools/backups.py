"""What files held before we changed or deleted them, and how to get it back.

Owns: the backups folder. One backup is two files in it: `<id>.data` (the bytes) and `<id>.json` (a `Backup`), written
in that order, so an entry that is listed is whole. Ids sort by time. Must not own: deciding what is backed up
(files.py) or who may restore (the edges: the person's own CLI, for the folder is theirs).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from ...core import errors
from . import beneath, texts
from .replace import remove, replace

_ANYWHERE = ("/",)


class Backup(Struct, frozen=True, kw_only=True):
    """One version of one file. `path` is its real path; `mode` its permission bits; `time` seconds since 1970, UTC."""

    id: str
    path: str
    kind: str  # "file", or "symlink" (then the data is where it pointed)
    mode: int
    time: float
    size: int
    sha256: str
    request_id: str = ""
    verb: str = ""  # write, edit, copy, delete, restore: what was about to be done to it


class Backups:
    """The backups below `folder` (made with mode 0700 when first needed), bounded by count, bytes and age in seconds.

    Every method does blocking I/O and may be called from any thread or process; several may use one folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        count: int = 2000,
        size: int = 1 << 30,
        age: float = 60 * 86400,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self._count, self._size, self._age, self._now = count, size, age, now

    def save(self, content: bytes, *, path: str, kind: str, mode: int, request_id: str, verb: str) -> Backup:
        """Keeps `content`, on the disk before it returns. Raises Unavailable: then the change must not be made."""
        if len(content) > self._size:
            raise errors.LimitExceeded(
                f"{path}: {len(content)} bytes are more than all backups may take ({self._size}); nothing was changed"
            )
        now = self._now()
        backup = Backup(
            id=f"{int(now * 1e6):015x}{secrets.token_hex(4)}",
            path=path,
            kind=kind,
            mode=stat.S_IMODE(mode),
            time=now,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            request_id=request_id,
            verb=verb,
        )
        try:
            with self._open() as folder:
                replace(folder, f"{backup.id}.data", content, None, mode=0o600)
                replace(folder, f"{backup.id}.json", msgspec.json.encode(backup), None, mode=0o600)
                self._prune(folder, now)
        except OSError as error:
            raise errors.Unavailable(
                f"no backup of {path} could be made in {self.folder}: {error.strerror}; nothing was changed"
            ) from None
        return backup

    def entries(self, path: str | None = None) -> tuple[Backup, ...]:
        """What is kept, newest first; of one real path, or of all. Files that are no entry of ours are passed over."""
        found = []
        if not self.folder.is_dir():
            return ()
        with self._open() as folder:
            for name in sorted(os.listdir(folder), reverse=True):
                if not name.endswith(".json"):
                    continue
                try:
                    entry = msgspec.json.decode(_read(folder, name), type=Backup)
                except (OSError, msgspec.MsgspecError):
                    continue  # pruned by another process in this instant, or damaged; the others are still good
                if path is None or entry.path == path:
                    found.append(entry)
        return tuple(found)

    def find(self, id_or_path: str) -> Backup:
        """The backup of that id, or the newest of that path. Raises NotFound."""
        for entry in self.entries():
            if id_or_path in (entry.id, entry.path):
                return entry
        raise errors.NotFound(f"no backup {id_or_path!r}; `tmux-agent restore --list` shows what is kept")

    def content(self, backup: Backup) -> bytes:
        """Its bytes. Raises NotFound (pruned), Failed (damaged: they are not what was saved)."""
        try:
            with self._open() as folder:
                content = _read(folder, f"{backup.id}.data")
        except OSError as error:
            raise errors.NotFound(f"backup {backup.id} of {backup.path} cannot be read: {error.strerror}") from None
        if hashlib.sha256(content).hexdigest() != backup.sha256:
            raise errors.Failed(f"backup {backup.id} of {backup.path} is damaged; nothing was restored")
        return content

    def diff(self, backup: Backup, limit: int = 65536) -> str:
        """What restoring would change, for people; at most about `limit` characters."""
        before, after = _present(beneath.Place(backup.path, "/")), self.content(backup)
        try:
            old = None if before is None else texts.decode(before[0], backup.path)
            return texts.diff(old, texts.decode(after, backup.path), backup.path, limit)
        except errors.InvalidParams:
            was = "nothing" if before is None else f"{len(before[0])} bytes"
            return f"{backup.path}: binary; now {was}, would become {len(after)} bytes\n"

    def restore(self, backup: Backup) -> Backup | None:
        """Puts the file back as it was; returns the backup of what stood there (None: nothing did).

        Its folder is made again where it is gone. Raises NotFound, Failed, Conflict (something that is no file or link
        stands there, or a symlink is in the way), Unavailable; then nothing was changed.
        """
        content = self.content(backup)
        where = beneath.place(backup.path, "/", _ANYWHERE, follow_last=False)
        if where.real != backup.path:
            raise errors.Conflict(f"{backup.path} leads to {where.real} now; nothing was restored")
        try:
            present = _present(where)
            kept = None
            if present is not None:
                old = present[1]
                kept = self.save(
                    present[0], path=where.real, kind=beneath.kind(old.st_mode), mode=old.st_mode,
                    request_id=backup.request_id, verb="restore",
                )  # fmt: skip
            with beneath.parent(where, create=True) as (folder, name):
                _put_back(folder, name, backup, content, present[1] if present else None)
        except OSError as error:
            raise beneath.explain(error, "restore", backup.path) from None
        return kept

    @contextmanager
    def _open(self) -> Iterator[int]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(fd)
            if found.st_uid != os.geteuid() or found.st_mode & 0o077:
                raise errors.Unavailable(
                    f"{self.folder} must be yours with mode 0700: it holds copies of private files"
                )
            yield fd
        finally:
            os.close(fd)

    def _prune(self, folder: int, now: float) -> None:
        """Removes the oldest beyond the bounds; never the newest one, which was just made."""
        ids = sorted((name[:-5] for name in os.listdir(folder) if name.endswith(".data")), reverse=True)
        room = self._size
        oldest = f"{max(0, int((now - self._age) * 1e6)):015x}"
        for index, one in enumerate(ids):
            try:
                room -= os.stat(f"{one}.data", dir_fd=folder).st_size
                if index and (index >= self._count or room < 0 or one < oldest):
                    os.unlink(f"{one}.json", dir_fd=folder)
                    os.unlink(f"{one}.data", dir_fd=folder)
            except FileNotFoundError:
                continue  # another process prunes too


def _read(folder: int, name: str) -> bytes:
    with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), "rb") as file:
        return file.read()


def _present(where: beneath.Place) -> tuple[bytes, os.stat_result] | None:
    """What stands at `where` now: bytes (a symlink's target) and stat; None for nothing. Raises Conflict, OSError."""
    try:
        with beneath.parent(where) as (folder, name):
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                return os.fsencode(os.readlink(name, dir_fd=folder)), found
            if not stat.S_ISREG(found.st_mode):
                raise errors.Conflict(f"{where.real} is a {beneath.kind(found.st_mode)} now; move it away first")
            return _read(folder, name), found
    except FileNotFoundError:
        return None


def _put_back(folder: int, name: str, backup: Backup, content: bytes, old: os.stat_result | None) -> None:
    if old is not None and (backup.kind == "symlink" or not stat.S_ISREG(old.st_mode)):
        remove(folder, name, old)
        old = None
    if backup.kind == "symlink":
        os.symlink(os.fsdecode(content), name, dir_fd=folder)
    else:
        replace(folder, name, content, old, mode=backup.mode)
