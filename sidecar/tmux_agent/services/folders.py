"""Says when something in a folder changes: inotify, so nothing is asked on a timer.

Owns asyncinotify. Where the system has no inotify, nothing is said (`tmux-agent sidecar reload` does it by hand).
Must not own: what a change means.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncinotify import Inotify

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.05  # an editor's save is several events; one call comes after them


class Folders:
    """Watches folders; each has one callback, called in the loop a moment after something in it changed."""

    def __init__(self) -> None:
        self._callbacks: dict[Path, Callable[[], None]] = {}
        self._due: dict[Path, asyncio.TimerHandle] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self, callbacks: Mapping[Path, Callable[[], None]]) -> None:
        """Watch exactly these folders from now on; those that do not exist are left out."""
        self.close()
        try:
            from asyncinotify import Inotify, Mask

            inotify = Inotify()
        except (ImportError, OSError, AttributeError) as why:
            log.warning("files are not watched (%s): use `tmux-agent sidecar reload`", why)
            return
        mask = Mask.CLOSE_WRITE | Mask.MOVE | Mask.CREATE | Mask.DELETE | Mask.DELETE_SELF | Mask.MOVE_SELF
        for folder, callback in callbacks.items():
            try:
                inotify.add_watch(folder, mask)
            except OSError as why:
                log.debug("%s is not watched: %s", folder, why)
            else:
                self._callbacks[folder] = callback
        self._task = asyncio.create_task(self._read(inotify))

    def close(self) -> None:
        for due in self._due.values():
            due.cancel()
        self._due.clear()
        self._callbacks.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _read(self, inotify: Inotify) -> None:
        with inotify:
            async for event in inotify:
                folder = event.watch.path if event.watch is not None else None
                if folder in self._callbacks and folder not in self._due:
                    loop = asyncio.get_running_loop()
                    self._due[folder] = loop.call_later(SETTLE_SECONDS, self._call, folder)

    def _call(self, folder: Path) -> None:
        del self._due[folder]
        self._callbacks[folder]()
