"""The sidecar, START READING HERE: one asyncio process per user that builds the services, listens, runs until stopped.

    lock → lifecycle.begin (journal recovers, approvals, policy) → Server.listen → tmux servers, as they attach

Then read edges/methods.py (what can be asked) and services/guard.py (the one choke point). Owns the lock, signals, what
is watched, and the order of start and stop. Must not own: anything that is asked, decided or done.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import importlib
import logging
import os
import resource
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import msgspec

from .core import errors
from .core.model import Event
from .edges.server import Server
from .services import lifecycle, own_log, reloading
from .services import places as places_
from .services.folders import Folders, Watch
from .services.system import System

log = logging.getLogger(__name__)

FILES = 4096  # descriptors that it may hold
ATTACH_SECONDS = 2.0  # after which other work is begun, whether tmux has a session or not


def run(environ: Mapping[str, str], tmux: str | None = None, lock: IO[str] | None = None) -> int:
    """Be the sidecar until it is stopped; gives the exit code. Raises Unavailable where it cannot start.

    `lock`: that of take_lock, where it is held already.
    """
    places = places_.find(environ)
    lock = lock or take_lock(places)
    own_log.begin()
    _allow_files()
    with lock:
        sidecar = Sidecar(environ, places, lock)
        asyncio.run(sidecar.run([tmux] if tmux else []))
        while sidecar.anew is not None:
            servers, environ = sidecar.anew, {**environ, "TMUX_AGENT_READY_FD": ""}  # whoever waited was told
            sidecar = Sidecar(environ, places, lock)
            asyncio.run(sidecar.run(servers, begun_anew=True))
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


def _allow_files() -> None:
    """Every connection takes two descriptors, and many systems start with 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Sidecar:
    """One run of the sidecar."""

    def __init__(self, environ: Mapping[str, str], places: places_.Places, lock: IO[str]) -> None:
        self._environ = environ
        self._places = places
        self._lock = lock
        self._socket = places.socket
        self._folders = Folders()
        self._open = contextlib.ExitStack()
        self._binding = asyncio.Lock()
        self.anew: list[str] | None = None  # after the end: the tmux servers of a sidecar that is to begin in our place

    async def run(self, tmux: list[str], *, begun_anew: bool = False) -> None:
        """From start to stop, with these tmux servers."""
        system = await lifecycle.begin(self._environ, self._places)
        system.begun_anew = begun_anew
        server = Server(system)
        try:
            server.methods.chat.jobs.resume()
            await self._listen(system, server, self._first_place())
            await self._listen_inside(server)
            self._system, self._server = system, server
            await self._open_http()
            self._signals(system)
            self._watch()
            system.spawn(system.journal.publish(_started(self._socket)))  # without a log it serves on, and says so
            system.spawn(server.methods.hooks.drop_orphans())
            system.spawn(system.screens.drop_orphans())
            system.spawn(system.pipelines.drop_orphans())
            system.spawn(system.sentry.drop_orphans())
            system.spawn(self._attach(tmux))
            self._ready()
            await system.stop.wait()
            if system.begin_anew:  # all that is in memory is forgotten, as after a kill
                log.error("%s: beginning anew", system.journal.unwell)
                self.anew = [one.socket for one in system.servers.all()]
            log.info("stopping")
            with contextlib.suppress(errors.Unavailable):
                await system.journal.publish(Event(type="sidecar.stopped", data={"pid": os.getpid()}))
        finally:
            self._folders.close()
            system.approvals.stopping = True
            await server.close()
            await lifecycle.end(system)
            self._places.pointer.unlink(missing_ok=True)
            self._open.close()

    async def _attach(self, tmux: list[str]) -> None:
        """Serve the tmux servers that started us, or were served before: their badges are wrong without us. Then make
        popups quick.

        Their modules are a quarter of all imports: a thread does that, so that hooks are answered meanwhile.
        """
        for socket in dict.fromkeys((*map(os.path.realpath, tmux), *self._system.servers.before)):
            try:
                served = await self._system.servers.attach(socket)
                async with asyncio.timeout(ATTACH_SECONDS):
                    await served.connected.wait()
            except TimeoutError:
                log.info("tmux server %s has no session yet", socket)
            except errors.TmuxAgentError as why:
                log.warning("%s", why)
        warm = await asyncio.to_thread(importlib.import_module, f"{__package__}.edges.ui.warm")
        warm.warm()
        gc.freeze()  # what was imported stays for good: collections need not walk it

    # --- the socket ---

    def _first_place(self) -> Path:
        """Where to listen: while the runtime folder is away (before a log-in), at the spare socket."""
        wanted = self._places.socket
        if self._places.chosen == "runtime" and not os.path.lexists(wanted.parent):
            log.warning("%s does not exist: listening on %s", wanted.parent, self._places.spare_socket)
            return self._places.spare_socket
        return wanted

    async def _listen(self, system: System, server: Server, path: Path) -> None:
        """Bind, and say where: in the pointer for relays and clients, in the lock for people. Raises Unavailable."""
        places_.check_socket(path, "given" if path == self._places.spare_socket else self._places.chosen)
        await server.listener.open(path)
        self._socket = path
        places_.write_whole(self._places.pointer, f"{path}\n")
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(f"{os.getpid()}\n{path}\n")
        self._lock.flush()
        system.listening(path, lambda opening: server.openings.begin(opening))
        log.info("listening on %s", path)

    async def _listen_inside(self, server: Server) -> None:
        """Where it cannot: everything else works, and an agent that is started in a sandbox has nobody to ask."""
        try:
            places_.ready_folder(self._places.agents)
            await server.inner.open(self._short(self._places.agents) / "tmux-agent.sock")
        except errors.Unavailable as why:
            log.warning("agents in the sandbox cannot reach us: %s", why)

    def _short(self, folder: Path) -> Path:
        """A name that fits into a socket's address however deep the folder is: inside it has a short one, too."""
        if not os.path.isdir("/proc/self/fd"):
            return folder
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._open.callback(os.close, number)
        return Path(f"/proc/self/fd/{number}")

    async def _look_after_socket(self) -> None:
        """Bind again where our socket is no longer at its path, or the folder it belongs into has come back."""
        async with self._binding:
            home = self._places.socket
            home_again = self._socket != home and home.parent.is_dir()
            if not self._server.listener.reachable or home_again:
                log.warning("%s: binding again", "its folder is back" if home_again else f"{self._socket} is gone")
                self._server.listener.close()
                try:
                    await self._listen(self._system, self._server, self._first_place())
                except errors.Unavailable as why:
                    log.warning("%s; listening on %s", why, self._places.spare_socket)
                    await self._listen(self._system, self._server, self._places.spare_socket)
            self._watch()

    async def _open_http(self) -> None:
        """Without it everything else works: what is wrong with it is a warning."""
        try:
            http, links = self._system.settings.http, self._system.links
            hosts = (*http.hosts, *([links.host] if links.host else []))
            await self._server.http.open(msgspec.structs.replace(http, hosts=hosts))
            links.address = self._server.http.url
        except (errors.Unavailable, errors.InvalidParams) as why:
            log.warning("%s", why)
            self._system.http_wrong = str(why)

    # --- what happens to us ---

    def _signals(self, system: System) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, system.stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _watch(self) -> None:
        """Hear of changes to the configuration, and of a socket that goes away with its folder."""
        config, wanted = self._places.config, self._places.socket
        with contextlib.suppress(OSError):  # a home that cannot be written to: the defaults are in force
            config.mkdir(mode=0o700, parents=True, exist_ok=True)
        look = self._socket_changed
        self._folders.start(
            (
                Watch(config, None, self._reload),
                Watch(config / "policy.d", None, self._reload),
                Watch(config / "screens", None, self._reload),
                Watch(config / "pipelines", None, self._reload),
                Watch(config.parent, frozenset((config.name,)), self._reload),
                Watch(wanted.parent, frozenset((wanted.name,)), look),
                Watch(wanted.parent.parent, frozenset((wanted.parent.name,)), look),
                Watch(self._socket.parent, frozenset((self._socket.name,)), look),
            )
        )

    def _reload(self) -> None:
        self._watch()  # policy.d may have come or gone; before the files are read, so that nothing is missed
        self._system.spawn(reloading.reload(self._system))

    def _socket_changed(self) -> None:
        self._system.spawn(self._look_after_socket())

    # --- the ends ---

    def _ready(self) -> None:
        """Tell `sidecar start`, which waits at the other end of this pipe, that we listen."""
        number = self._environ.get("TMUX_AGENT_READY_FD", "")
        if number.isdigit():
            with contextlib.suppress(OSError), os.fdopen(int(number), "wb", buffering=0) as pipe:
                pipe.write(b"+")  # who started us may have gone


def _started(socket: Path) -> Event:
    return Event(type="sidecar.started", data={"pid": os.getpid(), "socket": str(socket)})
