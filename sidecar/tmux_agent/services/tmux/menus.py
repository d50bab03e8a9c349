"""Menus on people's clients: opened by us, each with a number, so that a choice is known by number alone.

Owns which menus are out. Must not own: what is in them (core/menus.py), what a choice leads to (services/wayfinder.py).
`display-menu` holds up whoever runs it until the menu closes, so each is run by a tmux process of its own. Over
anything that covers the client already tmux opens none, and says nothing.
"""

from __future__ import annotations

import asyncio
import logging
import secrets

from msgspec import Struct

from tmux_agent.core import errors, menus
from tmux_agent.core.menus import Choice, Menu
from tmux_agent.services.tmux import signals
from tmux_agent.services.tmux.connection import environment, said
from tmux_agent.services.tmux.control import TmuxServer

log = logging.getLogger(__name__)


class _Shown(Struct, frozen=True):
    """The last menu of a client. It stays known after its end: a choice is told after tmux has closed the menu."""

    number: str
    choices: tuple[Choice, ...]


class Menus:
    """Built by the daemon; used in the event loop only."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, str], _Shown] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, server: TmuxServer, client: str, menu: Menu) -> None:
        """Shows a menu on a client, in place of the one before. Returns at once.

        Raises errors.NotFound where the server has no such client of a person.
        """
        seen = next((one for one in server.clients if one.name == client and not one.control), None)
        if seen is None:
            raise errors.NotFound(f"no client {client!r} is attached to tmux at {server.socket}")
        number = secrets.token_hex(8)
        self._shown[server.socket, client] = _Shown(number, menu.choices)
        items = menus.words(menu, seen.width, seen.height, lambda index: signals.choosing(number, index))
        shown = ("display-menu", "-c", client, "-T", menus.title(menu, seen.width), *items)
        argv = [server.tmux, "-N", "-u", "-S", server.socket, *shown]
        task = asyncio.get_running_loop().create_task(_hold_open(client, argv))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def chosen(self, server: TmuxServer, number: str, index: int) -> tuple[str, Choice] | None:
        """The client and what was chosen there, once; None for a menu that is not the last of its client."""
        for (socket, client), shown in self._shown.items():
            if (socket, shown.number) == (server.socket, number) and index < len(shown.choices):
                del self._shown[socket, client]
                return client, shown.choices[index]
        return None

    def forget(self, server: TmuxServer) -> None:
        """The server is gone."""
        self._shown = {key: shown for key, shown in self._shown.items() if key[0] != server.socket}

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _hold_open(client: str, argv: list[str]) -> None:
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=nothing, stdout=nothing, stderr=asyncio.subprocess.PIPE, env=environment()
    )
    try:
        _, err = await said(process)
        if process.returncode:
            log.warning("menu on %s: %s", client, err.decode("utf-8", "replace").strip())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
