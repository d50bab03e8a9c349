"""The SENTRY marker: `### SENTRY {"type":"STATUS","stage":"build","ok":true}`, a line of its own in a pane's output.

Owns what a marker may say, and the form of the line. Pure. Must not own: finding lines in a stream or on a screen
(marker_stream.py, marker_screen.py), what a marker moves (pipeline.py). A marker is something that a program printed:
it can advance a declared stage, it can never approve. Source of the form: the documents that tmux-agent grew from.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Literal

import msgspec
from msgspec import Struct

from .protocol import OPTIONS

TEXT = 16 << 10  # bytes of one marker's JSON
WORDS = 256  # characters of a name
DEPTH = 16  # of nested values
_PREFIX = re.compile(r"(?:###[ \t]+)?SENTRY[ \t]*(?=\{)")


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


_decoder = json.JSONDecoder(parse_constant=_no_number)


class _Marker(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What all have: the stage it is about, words for people, an id of the printer's own choice under which it counts
    once, and the run's token (TMUX_AGENT_RUN)."""

    stage: str = ""
    message: str = ""
    id: str = ""
    run: str = ""


class Status(_Marker, frozen=True, kw_only=True, omit_defaults=True, tag="STATUS"):
    """A stage ended well (`ok` true) or not (false); null: it goes on."""

    ok: bool | None = None


class Progress(_Marker, frozen=True, kw_only=True, omit_defaults=True, tag="PROGRESS"):
    """How far a stage is; `percent` from 0 to 100."""

    percent: float | None = None


class Ask(_Marker, frozen=True, kw_only=True, omit_defaults=True, tag="ASK"):
    """Something that a person has to answer: it opens an approval."""

    prompt: str = ""
    options: tuple[str, ...] = ()
    details: str = ""
    action_type: str = ""
    urgency: Literal["low", "normal", "high", "critical"] = "normal"


class Failure(_Marker, frozen=True, kw_only=True, omit_defaults=True, tag="ERROR"):
    """Something went wrong; with `stage`, that stage failed."""


class Artifact(_Marker, frozen=True, kw_only=True, omit_defaults=True, tag="ARTIFACT"):
    """Something was made: a file or a page. Shown, never opened."""

    path: str = ""
    url: str = ""
    name: str = ""


class Done(_Marker, frozen=True, kw_only=True, omit_defaults=True, tag="DONE"):
    """All of the work is done, or with `stage` that stage."""

    ok: bool = True


class Other(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A type that nobody knows: kept and logged, moves nothing."""

    type: str
    data: dict[str, Any] = {}
    stage: str = ""
    message: str = ""
    id: str = ""
    run: str = ""


class Invalid(Struct, frozen=True):
    """A line that begins as a marker and is none: told once, shown by `tmux-agent explain`."""

    text: str
    why: str


Marker = Status | Progress | Ask | Failure | Artifact | Done | Other
Known = Status | Progress | Ask | Failure | Artifact | Done
_TYPES = {"STATUS": Status, "PROGRESS": Progress, "ASK": Ask, "ERROR": Failure, "ARTIFACT": Artifact, "DONE": Done}
_ALIASES = {
    "ASK": {"question": "prompt", "message": "prompt", "choices": "options"},
    "PROGRESS": {"value": "percent", "progress": "percent"},
    "ARTIFACT": {"file": "path"},
}


def kind(marker: Marker) -> str:
    """STATUS, PROGRESS, …, or the name of a type that nobody knows."""
    return marker.type if isinstance(marker, Other) else next(n for n, k in _TYPES.items() if isinstance(marker, k))


def begins(line: str) -> re.Match[str] | None:
    """Where a line (without colours) begins as a marker; the JSON starts at the match's end."""
    return _PREFIX.match(line.lstrip())


def read(line: str, *, heading: bool = False) -> tuple[Marker | Invalid, str] | None:
    """The marker that a line (without colours) says, and what follows it; None where it says none.

    `heading`: also where `###` is missing, as programs show that render Markdown. Text behind the JSON is not looked
    at: a prompt may stand there.
    """
    text = line.lstrip()
    found = _PREFIX.match(text)
    if found is None or not (heading or text.startswith("#")):
        return None
    if len(text) > TEXT:
        return Invalid(text[:WORDS], f"is longer than {TEXT} characters"), ""
    body = text[found.end() :]
    try:
        value, end = _decoder.raw_decode(body)
    except (ValueError, RecursionError) as why:
        return Invalid(text[:TEXT], f"its JSON cannot be read: {_short(why)}"), ""
    return of(value, text), body[end:]


def of(value: Any, text: str = "") -> Marker | Invalid:
    """A marker from its decoded JSON."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str) or not value["type"]:
        return Invalid(text[:TEXT], 'it lacks "type", such as STATUS or DONE')
    if _depth(value) > DEPTH:
        return Invalid(text[:TEXT], f"it is nested deeper than {DEPTH}")
    try:
        size = len(msgspec.json.encode(value))
    except (UnicodeEncodeError, OverflowError):  # "\\ud800" is JSON, and no text that anybody can keep
        return Invalid(text[:TEXT], "it holds half a character (a lone surrogate)")
    if size > TEXT:
        return Invalid(text[:WORDS], f"is longer than {TEXT} bytes")
    name = value["type"].upper()[:WORDS]
    fields = {key: item for key, item in value.items() if key != "type"}
    if name not in _TYPES:
        words = {key: str(fields[key])[:WORDS] for key in ("stage", "message", "id", "run") if key in fields}
        return Other(type=name, data=fields, **words)
    for alias, field in _ALIASES.get(name, {}).items():
        if alias in fields and field not in fields:
            fields[field] = fields[alias]
    try:
        marker: Marker = msgspec.convert({"type": name, **fields}, Known)
    except msgspec.ValidationError as why:
        return Invalid(text[:TEXT], _short(why))
    if isinstance(marker, Progress) and marker.percent is not None and not math.isfinite(marker.percent):
        return Invalid(text[:TEXT], "its percent is no number")
    if isinstance(marker, Ask) and (len(marker.options) > OPTIONS or max(map(len, marker.options), default=0) > WORDS):
        return Invalid(text[:TEXT], f"it has over {OPTIONS} options, or one of over {WORDS} characters")
    if isinstance(marker, Ask) and len(marker.action_type) > WORDS:
        return Invalid(text[:TEXT], f"its action_type has over {WORDS} characters")
    return marker


def payload(found: Marker | Invalid) -> bytes:
    """What makes two of them the same: the canonical JSON."""
    return msgspec.json.encode(found, order="sorted")


def line(marker: Marker) -> str:
    """The marker as a program prints it."""
    value = msgspec.to_builtins(marker)
    if isinstance(marker, Other):
        value = {"type": marker.type, **marker.data}
    return "### SENTRY " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("\x7f", "\\u007f")


def _short(why: Exception) -> str:
    return str(why)[:200] or type(why).__name__


def _depth(value: Any) -> int:
    deepest, left = 0, [(value, 1)]
    while left:
        one, depth = left.pop()
        deepest = max(deepest, depth)
        if isinstance(one, dict):
            left += [(item, depth + 1) for item in one.values()]
        elif isinstance(one, list):
            left += [(item, depth + 1) for item in one]
    return deepest
