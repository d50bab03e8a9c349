"""A tmux server that we are not attached to: asked by tmux processes of our own, and by its socket.

Owns telling that a server is one, waiting until a session can be attached to, and what is left of an earlier sidecar.
Must not own: the connection (control.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import socket as sockets
import struct
import sys
from collections.abc import Sequence

from tmux_agent.core import errors
from tmux_agent.services.tmux import signals, snapshot
from tmux_agent.services.tmux.connection import ANSWER_SECONDS, Argv, environment, said

OLDEST = (3, 2)
LEAVING_SECONDS = 0.05  # in which a server on its way out hangs up


class Unattached:
    """By its socket. `tmux`: the program that is started."""

    def __init__(self, socket: str, tmux: str) -> None:
        self.socket = socket
        self.tmux = tmux

    async def probe(self) -> tuple[int, tuple[int, int]]:
        """The server's process and version. Raises Unavailable where no tmux answers, or one that is too old."""
        pid = server_pid(self.socket)
        words = (await self._fork("display-message", "-p", "#{pid} #{version}")).split()
        numbers = re.search(r"(\d+)\.(\d+)", words[-1]) if len(words) == 2 else None
        if numbers is None or words[0] != str(pid):
            raise errors.Unavailable(f"what listens at {self.socket} is not the tmux server that answers there")
        version = (int(numbers[1]), int(numbers[2]))
        if version < OLDEST:
            raise errors.Unavailable(f"tmux at {self.socket} is version {words[-1]}; tmux-agent needs 3.2 or newer")
        return pid, version

    async def wait_for_session(self) -> None:
        """Until there is a session of somebody else's: ours, made first, would take session number 0."""
        if await self._has_session():
            return
        channel = f"tmux-agent-{secrets.token_hex(8)}"
        await self._fork(*_chain(signals.listen(channel)))
        while not await self._has_session():
            await self._fork("wait-for", channel, timeout=None)
            await self._fork(*_chain(signals.take()))

    async def _has_session(self) -> bool:
        sessions = snapshot.sessions((await self._fork(*snapshot.SESSIONS)).splitlines())
        return any(session.name != signals.SESSION for session in sessions)

    async def clear_leftover(self) -> None:
        """Ends a session of our name from an earlier life: a session manager's, or of a sidecar that was killed.

        tmux keeps a control client for ever that was told to leave while it had something to write and nobody reads.
        """
        sessions = snapshot.sessions((await self._fork(*snapshot.SESSIONS)).splitlines())
        for session in sessions:
            if session.name != signals.SESSION:
                continue
            if session.attached:
                alive = (await self._fork("display-message", "-p", f"#{{{signals.ALIVE}}}")).strip()
                if _runs(alive):
                    return
                for client in snapshot.clients((await self._fork(*snapshot.CLIENTS)).splitlines()):
                    if client.session == session.id and client.control and client.pid > 1:
                        with contextlib.suppress(OSError):
                            os.kill(client.pid, signal.SIGKILL)
            with contextlib.suppress(errors.Unavailable):  # a hook may have been faster
                await self._fork("kill-session", "-t", session.id)

    async def leaves(self) -> bool:
        """Whether no server listens at the socket, or one on its way out, which hangs up on whoever comes."""
        try:
            reader, writer = await asyncio.open_unix_connection(self.socket)
        except OSError:
            return True
        try:
            async with asyncio.timeout(LEAVING_SECONDS):
                return not await reader.read(1)
        except TimeoutError:
            return False  # it waits for us to speak
        except OSError:
            return True
        finally:
            writer.close()

    async def _fork(self, *argv: str, timeout: float | None = ANSWER_SECONDS) -> str:
        """Runs one command by a tmux process of its own: for when there is no session that we could attach to."""
        process = await asyncio.create_subprocess_exec(
            self.tmux, "-N", "-u", "-S", self.socket, *argv,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=environment(),
        )  # fmt: skip
        try:
            async with asyncio.timeout(timeout):
                out, err = await said(process)
        except TimeoutError:
            raise errors.Unavailable(f"tmux at {self.socket} does not answer") from None
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode != 0:
            raise errors.Unavailable(f"tmux at {self.socket}: {err.decode('utf-8', 'replace').strip()}")
        return out.decode("utf-8", "replace")


def _runs(pid: str) -> bool:
    """Whether a process of that number exists, and is not us."""
    if not pid.isdecimal() or int(pid) in (0, os.getpid()):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _chain(commands: Sequence[Argv]) -> list[str]:
    """Commands as the arguments of one tmux process."""
    return [word for argv in commands for word in (*argv, ";")][:-1]


def server_pid(path: str) -> int:
    """The process that listens at a Unix socket, as the kernel says. Raises errors.Unavailable."""
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as peer:
        peer.settimeout(ANSWER_SECONDS)
        try:
            peer.connect(path)
            if sys.platform == "darwin":
                return int(peer.getsockopt(0, 2))  # SOL_LOCAL, LOCAL_PEERPID
            return int(struct.unpack("3i", peer.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, 12))[0])
        except (OSError, ValueError) as error:
            raise errors.Unavailable(f"no tmux server at {path}: {error}") from None
