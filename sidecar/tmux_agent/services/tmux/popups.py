"""Popups: opened by us on a person's client, each with a number that is good for one relay, once, for two seconds.

Owns which popups are open and which nonces are out. Must not own: what is drawn in them (edges/ui/popup.py), whether a
relay is what it says (services/identity.py).

`display-popup` holds up whoever runs it until the popup closes, so each is run by a tmux process of its own; while that
process lives, the popup is open.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from tmux_agent.core import errors
from tmux_agent.services.tmux.connection import environment
from tmux_agent.services.tmux.control import TmuxServer
from tmux_agent.services.views import PopupGrant

log = logging.getLogger(__name__)

NONCE_SECONDS = 2.0
SMALL_COLUMNS, SMALL_ROWS = 100, 30  # a client below either gives the popup all its room
BORDERLESS = (3, 3)  # first version with display-popup -B: our own frame is drawn instead


class Claim(Struct, frozen=True):
    """What a nonce stood for. `at`: the request to show first, None for the oldest."""

    grant: PopupGrant
    at: str | None


class Popups:
    """`relay` is what runs in the popup, without its nonce: (python, "-I", "-S", relay.py, socket).

    `now` is the clock of PopupGrant.issued (Identity.now).
    """

    def __init__(
        self, relay: Sequence[str], now: Callable[[], int], *, width: str = "90%", height: str = "80%"
    ) -> None:
        self._relay = tuple(relay)
        self._now = now
        self.width, self.height = width, height
        self._out: dict[str, tuple[float, Claim]] = {}
        self._open: dict[tuple[str, str], asyncio.Task[None]] = {}

    def is_open(self, server: TmuxServer, client: str) -> bool:
        return (server.socket, client) in self._open

    async def open(self, server: TmuxServer, client: str, at: str | None = None) -> bool:
        """Opens a popup on `client`; False where ours is open there already. Returns as soon as tmux was asked.

        Raises errors.NotFound where the server has no such client of a person.
        """
        key = (server.socket, client)
        if key in self._open:
            return False
        seen = next((one for one in server.clients if one.name == client and not one.control), None)
        if seen is None:
            raise errors.NotFound(f"no client {client!r} is attached to tmux at {server.socket}")
        small = seen.width < SMALL_COLUMNS or seen.height < SMALL_ROWS
        size = ("100%", "100%") if small else (self.width, self.height)
        nonce = self._issue(PopupGrant(server=server.socket, client=client, issued=self._now()), at)
        argv = self._argv(server, client, size, nonce)
        self._open[key] = asyncio.get_running_loop().create_task(self._run(key, nonce, argv))
        return True

    def claim(self, nonce: str) -> Claim | None:
        """What `nonce` was made for, once; None for what is unknown, used, or older than two seconds."""
        now = time.monotonic()
        self._out = {one: (until, claim) for one, (until, claim) in self._out.items() if until > now}
        _, claim = self._out.pop(nonce, (0.0, None))
        return claim

    async def close(self) -> None:
        """Forgets every nonce and ends the processes that hold popups open."""
        self._out.clear()
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _issue(self, grant: PopupGrant, at: str | None) -> str:
        nonce = secrets.token_hex(16)
        self._out[nonce] = (time.monotonic() + NONCE_SECONDS, Claim(grant, at))
        return nonce

    def _argv(self, server: TmuxServer, client: str, size: tuple[str, str], nonce: str) -> list[str]:
        width, height = size
        frame = ("-B",) if server.version >= BORDERLESS else ()
        popup = ("display-popup", "-c", client, "-EE", *frame, "-w", width, "-h", height)
        # Several words: tmux starts the program itself, so no shell, and nothing to quote for one.
        return [server.tmux, "-N", "-u", "-S", server.socket, *popup, *self._relay, nonce]

    async def _run(self, key: tuple[str, str], nonce: str, argv: Sequence[str]) -> None:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
        )
        try:
            _, err = await process.communicate()
            if process.returncode:
                text = err.decode("utf-8", "replace").strip()
                log.warning("popup on %s ended with %s: %s", key[1], process.returncode, text)
        finally:
            self._open.pop(key, None)
            self._out.pop(nonce, None)
            if process.returncode is None:
                process.kill()
                await process.wait()
