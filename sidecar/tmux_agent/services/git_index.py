"""What a repository's index says, as far as it is asked: submodules and tracked files with secret names. Pure.

Owns reading the index (gitformat-index(5), versions 2 to 4). The whole index is taken apart only where a
quick look finds something; an index that is not understood gives "*".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from msgspec import Struct

from ..core.paths import Secrets

_GITLINK = 0o160000
_LINK = 0o120000
_LIMIT = 200
_ODD = re.compile(r"[\s'\"\\]|^-")


def entries(data: bytes, hash_bytes: int = 20) -> Iterator[tuple[int, str]]:
    """(mode, path) of each entry. Raises ValueError for what is no index that we know."""
    if len(data) < 12 or data[:4] != b"DIRC":
        raise ValueError("not an index")
    version, count = struct.unpack(">II", data[4:12])
    if version not in (2, 3, 4):
        raise ValueError("an index of another version")
    at, before = 12, b""
    for _ in range(count):
        if at + 42 + hash_bytes > len(data):
            raise ValueError("an index that ends early")
        mode = struct.unpack_from(">I", data, at + 24)[0]
        flags = struct.unpack_from(">H", data, at + 40 + hash_bytes)[0]
        name_at = at + 42 + hash_bytes + (2 if flags & 0x4000 and version >= 3 else 0)
        if version == 4:
            strip, name_at = _varint(data, name_at)
            end = data.index(b"\0", name_at)
            name = before[: len(before) - strip] + data[name_at:end]
            before, at = name, end + 1
        else:
            end = data.index(b"\0", name_at)
            name = data[name_at:end]
            at += (end - at + 8) & ~7
        yield mode, name.decode("utf-8", "surrogateescape")
    if data[at : at + 4] == b"link":
        raise ValueError("an index that is split over several files")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """git's offset encoding; (value, position behind it)."""
    byte = data[at]
    value = byte & 127
    while byte & 128:
        at += 1
        byte = data[at]
        value = ((value + 1) << 7) | (byte & 127)
    return value, at + 1


def gitlinks(data: bytes | None, hash_bytes: int = 20) -> tuple[str, ...]:
    """Paths of submodules. Raises ValueError where the index is not understood."""
    if not data:
        return ()
    try:
        return tuple(path for mode, path in entries(data, hash_bytes) if mode == _GITLINK)
    except (IndexError, struct.error) as why:
        raise ValueError("an index that is damaged") from why


class Tracked(Struct, frozen=True):
    """What the policy wants to know of tracked files; each at most 200, ("*",) where it cannot be told or
    there are more."""

    secrets: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()


_UNKNOWN = Tracked(("*",), ("*",), ("*",))


def tracked(data: bytes | None, secrets: Secrets, top: str, hash_bytes: int = 20) -> Tracked:
    """Looks through the whole index once."""
    if data is None:
        return _UNKNOWN
    if not data:
        return Tracked()
    found: list[str] = []
    links: list[str] = []
    odd: list[str] = []
    near: dict[str, bool] = {}
    try:
        for mode, path in entries(data, hash_bytes):
            folder, _, name = path.rpartition("/")
            if folder not in near:
                near[folder] = secrets.near(f"{top}/{folder}")
            if mode == _LINK:
                links.append(path)
            if _ODD.search(path):
                odd.append(path)
            known = f"{top}/{path}" in secrets if near[folder] else secrets.by_name(name)
            if mode != _GITLINK and (known or secrets.beneath(path)):
                found.append(path)
    except (ValueError, IndexError, struct.error):
        return _UNKNOWN
    return Tracked(*(("*",) if len(paths) > _LIMIT else tuple(paths) for paths in (found, links, odd)))
