"""The client for asyncio: the same methods, any number of requests at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, ParamSpec, Self, TypeVar

import msgspec

from ..core import errors, requests, wire
from ..core import protocol as p
from ..core import replies as r
from ..core.requests import Request
from . import talking
from .talking import (
    LINE,
    PATIENCE,
    Away,
    Gone,
    Patience,
    Reply,
    decode_event,
    decode_reply,
    line_of,
    outcome,
    raise_error,
)

P = ParamSpec("P")
T = TypeVar("T")


class _AsyncMethod(Generic[P, T]):
    """A method of AsyncClient: the same, to be awaited."""

    def __init__(self, build: Callable[P, Request[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    def __get__(self, client: AsyncClient, owner: type[AsyncClient]) -> Callable[P, Awaitable[T]]:
        def call(*args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
            return client.request(self._build(*args, **kwargs))

        return call


class _Link:
    """One asyncio connection and what waits for replies on it. `heard` is told of events."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: asyncio.Queue[Reply | None] | None
    ) -> None:
        self._reader, self._writer, self._heard = reader, writer, heard
        self._waiting: dict[int | str, asyncio.Future[Reply]] = {}
        self._task = asyncio.get_running_loop().create_task(self._read())

    @property
    def open(self) -> bool:
        return not self._task.done() and not self._writer.is_closing()

    def send(self, line: bytes) -> None:
        self._writer.write(line)

    async def exchange(self, number: int, line: bytes) -> Reply:
        """Raises OSError where the connection ends. Cancelled, it withdraws the request."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._writer.write(line)
            await self._writer.drain()
            if not self.open and not future.done():
                raise Gone("the connection ended")
            return await future
        except asyncio.CancelledError:
            self._writer.write(wire.encode({"jsonrpc": "2.0", "method": "cancel", "params": {"id": number}}))
            raise
        finally:
            del self._waiting[number]

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        end: Exception = Gone("the connection ended")
        try:
            while line := await self._reader.readline():
                reply = decode_reply(line)
                if reply.method == "event" and self._heard is not None:
                    await self._heard.put(reply)
                elif reply.id is not None and (future := self._waiting.get(reply.id)) and not future.done():
                    future.set_result(reply)
                elif reply.id is None and reply.error is not None:
                    raise_error(reply.error)
        except (OSError, ValueError, msgspec.MsgspecError, errors.TmuxAgentError) as why:  # half a line is no JSON
            end = why if isinstance(why, errors.TmuxAgentError) else Gone(str(why))
        finally:
            self._writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(end)
            if self._heard is not None and not self._heard.full():
                self._heard.put_nowait(None)


class AsyncClient:
    """One asyncio connection; any number of requests at once. Every method gives an awaitable."""

    hello = _AsyncMethod(requests.hello)
    health = _AsyncMethod(requests.health)
    register = _AsyncMethod(requests.register)
    state = _AsyncMethod(requests.state)
    agents = _AsyncMethod(requests.agents)
    ask = _AsyncMethod(requests.ask)
    ask_async = _AsyncMethod(requests.ask_async)
    status = _AsyncMethod(requests.status)
    run = _AsyncMethod(requests.run)
    would_run = _AsyncMethod(requests.would_run)
    read = _AsyncMethod(requests.read)
    write = _AsyncMethod(requests.write)
    edit = _AsyncMethod(requests.edit)
    delete = _AsyncMethod(requests.delete)
    entries = _AsyncMethod(requests.entries)
    check = _AsyncMethod(requests.check)
    judge = _AsyncMethod(requests.judge)
    plan = _AsyncMethod(requests.plan)
    advance = _AsyncMethod(requests.advance)
    panes = _AsyncMethod(requests.panes)
    call = _AsyncMethod(requests.named)

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, name: str = "", patience: float = PATIENCE
    ) -> None:
        self._environ = talking.environ_of(path)
        self._patience = patience
        self._name = name
        self._next = 0
        self._link: _Link | None = None
        self._connecting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; what it waits for is withdrawn."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def request(self, request: Request[T]) -> T:
        """Send a request and wait for its reply, across restarts of the sidecar. Cancelled, it withdraws it."""
        self._next += 1
        number, line = self._next, line_of(request, self._next)
        patience, sent = Patience(self._patience), False
        while True:
            try:
                link = await self._connected()
                sent = True
                reply = await link.exchange(number, line)
            except (OSError, Away) as why:
                await asyncio.sleep(patience.pause(request, sent, why))
            else:
                return outcome(reply, request)

    async def events(
        self, *types: str, since: int | None = None, output: bool = False
    ) -> AsyncGenerator[r.EventData, None]:
        """Events as they happen (of `types`), on a connection of their own, across restarts of the sidecar.

        With `since`, from the record after that number; with `output`, also what watched panes print. Who reads slowly
        is read for slowly: the sidecar says what was lost by that (`events.lost`).
        """
        while True:
            patience = Patience(self._patience)
            params = p.EventsSubscribe(types=types, since=since, output=output)
            request = Request("events.subscribe", params, r.Subscribed)
            heard: asyncio.Queue[Reply | None] = asyncio.Queue(1000)
            try:
                link = await self._open(heard)
            except (OSError, Away) as why:
                await asyncio.sleep(patience.pause(request, False, why))
                continue
            try:
                begun = outcome(await link.exchange(1, line_of(request, 1)), request)
                since = begun.seq if since is None else since
                while (reply := await heard.get()) is not None:
                    event = decode_event(reply.params)
                    since = max(since, event.seq)
                    yield event
            except OSError:
                continue
            finally:
                await link.close()

    async def _connected(self) -> _Link:
        async with self._connecting:
            if self._link is None or not self._link.open:
                self._link = await self._open(None)
                if self._name:
                    self._link.send(line_of(requests.register(self._name), 0))
            return self._link

    async def _open(self, heard: asyncio.Queue[Reply | None] | None) -> _Link:
        return _Link(*await asyncio.open_unix_connection(sock=talking.connect(self._environ), limit=LINE), heard)
