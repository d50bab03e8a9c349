"""Says when something in a folder changes: inotify, so nothing is asked on a timer.

Owns asyncinotify. Where the system has no inotify, nothing is said (`tmux-agent sidecar reload` does it by hand).
Must not own: what a change means.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncinotify as inotify
    from asyncinotify import Inotify

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.05  # an editor's save is several events; one call comes after them


class Watch(NamedTuple):
    """Something in a folder: `names` of entries that matter (None: all of them), and who is told."""

    folder: Path
    names: frozenset[str] | None
    tell: Callable[[], None]


class Folders:
    """Watches folders. `tell` is called in the loop, a moment after something changed, once for many changes."""

    def __init__(self) -> None:
        self._watches: tuple[Watch, ...] = ()
        self._known: dict[Path, inotify.Watch] = {}
        self._due: dict[Callable[[], None], asyncio.TimerHandle] = {}
        self._inotify: Inotify | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, watches: Iterable[Watch]) -> None:
        """Watch exactly these from now on. Folders that do not exist are left out: call it again when they may."""
        self._watches = tuple(watches)
        if self._task is None:
            try:
                from asyncinotify import Inotify

                self._inotify = Inotify()
            except (ImportError, OSError, AttributeError) as why:
                log.warning("files are not watched (%s): use `tmux-agent sidecar reload`", why)
                return
            self._task = asyncio.create_task(self._read(self._inotify))
        self._adjust()

    def close(self) -> None:
        for due in self._due.values():
            due.cancel()
        self._due.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._known.clear()

    def _adjust(self) -> None:
        from asyncinotify import Mask

        assert self._inotify is not None
        mask = Mask.CLOSE_WRITE | Mask.MOVE | Mask.CREATE | Mask.DELETE | Mask.DELETE_SELF | Mask.MOVE_SELF
        wanted = {watch.folder for watch in self._watches}
        for folder in self._known.keys() - wanted:
            watch = self._known.pop(folder)
            if watch not in self._known.values():  # the same folder by another name shares it
                with contextlib.suppress(OSError):  # the folder has just gone, and its watch with it
                    self._inotify.rm_watch(watch)
        for folder in wanted - self._known.keys():
            try:
                self._known[folder] = self._inotify.add_watch(folder, mask)
            except OSError as why:
                log.debug("%s is not watched: %s", folder, why)

    async def _read(self, source: Inotify) -> None:
        with source:
            async for event in source:
                self._heard(event)

    def _heard(self, event: inotify.Event) -> None:
        from asyncinotify import Mask

        folders = {folder for folder, watch in self._known.items() if watch is event.watch}
        if event.mask & (Mask.IGNORED | Mask.MOVE_SELF):
            for folder in folders:
                del self._known[folder]  # it is gone; one of the same name may come
        for watch in self._watches:
            lost = event.watch is None  # more happened than the kernel kept: anything may have
            named = event.name is None or watch.names is None or str(event.name) in watch.names
            if lost or (watch.folder in folders and named):
                self._tell(watch.tell)

    def _tell(self, tell: Callable[[], None]) -> None:
        if tell not in self._due:
            self._due[tell] = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._call, tell)

    def _call(self, tell: Callable[[], None]) -> None:
        del self._due[tell]
        tell()
