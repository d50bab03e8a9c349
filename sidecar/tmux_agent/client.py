"""The Python client: `Client` for ordinary code, `AsyncClient` for asyncio. Speaks docs/protocol.md.

    from tmux_agent.client import Client
    with Client(name="deploy-bot") as agent:
        if agent.ask("Deploy 1.4 to staging?", urgency="high").approved:
            agent.run("make", "deploy")

Both reconnect by themselves when the sidecar restarts: a request that was in flight is sent again with the same key,
under which the sidecar opens nothing new and runs nothing twice. Errors of the sidecar are raised as the classes of
tmux_agent.core.errors; a sidecar that stays away for `patience` seconds is errors.Unavailable.
Must not own: anything the sidecar decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from .core import errors, wire
from .core import protocol as p
from .core import replies as r

T = TypeVar("T")

PATIENCE = 30.0  # seconds that a client waits for a sidecar to come back
_CHUNK = 1 << 16

_ERRORS = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.TmuxAgentError) and kind is not errors.NotText
}


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


def sockets(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where a sidecar may listen, in docs/protocol.md's order: the environment's, then the state folder's pointer."""
    from .services.places import find

    places = find(environ)
    yield places.socket
    if "TMUX_AGENT_SOCKET" not in environ:
        with contextlib.suppress(OSError, ValueError):
            yield Path(places.pointer.read_text().strip())


def connect(environ: Mapping[str, str]) -> socket.socket:
    """A connection to the sidecar. Raises Unavailable naming what was tried."""
    tried = []
    for path in sockets(environ):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.connect(str(path))
        except OSError as why:
            peer.close()
            tried.append(f"{path}: {why.strerror or why}")
        else:
            return peer
    raise errors.Unavailable(f"no sidecar answers ({'; '.join(tried)}): start it with `tmux-agent sidecar start`")


def _raise(body: wire.ErrorBody) -> None:
    kind = _ERRORS.get(body.code, errors.Internal)
    raise kind(body.message, **{k: v for k, v in body.data.items() if k != "kind"})


def _outcome(reply: _Reply, kind: Any) -> Any:
    if reply.error is not None:
        _raise(reply.error)
    return msgspec.json.decode(_decode_result(reply.result).data, type=kind, strict=False)


def _environ(path: str | os.PathLike[str] | None) -> Mapping[str, str]:
    return os.environ if path is None else {**os.environ, "TMUX_AGENT_SOCKET": os.fspath(path)}


class _Methods:
    """The methods people use most, the same on both clients. `_call` is theirs: (method, params, reply type, keyed)."""

    def _call(self, method: str, params: p.Params, kind: Callable[..., T], keyed: bool = False) -> Any:
        raise NotImplementedError

    def hello(self) -> Any:
        """What the sidecar is and what it takes this process for → HelloData."""
        return self._call("hello", p.Hello(client="python"), r.HelloData)

    def ask(self, prompt: str, *, options: tuple[str, ...] = (), timeout: float | None = None, **more: Any) -> Any:
        """Ask a person and wait → AnswerData. Raises Denied (a person said no), Expired, Withdrawn."""
        params = p.HumanAsk(prompt=prompt, options=tuple(options), timeout_secs=timeout, **more)
        return self._call("human.ask", params, r.AnswerData, keyed=True)

    def ask_async(
        self, prompt: str, *, options: tuple[str, ...] = (), timeout: float | None = None, **more: Any
    ) -> Any:
        """Ask a person and go on → Asked; look later with `status`."""
        params = p.HumanAskAsync(prompt=prompt, options=tuple(options), timeout_secs=timeout, **more)
        return self._call("human.ask_async", params, r.Asked, keyed=True)

    def status(self, request_id: str, wait: float = 0.0) -> Any:
        """State of a request → StatusData; waits up to `wait` seconds for it to end."""
        return self._call("human.status", p.HumanStatus(request_id=request_id, wait_secs=wait), r.StatusData)

    def run(self, command: str, *args: str, **more: Any) -> Any:
        """Run one program, judged first → CommandData. Raises Denied, TimedOut, …"""
        return self._call("command.run", p.CommandRun(command=command, args=args, **more), r.CommandData, keyed=True)

    def read(self, path: str, **more: Any) -> Any:
        """Read a text file → FileContent."""
        return self._call("file.read", p.FileRead(path=path, **more), r.FileContent)

    def write(self, path: str, content: str, **more: Any) -> Any:
        """Write a file whole → FileWritten."""
        return self._call("file.write", p.FileWrite(path=path, content=content, **more), r.FileWritten, keyed=True)

    def edit(self, path: str, old_text: str, new_text: str, **more: Any) -> Any:
        """Replace text in a file → FileEdited. Raises Conflict where it changed since it was read."""
        params = p.FileEdit(path=path, old_text=old_text, new_text=new_text, **more)
        return self._call("file.edit", params, r.FileEdited, keyed=True)

    def judge(self, action: Any, wait: bool = False) -> Any:
        """Ask what the policy (with `wait`: or a person) says of what this process is about to do → JudgeData."""
        return self._call("judge", p.Judge(action=action, wait=wait), r.JudgeData, keyed=wait)

    def state(self, state: Any, detail: str = "") -> Any:
        """Report this agent's state (working, waiting, done, error, idle) → Nothing."""
        return self._call("agent.state", p.AgentSetState(state=state, detail=detail), r.Nothing)

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Any method, by name → its data as plain values. What changes things is not sent twice."""
        kind = p.METHODS.get(method)
        if kind is None:
            raise errors.UnknownMethod(f"unknown method {method!r}")
        try:
            typed = msgspec.convert(dict(params or {}), kind)
        except msgspec.ValidationError as why:
            raise errors.InvalidParams(f"{method}: {why}") from None
        return self._call(method, typed, Any, keyed=True)


class Client(_Methods):
    """One blocking connection. Not for several threads at once."""

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, name: str = "", patience: float = PATIENCE
    ) -> None:
        self._environ = _environ(path)
        self._patience = patience
        self._name = name
        self._next = 0
        self._peer: socket.socket | None = None
        self._lines = wire.LineBuffer(1 << 30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def events(self, *types: str, since: int | None = None) -> Iterator[dict[str, Any]]:
        """Events as they happen, until the connection ends (then Unavailable is raised)."""
        self._send(wire.request_line("events.subscribe", p.EventsSubscribe(types=types, since=since), "events"))
        while True:
            reply = _decode_reply(self._line())
            if reply.error is not None:
                _raise(reply.error)
            if reply.method == "event":
                yield msgspec.json.decode(reply.params)

    def _call(self, method: str, params: p.Params, kind: Any, keyed: bool = False) -> Any:
        self._next += 1
        line = wire.request_line(method, params, self._next, secrets.token_hex(8) if keyed else "")
        away_since: float | None = None
        while True:
            try:
                self._send(line)
                while (reply := _decode_reply(self._line())).id != self._next:
                    if reply.id is None and reply.error is not None:
                        _raise(reply.error)
                return _outcome(reply, kind)
            except (OSError, _Gone) as why:
                self.close()
                away_since = away_since or time.monotonic()
                self._wait(away_since, why)
            except errors.Unavailable as why:
                if self._peer is not None:  # the sidecar itself said so
                    raise
                away_since = away_since or time.monotonic()
                self._wait(away_since, why)

    def _wait(self, since: float, why: Exception) -> None:
        away = time.monotonic() - since
        if away >= self._patience:
            raise errors.Unavailable(f"the sidecar went away and did not come back within {self._patience:g} s: {why}")
        time.sleep(min(0.05 + away / 4, 1.0))

    def _send(self, line: bytes) -> None:
        if self._peer is None:
            self._lines = wire.LineBuffer(1 << 30)
            self._peer = connect(self._environ)
            if self._name:
                register = p.AgentRegister(name=self._name)
                self._peer.sendall(wire.request_line("agent.register", register, "register"))
        self._peer.sendall(line)

    def _line(self) -> bytes:
        assert self._peer is not None
        while (line := self._lines.next()) is None:
            chunk = self._peer.recv(_CHUNK)
            if not chunk:
                raise _Gone("the connection ended")
            self._lines.feed(chunk)
        return line


class _Gone(Exception):
    """The connection ended without a reply."""


class AsyncClient(_Methods):
    """One asyncio connection; any number of requests at once. Every method gives an awaitable."""

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, name: str = "", patience: float = PATIENCE
    ) -> None:
        self._environ = _environ(path)
        self._patience = patience
        self._name = name
        self._next = 0
        self._writer: asyncio.StreamWriter | None = None
        self._reader_task: asyncio.Task[None] | None = None
        self._waiting: dict[int | str, asyncio.Future[_Reply]] = {}
        self._connecting = asyncio.Lock()
        self._events: asyncio.Queue[dict[str, Any] | None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._reader_task is not None:
            self._reader_task.cancel()
            await asyncio.gather(self._reader_task, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def events(self, *types: str, since: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """Events as they happen, until the connection ends (then Unavailable is raised)."""
        self._events = asyncio.Queue(10_000)
        await self._call("events.subscribe", p.EventsSubscribe(types=types, since=since), r.Subscribed)
        while (event := await self._events.get()) is not None:
            yield event
        raise errors.Unavailable("the connection to the sidecar ended; subscribe again with `since`")

    async def _call(self, method: str, params: p.Params, kind: Any, keyed: bool = False) -> Any:
        self._next += 1
        number = self._next
        line = wire.request_line(method, params, number, secrets.token_hex(8) if keyed else "")
        away_since: float | None = None
        while True:
            try:
                reply = await self._exchange(number, line)
            except asyncio.CancelledError:
                await self._cancel(number)
                raise
            except (OSError, errors.Unavailable) as why:
                now = time.monotonic()
                away_since = away_since or now
                if now - away_since >= self._patience:
                    raise errors.Unavailable(f"the sidecar stayed away for {self._patience:g} s: {why}") from None
                await asyncio.sleep(min(0.05 + (now - away_since) / 4, 1.0))
            else:
                return _outcome(reply, kind)

    async def _exchange(self, number: int, line: bytes) -> _Reply:
        writer = await self._connected()
        future: asyncio.Future[_Reply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            writer.write(line)
            await writer.drain()
            return await future
        finally:
            self._waiting.pop(number, None)

    async def _cancel(self, number: int) -> None:
        if self._writer is not None and not self._writer.is_closing():
            request = {"jsonrpc": "2.0", "method": "cancel", "params": {"id": number}}
            self._writer.write(wire.encode(request))

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is None or self._writer.is_closing():
                reader, self._writer = await asyncio.open_unix_connection(sock=connect(self._environ), limit=1 << 30)
                self._reader_task = asyncio.create_task(self._read(reader))
                if self._name:
                    register = p.AgentRegister(name=self._name)
                    self._writer.write(wire.request_line("agent.register", register, "register"))
            return self._writer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._take(_decode_reply(line))
        except (OSError, ValueError, msgspec.DecodeError) as why:
            end: Exception = ConnectionError(str(why))
        else:
            end = ConnectionError("the connection ended")
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(end)
        if self._events is not None:
            self._events.put_nowait(None)

    def _take(self, reply: _Reply) -> None:
        if reply.method == "event" and self._events is not None:
            self._events.put_nowait(msgspec.json.decode(reply.params))
        elif reply.id is not None and (future := self._waiting.get(reply.id)) and not future.done():
            future.set_result(reply)
