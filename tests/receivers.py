"""Real servers on loopback that notifications are sent to: HTTP that behaves as badly as it is told, and mail."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
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
    """A mail server; `got` has (sender, recipients, content)."""

    def __init__(self) -> None:
        self.got: queue.Queue[tuple[str, list[str], str]] = queue.Queue()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
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


@contextlib.contextmanager
def mail() -> Iterator[Mail]:
    one = Mail()
    try:
        yield one
    finally:
        one.close()
