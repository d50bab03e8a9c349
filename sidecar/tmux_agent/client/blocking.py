"""The blocking client: one request at a time, and events.

Must not import asyncio: whoever types a command waits for what this imports.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Generic, ParamSpec, Self, TypeVar

from ..core import protocol as p
from ..core import replies as r
from ..core import requests, wire
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

_CHUNK = 1 << 16


class _Method(Generic[P, T]):
    """A method of Client: builds the request, sends it, gives the reply's data."""

    def __init__(self, build: Callable[P, Request[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    def __get__(self, client: Client, owner: type[Client]) -> Callable[P, T]:
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return client.request(self._build(*args, **kwargs))

        return call


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
        self._environ = talking.environ_of(path)
        self._patience = patience
        self._name = name
        self._next = 0
        self._peer: socket.socket | None = None
        self._lines = wire.LineBuffer(LINE)

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
        number, line = self._next, line_of(request, self._next)
        patience, sent = Patience(self._patience), False
        while True:
            try:
                self._connected()
                sent = True
                reply = self._exchange(number, line)
            except (OSError, Away) as why:
                self.close()
                time.sleep(patience.pause(request, sent, why))
            except BaseException:
                self.close()  # a reply that comes late belongs to no later request
                raise
            else:
                return outcome(reply, request)

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
                        reply = decode_reply(other._receive())
                        if reply.method == "event":
                            event = decode_event(reply.params)
                            since = max(since, event.seq)
                            yield event
                except OSError:
                    other.close()

    def _connected(self) -> socket.socket:
        if self._peer is None:
            self._lines = wire.LineBuffer(LINE)
            self._peer = talking.connect(self._environ)
            if self._name:
                self._peer.sendall(line_of(requests.register(self._name), 0))
        return self._peer

    def _exchange(self, number: int, line: bytes) -> Reply:
        self._connected().sendall(line)
        while (reply := decode_reply(self._receive())).id != number:
            if reply.id is None and reply.error is not None:
                raise_error(reply.error)
        return reply

    def _receive(self) -> bytes:
        peer = self._connected()
        while (line := self._lines.next()) is None:
            chunk = peer.recv(_CHUNK)
            if not chunk:
                raise Gone("the connection ended")
            self._lines.feed(chunk)
        return line
