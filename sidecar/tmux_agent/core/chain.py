"""The audit log's hash chain: how an event becomes a line, and how lines are checked.

Owns the line format, sealing and verification. Must not own: files, the clock, redaction (services/journal.py applies
core.redact before), rotation.

One record is one line of compact UTF-8 JSON with its members in this order (empty `request_id`, `origin`, `data` are
left out), keys inside `origin` and `data` sorted, `hash` last:

    {"seq":7,"timestamp":"2026-11-20T10:30:00.123456Z","type":"…","request_id":"…","origin":{…},"data":{…},"prev":"…","hash":"…"}

`hash` is the SHA-256 (hex) of the line's own bytes before `,"hash":`. As `prev` (the hash of the record before; 64
zeros for the first) is among those bytes, every record vouches for all before it. Checking needs no re-encoding rule:
`printf %s "${line%,\\"hash\\":*}" | sha256sum`. A line must also be byte for byte what the sealer writes, so that no
second member of the same name, spacing or escape can make two readers see two records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from .model import Event

GENESIS = "0" * 64
MAX_LINE = 64 * 1024  # bytes of one line; longer texts are shortened, with their length and SHA-256 kept

_HASH_MEMBER = b',"hash":"'
_TAIL = len(_HASH_MEMBER) + 64 + len(b'"}')


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line of the log as a value; its members are declared in the order of the line."""

    seq: int
    timestamp: str
    type: str
    request_id: str = ""
    origin: dict[str, Any] = {}
    data: dict[str, Any] = {}
    prev: str
    hash: str


class Head(NamedTuple):
    """Where the chain ends: number and hash of the last record."""

    seq: int = 0
    hash: str = GENESIS


class Verified(NamedTuple):
    """What a check found. `records` were good; then, if not ok, line `first_bad` (from 1, of these lines) was not.

    `bad_seq` is the number that the bad line claims, or the one that was expected there.
    """

    ok: bool
    records: int
    head: Head
    first_bad: int | None = None
    bad_seq: int | None = None
    why: str = ""


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Record)


def seal(seq: int, timestamp: str, event: Event, prev: str) -> bytes:
    """The line (with LF) of `event` as record number `seq` after the record whose hash is `prev`.

    `event.data` may hold any value msgspec knows; lone surrogates are written as the text \\udcXX. A line over MAX_LINE
    is shortened. Raises TypeError or RecursionError for data that has no finite plain form.
    """
    origin = {} if event.origin is None else msgspec.to_builtins(event.origin, str_keys=True)
    record = Record(
        seq=seq, timestamp=timestamp, type=event.type, request_id=event.request_id,
        origin=origin, data=msgspec.to_builtins(event.data, str_keys=True), prev=prev, hash=GENESIS,
    )  # fmt: skip
    try:
        body = _body(record)
    except UnicodeEncodeError:
        parts = {name: _utf8(getattr(record, name)) for name in ("type", "request_id", "origin", "data")}
        record = msgspec.structs.replace(record, **parts)
        body = _body(record)
    if len(body) > MAX_LINE:
        body = _bounded(record)
    return body + _HASH_MEMBER + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def _body(record: Record) -> bytes:
    """The bytes that the hash covers."""
    return _encoder.encode(record)[:-_TAIL]


def _bounded(record: Record) -> bytes:
    """The body of a record that is too long: its long texts cut, or, where there are very many, only their digest."""
    for longest in (8192, 1024, 128):
        short = _shorten(record.data, longest)
        body = _body(msgspec.structs.replace(record, origin=_shorten(record.origin, longest), data=short))
        if len(body) <= MAX_LINE:
            return body
    data = {"shortened": True, "sha256": hashlib.sha256(_encoder.encode(record.data)).hexdigest()}
    cut = {"request_id": record.request_id[:256], "type": record.type[:256], "origin": {"shortened": True}}
    return _body(msgspec.structs.replace(record, data=data, **cut))


def hash_of(line: bytes) -> str:
    """The hash that a sealed line carries (not checked)."""
    return line.rstrip(b"\n")[-66:-2].decode("ascii", "replace")


def ending(hash_: str) -> bytes:
    """The last bytes, with LF, of the line of the record with this hash; no other line ends so."""
    return _HASH_MEMBER + hash_.encode() + b'"}\n'


def read(line: bytes) -> Record:
    """The record of a line, unchecked. Raises ValueError where it is none."""
    return _decoder.decode(line)


def verify(blocks: Iterable[bytes], start: Head | None = None) -> Verified:
    """Check that the lines in `blocks` continue the chain after `start` (default: the very beginning).

    `blocks` are pieces of whole lines, each line with its LF; a MiB or so per piece is fastest. With `start=None` the
    first record must be number 1.
    """
    head, done = start or Head(), 0
    for block in blocks:
        records = _exact(block)
        if records is None or not _linked(block, records, head):
            found = _by_line(block, head)
            return found._replace(records=done + found.records, first_bad=found.first_bad and done + found.first_bad)
        if records:
            head, done = Head(records[-1].seq, records[-1].hash), done + len(records)
    return Verified(True, done, head)


def _exact(block: bytes) -> list[Record] | None:
    """The block's records if re-encoding them gives the same bytes, else None: two C calls for thousands of lines."""
    try:
        records = _decoder.decode_lines(block)
        return records if _encoder.encode_lines(records) == block else None
    except (ValueError, OverflowError, RecursionError):  # bad JSON or UTF-8: the slow way says which line
        return None


def _linked(block: bytes, records: list[Record], head: Head) -> bool:
    seq, prev = head
    at = 0
    sha256 = hashlib.sha256
    for record in records:
        end = block.index(b"\n", at)
        seq += 1
        if record.seq != seq or record.prev != prev:
            return False
        prev = record.hash
        if sha256(block[at : end - _TAIL]).hexdigest() != prev:
            return False
        at = end + 1
    return True


def _by_line(block: bytes, head: Head) -> Verified:
    """The same check, a line at a time, to name the first bad line and why."""
    lines = block.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        why, seq = _wrong(line, head)
        if why:
            return Verified(False, number - 1, head, number, seq, why)
        head = Head(head.seq + 1, hash_of(line))
    if lines[-1]:
        why = "the line has no end: it was cut off while being written"
        return Verified(False, len(lines) - 1, head, len(lines), head.seq + 1, why)
    return Verified(True, len(lines) - 1, head)


def _wrong(line: bytes, head: Head) -> tuple[str, int]:
    """Why `line` (without LF) cannot follow `head` ("" if it can), and the number of the record in question."""
    try:
        record = _decoder.decode(line)
        written = _encoder.encode(record)
    except (ValueError, OverflowError, RecursionError) as error:
        return f"not a record: {error}", head.seq + 1
    if written != line:
        return "not written as the log writes it (spacing, order, escapes or a member twice)", record.seq
    if hashlib.sha256(line[:-_TAIL]).hexdigest() != record.hash:
        return "its hash does not match its content: it was changed", record.seq
    if record.seq != head.seq + 1:
        return f"record {record.seq} stands where {head.seq + 1} belongs: records are missing or doubled", record.seq
    if record.prev != head.hash:
        return f"it does not continue record {head.seq}: that one, or this one, was replaced", record.seq
    return "", record.seq


def _utf8(value: Any) -> Any:
    """`value` with lone surrogates, which JSON cannot carry, as the text \\udcXX."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        case dict():
            return {_utf8(key): _utf8(item) for key, item in value.items()}
        case list() | tuple():
            return [_utf8(item) for item in value]
    return value


def _shorten(value: Any, longest: int) -> Any:
    """`value` with every text over `longest` characters cut to its begin and end, and saying so."""
    match value:
        case str() if len(value) > longest:
            digest = hashlib.sha256(value.encode("utf-8", "backslashreplace")).hexdigest()
            note = f"…[{len(value)} characters, sha256 {digest}]…"
            return value[: longest // 2] + note + value[-longest // 4 :]
        case dict():
            return {key: _shorten(item, longest) for key, item in value.items()}
        case list() | tuple():
            return [_shorten(item, longest) for item in value]
    return value
