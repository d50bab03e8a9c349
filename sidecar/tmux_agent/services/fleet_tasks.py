"""What agents of the fleet are told: each its task, once its prompt waits, and what is sent later.

Owns that a task is given once, over restarts. Must not own: waiting for a prompt, typing (typist.py), who may (edges).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

from ..core import errors
from ..core.fleet import FleetAgent, TaskState
from ..core.model import Origin, Role
from ..core.pipeline_run import Place
from .fleet_book import Book
from .ids import new_id
from .tmux.control import TmuxServer
from .tmux.servers import Servers
from .typist import Typist


class Tasks:
    """Built by the fleet; used in the event loop only."""

    def __init__(
        self, book: Book, servers: Servers, typist: Typist,
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
    ) -> None:  # fmt: skip
        self._book = book
        self._servers = servers
        self._typist = typist
        self._spawn = spawn
        self._giving: dict[str, asyncio.Task[None]] = {}

    def give(self, one: FleetAgent) -> None:
        """Type its task as soon as its prompt waits, if it has not been given one yet."""
        if one.task_state is TaskState.WAITING and one.name not in self._giving:
            task = self._giving[one.name] = self._spawn(self._give(one))
            task.add_done_callback(lambda done: self._done(one.name, done))

    def stop(self, name: str) -> None:
        """It ends: nothing is typed there any more."""
        if task := self._giving.pop(name, None):
            task.cancel()

    def _done(self, name: str, task: asyncio.Task[None]) -> None:
        if self._giving.get(name) is task:
            del self._giving[name]

    async def _give(self, one: FleetAgent) -> None:
        try:
            await self._type(one, one.task, _key(one), enter=True)
        except errors.TmuxAgentError as why:
            note = f"its task was not given: {why.message}"
            await self._book.change(one.name, task_state=TaskState.FAILED, note=note)
            return
        await self._book.change(one.name, task_state=TaskState.GIVEN)

    async def told(self, one: FleetAgent) -> bool:
        """Whether it has been told its task, or has none that is typed. Raises Unavailable."""
        if one.task_state in (TaskState.NONE, TaskState.GIVEN):
            return True
        return bool(one.pane) and await self._typist.begun(one.task, one.server, one.pane, _origin(one), _key(one))

    async def send(self, name: str, text: str, *, enter: bool) -> None:
        """Raises NotFound, Conflict, Denied, Failed, Unavailable."""
        one = self._book.running(name)
        await self._type(one, text, f"fleet/{one.fleet_id}/{new_id()}", enter=enter)

    async def _type(self, one: FleetAgent, text: str, key: str, *, enter: bool) -> None:
        place = Place(
            server=one.server, server_pid=self.server(one).pid, pane=one.pane, pane_pid=one.pane_pid
        )
        await self._typist.free(place, starts=True)
        # A shell is never there: the pane ends with its agent.
        await self._typist.typed(text, place, _origin(one), key, enter=enter, approved=True, shell=False)

    def server(self, one: FleetAgent) -> TmuxServer:
        """Raises Unavailable."""
        if (server := self._servers.get(one.server)) is None:
            raise errors.Unavailable(f"the tmux server of {one.name} at {one.server} is gone, or not attached yet")
        return server


def _key(one: FleetAgent) -> str:
    """Of its task, which makes that the same over restarts."""
    return f"fleet/{one.fleet_id}/task"


def _origin(one: FleetAgent) -> Origin:
    """Who types what was approved with the agent, or by itself."""
    return Origin(
        role=Role.AGENT, why="approved with its agent", uid=os.getuid(), pid=os.getpid(), server=one.server,
        pane=one.pane, place=one.session, name=one.name, session=f"fleet:{one.fleet_id}", door="fleet",
    )  # fmt: skip
