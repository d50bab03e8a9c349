"""What is in a folder, and below it, with bounds on count and depth.

Owns the walk and the shape of an entry. Must not own: which folder may be listed (files.py).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime

from ...core import errors
from ...core.replies import Entry
from . import beneath
from .beneath import Place


def listing(where: Place, *, recursive: bool, limit: int) -> tuple[list[Entry], bool]:
    """Entries sorted by name in each folder, those below included where asked for; True where something was cut off.

    No symlink is followed. Raises OSError, InvalidParams (not a folder).
    """
    with beneath.opened(where, os.O_PATH | os.O_NOFOLLOW) as fd:
        found = os.fstat(fd)
    if not stat.S_ISDIR(found.st_mode):
        raise errors.InvalidParams(f"{where.real} is a {beneath.kind(found.st_mode)}, not a folder")
    entries: list[Entry] = []
    with beneath.opened(where, os.O_RDONLY | os.O_DIRECTORY) as fd:
        truncated = _list_folder(fd, "", entries, limit, recursive)
    return entries, truncated


_DEEPEST = 64  # folders; one descriptor is open for each


def _list_folder(fd: int, prefix: str, entries: list[Entry], limit: int, recursive: bool) -> bool:
    """Appends what is in the open folder; True where the limit or the depth cut something off."""
    truncated = False
    with os.scandir(fd) as found:
        listed = sorted(_at_most(found, limit + 1), key=lambda entry: entry.name)
    for entry in listed:
        if len(entries) >= limit:
            return True
        try:
            info = entry.stat(follow_symlinks=False)
        except OSError:
            continue  # removed since it was listed
        entries.append(_entry(prefix + entry.name, info))
        if not (recursive and stat.S_ISDIR(info.st_mode)):
            continue
        if prefix.count("/") >= _DEEPEST:
            truncated = True
            continue
        try:
            below = beneath.open_beneath(fd, entry.name, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue  # not ours to read, or replaced meanwhile; it stands in the list as a folder
        try:
            truncated |= _list_folder(below, f"{prefix}{entry.name}/", entries, limit, recursive)
        finally:
            os.close(below)
    return truncated


def _at_most(found: Iterator[os.DirEntry[str]], count: int) -> Iterator[os.DirEntry[str]]:
    for _, entry in zip(range(count), found, strict=False):
        yield entry


def _entry(name: str, info: os.stat_result) -> Entry:
    modified = datetime.fromtimestamp(max(0, info.st_mtime), UTC).isoformat(timespec="milliseconds")
    return Entry(
        name=os.fsencode(name).decode("utf-8", "backslashreplace"),
        type=beneath.kind(info.st_mode),
        size=info.st_size,
        modified=modified.replace("+00:00", "Z"),
    )
