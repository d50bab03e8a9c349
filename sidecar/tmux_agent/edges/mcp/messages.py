"""Lines of MCP over stdio <-> messages: JSON-RPC 2.0, one object per line.

Owns framing, its bounds, and JSON-RPC's own errors. Pure. Must not own: what a method means (eras.py, bridge.py).
Source of the format: modelcontextprotocol.io, specification/*/basic and basic/transports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ...core import errors, wire
from ...core.protocol import LINE_BYTES

MESSAGE_BYTES = LINE_BYTES - 1024  # of one message; what it becomes on the socket then fits there, too
BATCH = 100  # messages at once
SPLIT_BYTES = 32 << 20  # of a line that is read at all, so that a message that is too long is refused by its id

Id = int | str
Reply = dict[str, Any]


class Message(Struct, frozen=True):
    """A request, or a notification (no id)."""

    method: str
    params: dict[str, Any]
    id: Id | None = None


class Refused(Exception):
    """A JSON-RPC error: what is asked is no request, not known, or not for this protocol version."""

    def __init__(self, code: int, message: str, id: Id | None = None, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.message, self.id, self.data = code, message, id, data


class _Shape(Struct):
    """As much of any line as can be read, of whatever is wrong with the rest."""

    id: Id | None = None
    method: msgspec.Raw | UnsetType = UNSET
    result: msgspec.Raw | UnsetType = UNSET
    error: msgspec.Raw | UnsetType = UNSET


class _OnlyId(Struct):
    """Where even its shape is wrong."""

    id: Id | None = None


_shape = msgspec.json.Decoder(_Shape).decode
_only_id = msgspec.json.Decoder(_OnlyId).decode
_encode = msgspec.json.Encoder().encode


class Lines:
    """Bytes in, whole lines out, in any chunking. A line over the limit is dropped, and is None."""

    def __init__(self, limit: int = SPLIT_BYTES) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._over = False

    def feed(self, chunk: bytes) -> list[bytes | None]:
        """The lines that end in this chunk, without their newline and without blank ones."""
        *ended, rest = chunk.split(b"\n")
        lines = [self._end(part) for part in ended]
        self._keep(rest)
        return [line for line in lines if line is None or line.strip()]

    def _keep(self, part: bytes) -> None:
        if self._over or len(self._kept) + len(part) > self._limit:
            self._over = True
            self._kept.clear()
        else:
            self._kept += part

    def _end(self, part: bytes) -> bytes | None:
        self._keep(part)
        line = None if self._over else bytes(self._kept)
        self._kept.clear()
        self._over = False
        return line


def parse(line: bytes | None) -> Message | None:
    """One line of `Lines`. None where there is nothing to say: to a reply (we ask nothing), to a wrong notification.

    Raises Refused.
    """
    if line is None:
        raise Refused(-32600, f"a line over {SPLIT_BYTES} bytes; it was not read, and its id is not known")
    _check(line)
    try:
        request = wire.decode_request(line)
    except errors.TmuxAgentError as why:
        if _is_reply(line):
            return None
        raise Refused(why.code, why.message, _id_of(line)) from None
    try:
        return Message(request.method, _params(request), request.reply_id)
    except Refused:
        if request.is_notification:  # which is never answered
            return None
        raise


def parse_batch(line: bytes) -> list[bytes]:
    """The lines of a batch, of which protocol version 2025-03-26 knows. Raises Refused."""
    _check(line)
    try:
        found = msgspec.json.decode(line, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as why:
        raise Refused(-32700, f"not JSON: {why}") from None
    if not 0 < len(found) <= BATCH:
        raise Refused(-32600, f"a batch of {len(found)} messages: 1 to {BATCH} are taken")
    return [bytes(one) for one in found]


def _check(line: bytes) -> None:
    """Raises Refused where it is too long, or no text."""
    if len(line) > MESSAGE_BYTES:
        raise Refused(-32600, f"the message is over {MESSAGE_BYTES} bytes: send less at once", _id_of(line))
    try:
        line.decode()
    except UnicodeDecodeError as why:
        raise Refused(-32700, f"byte {why.start} of the line is not UTF-8") from None


def _params(request: wire.Request) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(bytes(request.params) or b"{}")
    except (msgspec.DecodeError, RecursionError) as why:
        raise Refused(-32602, f"{request.method[:100]}: params: {why}", request.reply_id) from None
    if not isinstance(found, dict | None):
        raise Refused(-32602, f"{request.method[:100]}: params have to be an object", request.reply_id)
    return found or {}


def is_id(value: object) -> TypeGuard[Id]:
    """Whether a value can be an id or a progress token. In Python, true is a 1."""
    return isinstance(value, str | int) and not isinstance(value, bool)


def _id_of(line: bytes) -> Id | None:
    try:
        return _only_id(line).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_reply(line: bytes) -> bool:
    try:
        shape = _shape(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return shape.method is UNSET and (shape.result is not UNSET or shape.error is not UNSET)


def result(id: Id | None, body: dict[str, Any]) -> Reply:
    return {"jsonrpc": "2.0", "id": id, "result": body}


def error(why: Refused) -> Reply:
    body = {"code": why.code, "message": why.message}
    return {"jsonrpc": "2.0", "id": why.id, "error": body if why.data is None else {**body, "data": why.data}}


def notification(method: str, params: dict[str, Any]) -> Reply:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def line(message: Reply | Sequence[Reply]) -> bytes:
    """One message, or a batch of replies, as a line."""
    return _encode(message) + b"\n"
