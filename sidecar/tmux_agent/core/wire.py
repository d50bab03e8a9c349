"""The envelope and the framing of the socket: JSON-RPC 2.0, one object per line (docs/protocol.md).

Owns bytes <-> requests and replies, with limits. Unknown top-level members are ignored. Pure: the same bytes in
any chunking, the same lines. Must not own: the methods' params (protocol.py).
"""

from __future__ import annotations

import difflib
import json
import re
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from . import errors
from .protocol import HOOK_LINE_BYTES, LINE_BYTES, METHODS, NAME_LENGTH, Params

Id = int | str | None


class Request(Struct, frozen=True):
    """What arrives. Unknown top-level members are ignored."""

    jsonrpc: str
    method: str
    id: int | str | float | UnsetType | None = UNSET
    params: msgspec.Raw = msgspec.Raw(b"")
    key: str = ""  # chosen by the client: sent again with the same key, a request opens nothing new

    @property
    def is_notification(self) -> bool:
        return self.id is UNSET

    @property
    def reply_id(self) -> Id:
        """Under which id it is answered; None for a notification, which is not."""
        return self.id if isinstance(self.id, int | str) else None


class Result(Struct, frozen=True):
    """`result` of a reply: the sidecar's own id of the request, when it was answered, the method's data."""

    request_id: str
    timestamp: str
    data: Any


class Reply(Struct, frozen=True):
    id: Id
    result: Result
    jsonrpc: str = "2.0"


class ErrorBody(Struct, frozen=True):
    code: int
    message: str
    data: dict[str, Any]


class ErrorReply(Struct, frozen=True):
    id: Id
    error: ErrorBody
    jsonrpc: str = "2.0"


class Notification(Struct, frozen=True):
    method: str
    params: Any
    jsonrpc: str = "2.0"


_request_decoder = msgspec.json.Decoder(Request)
_params_decoders = {name: msgspec.json.Decoder(kind) for name, kind in METHODS.items()}
_encode = msgspec.json.Encoder().encode
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile(  # an escape of JSON text: a pair of surrogates, a lone one (group 1), anything else
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


def decode_request(line: bytes) -> Request:
    """One line → Request. Raises ParseError (not JSON), NotText (not UTF-8), InvalidRequest (JSON, but no request)."""
    if not line.isascii():
        try:
            line.decode()
        except UnicodeDecodeError as why:
            raise errors.NotText(f"byte {why.start} of the line is not UTF-8; the connection is closed") from None
    if b"\\ud" in line or b"\\uD" in line:  # JavaScript sends lone surrogates; no text is refused for its characters
        line = _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], line)
    try:
        request = _request_decoder.decode(line)
    except msgspec.ValidationError as why:
        batch = line.lstrip()[:1] == b"["
        reason = "batch arrays are not supported: send one object per line" if batch else str(why)
        raise errors.InvalidRequest(f"not a JSON-RPC request: {reason}") from None
    except (msgspec.DecodeError, RecursionError) as why:
        raise errors.ParseError(f"not JSON: {why}") from None
    if len(request.key) > NAME_LENGTH:
        raise errors.InvalidRequest(f'"key" is longer than {NAME_LENGTH} characters')
    if request.jsonrpc != "2.0":
        raise errors.InvalidRequest('not a JSON-RPC request: "jsonrpc" must be "2.0"')
    if request.id is None or isinstance(request.id, float):
        raise errors.InvalidRequest('not a JSON-RPC request: "id" must be a string or an integer')
    return request


def decode_params(request: Request) -> Params:
    """The method's params, checked. Raises UnknownMethod (names the nearest), InvalidParams (JSON path)."""
    decoder = _params_decoders.get(request.method)
    if decoder is None:
        near = difflib.get_close_matches(request.method[:100], METHODS, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else "; `hello` lists the methods"
        raise errors.UnknownMethod(f"unknown method {request.method[:100]!r}{hint}")
    raw = bytes(request.params) or b"{}"
    try:
        return decoder.decode(b"{}" if raw == b"null" else raw)
    except msgspec.ValidationError as why:
        raise errors.InvalidParams(f"{request.method}: {_at_params(str(why))}") from None
    except (msgspec.DecodeError, RecursionError) as why:
        raise errors.InvalidParams(f"{request.method}: params: {why}") from None


def _at_params(why: str) -> str:
    return why.replace("`$", "`params", 1) if "`$" in why else f"{why} - at `params`"


def encode(value: Any) -> bytes:
    r"""One line of JSON. A byte of a path that is not UTF-8 is shown as the six characters \udcXX."""
    try:
        return _encode(value) + b"\n"
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(value), separators=(",", ":"), ensure_ascii=False)
        return _SURROGATE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text).encode() + b"\n"


def request_line(method: str, params: Params | dict[str, Any], id: int | str, key: str = "") -> bytes:
    """A request as a client sends it, newline included."""
    request: dict[str, Any] = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
    if key:
        request["key"] = key
    return encode(request)


def reply_line(id: Id, request_id: str, timestamp: str, data: Any) -> bytes:
    return encode(Reply(id, Result(request_id, timestamp, data)))


def error_line(id: Id, error: errors.TmuxAgentError, request_id: str, timestamp: str) -> bytes:
    data = {"request_id": request_id, "timestamp": timestamp, "kind": error.kind, **error.data}
    return encode(ErrorReply(id, ErrorBody(error.code, error.message, data)))


def event_line(seq: int, timestamp: str, type: str, data: dict[str, Any]) -> bytes:
    """A notification of events.subscribe."""
    params = {"seq": seq, "timestamp": timestamp, "type": type, **data}
    return encode(Notification("event", params))


class LineBuffer:
    """Bytes in, whole lines out, never holding more than the limit of an unfinished line.

    A line may be as long as `limit`, or `hook_limit` where it starts as a hook.event request does. Fed in any
    chunking, it gives the same lines. `next` raises InvalidRequest when a line is longer; the caller
    then closes the connection.
    """

    def __init__(self, limit: int = LINE_BYTES, hook_limit: int = HOOK_LINE_BYTES) -> None:
        self._limit = limit
        self._hook_limit = hook_limit
        self._kept = bytearray()
        self._start = 0
        self._searched = 0

    def feed(self, chunk: bytes | memoryview) -> None:
        if self._start:
            del self._kept[: self._start]
            self._searched -= self._start
            self._start = 0
        self._kept += chunk

    def next(self) -> bytes | None:
        """The next line that is not blank, without its newline; None where there is no whole one yet."""
        kept = self._kept
        while (end := kept.find(b"\n", self._searched)) >= 0:
            start, self._start, self._searched = self._start, end + 1, end + 1
            self._check(start, end)
            line = bytes(kept[start:end])
            if line.strip():
                return line
        self._searched = len(kept)
        self._check(self._start, len(kept))
        return None

    @property
    def whole(self) -> bool:
        """Whether a whole line waits."""
        return self._kept.find(b"\n", self._searched) >= 0

    def rest(self) -> bytes:
        """What has come after the last line: for a connection that changes to another framing."""
        return bytes(self._kept[self._start :])

    def _check(self, start: int, end: int) -> None:
        if end - start <= self._limit:
            return
        limit = self._hook_limit if b'"hook.event"' in self._kept[start : start + 200] else self._limit
        if end - start > limit:
            raise errors.InvalidRequest(f"the line is over {limit} bytes; the connection is closed")
