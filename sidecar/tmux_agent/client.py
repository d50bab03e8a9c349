"""The Python client: `Client` for ordinary code, `AsyncClient` for asyncio. Speaks docs/protocol.md.

    from tmux_agent.client import Client
    with Client(name="deploy-bot") as agent:
        if agent.ask("Deploy 1.4 to staging?", urgency="high").approved:
            agent.run("make", "deploy")

Both have the same methods (core/requests.py), typed; AsyncClient's are awaited. Both reconnect by themselves when the
sidecar restarts: a request that was in flight is sent again with the same key, under which the sidecar asks nothing
anew and runs nothing twice. Errors of the sidecar are raised as the classes of tmux_agent.core.errors; a sidecar that
stays away for `patience` seconds is errors.Unavailable. Must not own: anything the sidecar decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import struct
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, NoReturn, ParamSpec, Self, TypeVar

import msgspec

from .core import errors, requests, wire
from .core import protocol as p
from .core import replies as r
from .core.requests import Request

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 30.0  # seconds that a client waits for a sidecar to come back
_CHUNK = 1 << 16
_LINE = 1 << 30  # the sidecar's lines are trusted to end
_ERRORS = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.TmuxAgentError) and kind is not errors.NotText
}


# --- what both share -------------------------------------------------------------------------------


class _Reply(msgspec.Struct):
    """Any line from the sidecar: a reply, an error, or an event."""

    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw(b"")
    error: wire.ErrorBody | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"")


class _Result(msgspec.Struct):
    data: msgspec.Raw


_decode_reply = msgspec.json.Decoder(_Reply).decode
_decode_result = msgspec.json.Decoder(_Result).decode
_decode_event = msgspec.json.Decoder(r.EventData).decode


class _Gone(OSError):
    """The connection ended."""


class _Away(errors.Unavailable):
    """No sidecar listens."""


def sockets(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where a sidecar may listen, in docs/protocol.md's order: the environment's, then the state folder's pointer."""
    from .services.places import find

    places = find(environ)
    yield places.socket
    if places.chosen != "given":
        with contextlib.suppress(OSError, ValueError):
            yield Path(places.pointer.read_text().strip())


def connect(environ: Mapping[str, str]) -> socket.socket:
    """A connection to the sidecar. Raises Unavailable naming what was tried."""
    tried = []
    for path in sockets(environ):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.connect(str(path))
            _check_owner(peer)
        except OSError as why:
            peer.close()
            tried.append(f"{path}: {why.strerror or why}")
        else:
            return peer
    raise _Away(f"no sidecar answers ({'; '.join(tried)}): start it with `tmux-agent sidecar start`")


def _check_owner(peer: socket.socket) -> None:
    """Who listens must be this user (or root): another could have put a socket there. Raises OSError."""
    if hasattr(socket, "SO_PEERCRED"):
        _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in (os.getuid(), 0):
            raise OSError(f"it belongs to uid {uid}, not to you")


def _environ(path: str | os.PathLike[str] | None) -> Mapping[str, str]:
    return os.environ if path is None else {**os.environ, "TMUX_AGENT_SOCKET": os.fspath(path)}


def _raise(body: wire.ErrorBody) -> NoReturn:
    kind = _ERRORS.get(body.code, errors.Internal)
    raise kind(body.message, **{k: v for k, v in body.data.items() if k != "kind"})


def _outcome(reply: _Reply, request: Request[T]) -> T:
    if reply.error is not None:
        _raise(reply.error)
    return msgspec.json.decode(_decode_result(reply.result).data, type=request.reply)


def _line(request: Request[Any], number: int) -> bytes:
    return wire.request_line(request.method, request.params, number, secrets.token_hex(8) if request.keyed else "")


class _Patience:
    """How long a sidecar may stay away."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None

    def pause(self, request: Request[Any], sent: bool, why: Exception) -> float:
        """Seconds to wait before the next try; there is no event for a socket that comes back. Raises Unavailable."""
        if sent and not request.repeatable:
            raise errors.Unavailable(
                f"the connection ended before {request.method} was answered: look whether it was done ({why})"
            ) from None
        now = time.monotonic()
        self._since = self._since or now
        away = now - self._since
        if away < self._seconds:
            return min(0.05 + away / 4, 1.0)
        if isinstance(why, _Away):
            raise why
        raise errors.Unavailable(f"the sidecar has gone and did not come back in {self._seconds:g} s: {why}") from None


class _Method(Generic[P, T]):
    """A method of Client: builds the request, sends it, gives the reply's data."""

    def __init__(self, build: Callable[P, Request[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    def __get__(self, client: Client, owner: type[Client]) -> Callable[P, T]:
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return client.request(self._build(*args, **kwargs))

        return call


class _AsyncMethod(Generic[P, T]):
    """A method of AsyncClient: the same, to be awaited."""

    def __init__(self, build: Callable[P, Request[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    def __get__(self, client: AsyncClient, owner: type[AsyncClient]) -> Callable[P, Awaitable[T]]:
        def call(*args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
            return client.request(self._build(*args, **kwargs))

        return call


# --- blocking --------------------------------------------------------------------------------------


class Client:
    """One blocking connection. Not for several threads at once."""

    hello = _Method(requests.hello)
    health = _Method(requests.health)
    register = _Method(requests.register)
    state = _Method(requests.state)
    agents = _Method(requests.agents)
    ask = _Method(requests.ask)
    ask_async = _Method(requests.ask_async)
    status = _Method(requests.status)
    run = _Method(requests.run)
    would_run = _Method(requests.would_run)
    read = _Method(requests.read)
    write = _Method(requests.write)
    edit = _Method(requests.edit)
    delete = _Method(requests.delete)
    entries = _Method(requests.entries)
    check = _Method(requests.check)
    judge = _Method(requests.judge)
    plan = _Method(requests.plan)
    advance = _Method(requests.advance)
    panes = _Method(requests.panes)
    call = _Method(requests.named)

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, name: str = "", patience: float = PATIENCE
    ) -> None:
        self._environ = _environ(path)
        self._patience = patience
        self._name = name
        self._next = 0
        self._peer: socket.socket | None = None
        self._lines = wire.LineBuffer(_LINE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; what it waits for is withdrawn. A further request opens a new one."""
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def request(self, request: Request[T]) -> T:
        """Send a request and wait for its reply, across restarts of the sidecar."""
        self._next += 1
        number, line = self._next, _line(request, self._next)
        patience, sent = _Patience(self._patience), False
        while True:
            try:
                self._connected()
                sent = True
                reply = self._exchange(number, line)
            except (OSError, _Away) as why:
                self.close()
                time.sleep(patience.pause(request, sent, why))
            except BaseException:
                self.close()  # a reply that comes late belongs to no later request
                raise
            else:
                return _outcome(reply, request)

    def events(self, *types: str, since: int | None = None, output: bool = False) -> Iterator[r.EventData]:
        """Events as they happen (of `types`), on a connection of their own, across restarts of the sidecar.

        With `since`, from the record after that number; with `output`, also what watched panes print. Closing the
        iterator ends it.
        """
        with Client(patience=self._patience) as other:
            other._environ = self._environ
            while True:
                params = p.EventsSubscribe(types=types, since=since, output=output)
                request = Request("events.subscribe", params, r.Subscribed)
                begun = other.request(request)
                since = begun.seq if since is None else since
                try:
                    while True:
                        reply = _decode_reply(other._receive())
                        if reply.method == "event":
                            event = _decode_event(reply.params)
                            since = max(since, event.seq)
                            yield event
                except OSError:
                    other.close()

    def _connected(self) -> socket.socket:
        if self._peer is None:
            self._lines = wire.LineBuffer(_LINE)
            self._peer = connect(self._environ)
            if self._name:
                self._peer.sendall(_line(requests.register(self._name), 0))
        return self._peer

    def _exchange(self, number: int, line: bytes) -> _Reply:
        self._connected().sendall(line)
        while (reply := _decode_reply(self._receive())).id != number:
            if reply.id is None and reply.error is not None:
                _raise(reply.error)
        return reply

    def _receive(self) -> bytes:
        peer = self._connected()
        while (line := self._lines.next()) is None:
            chunk = peer.recv(_CHUNK)
            if not chunk:
                raise _Gone("the connection ended")
            self._lines.feed(chunk)
        return line


# --- asyncio ---------------------------------------------------------------------------------------


class _Link:
    """One asyncio connection and what waits for replies on it. `heard` is told of events."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: asyncio.Queue[_Reply | None] | None
    ) -> None:
        self._reader, self._writer, self._heard = reader, writer, heard
        self._waiting: dict[int | str, asyncio.Future[_Reply]] = {}
        self._task = asyncio.get_running_loop().create_task(self._read())

    @property
    def open(self) -> bool:
        return not self._task.done() and not self._writer.is_closing()

    def send(self, line: bytes) -> None:
        self._writer.write(line)

    async def exchange(self, number: int, line: bytes) -> _Reply:
        """Raises OSError where the connection ends. Cancelled, it withdraws the request."""
        future: asyncio.Future[_Reply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._writer.write(line)
            await self._writer.drain()
            if not self.open and not future.done():
                raise _Gone("the connection ended")
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
        end: Exception = _Gone("the connection ended")
        try:
            while line := await self._reader.readline():
                reply = _decode_reply(line)
                if reply.method == "event" and self._heard is not None:
                    await self._heard.put(reply)
                elif reply.id is not None and (future := self._waiting.get(reply.id)) and not future.done():
                    future.set_result(reply)
                elif reply.id is None and reply.error is not None:
                    _raise(reply.error)
        except (OSError, ValueError, msgspec.MsgspecError, errors.TmuxAgentError) as why:  # half a line is no JSON
            end = why if isinstance(why, errors.TmuxAgentError) else _Gone(str(why))
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
        self._environ = _environ(path)
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
        number, line = self._next, _line(request, self._next)
        patience, sent = _Patience(self._patience), False
        while True:
            try:
                link = await self._connected()
                sent = True
                reply = await link.exchange(number, line)
            except (OSError, _Away) as why:
                await asyncio.sleep(patience.pause(request, sent, why))
            else:
                return _outcome(reply, request)

    async def events(
        self, *types: str, since: int | None = None, output: bool = False
    ) -> AsyncGenerator[r.EventData, None]:
        """Events as they happen (of `types`), on a connection of their own, across restarts of the sidecar.

        With `since`, from the record after that number; with `output`, also what watched panes print. Who reads slowly
        is read for slowly: the sidecar says what was lost by that (`events.lost`).
        """
        while True:
            patience = _Patience(self._patience)
            params = p.EventsSubscribe(types=types, since=since, output=output)
            request = Request("events.subscribe", params, r.Subscribed)
            heard: asyncio.Queue[_Reply | None] = asyncio.Queue(1000)
            try:
                link = await self._open(heard)
            except (OSError, _Away) as why:
                await asyncio.sleep(patience.pause(request, False, why))
                continue
            try:
                begun = _outcome(await link.exchange(1, _line(request, 1)), request)
                since = begun.seq if since is None else since
                while (reply := await heard.get()) is not None:
                    event = _decode_event(reply.params)
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
                    self._link.send(_line(requests.register(self._name), 0))
            return self._link

    async def _open(self, heard: asyncio.Queue[_Reply | None] | None) -> _Link:
        return _Link(*await asyncio.open_unix_connection(sock=connect(self._environ), limit=_LINE), heard)
