"""One client on the socket: bytes to requests, replies to bytes, bounds on both.

Owns the transport, what is in flight on it, and the client's Origin (asked of the kernel once, at the start). A client
that stops reading is dropped, one that sends faster than it is answered is not read for a while.
Must not own: what a method does (server.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Protocol

from ..core import errors, protocol, wire
from ..core.model import Origin
from ..core.settings import Limits
from ..services.ids import new_id

log = logging.getLogger(__name__)

SO_PEERPIDFD = 77  # asm-generic/socket.h
PEERCRED = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid


def now_text() -> str:
    """UTC, RFC 3339 with milliseconds, as the wire and the audit log write times."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Call:
    """One request on its way: what it is, who sent it, under which id it is recorded."""

    __slots__ = ("connection", "id", "key", "origin", "params", "request_id")

    def __init__(self, connection: Connection, request: wire.Request, params: protocol.Params) -> None:
        self.connection = connection
        self.id: wire.Id = None if request.is_notification else request.id  # type: ignore[assignment]
        self.key = request.key
        self.params = params
        self.origin = connection.origin
        self.request_id = new_id()


class Dispatcher(Protocol):
    """What a connection needs of the server."""

    limits: Limits

    def identify(self, pid: int, uid: int, pidfd: int | None) -> Origin: ...
    def opened(self, connection: Connection) -> None: ...
    def closed(self, connection: Connection) -> None: ...
    def admit(self, call: Call) -> None: ...
    def answer_now(self, call: Call) -> Any: ...
    def answer_later(self, call: Call) -> Coroutine[Any, Any, Any]: ...


LATER = object()  # what answer_now gives back for a method that has to wait


class Connection(asyncio.Protocol):
    """asyncio's side of one client. Made by the server for each accepted socket."""

    origin: Origin

    def __init__(self, server: Dispatcher) -> None:
        self._server = server
        self._lines = wire.LineBuffer(server.limits.line_bytes)
        self._in_flight: dict[wire.Id, asyncio.Task[None]] = {}
        self._unnamed: set[asyncio.Task[None]] = set()
        self._paused = False
        self._transport: asyncio.Transport | None = None
        self._hangup: select.epoll | None = None
        self._pid = self._uid = 0
        self.pidfd: int | None = None
        self.accepted = 0.0  # time.monotonic() when it was
        self.subscriptions = 0
        self.asked = False  # something that makes it an asker: it may not answer (identity.py)
        self.on_lost: list[Callable[[], object]] = []

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.accepted = time.monotonic()
        peer: socket.socket = transport.get_extra_info("socket")
        self._pid, self._uid, _gid = PEERCRED.unpack(
            peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEERCRED.size)
        )
        self.pidfd = _pidfd(peer)
        try:
            self.origin = self.identify()
            self._server.opened(self)
        except errors.TmuxAgentError as why:
            self.send(wire.error_line(None, why, new_id(), now_text()))
            transport.close()

    def identify(self) -> Origin:
        """Who the peer is now. Raises Forbidden."""
        return self._server.identify(self._pid, self._uid, self.pidfd)

    def data_received(self, data: bytes) -> None:
        self._lines.feed(data)
        self._read()

    def eof_received(self) -> bool:
        """A client may close its writing side and still wait for replies (`… | socat - UNIX-CONNECT:…`)."""
        return bool(self._in_flight) and self._watch_for_hangup()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._hangup is not None:
            asyncio.get_running_loop().remove_reader(self._hangup)
            self._hangup.close()
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None
        for task in (*self._in_flight.values(), *self._unnamed):
            task.cancel()
        for callback in self.on_lost:
            callback()
        self._server.closed(self)

    def _watch_for_hangup(self) -> bool:
        """Be told when the client closes wholly after it closed its writing side. False where it already has."""
        if not hasattr(select, "epoll") or self._transport is None:
            return False
        self._hangup = select.epoll()
        self._hangup.register(self._transport.get_extra_info("socket").fileno(), 0)  # 0: only HUP and ERR
        if self._hangup.poll(0):
            return False
        asyncio.get_running_loop().add_reader(self._hangup, self._transport.abort)
        return True

    # --- requests ---

    def _read(self) -> None:
        while not self._paused and self._transport is not None and not self._transport.is_closing():
            try:
                line = self._lines.next()
            except errors.InvalidRequest as why:
                self._refuse_and_close(why)
                return
            if line is None:
                return
            self._take(line)

    def _take(self, line: bytes) -> None:
        request_id: wire.Id = None
        try:
            request = wire.decode_request(line)
            request_id = None if request.is_notification else request.id  # type: ignore[assignment]
            call = Call(self, request, wire.decode_params(request))
            self._answer(call, request)
        except errors.NotText as why:
            self._refuse_and_close(why)
        except errors.TmuxAgentError as why:
            self.send(wire.error_line(request_id, why, new_id(), now_text()))

    def _answer(self, call: Call, request: wire.Request) -> None:
        if isinstance(call.params, protocol.Cancel):
            self._cancel(call.params.id)
            return
        self._server.admit(call)
        try:
            data = self._server.answer_now(call)
        except errors.TmuxAgentError as why:
            self._reply_error(call, why)
            return
        except Exception:
            log.exception("%s failed (request %s)", request.method, call.request_id)
            self._reply_error(call, _defect(call))
            return
        if data is not LATER:
            self._reply(call, data)
            return
        if call.id is not None and call.id in self._in_flight:
            raise errors.InvalidRequest(f"id {call.id!r} is in flight already on this connection")
        self._start(call)

    def _start(self, call: Call) -> None:
        task = asyncio.get_running_loop().create_task(self._wait_and_reply(call))
        if call.id is None:
            self._unnamed.add(task)
            task.add_done_callback(self._unnamed.discard)
        else:
            self._in_flight[call.id] = task
        if len(self._in_flight) + len(self._unnamed) >= self._server.limits.in_flight:
            self._pause(True)

    async def _wait_and_reply(self, call: Call) -> None:
        try:
            data = await self._server.answer_later(call)
        except asyncio.CancelledError:
            self._reply_error(call, errors.Withdrawn("the request was cancelled"))
        except errors.TmuxAgentError as why:
            self._reply_error(call, why)
        except Exception:
            log.exception("%s failed (request %s)", type(call.params).__name__, call.request_id)
            self._reply_error(call, _defect(call))
        else:
            self._reply(call, data)
        finally:
            if call.id is not None:
                self._in_flight.pop(call.id, None)
            if self._hangup is not None and not self._in_flight:
                self.close()
            if self._paused and len(self._in_flight) < self._server.limits.in_flight // 2:
                self._pause(False)
                self._read()

    def _cancel(self, request_id: int | str) -> None:
        if task := self._in_flight.get(request_id):
            task.cancel()

    def _pause(self, paused: bool) -> None:
        self._paused = paused
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.pause_reading if paused else self._transport.resume_reading)()

    # --- replies ---

    def _reply(self, call: Call, data: Any) -> None:
        if call.id is not None:
            self.send(wire.reply_line(call.id, call.request_id, now_text(), data))

    def _reply_error(self, call: Call, why: errors.TmuxAgentError) -> None:
        if call.id is not None:
            self.send(wire.error_line(call.id, why, call.request_id, now_text()))

    def _refuse_and_close(self, why: errors.TmuxAgentError) -> None:
        self.send(wire.error_line(None, why, new_id(), now_text()))
        if self._transport is not None:
            self._transport.close()

    def send(self, line: bytes) -> None:
        """Queue bytes for the client. One that does not read is dropped, so that it costs bounded memory."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(line)
        if transport.get_write_buffer_size() > self._server.limits.queue_bytes:
            log.warning("dropped a client that does not read (pid %s, %s)", self.origin.pid, self.origin.exe)
            transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def drop_requests(self) -> list[asyncio.Task[None]]:
        """Cancel what is in flight; for a sidecar that stops. Gives the tasks to wait for."""
        tasks = [*self._in_flight.values(), *self._unnamed]
        for task in tasks:
            task.cancel()
        return tasks

    def as_stream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Hand the connection over to another framing (a popup's terminal). No further request is read from it."""
        transport, self._transport = self._transport, None  # nothing of ours is sent from here on, no reply either
        assert transport is not None
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 16, loop=loop)
        stream = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport.set_protocol(stream)
        stream.connection_made(transport)
        if rest := self._lines.rest():
            reader.feed_data(rest)
        self._server.closed(self)
        return reader, asyncio.StreamWriter(transport, stream, reader, loop)


def _pidfd(peer: socket.socket) -> int | None:
    """A descriptor of the peer's process, which pins it against reuse of its pid; None on kernels before 6.5."""
    try:
        return peer.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
    except OSError:
        return None


def _defect(call: Call) -> errors.Internal:
    return errors.Internal(f"a defect of tmux-agent; its log has it under request {call.request_id}")
