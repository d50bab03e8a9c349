"""What both clients share: where a sidecar listens, lines to it and from it, and how long one may stay away.

Must not own: a connection (blocking.py, awaited.py).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec

from ..core import errors, wire
from ..core import replies as r
from ..core.requests import Request

T = TypeVar("T")

PATIENCE = 30.0  # seconds that a client waits for a sidecar to come back
LINE = 1 << 30  # the sidecar's lines are trusted to end
_ERRORS = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.TmuxAgentError) and kind is not errors.NotText
}


class Reply(msgspec.Struct):
    """Any line from the sidecar: a reply, an error, or an event."""

    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw(b"")
    error: wire.ErrorBody | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"")


class _Result(msgspec.Struct):
    data: msgspec.Raw


decode_reply = msgspec.json.Decoder(Reply).decode
_decode_result = msgspec.json.Decoder(_Result).decode
decode_event = msgspec.json.Decoder(r.EventData).decode


class Gone(OSError):
    """The connection ended."""


class Away(errors.Unavailable):
    """No sidecar listens."""


def sockets(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where a sidecar may listen, in docs/protocol.md's order: the environment's, then the state folder's pointer."""
    from ..services.places import find

    places = find(environ)
    yield places.socket
    if places.chosen != "given":
        with contextlib.suppress(OSError, ValueError):
            yield Path(places.pointer.read_text().strip())


def connect(environ: Mapping[str, str]) -> socket.socket:
    """A connection to the sidecar. Raises Unavailable naming what was tried."""
    tried = []
    for path in sockets(environ):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.connect(str(path))
            _check_owner(peer)
        except OSError as why:
            peer.close()
            tried.append(f"{path}: {why.strerror or why}")
        else:
            return peer
    raise Away(f"no sidecar answers ({'; '.join(tried)}): start it with `tmux-agent sidecar start`")


def _check_owner(peer: socket.socket) -> None:
    """Who listens must be this user (or root): another could have put a socket there. Raises OSError."""
    if hasattr(socket, "SO_PEERCRED"):
        _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in (os.getuid(), 0):
            raise OSError(f"it belongs to uid {uid}, not to you")


def environ_of(path: str | os.PathLike[str] | None) -> Mapping[str, str]:
    return os.environ if path is None else {**os.environ, "TMUX_AGENT_SOCKET": os.fspath(path)}


def raise_error(body: wire.ErrorBody) -> NoReturn:
    kind = _ERRORS.get(body.code, errors.Internal)
    raise kind(body.message, **{k: v for k, v in body.data.items() if k != "kind"})


def outcome(reply: Reply, request: Request[T]) -> T:
    if reply.error is not None:
        raise_error(reply.error)
    return msgspec.json.decode(_decode_result(reply.result).data, type=request.reply)


def line_of(request: Request[Any], number: int) -> bytes:
    return wire.request_line(request.method, request.params, number, secrets.token_hex(8) if request.keyed else "")


class Patience:
    """How long a sidecar may stay away."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None

    def pause(self, request: Request[Any], sent: bool, why: Exception) -> float:
        """Seconds to wait before the next try; there is no event for a socket that comes back. Raises Unavailable."""
        if sent and not request.repeatable:
            raise errors.Unavailable(
                f"the connection ended before {request.method} was answered: look whether it was done ({why})"
            ) from None
        now = time.monotonic()
        self._since = self._since or now
        away = now - self._since
        if away < self._seconds:
            return min(0.05 + away / 4, 1.0)
        if isinstance(why, Away):
            raise why
        raise errors.Unavailable(f"the sidecar has gone and did not come back in {self._seconds:g} s: {why}") from None
