"""Which objects a repository holds under a name or the beginning of one, whether anything leads to them or not.

Owns looking into loose folders and pack indexes (gitrepository-layout(5), gitformat-pack(5), versions 1 and 2). git is
not run, no object is opened. Must not own what follows from it (observe_history.py).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

_PACKS = 200
_FOUND = 50
_FANOUT = 256 * 4


class Names:
    """A sorted run of object names, as pack indexes hold them. `width` bytes each, `step` apart, from `start` on."""

    def __init__(self, data: bytes, count: int, *, width: int = 20, start: int = 0, step: int = 0) -> None:
        self._data = data
        self._count = count
        self._width = width
        self._start = start
        self._step = step or width

    def __getitem__(self, index: int) -> bytes:
        at = self._start + index * self._step
        return self._data[at : at + self._width]

    def beginning(self, prefix: str) -> Iterator[str]:
        """Names that begin with these hexadecimal digits, in order."""
        low, high = 0, self._count
        least = bytes.fromhex(prefix.ljust(self._width * 2, "0"))
        while low < high:
            middle = (low + high) // 2
            if self[middle] < least:
                low = middle + 1
            else:
                high = middle
        while low < self._count and (name := self[low].hex()).startswith(prefix):
            yield name
            low += 1


def beginning(objects: str, prefix: str, width: int) -> frozenset[str] | None:
    """All names of objects in the folder `objects` that begin with `prefix` (four lower-case digits or more); None
    where that cannot be told or they are too many."""
    found: set[str] = set()
    try:
        loose = os.listdir(f"{objects}/{prefix[:2]}")
    except FileNotFoundError:
        loose = []
    except OSError:
        return None
    found.update(prefix[:2] + name for name in loose if name.startswith(prefix[2:]))
    try:
        packs = [name for name in os.listdir(f"{objects}/pack") if name.endswith(".idx")]
    except FileNotFoundError:
        packs = []
    except OSError:
        return None
    if len(packs) > _PACKS:
        return None
    for pack in packs:
        names = _packed(f"{objects}/pack/{pack}", prefix, width)
        if names is None:
            return None
        found.update(names)
    return frozenset(found) if len(found) <= _FOUND else None


def _packed(path: str, prefix: str, width: int) -> list[str] | None:
    """Names in one pack index. Only the two hundred and fifty-sixth of it that can hold them is read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        head = os.pread(descriptor, 8 + _FANOUT, 0)
        newer = head[:4] == b"\377tOc"
        if len(head) < 8 + _FANOUT or (newer and head[4:8] != b"\0\0\0\2"):
            return None
        table = struct.unpack(">256I", head[8:] if newer else head[:_FANOUT])
        first = int(prefix[:2], 16)
        begin, end = (table[first - 1] if first else 0), table[first]
        step, skip, start = (width, 0, 8 + _FANOUT) if newer else (width + 4, 4, _FANOUT)
        if not begin <= end or (end - begin) * step > 64 << 20:
            return None
        data = os.pread(descriptor, (end - begin) * step, start + begin * step)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if len(data) != (end - begin) * step:
        return None
    return list(Names(data, end - begin, width=width, start=skip, step=step).beginning(prefix))
