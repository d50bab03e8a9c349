"""One client on the socket: bytes to requests, replies to bytes, bounds on both.

Owns the transport, what is in flight on it, and the client's Origin (asked of the kernel once, at the start). A client
that sends faster than it is answered, or than it reads, is not read for a while; one that stops reading is dropped.
Must not own: what a method does (methods.py).
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
from functools import lru_cache
from typing import Any, Protocol

from ..core import errors, protocol, wire
from ..core.model import Origin
from ..core.settings import Limits
from ..services import own_log
from ..services.ids import new_id
from .turns import Turns

log = logging.getLogger(__name__)

SO_PEERPIDFD = 77  # asm-generic/socket.h
PEERCRED = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid
TURN = 64  # requests of one client that are answered before others have their turn …
TURN_SECONDS = 0.02  # … and so long
BEHIND_BYTES = 1 << 20  # unread replies from which on no further request is read


def now_text() -> str:
    """UTC, RFC 3339 with milliseconds, as the wire and the audit log write times."""
    second, thousandth = divmod(time.time_ns() // 1_000_000, 1000)
    return f"{_second_text(second)}.{thousandth:03}Z"


@lru_cache(maxsize=1)  # every reply has one, most of them in the same second
def _second_text(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


class Call:
    """One request on its way: what it is, who sent it, under which id it is recorded."""

    __slots__ = ("after", "connection", "id", "key", "origin", "params", "request_id")

    def __init__(self, connection: Connection, request: wire.Request, params: protocol.Params) -> None:
        self.connection = connection
        self.id = request.reply_id  # None: a notification, which nobody waits for
        self.key = request.key
        self.params = params
        self.origin = connection.origin
        self.request_id = new_id()
        self.after: Callable[[], object] | None = None  # called once the reply is on its way


class Dispatcher(Protocol):
    """What a connection needs of the server."""

    @property
    def turns(self) -> Turns: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def stopping(self) -> bool: ...
    def identify(self, pid: int, uid: int, pidfd: int | None, *, sandbox: bool) -> Origin: ...
    def opened(self, connection: Connection) -> None: ...
    def closed(self, connection: Connection) -> None: ...
    def count(self, origin: Origin) -> None: ...
    def admit(self, call: Call) -> None: ...
    def failed(self, why: errors.TmuxAgentError) -> None: ...
    def answer_now(self, call: Call) -> Any: ...
    def answer_later(self, call: Call) -> Coroutine[Any, Any, Any]: ...


LATER = object()  # what answer_now gives back for a method that has to wait


# What is read goes here first, and is taken out before anybody else reads. asyncio by itself makes room for 256 KiB
# anew at each read.
_ROOM = memoryview(bytearray(1 << 18))


class Connection(asyncio.BufferedProtocol):
    """asyncio's side of one client. Made by the server for each accepted socket."""

    origin: Origin

    def __init__(self, server: Dispatcher, *, sandbox: bool = False) -> None:
        """`sandbox`: it came through the sandboxed agents' socket."""
        self._server = server
        self.sandbox = sandbox
        self._lines = wire.LineBuffer(server.limits.line_bytes)
        self._calls: dict[asyncio.Task[Any], Call] = {}
        self._by_id: dict[wire.Id, asyncio.Task[Any]] = {}
        self._transport: asyncio.Transport | None = None
        self._batch: list[bytes] | None = None  # replies of this turn, written at once at its end
        self._due = False  # a turn is
        self._paused = False  # nothing is read
        self._behind = False  # the client reads slower than we write
        self._handing_over = False  # popup.attach is asked for: what follows may be no request
        self._ended = False  # the client has closed its writing side
        self._written = 0
        self._stalled: asyncio.TimerHandle | None = None
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
        transport.set_write_buffer_limits(high=BEHIND_BYTES)
        peer: socket.socket = transport.get_extra_info("socket")
        self._pid, self._uid, _gid = PEERCRED.unpack(
            peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEERCRED.size)
        )
        self.pidfd = _pidfd(peer)
        try:
            self.origin = self.identify()
            self._server.opened(self)
        except errors.TmuxAgentError as why:
            self._refuse_and_close(why)

    def identify(self) -> Origin:
        """Who the peer is now. Raises Forbidden."""
        return self._server.identify(self._pid, self._uid, self.pidfd, sandbox=self.sandbox)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return _ROOM

    def buffer_updated(self, nbytes: int) -> None:
        self._lines.feed(_ROOM[:nbytes])
        if not self._due:
            self._due = True
            self._server.turns.add(self)

    def eof_received(self) -> bool:
        """A client may close its writing side and still wait for replies (`… | socat - UNIX-CONNECT:…`)."""
        if self._lines.rest().strip() and not self._lines.whole:
            why = errors.ParseError("the last line has no newline at its end: it was not looked at")
            self.send(wire.error_line(None, why, new_id(), now_text()))
        self._ended = True
        return self._busy and self._watch_for_hangup()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        for task in list(self._calls):
            task.cancel()
        self._forget()

    def pause_writing(self) -> None:
        self._behind = True
        self._regulate()
        self._await_progress()

    def resume_writing(self) -> None:
        self._behind = False
        if self._stalled is not None:
            self._stalled.cancel()
        self._regulate()

    def _await_progress(self) -> None:
        """Drop the client if it has taken nothing by then."""
        assert self._transport is not None
        taken = self._written - self._transport.get_write_buffer_size()

        def look() -> None:
            transport = self._transport
            if transport is None or not self._behind:
                return
            if self._written - transport.get_write_buffer_size() > taken:
                self._await_progress()
            else:
                self._drop(transport)

        loop = asyncio.get_running_loop()
        self._stalled = loop.call_later(self._server.limits.stalled_seconds, look)

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

    def _forget(self) -> None:
        """The connection is no longer ours: let go of what belongs to it."""
        if self._hangup is not None:
            asyncio.get_running_loop().remove_reader(self._hangup)
            self._hangup.close()
            self._hangup = None
        if self._stalled is not None:
            self._stalled.cancel()
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None
        for callback in self.on_lost:
            callback()
        self.on_lost.clear()
        self._server.closed(self)

    # --- requests ---

    @property
    def _open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def _busy(self) -> bool:
        """Whether the client may expect something still."""
        return bool(self._due or self._by_id or self.subscriptions)

    @property
    def _reading(self) -> bool:
        if self._behind or self._handing_over or self._server.stopping or not self._open:
            return False
        return not self._calls or len(self._calls) < self._server.limits.in_flight

    def answer(self) -> None:
        """One turn: what has come is taken, but not so much that others wait."""
        self._due = False
        self._batch = []
        as_it_was = False
        end = time.monotonic() + TURN_SECONDS
        for _ in range(TURN):
            if not self._reading or time.monotonic() > end:
                break
            try:
                line = self._lines.next()
            except errors.InvalidRequest as why:
                self._refuse_and_close(why)
                break
            if line is None:
                as_it_was = not (self._paused or self._ended)
                break
            self._take(line)
        if self._batch and len(self._batch) > 1:  # a single one is kept until others have theirs
            self.write()
        if not as_it_was:
            self._regulate()

    def _regulate(self) -> None:
        """Read from the client exactly while there is room for what it sends, and all that it has sent is taken."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        more = self._lines.whole
        self._paused = more or not self._reading
        if self._paused:
            transport.pause_reading()
        elif not self._ended:
            transport.resume_reading()
        if more and self._reading and not self._due:
            self._due = True
            self._server.turns.add(self)
        if self._ended and not self._busy:
            self.close()

    def _take(self, line: bytes) -> None:
        request_id: wire.Id = None
        silent = False
        try:
            request = wire.decode_request(line)
            request_id, silent = request.reply_id, request.is_notification
            self._server.count(self.origin)
            self._answer(Call(self, request, wire.decode_params(request)))
        except errors.NotText as why:
            self._refuse_and_close(why)
        except errors.TmuxAgentError as why:
            self._server.failed(why)
            if not silent:
                self.send(wire.error_line(request_id, why, new_id(), now_text()))

    def _answer(self, call: Call) -> None:
        if isinstance(call.params, protocol.Cancel):
            if task := self._by_id.get(call.params.id):
                task.cancel()
            self._reply(call, {})
            return
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s of pid %d, request %s", type(call.params).__name__, call.origin.pid, call.request_id)
        self._server.admit(call)
        try:
            data = self._server.answer_now(call)
        except Exception as why:  # noqa: BLE001 - told apart there
            self._reply_error(call, why)
            return
        if data is not LATER:
            self._reply(call, data)
            return
        if call.id is not None and call.id in self._by_id:
            raise errors.InvalidRequest(f"id {call.id!r} is in flight already on this connection")
        self._start(call)

    def _start(self, call: Call) -> None:
        with own_log.about(call.request_id):  # what the log says in there belongs to it
            task = asyncio.get_running_loop().create_task(self._server.answer_later(call))
            task.add_done_callback(self._done)
        self._calls[task] = call
        if call.id is not None:
            self._by_id[call.id] = task
        self._handing_over = isinstance(call.params, protocol.PopupAttach)

    def _done(self, task: asyncio.Task[Any]) -> None:
        call = self._calls.pop(task)
        if call.id is not None:
            del self._by_id[call.id]
        self._handing_over = False
        if task.cancelled():
            if not self._server.stopping:  # else its client comes back and finds what it asked
                self._reply_error(call, errors.Withdrawn("the request was cancelled"))
        elif (why := task.exception()) is not None:
            self._reply_error(call, why)
        else:
            self._reply(call, task.result())
        if call.after is not None:
            call.after()
        self._regulate()

    # --- replies ---

    def _reply(self, call: Call, data: Any) -> None:
        if call.id is None:
            return
        try:
            line = wire.reply_line(call.id, call.request_id, now_text(), data)
        except Exception as why:  # noqa: BLE001 - whatever it is, the client must not wait for ever
            self._reply_error(call, why)
        else:
            self.send(line)

    def _reply_error(self, call: Call, why: BaseException) -> None:
        if not isinstance(why, errors.TmuxAgentError):
            log.error("%s failed (request %s)", type(call.params).__name__, call.request_id, exc_info=why)
            why = errors.Internal(f"a defect of tmux-agent; its log has it under request {call.request_id}")
        self._server.failed(why)
        log.debug("%s of request %s: %s", type(call.params).__name__, call.request_id, why.kind)
        if call.id is not None:
            self.send(wire.error_line(call.id, why, call.request_id, now_text()))

    def _refuse_and_close(self, why: errors.TmuxAgentError) -> None:
        self._server.failed(why)
        self.send(wire.error_line(None, why, new_id(), now_text()))
        self.close()

    def send(self, line: bytes) -> None:
        """Queue bytes for the client."""
        if self._batch is not None:
            self._batch.append(line)
        else:
            self._write(line)

    def write(self) -> None:
        """Send what is kept back."""
        batch, self._batch = self._batch, None
        if batch:
            self._write(batch[0] if len(batch) == 1 else b"".join(batch))

    def _write(self, data: bytes) -> None:
        """A client that does not read is dropped, so that it costs bounded memory."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        queued = transport.get_write_buffer_size()
        if queued and queued > self._server.limits.queue_bytes:
            self._drop(transport)
            return
        self._written += len(data)
        transport.write(data)

    def _drop(self, transport: asyncio.Transport) -> None:
        log.warning("dropped a client that does not read (pid %s, %s)", self.origin.pid, self.origin.exe)
        transport.abort()

    # --- the end, or another framing ---

    def close(self) -> None:
        """End it, after what is queued for the client."""
        self.write()
        if self._transport is not None:
            self._transport.close()

    @property
    def calls(self) -> dict[asyncio.Task[Any], Call]:
        """What is in flight."""
        return self._calls

    def as_stream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Hand the connection over to another framing (a popup's terminal). No further request is read from it."""
        self.write()
        transport, self._transport = self._transport, None  # nothing of ours is sent from here on, no reply either
        assert transport is not None
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 16, loop=loop)
        stream = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport.set_protocol(stream)
        stream.connection_made(transport)
        transport.resume_reading()
        if rest := self._lines.rest():
            reader.feed_data(rest)
        self._forget()
        return reader, asyncio.StreamWriter(transport, stream, reader, loop)


def _pidfd(peer: socket.socket) -> int | None:
    """A descriptor of the peer's process, which pins it against reuse of its pid; None on kernels before 6.5."""
    try:
        return peer.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
    except OSError:
        return None
