"""One request to real servers that behave badly: it ends in time, says what is wrong, and takes no more room."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.patience import PATIENCE
from tests.services.bad_servers import Answer, drips, floods, hangs, read_request, reply, resets, serving
from tests.sidecar import until

from tmux_agent.services.checks import fetch as fetch_
from tmux_agent.services.checks.fetch import BODY_BYTES, Asked, Fetcher, Reply, Unreachable
from tmux_agent.services.checks.proxies import Proxies


def fetch(url: str, seconds: float = PATIENCE, environ: dict[str, str] | None = None, **more: Any) -> Reply:
    return asyncio.run(Fetcher(Proxies(environ or {})).fetch(Asked(url=url, **more), seconds))


def why(url: str, seconds: float = PATIENCE, **more: Any) -> str:
    with pytest.raises(Unreachable) as found:
        fetch(url, seconds, **more)
    return str(found.value)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    """Whatever a server does, the thread that asked it ends."""
    yield
    until(lambda: not [one for one in threading.enumerate() if one.name == "check"])


def test_a_reply_comes_whole() -> None:
    """Status, headers by lower-case names, body; and what was asked is what was meant."""
    with serving(reply(b"hello", "201 Created", "X-A: 1", "x-a: 2")) as server:
        found = fetch(f"{server.url}/path?q=%20#part", method="POST", headers={"X-Mine": "yes"}, body=b"sent")
        assert (found.status, found.body, found.headers["x-a"]) == (201, b"hello", "1, 2")
        asked = server.got.get(timeout=PATIENCE)
        assert asked.startswith(b"POST /path?q=%20 HTTP/1.1\r\n")
        assert f"\r\nHost: 127.0.0.1:{server.port}\r\n".encode() in asked
        assert b"\r\nX-Mine: yes\r\n" in asked
        assert b"\r\nUser-Agent: tmux-agent/" in asked
        assert asked.endswith(b"\r\n\r\nsent")
    with serving(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n") as server:
        assert fetch(server.url).body == b"abcde"
    with serving(b"HTTP/1.0 200 OK\r\n\r\nuntil the end") as server:
        assert fetch(server.url).body == b"until the end"
    with serving(reply(b"x" * BODY_BYTES)) as server:
        assert len(fetch(server.url).body) == BODY_BYTES


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        hangs,
        drips(b"HTTP/1.1 200", b" "),
        drips(HEAD, b"X: y\r\n"[:1]),
        drips(HEAD + b"Content-Length: 100000\r\n\r\n", b"x"),
        drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["hangs", "status line", "headers", "body", "chunks", "continues"],
)
def test_time_is_bounded_as_a_whole(answer: Answer) -> None:
    """Each read may well come in time: the sum of them does not."""
    with serving(answer) as server:
        began = time.monotonic()
        assert why(server.url, 0.3) == "no whole answer within 0.3 s"
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no HTTP"),
        (b"\x00\xff\xfe" * 100, "no HTTP"),
        (b"<html>hello</html>", "no HTTP"),
        (b"HTTP/1.1 abc\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "no HTTP"),
        (HEAD + b"Content-Length: 10\r\n\r\nabc", "its answer ends 7 bytes early"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc", "its chunks are none"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", "its answer ends early"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabc", ""),
        (b"", "closes the connection without an answer"),
        (resets, "no connection: Connection reset by peer"),
        (floods(HEAD + b"\r\n", b"x" * 65536), "more than 1 MiB"),
        (floods(HEAD + b"Content-Length: 99999999999\r\n\r\n", b"x" * 65536), "more than 1 MiB"),
        (floods(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"ffff\r\n" + b"x" * 65535 + b"\r\n"), "more than 1 MiB"),
        (floods(HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", b"x" * 65536), "more than 1 MiB"),
        (floods(HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n", b"x" * 65536), "more than 1 MiB"),
    ],
)
def test_what_is_no_answer_is_said(answer: Answer, said: str) -> None:
    """In our words, none of the server's; and an endless body costs no more than its bound."""
    with serving(answer) as server:
        assert said in why(server.url)


def test_a_length_that_is_none_does_not_hurt() -> None:
    """It is read to its end."""
    for length in (b"x", b"-7", b"1e9"):
        with serving(HEAD + b"Content-Length: " + length + b"\r\n\r\nabc") as server:
            assert fetch(server.url).body == b"abc"


def test_nobody_there_and_no_such_name() -> None:
    """A port that nobody listens on, a name that is not known, one that is none, a socket that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert why(f"http://127.0.0.1:{port}") == "no connection: Connection refused"
    assert "its name is not known" in why("http://no-such-name.invalid/")
    assert why("http://a..b/") == "its name is none"
    assert why("http://docker/x", unix="/nonexistent/socket") == "no connection: No such file or directory"


def test_a_resolver_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer comes in time, the loop ends without the thread, and so many threads are all there are."""
    go_on = threading.Event()

    def hang(*_: object, **__: object) -> Any:
        go_on.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(fetch_, "THREADS", 2)

    async def three() -> list[str]:
        fetcher = Fetcher(Proxies({}))
        found = []
        for _ in range(3):
            with pytest.raises(Unreachable) as said:
                await fetcher.fetch(Asked(url="http://x/"), 0.05)
            found.append(str(said.value))
        return found

    said = asyncio.run(three())
    go_on.set()
    assert said[:2] == ["no whole answer within 0.05 s"] * 2
    assert "2 requests are under way" in said[2]


# --- redirects -------------------------------------------------------------------------------------

SECRET = {"Authorization": "Bearer secret"}


def to(where: str, status: str = "302 Found") -> bytes:
    return reply(b"", status, f"Location: {where}")


def test_a_redirect_is_followed_and_secrets_stay_with_their_server() -> None:
    """At the same server they are sent again; elsewhere (another port is elsewhere) they are not."""
    with serving(reply(b"there")) as other, serving(to("/b"), to(f"{other.url}/c"), reply()) as server:
        assert fetch(f"{server.url}/a", headers=SECRET).body == b"there"
        assert b"secret" in server.got.get(timeout=PATIENCE)
        second = server.got.get(timeout=PATIENCE)
        assert second.startswith(b"GET /b ")
        assert b"secret" in second
        third = other.got.get(timeout=PATIENCE)
        assert third.startswith(b"GET /c ")
        assert b"secret" not in third


def test_back_again_secrets_are_not_sent() -> None:
    """What another server makes us ask is not ours any more."""
    with serving(b"") as server, serving(b"") as other:
        server.answers = [to(f"{other.url}/"), reply(b"home")]
        other.answers = [to(f"{server.url}/transfer?to=evil")]
        assert fetch(server.url, headers=SECRET).body == b"home"
        server.got.get(timeout=PATIENCE)
        assert b"secret" not in server.got.get(timeout=PATIENCE)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("/again", "redirects more than 5 times"),
        ("file:///etc/passwd", "no plain http(s) address"),
        ("ftp://x/", "no plain http(s) address"),
        ("http://user:pass@x/", "no plain http(s) address"),
        ("http://x:0/", "no plain http(s) address"),
        ("http://x:1e9/", "no plain http(s) address"),
        ("http://[x/", "no plain http(s) address"),
        ("/\x01", "no plain http(s) address"),
    ],
)
def test_where_nobody_should_be_led(where: str, said: str) -> None:
    """Loops, other schemes, passwords, no address at all."""
    with serving(to(where)) as server:
        assert said in why(server.url)


def test_what_is_not_followed() -> None:
    """A POST, a status that is waited for itself, a reply without a Location."""
    with serving(to("/b")) as server:
        assert fetch(server.url, method="POST").status == 302
        assert fetch(server.url, keep=(302,)).status == 302
        server.answers = [reply(b"", "302 Found")]
        assert fetch(server.url).status == 302


# --- TLS -------------------------------------------------------------------------------------------


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate of its own making, and the file that has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    alternatives = [
        x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names
    ]
    made = (
        x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / f"{names[0]}.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file


@pytest.fixture
def trust(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes a certificate one that is trusted, as SSL_CERT_FILE does."""

    def by(file: Path) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        fetch_._trusted.cache_clear()

    yield by
    fetch_._trusted.cache_clear()


def test_tls_is_verified(tmp_path: Path, trust: Any) -> None:
    """A certificate that nobody knows, one for another name, no TLS at all: refused. A trusted one: spoken to."""
    context, file = certificate(tmp_path, "127.0.0.1")
    with serving(reply(b"secure"), tls=context) as server:
        assert "its certificate is not trusted: self-signed certificate" in why(server.url)
        trust(file)
        assert fetch(server.url).body == b"secure"
        server.answers = [to("http://127.0.0.1:1/")]
        assert "from https to http" in why(server.url)
    other, file = certificate(tmp_path, "elsewhere.test")
    trust(file)
    with serving(reply(), tls=other) as server:
        assert "its certificate is not trusted: IP address mismatch" in why(server.url)
    with serving(reply(), read=False) as server:
        assert "no TLS" in why(server.url.replace("http:", "https:"))


def test_a_handshake_that_drips_ends_in_time() -> None:
    """Before there is any TLS to shut down: a record of 16 kB that never comes whole."""
    with serving(drips(b"\x16\x03\x03\x3f\xff", b"\x02"), read=False) as server:
        assert why(server.url.replace("http:", "https:"), 0.3) == "no whole answer within 0.3 s"


# --- proxies ---------------------------------------------------------------------------------------


def test_proxies_are_taken_as_the_environment_says() -> None:
    """By scheme; not for loopback, nor for what NO_PROXY names; HTTP_PROXY in capitals could be a request's header."""
    environ = {
        "http_proxy": "http://web.test:3128",
        "HTTPS_PROXY": "me:pass%40@secure.test",
        "NO_PROXY": "intern.test, .corp:8443,10.0.0.1",
    }
    proxies = Proxies(environ)

    def of(scheme: str, host: str, port: int = 443) -> str:
        found = proxies.of(scheme, host, port)
        return f"{found.login} {found.host}:{found.port}" if found else ""

    assert of("http", "x.test") == " web.test:3128"
    assert of("https", "x.test") == "me:pass@ secure.test:80"
    for host in ("intern.test", "a.intern.test", "10.0.0.1", "127.0.0.1", "localhost", "::1"):
        assert of("https", host) == ""
    assert of("https", "a.corp", 8443) == ""
    assert of("https", "a.corp") != ""
    assert of("https", "notintern.test") != ""
    assert Proxies({"HTTP_PROXY": "http://x"}).of("http", "y", 80) is None
    assert Proxies({"https_proxy": "socks5://x"}).of("https", "y", 443) is None
    assert Proxies({"all_proxy": "x:1", "no_proxy": "*"}).of("https", "y", 443) is None


def test_through_a_proxy(tmp_path: Path, trust: Any) -> None:
    """Plain requests name the whole address; TLS goes through a tunnel to the server, whose certificate counts."""
    with serving(reply(b"by proxy")) as proxy:
        assert fetch("http://server.test/a", environ={"http_proxy": proxy.url}).body == b"by proxy"
        assert proxy.got.get(timeout=PATIENCE).startswith(b"GET http://server.test/a HTTP/1.1\r\n")
    context, file = certificate(tmp_path, "server.test")
    trust(file)

    def tunnel(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n")
        inside = context.wrap_socket(connection, server_side=True)
        proxy.got.put(read_request(inside))
        inside.sendall(reply(b"inside"))
        inside.close()

    with serving(tunnel) as proxy:
        found = fetch("https://server.test/a", environ={"https_proxy": proxy.url.replace("//", "//me:word@")})
        assert found.body == b"inside"
        asked = proxy.got.get(timeout=PATIENCE)
        assert asked.startswith(b"CONNECT server.test:443 HTTP/1.1\r\n")
        assert b"Proxy-Authorization: Basic " + base64.b64encode(b"me:word") in asked
        within = proxy.got.get(timeout=PATIENCE)
        assert within.startswith(b"GET /a HTTP/1.1\r\n")
        assert b"Proxy-Authorization" not in within
    for answer in (reply(b"", "407 Proxy Authentication Required"), b"", b"x" * 20_000):
        with serving(answer) as proxy:
            assert "the proxy" in why("https://server.test/", environ={"https_proxy": proxy.url})
