"""Tells when a program has written to its terminal or read from it: the kernel keeps watch (inotify), nothing polls.

Owns one inotify queue of terminals. A terminal tells once and is then silent until it is armed again, so that a program
that writes without end costs no more than one event for each look. Echoed typing is neither written nor read. Where a
system has no inotify, or its terminals tell nothing (macOS), `works` is False. Must not own: what is looked at then.
Source: inotify(7).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import struct
from collections.abc import Callable

log = logging.getLogger(__name__)

_ACCESS, _MODIFY, _DELETE_SELF, _IGNORED, _ONESHOT = 0x1, 0x2, 0x400, 0x8000, 0x80000000
_EVENT = struct.Struct("iIII")
_READ = 1 << 16


class TtyWatch:
    """`tell` gets the path of a terminal, and True where the terminal is gone, in the event loop."""

    def __init__(self, tell: Callable[[str, bool], None]) -> None:
        self._tell = tell
        self._paths: dict[int, str] = {}  # by watch: those that are armed
        self._libc: ctypes.CDLL | None = None
        self._queue = -1

    @property
    def works(self) -> bool:
        return self._queue >= 0

    def start(self) -> None:
        """Once, in the loop."""
        try:
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._queue = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, AttributeError) as why:
            log.info("screens are looked at only when tmux tells of a change: %s", why)
            return
        if self.works:
            asyncio.get_running_loop().add_reader(self._queue, self._read)

    def close(self) -> None:
        if self.works:
            asyncio.get_running_loop().remove_reader(self._queue)
            os.close(self._queue)
        self._queue = -1
        self._paths.clear()

    def arm(self, path: str) -> None:
        """Tell of the next that happens at this terminal. One that is gone already tells nothing."""
        if not self.works or self._libc is None:
            return
        mask = _ACCESS | _MODIFY | _DELETE_SELF | _ONESHOT
        watch = self._libc.inotify_add_watch(self._queue, os.fsencode(path), ctypes.c_uint32(mask))
        if watch >= 0:
            self._paths[watch] = path

    def disarm(self, path: str) -> None:
        for watch in [watch for watch, armed in self._paths.items() if armed == path]:
            assert self._libc
            self._libc.inotify_rm_watch(self._queue, watch)
            del self._paths[watch]

    def _read(self) -> None:
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._queue, _READ)
        at = 0
        while at < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            if mask & _IGNORED:
                continue  # every watch that has told ends so
            if (path := self._paths.pop(watch, None)) is not None:
                self._tell(path, bool(mask & _DELETE_SELF))
