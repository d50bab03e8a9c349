"""Ways in which git reads something else than what its names say.

Owns folders of tracked files that are symbolic links by now (`git grep` opens what it tracks without looking at the way
there) and objects that others stand in for (git-replace(1), gitrepository-layout(5) "info/grafts"). Must not own the
index's form (git_index.py).
"""

from __future__ import annotations

import os
import stat

from msgspec import Struct

from ..core.facts import DetourFact, TrackedFact
from . import git_folders
from .git_index import entries
from .moment import Moment

_LIMIT = 20_000
_BYTES = 64 << 20
_UNKNOWN = DetourFact(("*",))


class _Named(Struct, frozen=True):
    folders: tuple[str, ...]
    files: frozenset[str]


class Detours:
    """The folders and files that an index names are kept; whether one of them is a link is looked up each time."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, ...], _Named | None]] = {}

    def look(self, top: str, moment: Moment) -> DetourFact:
        """For the repository whose work tree begins at `top`, a real path."""
        moment.blind = True
        named = self._named(f"{git_folders.own(f'{top}/.git')}/index")
        if named is None:
            return _UNKNOWN
        return DetourFact(tuple(folder for folder in named.folders if _is_link(f"{top}/{folder}")))

    def tracked(self, top: str, path: str, moment: Moment) -> TrackedFact:
        """Whether the index names `path`, or files beneath it."""
        moment.blind = True
        named = self._named(f"{git_folders.own(f'{top}/.git')}/index")
        return TrackedFact(named is None or path in named.files or path in named.folders)

    def _named(self, index: str) -> _Named | None:
        try:
            info = os.stat(index)
        except FileNotFoundError:
            return _Named((), frozenset())
        except OSError:
            return None
        stamp = (info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size)
        known = self._known.get(index)
        if known is None or known[0] != stamp:
            if len(self._known) > 64:
                self._known.clear()
            known = self._known[index] = (stamp, _read(index))
        return known[1]


def _read(index: str) -> _Named | None:
    from .observe import read_regular

    data = read_regular(index, _BYTES)
    found: set[str] = set()
    files: set[str] = set()
    try:
        for _, path in entries(data or b""):
            files.add(path)
            folder = path.rpartition("/")[0]
            while folder and folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
            if len(found) > _LIMIT:
                return None
    except (ValueError, IndexError):
        return None
    return _Named(tuple(sorted(found)), frozenset(files))


def _is_link(path: str) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def swapped(top: str, moment: Moment) -> bool:
    """Whether objects of the repository at `top` have others in their place, or it cannot be told."""
    from .observe import read_regular

    moment.blind = True
    common = git_folders.common(f"{top}/.git")
    if os.path.lexists(f"{common}/info/grafts") or os.path.lexists(f"{common}/reftable"):
        return True
    try:
        if os.listdir(f"{common}/refs/replace"):
            return True
    except FileNotFoundError:
        pass
    except OSError:
        return True
    packed = f"{common}/packed-refs"
    data = read_regular(packed, _BYTES) if os.path.lexists(packed) else b""
    return data is None or b" refs/replace/" in data
