"""The one HTTP listener: on loopback, off unless config.yaml says `http: {listen: "127.0.0.1:8722"}`.

Webhooks (edges/webhooks.py) and signed links (edges/links.py) are routes of it, and a later portal builds on it: who
adds one calls `route` before `open`. Owns the socket, the time and bytes that a peer may take, and which handler a path
leads to. Must not own: what a request may look like (core/http_head.py), who may ask for what: any program of this
machine, of any user, can connect, so every handler checks a signature or a secret of its own.

One request a connection: nothing of a second one can hide in the first one's body.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from ..core import display, errors
from ..core.http_head import HEAD_BYTES, Head, Refused, read_head, write_reply
from ..core.settings import Http as HttpSettings

log = logging.getLogger(__name__)

BODY_BYTES = 1 << 20
CONNECTIONS = 64  # at once; more are closed unread
READ_SECONDS = 10.0  # for the whole request, however slowly it drips
ANSWER_SECONDS = 30.0  # that a handler may take
WRITE_SECONDS = 5.0  # that the peer may take to fetch the reply and to close
OURS = frozenset(("127.0.0.1", "localhost"))
_LISTEN = re.compile(r"(?:127\.0\.0\.1|localhost):([0-9]{1,5})")
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"


class Request(Struct, frozen=True):
    """`path`, `query`, `headers` as core/http_head.py's Head has them; `rest` is the path after the route's prefix."""

    method: str
    path: str
    query: str
    rest: str
    headers: dict[str, str]
    body: bytes
    peer: str = ""  # address and port of who connected, a proxy of yours perhaps


class Response(Struct, frozen=True):
    """`headers` win over what every reply has: not kept, not framed, no scripts."""

    status: int
    body: bytes = b""
    content_type: str = TEXT
    headers: Mapping[str, str] = {}


Handler = Callable[[Request], Awaitable[Response]]


class Http:
    """Built with the server; `route`s first, then `open`."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, str], Handler] = {}
        self._server: asyncio.Server | None = None
        self._hosts = OURS
        self._open: set[asyncio.Task[Any]] = set()

    def route(self, method: str, prefix: str, handler: Handler) -> None:
        """Requests whose path begins with `prefix` (it ends in "/", or is the whole path); the longest prefix wins.

        GET serves HEAD as well. What a handler raises of core/errors.py is answered with its message.
        """
        self._routes[method, prefix] = handler

    async def open(self, settings: HttpSettings) -> None:
        """Listen; does nothing where `listen` is empty. Raises Unavailable, InvalidParams for what is no loopback."""
        if not settings.listen:
            return
        match = _LISTEN.fullmatch(settings.listen)
        if match is None or int(match[1]) > 65535:
            raise errors.InvalidParams(
                f"http.listen is {settings.listen!r}: it has to be 127.0.0.1:PORT; what is to be reached from "
                "elsewhere goes through a proxy or tunnel of yours"
            )
        self._hosts = OURS | {name.lower() for name in settings.hosts}
        try:
            self._server = await asyncio.start_server(self._accepted, "127.0.0.1", int(match[1]), limit=HEAD_BYTES)
        except OSError as why:
            raise errors.Unavailable(f"cannot listen on {settings.listen}: {why.strerror or why}") from None
        log.info("listening on %s", self.url)

    @property
    def url(self) -> str:
        """http://127.0.0.1:PORT, without a slash at its end; "" where it does not listen."""
        if self._server is None:
            return ""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop listening and drop what is under way."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- one connection ---

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a defect of the HTTP listener", exc_info=error)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if reply := await self._reply(reader, writer):
                async with asyncio.timeout(WRITE_SECONDS):
                    writer.write(reply)
                    writer.write_eof()
                    await writer.drain()
                    while await reader.read(HEAD_BYTES):  # closed with something unread, the reply would be lost
                        pass
        except (ConnectionError, TimeoutError) as why:
            log.debug("a connection ended before its reply was fetched: %s", why)
        finally:
            writer.transport.abort()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """The bytes of the answer; b"" for a peer that went away before it had asked."""
        method = ""
        try:
            async with asyncio.timeout(READ_SECONDS):
                head = read_head((await reader.readuntil(b"\r\n\r\n"))[:-4], self._hosts)
                method = head.method
                handler, rest = self._find(head)
                body = await self._body(head, reader, writer)
            host, port = writer.get_extra_info("peername")[:2]
            request = Request(method, head.path, head.query, rest, head.headers, body, f"{host}:{port}")
            response = await self._answer(handler, request)
        except Refused as why:
            response = Response(why.status, f"{why.why}\n".encode())
        except asyncio.LimitOverrunError:
            response = Response(431, f"the head is longer than {HEAD_BYTES} bytes\n".encode())
        except asyncio.IncompleteReadError:
            return b""
        except TimeoutError:
            response = Response(408, b"the request did not come whole in time\n")
        return write_reply(
            response.status, response.content_type, response.body, response.headers, only_head=method == "HEAD"
        )

    def _find(self, head: Head) -> tuple[Handler, str]:
        fitting = {prefix for _, prefix in self._routes if head.path == prefix or _under(prefix, head.path)}
        if not fitting:
            raise Refused(404, "there is nothing here")
        prefix = max(fitting, key=len)
        handler = self._routes.get(("GET" if head.method == "HEAD" else head.method, prefix))
        if handler is None:
            raise Refused(405, f"{head.method} is not for this path")
        return handler, head.path[len(prefix) :]

    async def _body(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        if head.length > BODY_BYTES:
            raise Refused(413, f"the body is longer than {BODY_BYTES} bytes")
        if head.headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await reader.readexactly(head.length)

    async def _answer(self, handler: Handler, request: Request) -> Response:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await handler(request)
        except errors.TmuxAgentError as why:
            return Response(_STATUS.get(type(why), 400), f"{display.safe(why.message)}\n".encode(errors="replace"))
        except TimeoutError:
            return Response(503, b"that takes too long: try again\n")
        except Exception:  # a defect of ours: the peer gets an answer, the log what happened
            log.exception("no answer to %s %s", request.method, display.safe(request.path[:200]))
            return Response(500, b"a defect of tmux-agent: its log says more\n")


def _under(prefix: str, path: str) -> bool:
    return prefix.endswith("/") and path.startswith(prefix)


_STATUS: dict[type[errors.TmuxAgentError], int] = {
    errors.NotFound: 404,
    errors.Forbidden: 403,
    errors.Conflict: 409,
    errors.LimitExceeded: 429,
    errors.Unavailable: 503,
    errors.InvalidParams: 400,
}
