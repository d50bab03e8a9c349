"""One HTTP request to a server that may behave badly: bounded in time as a whole, in bytes, in redirects.

In a thread of its own that nothing waits for: a name that is not resolved, or a server that drips, holds nobody up. At
the deadline its socket is shut down, which ends every read. TLS is verified; SSL_CERT_FILE names a CA of one's own.
Headers of the request go to the server that they were meant for, to no other that it redirects to. Owns sockets and
http.client's replies. Must not own: what a reply means (core/check*.py), when to ask again (follow.py).
"""

from __future__ import annotations

import asyncio
import functools
import http.client
import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Collection, Mapping
from urllib.parse import urljoin, urlsplit

from msgspec import Struct

from ... import __version__
from .proxies import Proxies

BODY_BYTES = 1 << 20
REDIRECTS = 5
THREADS = 32  # that may be under way, those included that hang in the resolver after their time
LATER = 1.0  # seconds after its time that a thread would end by itself: before that it is stopped
AGENT = {"User-Agent": f"tmux-agent/{__version__}", "Accept-Encoding": "identity", "Connection": "close"}
_GOES_ELSEWHERE = frozenset((301, 302, 303, 307, 308))


class Unreachable(Exception):
    """Nothing could be learned; why, in a sentence."""


class Asked(Struct, frozen=True, kw_only=True):
    """A request. `unix`: the path of a socket to connect to instead of the URL's host. Redirects of GET and HEAD are
    followed but for the statuses in `keep`."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = {}
    body: bytes = b""
    unix: str = ""
    keep: Collection[int] = ()


class Reply(Struct, frozen=True, kw_only=True):
    """Names of headers are lower case. `body` is whole, and at most BODY_BYTES."""

    status: int
    headers: dict[str, str]
    body: bytes


class Fetcher:
    """Makes requests; one for all checks. `proxies` as the environment names them."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies
        self._free = THREADS

    async def fetch(self, asked: Asked, seconds: float) -> Reply:
        """The reply, within so many seconds. Raises Unreachable."""
        if self._free == 0:
            raise Unreachable(f"{THREADS} requests are under way or hang: this one has to wait")
        self._free -= 1
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        request = _Request(asked, time.monotonic() + seconds + LATER, self._proxies)

        def end(result: Reply | Exception) -> None:
            self._free += 1
            if future.done():
                return
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

        def work() -> None:
            result = request.outcome()
            try:
                loop.call_soon_threadsafe(end, result)
            except RuntimeError:  # the loop has ended meanwhile: nobody waits any more
                return

        threading.Thread(target=work, name="check", daemon=True).start()
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise Unreachable(f"no whole answer within {seconds:g} s") from None
        finally:
            request.stop()


class _Request:
    """One request, in its thread; `stop` is called from another."""

    def __init__(self, asked: Asked, deadline: float, proxies: Proxies) -> None:
        self._asked = asked
        self._deadline = deadline
        self._proxies = proxies
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._stopped = False

    def stop(self) -> None:
        """Let every read and write end now."""
        with self._lock:
            self._stopped = True
            if self._socket is not None:
                _shut(self._socket)

    def outcome(self) -> Reply | Exception:
        try:
            return self._follow()
        except Unreachable as why:
            return why
        except (OSError, http.client.HTTPException, ValueError) as why:
            return Unreachable(_in_words(why))
        except Exception as why:  # noqa: BLE001 - a defect of ours: whoever waits gets it, instead of nothing
            return why

    def _follow(self) -> Reply:
        url, headers = self._asked.url, self._asked.headers
        for _ in range(REDIRECTS + 1):
            reply = self._once(url, headers)
            goes = reply.status in _GOES_ELSEWHERE and reply.status not in self._asked.keep
            if not goes or self._asked.method not in ("GET", "HEAD") or "location" not in reply.headers:
                return reply
            there = _next(url, reply.headers["location"])
            if _origin(there) != _origin(url):
                headers = {}  # what is meant for one server is no other's
            url = there
        raise Unreachable(f"it redirects more than {REDIRECTS} times")

    def _once(self, url: str, headers: Mapping[str, str]) -> Reply:
        connection, target = self._connect(url)
        try:
            body = self._asked.body or (b"" if self._asked.method in ("POST", "PUT") else None)
            connection.request(self._asked.method, target, body=body, headers={**AGENT, **headers})
            with connection.getresponse() as response:
                return _read(response)
        finally:
            with self._lock:
                self._socket = None
            connection.close()

    def _connect(self, url: str) -> tuple[http.client.HTTPConnection, str]:
        """A connection that is open, and what to ask it for."""
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(host, port)
        if self._asked.unix:
            connection.sock = self._opened(socket.AF_UNIX, self._asked.unix)
            return connection, target
        proxy = self._proxies.of(parts.scheme, host, port)
        at = (proxy.host, proxy.port) if proxy else (host, port)
        opened = self._opened(socket.AF_INET, at)
        if proxy and secure:
            proxy.tunnel(opened, host, port)
        elif proxy:
            target = url
        connection.sock = self._encrypted(opened, host) if secure else opened
        return connection, target

    def _encrypted(self, opened: socket.socket, host: str) -> socket.socket:
        wrapped = _trusted().wrap_socket(opened, server_hostname=host, do_handshake_on_connect=False)
        self._held(wrapped)  # before the handshake, which may drip as well
        wrapped.do_handshake()
        return wrapped

    def _opened(self, family: int, at: str | tuple[str, int]) -> socket.socket:
        if family == socket.AF_UNIX:
            opened = socket.socket(socket.AF_UNIX)
            opened.settimeout(self._left())
            self._held(opened)
            opened.connect(at)
            return opened
        assert isinstance(at, tuple)
        opened = socket.create_connection(at, self._left())
        opened.settimeout(self._left())
        return self._held(opened)

    def _held(self, opened: socket.socket) -> socket.socket:
        """Known to `stop` from now on. Raises Unreachable where it came before."""
        with self._lock:
            if self._stopped:
                opened.close()
                raise Unreachable("stopped")
            self._socket = opened
        return opened

    def _left(self) -> float:
        return max(0.001, self._deadline - time.monotonic())


class _Bounded(io.RawIOBase):
    """What http.client reads a body from: it believes sizes that a server sends, so a sum ends it."""

    def __init__(self, source: io.BufferedIOBase) -> None:
        self._source = source
        self._left = BODY_BYTES + 4096

    def _count(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left <= 0:
            raise Unreachable(f"it answers more than {BODY_BYTES >> 20} MiB")
        return data

    def read(self, size: int = -1) -> bytes:
        return self._count(self._source.read(self._left if size < 0 else min(size, self._left)))

    def readline(self, size: int | None = -1) -> bytes:
        return self._count(self._source.readline(size if size and size > 0 else self._left))

    def close(self) -> None:
        self._source.close()
        super().close()


def _read(response: http.client.HTTPResponse) -> Reply:
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        low = name.lower()
        headers[low] = f"{headers[low]}, {value}" if low in headers else value
    if response.fp is not None:
        response.fp = _Bounded(response.fp)  # type: ignore[assignment]
    parts: list[bytes] = []
    while part := response.read(1 << 16):
        parts.append(part)
    if response.length:
        raise Unreachable(f"its answer ends {response.length} bytes early")
    return Reply(status=response.status, headers=headers, body=b"".join(parts))


def _next(url: str, location: str) -> str:
    """Where a redirect leads. Raises Unreachable for what we do not follow."""
    try:
        there = urljoin(url, location).partition("#")[0]
        parts = urlsplit(there)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not re.fullmatch(r"[!-~]{1,4000}", there) or parts.username is not None:
        raise Unreachable("it redirects to what is no plain http(s) address")
    if urlsplit(url).scheme == "https" and parts.scheme != "https":
        raise Unreachable("it redirects from https to http")
    return there


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


@functools.cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


def _shut(opened: socket.socket) -> None:
    """As the plain socket, which wakes a reader of TLS as well."""
    try:
        socket.socket.shutdown(opened, socket.SHUT_RDWR)
    except OSError:
        pass  # it was not connected any more


def _in_words(why: Exception) -> str:
    """What went wrong, for people; nothing of what the server sent."""
    match why:
        case socket.gaierror():
            return f"its name is not known ({why.strerror})"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {why.verify_message}"
        case ssl.SSLError():
            return f"no TLS: {why.reason or 'the connection ended'}"
        case TimeoutError():
            return "it does not answer in time"
        case http.client.IncompleteRead():
            return "its answer ends early, or its chunks are none"
        case http.client.RemoteDisconnected():
            return "it closes the connection without an answer"
        case http.client.HTTPException():
            return f"what it answers is no HTTP ({type(why).__name__})"
        case UnicodeError():
            return "its name is none"
        case OSError():
            return f"no connection: {why.strerror or why}"
        case _:
            return f"what it answers is no HTTP ({type(why).__name__})"
