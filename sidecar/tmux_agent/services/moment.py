"""What the kernel says of paths, each asked for once, so that everything is as of one moment; and which were asked for.

Owns looking at single entries. Must not own what is made of it (observe*.py). One per judgement, never kept longer.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_Seen = os.stat_result | OSError | ValueError
Stamp = tuple[int, ...]
Marks = tuple[tuple[str, Stamp], ...]
_SETTLED_NS = 50_000_000


class Moment:
    """`looks`: every path that was looked at → whether its contents counted too, by its times. `blind`: something was
    looked at that is not in there. `spare`: so many entries of large folders may be looked at, None for any number;
    what is `left` then is to be called elsewhere, and what comes of it is `walked` the next time. `folders`: real paths
    of folders that are known to be there.
    """

    __slots__ = ("_seen", "blind", "folders", "left", "looks", "spare", "walked")

    def __init__(self, spare: int | None = None, walked: Mapping[str, Any] | None = None) -> None:
        self.looks: dict[str, bool] = {}
        self.blind = False
        self.spare = spare
        self.walked = walked or {}
        self.left: list[Callable[[], tuple[str, Any]]] = []
        self.folders: set[str] = set()
        self._seen: dict[str, _Seen] = {}

    def look(self, path: str) -> os.stat_result | OSError | ValueError:
        """What os.lstat gives or raises (ValueError for what is no path)."""
        seen = self._seen.get(path)
        if seen is None:
            self.looks.setdefault(path, False)
            seen = self._seen[path] = _look(path)
        return seen

    def exists(self, path: str) -> bool:
        """os.path.lexists."""
        return isinstance(self.look(path), os.stat_result)

    def stat(self, path: str) -> os.stat_result | None:
        """os.stat; None where it leads to nothing."""
        seen = self.look(path)
        if isinstance(seen, os.stat_result) and stat.S_ISLNK(seen.st_mode):
            try:
                return os.stat(path)
            except OSError:
                return None
        return seen if isinstance(seen, os.stat_result) else None

    def stamp(self, path: str) -> Stamp:
        """What changes whenever the entry or its contents do; empty where there is none."""
        self.looks[path] = True
        seen = self._seen.get(path)
        if seen is None:
            seen = self._seen[path] = _look(path)
        return _stamp(seen) if isinstance(seen, os.stat_result) else ()

    def still(self, stamps: Iterable[tuple[str, Stamp]]) -> bool:
        """Whether all of these are as they were, by their stamps of then."""
        looks, known = self.looks, self._seen
        for path, before in stamps:
            looks[path] = True
            seen = known.get(path) or known.setdefault(path, _look(path))
            if (_stamp(seen) if isinstance(seen, os.stat_result) else ()) != before:
                return False
        return True

    def spend(self, entries: int = 1) -> bool:
        """Entries of a large folder; False where there may be no more."""
        if self.spare is not None:
            self.spare -= entries
        return self.spare is None or self.spare >= 0

    def marks(self) -> Marks:
        """Of each file whose contents count: what is to be the same when it is looked at again (`same`)."""
        return tuple(
            (path, _stamp(seen))
            for path, contents in self.looks.items()
            if contents and isinstance(seen := self._seen.get(path), os.stat_result) and stat.S_ISREG(seen.st_mode)
        )


def same(marks: Marks) -> bool:
    """Whether these files still are what they were, by a look at them now: what is written through a shared mapping is
    told by no event. All else (what is missing, folders, links, modes) changes with one."""
    try:
        return all(_stamp(os.lstat(path)) == mark for path, mark in marks)
    except OSError:
        return False


def _look(path: str) -> _Seen:
    try:
        return os.lstat(path)
    except (OSError, ValueError) as why:
        return why.with_traceback(None)  # which would hold on to all that goes on here


def _stamp(info: os.stat_result) -> Stamp:
    return (info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size, info.st_mode)


def stamp(path: str) -> Stamp:
    """A stamp as of now, whatever was seen before."""
    return Moment().stamp(path)


def is_settled(seen: Stamp, now: int) -> bool:
    """Whether a further change after `now` (time.time_ns) changes the stamp: one within the clock's grain need not."""
    return not seen or now - seen[1] > _SETTLED_NS
