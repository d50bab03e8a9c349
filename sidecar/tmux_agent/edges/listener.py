"""The listening socket: mode 0600, never over a live one, and known for ours as long as its path leads to it.

Owns the path in the file system. Must not own: which path (daemon.py), who connects (server.py).
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from ..core import errors

BACKLOG = 512


class Listener:
    """One at a time. `made` makes the protocol of each connection."""

    def __init__(self, made: Callable[[], asyncio.BufferedProtocol]) -> None:
        self._made = made
        self._server: asyncio.AbstractServer | None = None
        self._bound: tuple[Path, int, int] | None = None  # path, device and inode of our socket

    async def open(self, path: Path) -> None:
        """A stale socket is replaced, a live one never.

        Raises Unavailable where something else is there, or the system refuses.
        """
        _clear(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(path))
            path.chmod(0o600)  # nobody can connect before it listens
            info = path.lstat()
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(self._made, sock=listener, backlog=BACKLOG)
        except OSError as why:
            listener.close()
            raise errors.Unavailable(f"cannot listen on {path}: {why.strerror or why}") from None
        self._bound = (path, info.st_dev, info.st_ino)

    @property
    def reachable(self) -> bool:
        """Whether the path that we bound still leads to our socket."""
        if self._bound is None:
            return False
        path, device, inode = self._bound
        try:
            info = path.lstat()
        except OSError:
            return False
        return (info.st_dev, info.st_ino) == (device, inode)

    def close(self) -> None:
        """Stop listening, and remove the socket if it is ours still. Connections that are open go on."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._bound is not None and self.reachable:
            self._bound[0].unlink(missing_ok=True)
        self._bound = None


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on. Raises Unavailable for anything else that is there."""
    if not os.path.lexists(path):
        return
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise errors.Unavailable(f"{path} is there and no socket: remove it, or set TMUX_AGENT_SOCKET")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as why:
            raise errors.Unavailable(f"the socket {path} cannot be taken over: {why.strerror or why}") from None
    raise errors.Unavailable(f"another sidecar (of another state folder) listens on {path}: stop it first")
