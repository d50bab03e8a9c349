"""START READING HERE. The sidecar: one asyncio process per user that builds the services, listens, runs until stopped.

    lock → System.build (journal recovers, approvals, policy) → Server.listen → tmux servers, as they attach

Then read edges/server.py (what can be asked) and services/guard.py (the one choke point). Owns the lock, signals, what
is watched, and the order of start and stop. Must not own: anything that is asked, decided or done.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from .core import errors
from .core.model import Event
from .edges.server import Server
from .edges.ui.warm import warm
from .services import places as places_
from .services.folders import Folders
from .services.system import System

log = logging.getLogger(__name__)


def run(environ: Mapping[str, str], tmux: str | None = None) -> int:
    """Be the sidecar until it is stopped; gives the exit code. Raises Unavailable where it cannot start."""
    places = places_.find(environ)
    lock = take_lock(places)
    logging.basicConfig(
        stream=sys.stderr,
        level=environ.get("TMUX_AGENT_LOG_LEVEL", "info").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    with lock:
        asyncio.run(Sidecar(environ, places, lock).run(tmux))
    return 0


def take_lock(places: places_.Places) -> IO[str]:
    """The lock of the state folder, held as long as the file is open. Raises Unavailable naming who holds it."""
    places_.ready_folder(places.state)
    try:
        lock = open(places.lock, "a+", opener=_private)  # noqa: SIM115 - held for the life of the process
    except OSError as why:
        raise errors.Unavailable(f"the lock {places.lock} cannot be opened: {why.strerror}") from None
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


class Sidecar:
    """One run of the sidecar."""

    def __init__(self, environ: Mapping[str, str], places: places_.Places, lock: IO[str]) -> None:
        self._environ = environ
        self._places = places
        self._lock = lock
        self._socket = places.socket
        self._folders = Folders()

    async def run(self, tmux: str | None) -> None:
        """From start to stop."""
        system = await System.build(self._environ, self._places)
        server = Server(system)
        try:
            await self._listen(system, server)
            self._signals(system)
            self._watch(system, server)
            await system.journal.publish(_started(self._socket))
            system.spawn(server.hooks.drop_orphans())
            if tmux:
                system.spawn(system.attach_tmux(tmux))
            self._ready()
            warm()
            gc.freeze()  # what was imported stays for good: collections need not walk it
            await system.stop.wait()
            log.info("stopping")
        finally:
            self._folders.close()
            system.guard.stopping = True
            await server.close()
            await system.close()
            self._leave()

    async def _listen(self, system: System, server: Server) -> None:
        """Bind, write the pointer and the lock's lines. While the runtime folder is away, the spare socket is used."""
        given = "TMUX_AGENT_SOCKET" in self._environ
        system_folder = "XDG_RUNTIME_DIR" in self._environ and not given
        self._socket = self._places.socket
        if system_folder and not os.path.lexists(self._socket.parent):
            log.warning("%s does not exist: listening on %s", self._socket.parent, self._places.spare_socket)
            self._socket = self._places.spare_socket
        places_.check_socket(self._socket, ours_to_make=not system_folder)
        await server.listen(self._socket)
        self._places.pointer.write_text(f"{self._socket}\n")
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(f"{os.getpid()}\n{self._socket}\n")
        self._lock.flush()
        system.listening(self._socket)
        log.info("listening on %s", self._socket)

    def _signals(self, system: System) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, system.stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: system.spawn(system.reload()))

    # --- files that change under us ---

    def _watch(self, system: System, server: Server) -> None:
        config = self._places.config
        config.mkdir(mode=0o700, parents=True, exist_ok=True)

        def reload() -> None:
            system.spawn(system.reload())
            self._watch(system, server)  # policy.d may have come or gone

        def look_after_socket() -> None:
            system.spawn(self._look_after_socket(system, server))

        watched: dict[Path, Callable[[], None]] = {
            config: reload,
            config / "policy.d": reload,
            self._places.socket.parent.parent: look_after_socket,
            self._places.socket.parent: look_after_socket,
            self._socket.parent: look_after_socket,
        }
        self._folders.start(watched)

    async def _look_after_socket(self, system: System, server: Server) -> None:
        """Bind again where the socket's path has disappeared, or the folder it belongs into has come back."""
        home_again = self._socket != self._places.socket and self._places.socket.parent.is_dir()
        if self._socket.is_socket() and not home_again:
            return
        log.warning("%s is gone: binding again", self._socket)
        server.stop_listening()
        await self._listen(system, server)
        self._watch(system, server)

    # --- the ends ---

    def _ready(self) -> None:
        """Tell `sidecar start`, which waits at the other end of this pipe, that we listen."""
        number = self._environ.get("TMUX_AGENT_READY_FD", "")
        if number.isdigit():
            with os.fdopen(int(number), "wb", buffering=0) as pipe:
                pipe.write(b"+")

    def _leave(self) -> None:
        for path in (self._socket, self._places.pointer):
            path.unlink(missing_ok=True)


def _started(socket: Path) -> Event:
    return Event(type="sidecar.started", data={"pid": os.getpid(), "socket": str(socket)})
