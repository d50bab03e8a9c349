"""Hears of the death of processes from the kernel (pidfd_open(2), Linux); elsewhere the end of a pane has to do.

Owns the descriptors. Must not own: whose process it is, what follows.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable


class Deaths:
    """Processes are named "pid:started", as in Origin.session. `died` is called in the event loop, once a process."""

    def __init__(self, died: Callable[[str], None]) -> None:
        self._died = died
        self._watched: dict[str, int] = {}  # process → pidfd

    def __contains__(self, process: str) -> bool:
        return process in self._watched

    def watch(self, process: str) -> None:
        if not process or process in self._watched or not hasattr(os, "pidfd_open"):
            return
        try:
            pidfd = os.pidfd_open(int(process.partition(":")[0]))
        except OSError:
            return  # it is gone already, or cannot be watched: its pane's end will tell
        self._watched[process] = pidfd
        asyncio.get_running_loop().add_reader(pidfd, self._ended, process)

    def unwatch(self, process: str) -> None:
        if (pidfd := self._watched.pop(process, None)) is not None:
            asyncio.get_running_loop().remove_reader(pidfd)
            os.close(pidfd)

    def close(self) -> None:
        for process in list(self._watched):
            self.unwatch(process)

    def _ended(self, process: str) -> None:
        self.unwatch(process)
        self._died(process)
