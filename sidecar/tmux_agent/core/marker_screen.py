"""Markers on a screen: of programs that draw (agents' own screens, full-screen programs), from captured lines.

Owns finding them among rendered lines, putting together what a program has wrapped, and telling which of them are new
since the last look. Pure. What a person typed, as a screen quotes it, is no marker. Must not own: capturing
(services/tmux/watch.py), raw output (marker_stream.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from . import markers
from .marker_stream import Found

WRAPPED = 40  # lines that one marker may be wrapped into
_SAID = re.compile(r"[ \t]*(?:[⏺●•◦✦∙·*-][ \t]+)?`?")  # what agents put in front of what they say
_HEAD = re.compile(r"(?:###[ \t]+)?SENTRY[ \t]*")
_QUOTES = re.compile(r"[ \t]*[│┃▌|]?[ \t]*(?:[>❯›»]|[$%#][ \t])(?!##)")  # in front of what a person typed


def find(lines: Sequence[str]) -> list[Found]:
    """The markers on these lines (as capture-pane -J gives them), in order."""
    found: list[Found] = []
    quoted = False
    at = 0
    while at < len(lines):
        line = lines[at]
        quoted = _quoted(line, quoted)
        text = line[_SAID.match(line).end() :]  # type: ignore[union-attr]  # the pattern matches always
        at += 1
        if _HEAD.fullmatch(text) and at < len(lines) and lines[at].lstrip().startswith("{"):
            line = lines[at]  # its JSON, one long word, was wrapped as a whole
            text = f"{text.strip()} {line.strip()}"
            at += 1
        if quoted or not markers.begins(text):
            continue
        said, used = _whole(text, line.rstrip(), lines[at : at + WRAPPED])
        at += used
        if said is not None:
            found.append(Found(said, text.strip()[: markers.TEXT], 0.8 if text.startswith("#") else 0.7))
    return found


def typed(text: str) -> str:
    """What is wrong with a text that is to be typed, and would count as a marker by its echo; "" for nothing."""
    for found in find(text.splitlines()):
        if not isinstance(found.marker, markers.Invalid):
            return (
                f"has a line which is a marker, {found.text[:60]!r}: it would count as soon as it is typed. Put words"
                " before it in its line"
            )
    return ""


def _quoted(line: str, before: bool) -> bool:
    """Whether a person typed it: it follows a prompt, or goes on, indented, below such a line."""
    if _QUOTES.match(line):
        return True
    return before and line.startswith("  ") and bool(line.strip())


def _whole(text: str, last: str, below: Sequence[str]) -> tuple[markers.Marker | markers.Invalid | None, int]:
    """The marker that begins in `text`, whose line is `last`, with as many lines below as its JSON takes."""
    said = markers.read(text, heading=True)
    if said is None:
        return None, 0
    first = said[0]
    width = max([len(last), *(len(line.rstrip()) for line in below[:3])])
    for used, line in enumerate(below, start=1):
        if not isinstance(said[0], markers.Invalid):
            return said[0], used - 1
        if not line.strip() or markers.begins(line.lstrip()) or len(text) > markers.TEXT:
            break
        text = text.rstrip() + _joint(last, width) + line.strip()
        last = line.rstrip()
        said = markers.read(text, heading=True) or said
    if not isinstance(said[0], markers.Invalid):
        return said[0], min(len(below), WRAPPED)
    return first, 0


def _joint(line: str, width: int) -> str:
    """What a program took out where it wrapped: a blank between words, nothing inside a word too long for a line."""
    word = len(line) - line.rfind(" ") - 1
    return "" if len(line) >= width and word > width // 2 else " "


def new(before: Sequence[bytes], now: Sequence[Found]) -> list[Found]:
    """Those of `now` that were not there at the last look (`before`: their payloads then, in order)."""
    names = [markers.payload(one.marker) for one in now]
    for shared in range(min(len(before), len(names)), 0, -1):
        if list(before[-shared:]) == names[:shared]:
            return list(now[shared:])
    # Drawn in another order, or partly hidden: each as often as it is there more often than before.
    left = Counter(before)
    found = []
    for one, name in zip(now, names, strict=True):
        if left[name] > 0:
            left[name] -= 1
        else:
            found.append(one)
    return found
