"""Keeps the sandbox's own copy of a repository's packed-refs as the repository's is.

Git puts branches into that file from time to time (`git gc`) and removes their own files: inside they would be gone.
Owns one thread, which the kernel wakes. Linux only, as the sandbox is. Format: inotify(7).
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading

from ...core.sandbox import Git
from . import place

_MOVED_TO, _CLOEXEC = 0x80, 0o2000000
_EVENT = struct.Struct("iIII")
_NAME = "packed-refs"


def follow(git: Git) -> None:
    """From now on, as long as this process lives. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    told = libc.inotify_init1(_CLOEXEC)
    if told < 0 or libc.inotify_add_watch(told, os.fsencode(git.common), _MOVED_TO) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), git.common)
    place.copy_packed(git)
    threading.Thread(target=_copies, args=(told, git), daemon=True).start()


def _copies(told: int, git: Git) -> None:
    while events := os.read(told, 4096):
        if _NAME in _names(events):
            place.copy_packed(git)


def _names(events: bytes) -> set[str]:
    names, at = set(), 0
    while at + _EVENT.size <= len(events):
        length = _EVENT.unpack_from(events, at)[3]
        at += _EVENT.size
        names.add(os.fsdecode(events[at : at + length].rstrip(b"\0")))
        at += length
    return names
