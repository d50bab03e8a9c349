"""Real servers on loopback that notifications are sent to: HTTP that behaves as badly as it is told, and mail."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.patience import PATIENCE

GARBAGE, CLOSE, RESET, HUGE = "garbage", "close", "reset", "huge"


class Request:
    """What came: `json` or `form` where the body is one."""

    def __init__(self, method: str, target: str, body: bytes) -> None:
        parts = urlsplit(target)
        self.method, self.path, self.body = method, parts.path, body
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.json: Any = None
        with contextlib.suppress(ValueError):
            self.json = json.loads(body)
        self.form = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}


class Http:
    """`answers` are taken one after the other, the last for ever: a status, a JSON object or bytes (status 200), a
    location to be redirected to, or one of GARBAGE, CLOSE, RESET, HUGE. While `hold` is clear, nothing is answered.
    """

    def __init__(self, *answers: Any) -> None:
        self.got: queue.Queue[Request] = queue.Queue()
        self.answers: list[Any] = list(answers) or [200]
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.got.put(Request(self.command, self.path, body))
                outer.hold.wait()
                outer.answer(self)

            do_GET = do_PUT = do_POST  # noqa: N815  http.server's names

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"http://{self.address}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        how = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        connection = handler.connection
        if how == GARBAGE:
            connection.sendall(b"\x00\xff not HTTP at all\r\n" * 10)
        elif how == RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == CLOSE:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        elif how == HUGE:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b'{"errcode": 0, "x": "' + b"x" * 1_000_000 + b'"}')
        elif isinstance(how, int):
            handler.send_response(how)
            handler.end_headers()
        elif isinstance(how, dict | bytes):
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(how if isinstance(how, bytes) else json.dumps(how).encode())
        else:
            handler.send_response(302)
            handler.send_header("Location", how)
            handler.end_headers()
        if isinstance(how, str):
            handler.close_connection = True
            if how in (GARBAGE, RESET, CLOSE, HUGE):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
                connection.close()

    def next(self) -> Request:
        return self.got.get(timeout=PATIENCE)

    def close(self) -> None:
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()


class Mail:
    """A mail server; `got` has (sender, recipients, content). With `tls` ("ssl" from the first byte, or "starttls") by
    a self-signed certificate, `certificate`, in `folder`, and then only for who logs in as USER with PASSWORD."""

    USER, PASSWORD = "me@example.org", "pa55/w&rd of the box"

    def __init__(self, tls: str = "", folder: Path = Path()) -> None:
        self.got: queue.Queue[tuple[str, list[str], str]] = queue.Queue()
        self._tls = tls
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        more: dict[str, Any] = {}
        if tls:
            self.certificate = folder / "certificate.pem"
            context = _self_signed(self.certificate)
            more = {"authenticator": self._authenticate, "auth_require_tls": tls == "starttls"}
            more |= {"ssl_context": context} if tls == "ssl" else {"tls_context": context, "require_starttls": True}
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **more)
        self._controller.start()

    def url(self, password: str, more: str = "") -> str:
        """An address of apprise that sends through it."""
        login = f"{quote(self.USER, safe='')}:{quote(password, safe='')}"
        to = urlencode({"smtp": "localhost", "from": self.USER, "to": "you@example.org", "mode": self._tls})
        return f"mailtos://{login}@localhost:{self.port}/?{to}&format=text{more}"

    def _authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        right = (data.login, data.password) == (self.USER.encode(), self.PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._tls and not session.authenticated:
            return "530 log in first"
        content = envelope.content
        assert isinstance(content, bytes)
        self.got.put((str(envelope.mail_from), list(envelope.rcpt_tos), content.decode()))
        return "250 taken"

    def close(self) -> None:
        self._controller.stop()


@contextlib.contextmanager
def http(*answers: Any) -> Iterator[Http]:
    one = Http(*answers)
    try:
        yield one
    finally:
        one.close()


def _self_signed(path: Path) -> ssl.SSLContext:
    """Writes a certificate for localhost with its key, which nobody has signed; a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now, day = datetime.now(UTC), timedelta(days=1)
    made = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, *form))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@contextlib.contextmanager
def mail(tls: str = "", folder: Path = Path()) -> Iterator[Mail]:
    one = Mail(tls, folder)
    try:
        yield one
    finally:
        one.close()
