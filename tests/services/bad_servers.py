"""Servers for checks: one that answers with the bytes, or by the function, that a test gives it, and GitHub's Actions.

`Server` is a listening socket with a thread a connection; `got` holds each request's head and body. `Github` answers as
docs.github.com/rest describes workflow runs: tokens, filters, ETags, rate limits, "not found" for what is not shown.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.patience import PATIENCE

Answer = bytes | Callable[[socket.socket], None]


def reply(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    """A whole, honest reply."""
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


class Server:
    """Gives its answers one after the other, the last again and again; without `read` as soon as anything came."""

    def __init__(
        self,
        *answers: Answer,
        tls: ssl.SSLContext | None = None,
        unix: Path | None = None,
        port: int = 0,
        read: bool = True,
    ) -> None:
        self.answers = list(answers)
        self.got: queue.Queue[bytes] = queue.Queue()
        self._tls, self._read = tls, read
        self._listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(str(unix) if unix else ("127.0.0.1", port))
        self._listener.listen(50)
        self.port = 0 if unix else self._listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):  # the other side ends what it does not like
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            connection.settimeout(PATIENCE)
            self.got.put(read_request(connection) if self._read else connection.recv(1 << 16))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, bytes):
                connection.sendall(answer)
            else:
                answer(connection)
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def read_request(connection: socket.socket) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found:
        if not (part := connection.recv(1 << 16)):
            raise ValueError("no request")
        found += part
    head, _, body = found.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(1 << 16)
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def serving(*answers: Answer, **more: Any) -> Iterator[Server]:
    server = Server(*answers, **more)
    try:
        yield server
    finally:
        server.close()


# --- ways to be bad --------------------------------------------------------------------------------


def hangs(connection: socket.socket) -> None:
    """Says nothing until the other side goes away."""
    connection.recv(1)


def drips(start: bytes, forever: bytes) -> Callable[[socket.socket], None]:
    """Sends `start`, then a little again and again, slowly, as long as somebody listens."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(start)
        pace = threading.Event()
        while not pace.wait(0.02):
            connection.sendall(forever)

    return answer


def floods(start: bytes, part: bytes) -> Callable[[socket.socket], None]:
    """Sends without an end, as fast as it can."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(part)

    return answer


def resets(connection: socket.socket) -> None:
    """RST instead of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# --- GitHub ----------------------------------------------------------------------------------------


class Github:
    """`runs` of one repository, newest first; `limited`: seconds of a rate limit that is in force, once."""

    TOKEN = "ghp_" + "0123456789abcdefghijklmnopqrstuvwxyz"

    def __init__(self, repository: str = "user/repo") -> None:
        self.repository = repository
        self.runs: list[dict[str, Any]] = []
        self.ahead = timedelta()  # of its clock
        self.limited = 0
        self.asked: list[tuple[str, int]] = []  # path and status
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def date_time_string(self, timestamp: float | None = None) -> str:
                return format_datetime(outer.now(), usegmt=True)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/api/v3"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def begin(self, status: str = "queued", conclusion: str | None = None, **more: Any) -> dict[str, Any]:
        """A run that begins now."""
        number = len(self.runs) + 1
        stamp = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        run = {
            "id": 30433642 + number,
            "name": "Deploy",
            "path": ".github/workflows/deploy.yml",
            "head_branch": "main",
            "head_sha": "acb5820ced9479c074f688cc328bf03f341a511d",
            "run_number": number,
            "event": "push",
            "status": status,
            "conclusion": conclusion,
            "workflow_id": 159038,
            "html_url": f"https://github.com/{self.repository}/actions/runs/{30433642 + number}",
            "created_at": stamp,
            "updated_at": stamp,
            "run_attempt": 1,
            "run_started_at": stamp,
            **more,
        }
        self.runs.insert(0, run)
        return run

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        status, headers, value = self._found(handler)
        body = b"" if value is None else json.dumps(value).encode()
        self.asked.append((handler.path, status))
        handler.send_response(status)
        for name, text in headers.items():
            handler.send_header(name, text)
        if status != 304:
            handler.send_header("Content-Type", "application/json; charset=utf-8")
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _found(self, handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], Any]:
        if not handler.headers.get("User-Agent"):
            return 403, {}, {"message": "Request forbidden by administrative rules."}
        if handler.headers.get("Authorization") != f"Bearer {self.TOKEN}":
            return 401, {}, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}
        if self.limited:
            reset = int((self.now() + timedelta(seconds=self.limited)).timestamp())
            self.limited = 0
            limits = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
            return 403, limits, {"message": "API rate limit exceeded for user ID 1."}
        value = self._value(urlsplit(handler.path))
        if value is None:
            return 404, {}, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest"}
        etag = f'W/"{hashlib.sha256(json.dumps(value).encode()).hexdigest()}"'
        if handler.headers.get("If-None-Match") == etag:
            return 304, {"ETag": etag}, None
        return 200, {"ETag": etag, "X-RateLimit-Remaining": "4999"}, value

    def _value(self, parts: Any) -> Any:
        base = f"/api/v3/repos/{self.repository}/actions"
        if not parts.path.startswith(base):
            return None
        steps = [unquote(step) for step in parts.path.removeprefix(base).strip("/").split("/")]
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match steps:
            case ["runs", number]:
                return next((run for run in self.runs if str(run["id"]) == number), None)
            case ["workflows", name, "runs"]:
                runs = [run for run in self.runs if name in (str(run["workflow_id"]), run["path"].rpartition("/")[2])]
                if not runs and name != "deploy.yml":
                    return None
            case ["runs"]:
                runs = self.runs
            case _:
                return None
        for name, member in (("branch", "head_branch"), ("event", "event"), ("head_sha", "head_sha")):
            runs = [run for run in runs if name not in query or run[member] == query[name]]
        return {"total_count": len(runs), "workflow_runs": runs[: int(query.get("per_page", "30"))]}
