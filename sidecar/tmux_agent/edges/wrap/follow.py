"""Is told by the kernel which files of some folders somebody has written or put in place.

Owns one thread, which the kernel wakes: a process that has it is not to be forked. Must not own: what follows. Linux
only, as the sandbox is. Format: inotify(7).
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Callable, Mapping

_WRITTEN, _MOVED_TO, _CLOEXEC = 0x08, 0x80, 0o2000000
_EVENT = struct.Struct("iIII")


def follow(folders: Mapping[str, Callable[[str], object]]) -> None:
    """From now on, as long as this process lives: each is called, in a thread, with names of files in its folder.
    Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    told = libc.inotify_init1(_CLOEXEC)
    calls: dict[int, Callable[[str], object]] = {}
    for folder, call in folders.items():
        number = libc.inotify_add_watch(told, os.fsencode(folder), _WRITTEN | _MOVED_TO)
        if told < 0 or number < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), folder)
        calls[number] = call
    threading.Thread(target=_hear, args=(told, calls), daemon=True).start()


def _hear(told: int, calls: Mapping[int, Callable[[str], object]]) -> None:
    while events := os.read(told, 4096):
        at = 0
        while at < len(events):
            number, _, _, length = _EVENT.unpack_from(events, at)
            at += _EVENT.size
            if number in calls:
                calls[number](os.fsdecode(events[at : at + length].rstrip(b"\0")))
            at += length
