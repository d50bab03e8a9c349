"""Proxies that the environment names: HTTP_PROXY (lower case only), HTTPS_PROXY, NO_PROXY, as curl reads them.

Owns which proxy a request takes and the CONNECT before TLS. Must not own: anything after the tunnel is open (fetch.py).
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from ...core.checks import LOOPBACK

_HEAD = 16 << 10


class Proxy(Struct, frozen=True):
    """`login` is "name:password", "" where there is none."""

    host: str
    port: int
    login: str = ""

    def tunnel(self, opened: socket.socket, host: str, port: int) -> None:
        """Ask for a connection to a server. Raises OSError where the proxy says no."""
        login = base64.b64encode(self.login.encode()).decode()
        with_login = f"Proxy-Authorization: Basic {login}\r\n" if self.login else ""
        to = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        opened.sendall(f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{with_login}\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):  # byte by byte: what follows it belongs to TLS
            byte = opened.recv(1)
            if not byte or len(head) > _HEAD:
                raise ConnectionError("the proxy closed the connection, or answers no HTTP")
            head += byte
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            said = head[:60].partition(b"\r\n")[0].decode(errors="replace")
            raise ConnectionError(f"the proxy {self.host} refuses: {said}")


class Proxies:
    """Read once. A value that is no http:// address counts for nothing; loopback never goes through one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        # HTTP_PROXY in capitals may come from a request's header "Proxy" in programs that CGI started.
        wanted = {"http": environ.get("http_proxy"), "https": environ.get("https_proxy") or environ.get("HTTPS_PROXY")}
        everything = environ.get("all_proxy") or environ.get("ALL_PROXY")
        self._proxies = {scheme: _proxy(value or everything or "") for scheme, value in wanted.items()}
        without = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        self._without = tuple(name.strip().lower() for name in without.split(",") if name.strip())

    def of(self, scheme: str, host: str, port: int) -> Proxy | None:
        """The proxy for a server; None: none."""
        if host in LOOPBACK or any(_covers(name, host.lower(), port) for name in self._without):
            return None
        return self._proxies.get(scheme)


def _proxy(value: str) -> Proxy | None:
    try:
        parts = urlsplit(value if "//" in value else f"http://{value}")
        if parts.scheme != "http" or not parts.hostname:
            return None
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        return Proxy(parts.hostname, parts.port or 80, login)
    except ValueError:
        return None


def _covers(name: str, host: str, port: int) -> bool:
    if name == "*":
        return True
    only, _, at = name.rpartition(":")
    if only and at.isdigit():
        if int(at) != port:
            return False
        name = only
    name = name.removeprefix("*").lstrip(".")
    return host == name or host.endswith(f".{name}")
