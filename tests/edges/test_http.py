"""The HTTP listener, over real connections: strict about what it reads, bounded in what it takes, closed by default."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.patience import PATIENCE
from tests.sidecar import Sidecar, sidecar, until

from tmux_agent.core import errors
from tmux_agent.core.http_head import REASONS, Head, Refused, read_head, write_reply
from tmux_agent.core.settings import Http as Settings
from tmux_agent.edges import http as http_
from tmux_agent.edges.http import Http, Request, Response

HOST = b"Host: 127.0.0.1:1\r\n"
ANYWHERE = Settings(listen="127.0.0.1:0")


async def echo(request: Request) -> Response:
    return Response(200, f"{request.method} {request.path} {request.query} {request.rest} ".encode() + request.body)


async def forbidden(request: Request) -> Response:
    raise errors.Forbidden("not\x1b you")


async def broken(request: Request) -> Response:
    raise RuntimeError("/secret/path")


def exchange(url: str, sent: bytes, *, end: bool = False) -> bytes:
    """What comes back on one connection until it is closed."""
    at = urlsplit(url)
    with socket.create_connection((at.hostname, at.port), PATIENCE) as peer:
        peer.sendall(sent)
        if end:
            peer.shutdown(socket.SHUT_WR)
        found = b""
        while chunk := peer.recv(1 << 16):
            found += chunk
    return found


def served(sent: bytes, *, end: bool = False, settings: Settings = ANYWHERE) -> bytes:
    """The reply of a listener with a few routes."""

    async def run() -> bytes:
        one = Http()
        one.route("GET", "/a/", echo)
        one.route("POST", "/a/b/", echo)
        one.route("GET", "/whole", echo)
        one.route("GET", "/no", forbidden)
        one.route("GET", "/defect", broken)
        await one.open(settings)
        try:
            return await asyncio.to_thread(exchange, one.url, sent, end=end)
        finally:
            await one.close()

    return asyncio.run(run())


def status(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1])


def test_a_path_leads_to_its_handler() -> None:
    """The longest prefix wins, its method counts, HEAD is a GET without a body, and nothing is decoded."""
    assert served(b"GET /a/x%2f?q=1 HTTP/1.1\r\n" + HOST + b"\r\n").endswith(b"\r\n\r\nGET /a/x%2f q=1 x%2f ")
    body = b"POST /a/b/c HTTP/1.1\r\nContent-Length: 3\r\n" + HOST + b"\r\nxyzGET / HTTP/1.1\r\n\r\n"
    assert served(body).endswith(b"\r\n\r\nPOST /a/b/c  c xyz")
    assert status(served(b"GET /a/b/c HTTP/1.1\r\n" + HOST + b"\r\n")) == 405
    head = served(b"HEAD /whole HTTP/1.1\r\n" + HOST + b"\r\n")
    assert status(head) == 200
    assert head.endswith(b"\r\n\r\n")
    for path in (b"/", b"/whole/", b"/a", b"/b/"):
        assert status(served(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")) == 404


def test_every_reply_is_kept_by_nobody() -> None:
    """No cache, no frame, no script, no referrer; also on errors."""
    for sent in (b"GET /whole HTTP/1.1\r\n" + HOST + b"\r\n", b"x\r\n\r\n"):
        reply = served(sent).lower()
        wanted = b"cache-control: no-store|default-src 'none'|no-referrer|nosniff|connection: close"
        assert all(line in reply for line in wanted.split(b"|"))


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"GET /a/ HTTP/1.1\r\n\r\n", 421),
        (b"GET /a/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET /a/ HTTP/1.1\r\nHost: 127.0.0.1.evil.example:80\r\n\r\n", 421),
        (b"GET /a/ HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"GET http://127.0.0.1/a/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET a HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"get /a/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET  /a/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /a/\xff HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /a/ HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET /a/ HTTP/1.1\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"GET /a/ HTTP/1.1\r\n" + HOST + b" folded\r\n\r\n", 400),
        (b"GET /a/ HTTP/1.1\r\n" + HOST + b"Name : x\r\n\r\n", 400),
        (b"GET /a/ HTTP/1.1\r\n" + HOST + b"Name: \x00\r\n\r\n", 400),
        (b"POST /a/b/ HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST /a/b/ HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
        (b"POST /a/b/ HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\nx", 400),
        (b"POST /a/b/ HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
        (b"POST /a/b/ HTTP/1.1\r\n" + HOST + b"Content-Length: 1048577\r\n\r\n" + b"x" * 1048577, 413),
        (b"GET /a/ HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"GET /a/ HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /no HTTP/1.1\r\n" + HOST + b"\r\n", 403),
        (b"GET /defect HTTP/1.1\r\n" + HOST + b"\r\n", 500),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(sent: bytes, code: int) -> None:
    """And what a handler raises is answered without a control character or a word of ours."""
    reply = served(sent)
    assert status(reply) == code, reply
    assert b"\x1b" not in reply
    assert b"/secret/path" not in reply


def test_a_name_of_ones_own_proxy_is_served() -> None:
    """http.hosts are further names; case and port do not matter."""
    settings = Settings(listen="localhost:0", hosts=("Laptop.Example",))
    assert status(served(b"GET /whole HTTP/1.1\r\nHost: laptop.example:8443\r\n\r\n", settings=settings)) == 200


def test_a_peer_that_goes_away_or_drips_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a head, then its end: nothing comes back. Half a head, then nothing: 408 after the whole request's time."""
    assert served(b"GET /a/ HTTP/1.1\r\nHo", end=True) == b""
    monkeypatch.setattr(http_, "READ_SECONDS", 0.2)
    assert status(served(b"GET /a/ HTTP/1.1\r\nHo")) == 408
    assert status(served(b"POST /a/b/ HTTP/1.1\r\nContent-Length: 9\r\n" + HOST + b"\r\nx")) == 408


def test_more_connections_than_it_holds_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who hold theirs open without a word keep nobody out for longer than a request may take."""
    monkeypatch.setattr(http_, "CONNECTIONS", 2)

    async def run() -> None:
        one = Http()
        one.route("GET", "/whole", echo)
        await one.open(ANYWHERE)
        at = urlsplit(one.url)
        silent = [await asyncio.open_connection(at.hostname, at.port) for _ in range(3)]
        assert await silent[2][0].read() == b""
        silent[0][1].close()
        reply = b""
        while not reply:  # until it has noticed that one went away
            with contextlib.suppress(ConnectionResetError):  # closed before it has read what came
                reply = await asyncio.to_thread(exchange, one.url, b"GET /whole HTTP/1.1\r\n" + HOST + b"\r\n")
        assert status(reply) == 200
        await one.close()
        for _, writer in silent:
            writer.close()

    asyncio.run(run())


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "127.0.0.1", "example.com:80", "127.0.0.1:70000", ":80", "[::]:80"])
def test_it_listens_on_loopback_and_nowhere_else(listen: str) -> None:
    """What is no 127.0.0.1:PORT is an error that says so."""
    with pytest.raises(errors.InvalidParams, match=r"127\.0\.0\.1:PORT"):
        asyncio.run(Http().open(Settings(listen=listen)))


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_else_than_be_refused(data: bytes) -> None:
    """Whatever comes is a head, or Refused with a status."""
    for sent in (data, b"GET /" + data, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + data):
        found: Head | int
        try:
            found = read_head(sent, ("localhost",))
        except Refused as why:
            found = why.status
        if isinstance(found, Head):
            assert found.path.startswith("/")
            assert found.headers["host"] == "localhost"
        else:
            assert found in REASONS


def test_a_header_cannot_be_split() -> None:
    """A handler that puts a foreign text into a header cannot send two by it."""
    with pytest.raises(ValueError, match="Location"):
        write_reply(303, "text/plain", b"", {"Location": "/\r\nSet-Cookie: x"}, only_head=False)


@pytest.fixture
def one() -> Iterator[Sidecar]:
    with sidecar() as found:
        yield found


def test_it_is_off_unless_switched_on_and_wrong_is_a_warning(one: Sidecar) -> None:
    """Nothing listens by default; a port that is taken is said, and the sidecar serves on."""
    agent = one.start().agent()
    assert "http" not in " ".join(agent.call("health").get("warnings", ()))
    assert "listening on http" not in one.log.read_text()
    one.stop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        agent = one.start(TMUX_AGENT_HTTP_LISTEN=f"127.0.0.1:{port}").agent()
        warnings = agent.call("health")["warnings"]
        assert any(said.startswith(f"http: cannot listen on 127.0.0.1:{port}") for said in warnings)
    one.stop()
    one.start(TMUX_AGENT_HTTP_LISTEN=f"127.0.0.1:{port}")
    until(lambda: f"listening on http://127.0.0.1:{port}" in one.log.read_text())
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    client.request("GET", "/")
    assert client.getresponse().status == 404
    client.close()
    assert one.stop() == 0
