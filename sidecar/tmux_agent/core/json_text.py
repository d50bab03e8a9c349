"""JSON text edited in place: only what is meant to change changes, every other byte stays.

Owns finding values in the text and putting in or taking out members and elements, in the text's own indentation. Pure.
Must not own: what is put in, files. Paths are tuples of member names and element numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

Path = tuple[str | int, ...]
_SPACE = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder().raw_decode


class Item(NamedTuple):
    """A member or element: its name or number, and where it (with its name), its value, and what follows begin."""

    name: str | int
    start: int
    value: int
    end: int


def read(text: str) -> Any:
    """The value of `text`. Raises ValueError naming line and column, or the member that is there twice."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as why:
        raise ValueError(f"{why.msg} at line {why.lineno}, column {why.colno}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the member {next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


def items(text: str, at: int) -> Iterator[Item]:
    """What the object or array that begins at `at` holds."""
    named = text[at] == "{"
    at = _skip(text, at + 1)
    number = 0
    while text[at] not in "}]":
        start, name = at, number
        if named:
            name, at = _decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        end = _decode(text, at)[1]
        yield Item(name, start, at, end)
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
        number += 1


def find(text: str, path: Path) -> int:
    """Where the value at `path` begins. Raises LookupError where there is none."""
    at = _skip(text, 0)
    for name in path:
        found = next((item for item in items(text, at) if item.name == name), None) if text[at] in "{[" else None
        if found is None:
            raise LookupError(path)
        at = found.value
    return at


def put(text: str, path: Path, value: Any, indent: str) -> str:
    """`text` with one more member or element at the end of the object or array at `path[:-1]`.

    `path[-1]` is the member's name; for an array it is not looked at. `indent`: of one level, see `indentation`. Raises
    LookupError where there is no such object or array.
    """
    parent = path[:-1]
    at = find(text, parent)
    depth = len(path)
    shown = json.dumps(value, indent=indent, ensure_ascii=False).replace("\n", "\n" + indent * depth)
    new = f"{json.dumps(path[-1], ensure_ascii=False)}: {shown}" if text[at] == "{" else shown
    held = list(items(text, at))
    if held:
        last = held[-1].end
        return f"{text[:last]},\n{indent * depth}{new}{text[last:]}"
    close = _skip(text, at + 1)
    return f"{text[: at + 1]}\n{indent * depth}{new}\n{indent * (depth - 1)}{text[close:]}"


def cut(text: str, path: Path) -> str:
    """`text` without the member or element at `path`; the object or array that held it alone becomes `{}` or `[]`."""
    at = find(text, path[:-1])
    held = list(items(text, at))
    index = next((number for number, item in enumerate(held) if item.name == path[-1]), None)
    if index is None:
        raise LookupError(path)
    if len(held) == 1:
        return text[: at + 1] + text[_skip(text, held[0].end) :]
    if index:
        return text[: held[index - 1].end] + text[held[index].end :]
    return text[: held[0].start] + text[held[1].start :]


def indentation(text: str) -> str:
    """What one level is indented by: as the first indented line has it, else two spaces."""
    found = re.search(r"\n([ \t]+)\S", text)
    return found[1] if found else "  "


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
