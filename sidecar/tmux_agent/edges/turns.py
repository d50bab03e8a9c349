"""Whose turn it is: of the clients that have sent something at once, one is answered at once, and the others a few at a
time, which are then written to.

To wake whom a reply goes to costs as much as to answer. Where many clients are one process (a pool of agents, a
bridge), it wakes once for a few replies; and a thing done for several in a row is quicker than it is in between others.
Who is alone does not wait for others: a turn of the loop is a tenth of what its reply takes.
Owns the order of clients. Must not own: bytes (connection.py).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

log = logging.getLogger(__name__)

TOGETHER = 16  # clients: a reply waits for no more than these are given in one turn


class Client(Protocol):
    def answer(self) -> None:
        """Take its requests, as many as are its due at once."""

    def write(self) -> None:
        """Send it the replies that are kept back."""

    def close(self) -> None: ...


class Turns:
    """Of all clients of one server. Each that is added has one turn: now, or in the loop's next."""

    def __init__(self) -> None:
        self._due: list[Client] = []
        self._answered = False  # somebody, in this turn of the loop

    def add(self, client: Client) -> None:
        if self._answered:
            self._due.append(client)
            return
        self._answered = True
        asyncio.get_running_loop().call_soon(self._run)
        self._answer([client])

    def _run(self) -> None:
        due, self._due = self._due, []
        for first in range(0, len(due), TOGETHER):
            self._answer(due[first : first + TOGETHER])
        self._answered = bool(self._due)  # who has more to say was added again
        if self._due:
            asyncio.get_running_loop().call_soon(self._run)

    def _answer(self, few: list[Client]) -> None:
        for client in few:
            try:
                client.answer()
            except Exception:
                log.exception("a defect of tmux-agent; the connection that met it is closed")  # and others go on
                client.close()
        for client in few:
            client.write()
