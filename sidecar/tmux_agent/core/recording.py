"""A recorded session: what happened, what panes printed, in which moment; one JSON object a line.

Owns the form of the file (docs/recording.md): its first line is a `Session`, its last an `End`, between them what
happened in order, each with `at`, the seconds since the beginning on a clock that nobody sets. Secrets are taken out
before a line is made. Pure: the clock is passed in. Must not own: where it comes from (edges/verbs/record.py), what is
made of it (edges/verbs/replay.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from .redact import redact, redact_text
from .replies import EventData

VERSION = 1
PRINTED = "pane.printed"  # the event of what a watched pane printed: {server, pane, text}; not in the audit log


class Session(Struct, frozen=True, kw_only=True, tag="session", tag_field="kind"):
    """What was recorded, and from when on (UTC, RFC 3339)."""

    version: int
    started: str
    by: str  # version of tmux-agent
    panes: tuple[str, ...] = ()  # only what concerns these; empty: all
    types: tuple[str, ...] = ()  # only these events; empty: all
    operator: bool = True  # False: only what was the recorder's own could be heard


class Happened(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="event", tag_field="kind"):
    """An event as the audit log has it (`seq` 0: it is not in there)."""

    at: float
    type: str
    timestamp: str = ""
    seq: int = 0
    request_id: str = ""
    origin: dict[str, Any] = {}
    data: dict[str, Any] = {}


class Output(Struct, frozen=True, kw_only=True, tag="output", tag_field="kind"):
    """Whole lines that a watched pane printed, as they came, without colours."""

    at: float
    server: str
    pane: str
    text: str


class End(Struct, frozen=True, kw_only=True, tag="end", tag_field="kind"):
    """Why the recording ended, and how many events came too fast to be told of."""

    at: float
    why: str
    lost: int = 0


Entry = Session | Happened | Output | End
_decoder = msgspec.json.Decoder(Entry)


class Damaged(ValueError):
    """A file that is no recording, or not any more: its text says where and why."""


def entry_of(event: EventData, at: float) -> Happened | Output:
    """What to keep of an event that was heard `at` seconds after the beginning."""
    at = round(at, 6)
    if event.type == PRINTED:
        place = {name: str(event.data.get(name, "")) for name in ("server", "pane")}
        return Output(at=at, text=redact_text(str(event.data.get("text", ""))), **place)
    return Happened(
        at=at,
        type=event.type,
        timestamp=event.timestamp.isoformat().replace("+00:00", "Z"),
        seq=event.seq,
        request_id=event.request_id,
        origin=msgspec.to_builtins(event.origin) if event.origin else {},
        data=redact(event.data),
    )


def pane_of(entry: Happened | Output) -> str:
    """The pane that it concerns; "" where it is none's."""
    if isinstance(entry, Output):
        return entry.pane
    agent = entry.data.get("agent")
    return str(entry.origin.get("pane") or (agent.get("pane") if isinstance(agent, dict) else "") or "")


def line(entry: Entry) -> bytes:
    """Its line, with LF."""
    return msgspec.json.encode(entry) + b"\n"


def read(lines: Iterable[bytes]) -> Iterator[Entry]:
    """The entries of a recording; one that was cut short ends without an End. Raises Damaged."""
    before = 0.0
    for number, text in enumerate(lines, start=1):
        try:
            entry = _decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
            if number > 1 and not text.endswith(b"\n"):
                return  # the recorder died while it wrote
            raise Damaged(f"line {number}: {why}") from None
        if isinstance(entry, Session) != (number == 1):
            raise Damaged(f"line {number}: the first line, and no other, says what the session is")
        if isinstance(entry, Session):
            if entry.version > VERSION:
                raise Damaged(f"line 1: version {entry.version}, and this tmux-agent reads up to {VERSION}: update it")
        elif entry.at < before:
            raise Damaged(f"line {number}: it is before the line above it")
        else:
            before = entry.at
        yield entry
