"""START READING HERE. The sidecar: one asyncio process per user that builds the services, opens the socket, runs until stopped.

    lock → journal (recovers) → approvals → policy → server (edges/server.py) → tmux servers, when they attach

Then read edges/server.py (what can be asked) and services/guard.py (the one choke point). Owns the lock, signals,
reloading, and the order of start and stop. Must not own: anything that is asked, decided or done.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from .core import errors
from .core.model import Event
from .edges.server import Server
from .edges.ui import popup
from .services import places as places_
from .services.files_watch import watch
from .services.system import System

log = logging.getLogger(__name__)


def take_lock(places: places_.Places) -> IO[str]:
    """The lock of the state folder, held as long as the file is open. Raises Unavailable naming who holds it."""
    places_.ready_folder(places.state)
    lock = open(places.lock, "a+", opener=_private)  # noqa: SIM115 - held for the life of the process
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        pid, _, socket = lock.read().partition("\n")
        lock.close()
        raise errors.Unavailable(f"a sidecar runs already: pid {pid or '?'}, socket {socket.strip() or '?'}") from None
    return lock


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _name_in(lock: IO[str], socket: Path) -> None:
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()}\n{socket}\n")
    lock.flush()


class Sidecar:
    """One run of the sidecar."""

    def __init__(self, environ: Mapping[str, str], places: places_.Places, lock: IO[str]) -> None:
        self._environ = environ
        self._places = places
        self._lock = lock
        self._socket = places.socket

    async def run(self) -> None:
        """From start to stop. Raises Unavailable where it cannot start; nothing is half started then."""
        loop = asyncio.get_running_loop()
        system = await System.build(self._environ, self._places)
        server = Server(system)
        try:
            await self._bind(server)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, system.stop.set)
            loop.add_signal_handler(signal.SIGHUP, lambda: system.spawn(system.reload()))
            popup.warm()
            gc.freeze()  # what was imported stays for good: collections need not walk it
            await system.journal.publish(Event(type="sidecar.started", data={"pid": os.getpid(), "socket": str(self._socket)}))
            async with contextlib.AsyncExitStack() as watching:
                watching.push_async_exit(await watch(self._watched(system, server)))
                await system.stop.wait()
        finally:
            await self._close(system, server)

    async def _bind(self, server: Server) -> None:
        """Bind, write the pointer and the lock's lines. While the runtime folder is away, the spare socket is used."""
        given = "TMUX_AGENT_SOCKET" in self._environ
        system_folder = "XDG_RUNTIME_DIR" in self._environ and not given
        self._socket = self._places.socket
        if system_folder and not os.path.lexists(self._socket.parent):
            log.warning("%s does not exist: listening on %s", self._socket.parent, self._places.spare_socket)
            self._socket = self._places.spare_socket
        places_.check_socket(self._socket, ours_to_make=not system_folder)
        await server.listen(self._socket)
        pointer = self._places.pointer
        pointer.write_text(f"{self._socket}\n")
        pointer.chmod(0o600)
        _name_in(self._lock, self._socket)
