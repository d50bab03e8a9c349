"""The head of an HTTP/1.1 request, read strictly: what two readers could understand differently is refused.

Owns what a request line and header lines may look like, which hosts a request may name, and the reply's bytes. Must
not own: sockets, time, routes (edges/http.py).

Refused: absolute targets, line ends without CR, folded lines, blanks before a colon, two lengths or hosts, bodies in
chunks. A browser that was led here by a name of somebody else's (DNS rebinding) names a host that is not ours.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from msgspec import Struct

HEAD_BYTES = 16 << 10
HEADERS = 100
REASONS = {
    100: "Continue",
    200: "OK",
    202: "Accepted",
    303: "See Other",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
# Nothing of ours is to be kept, framed, guessed at, or told to where a link leads.
ALWAYS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}

_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,4095}) HTTP/([0-9])\.([0-9])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}):[ \t]*([ \t!-~\x80-\xff]*)")
_LENGTH = re.compile(r"[0-9]{1,15}")
_ONCE = frozenset(("host", "content-length", "content-type", "authorization", "expect"))
_VALUE = re.compile(r"[ \t!-~]*")


class Refused(Exception):
    """The request is answered with this status, and why in a sentence."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Head(Struct, frozen=True):
    """`path` and `query` as they were sent, nothing decoded. Names of headers are lower case. `length` of the body."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    length: int = 0


def read_head(data: bytes, hosts: Collection[str]) -> Head:
    """The head that `data` (without the empty line at its end) is. Raises Refused.

    `hosts` are the names, in lower case, under which we may be spoken to; ports do not matter.
    """
    first, *lines = data.split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise Refused(400, "the first line is no request for a path of this server")
    if line[3] != b"1":
        raise Refused(505, "HTTP/1.0 and HTTP/1.1 are spoken here")
    headers = _headers(lines)
    if _host_name(headers.get("host", "")) not in hosts:
        raise Refused(421, "that host is not served here (http.hosts in config.yaml names those that are)")
    if "transfer-encoding" in headers:
        raise Refused(411, "send the body with a Content-Length")
    length = headers.get("content-length", "0")
    if not _LENGTH.fullmatch(length):
        raise Refused(400, "Content-Length is no number")
    path, _, query = line[2].decode("ascii").partition("?")
    return Head(method=line[1].decode("ascii"), path=path, query=query, headers=headers, length=int(length))


def _headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > HEADERS:
        raise Refused(431, f"more than {HEADERS} header lines")
    found: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise Refused(400, "a header line is malformed")
        name, value = match[1].decode("ascii").lower(), match[2].decode("latin-1").strip(" \t")
        if name in found and name in _ONCE:
            raise Refused(400, f"{name} is there twice")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _host_name(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def write_reply(status: int, content_type: str, body: bytes, headers: Mapping[str, str], *, only_head: bool) -> bytes:
    """A whole reply. `headers` win over those that every reply has. Raises ValueError for one that holds a line end."""
    lines = {**ALWAYS, "Content-Type": content_type, **headers, "Content-Length": str(len(body))}
    for name, value in lines.items():
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the header {name} cannot hold {value!r}")
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    start = f"HTTP/1.1 {status} {REASONS.get(status, '')}\r\n{head}\r\n".encode("ascii")
    return start if only_head else start + body
