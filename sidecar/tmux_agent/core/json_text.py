"""JSON text edited in place: only what is meant to change changes, every other byte stays, comments too.

Owns finding values in the text and putting in or taking out members and elements, in the text's own indentation. Pure.
Must not own: what is put in, files. Paths are tuples of member names and element numbers. Comments and commas before a
closing bracket are read over; whose file must not have them is told by `refuse`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

Path = tuple[str | int, ...]
Beyond = Literal["", "comments", "comments and commas"]  # JSON, what a program takes in its settings
_SPACE = re.compile(r"[ \t\r\n]*")
_TEXT = r'"(?:[^"\\\n]|\\.)*"'
_COMMENT = re.compile(rf"{_TEXT}|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_COMMA = re.compile(rf"{_TEXT}|,(?=[ \t\r\n]*[}}\]])", re.DOTALL)
_NOTES = re.compile(r"(?:[ \t]*(?:/\*(?:(?!\*/)[^\r\n])*\*/|//[^\r\n]*))+")
_DRAWN = re.compile(r"[^\r\n]")
_decode = json.JSONDecoder().raw_decode


class Item(NamedTuple):
    """A member or element: its name or number, and where it (with its name), its value, and what follows begin."""

    name: str | int
    start: int
    value: int
    end: int


def read(text: str) -> Any:
    """The value of `text`. Raises ValueError naming line and column, or the member that is there twice."""
    return _loads(_bare(text))


def refuse(text: str, beyond: Beyond) -> None:
    """Raises ValueError as `read` where `text` has what is no JSON, but for what stands in `beyond`."""
    _loads(_bare(text, beyond))


def _loads(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as why:
        raise ValueError(f"{why.msg} at line {why.lineno}, column {why.colno}") from None


def _bare(text: str, beyond: Beyond = "comments and commas") -> str:
    """`text` with blanks in place of comments and commas too many: all else stands where it stood."""
    if beyond:
        text = _COMMENT.sub(lambda found: found[0] if found[0][0] == '"' else _DRAWN.sub(" ", found[0]), text)
    if "commas" in beyond:
        text = _COMMA.sub(lambda found: found[0] if found[0][0] == '"' else " ", text)
    return text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the member {next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


def _items(bare: str, at: int) -> Iterator[Item]:
    """What the object or array that begins at `at` holds."""
    named = bare[at] == "{"
    at = _skip(bare, at + 1)
    number = 0
    while bare[at] not in "}]":
        start, name = at, number
        if named:
            name, at = _decode(bare, at)
            at = _skip(bare, _skip(bare, at) + 1)
        end = _decode(bare, at)[1]
        yield Item(name, start, at, end)
        at = _skip(bare, end)
        at = _skip(bare, at + 1) if bare[at] == "," else at
        number += 1


def _find(bare: str, path: Path) -> int:
    """Where the value at `path` begins. Raises LookupError where there is none."""
    at = _skip(bare, 0)
    for name in path:
        found = next((item for item in _items(bare, at) if item.name == name), None) if bare[at] in "{[" else None
        if found is None:
            raise LookupError(path)
        at = found.value
    return at


def put(text: str, path: Path, value: Any, indent: str) -> str:
    """`text` with one more member or element at the end of the object or array at `path[:-1]`.

    `path[-1]` is the member's name; for an array it is not looked at. `indent`: of one level, see `indentation`. A
    comment stays behind what it stands behind. Raises LookupError where there is no such object or array.
    """
    bare = _bare(text)
    at = _find(bare, path[:-1])
    depth = len(path)
    shown = json.dumps(value, indent=indent, ensure_ascii=False).replace("\n", "\n" + indent * depth)
    new = f"{json.dumps(path[-1], ensure_ascii=False)}: {shown}" if bare[at] == "{" else shown
    held = list(_items(bare, at))
    if held:
        last = held[-1].end
        behind, comma = _behind(text, last, _skip(bare, last))
        first, more = ("", ",") if comma else (",", "")
        return f"{text[:last]}{first}{text[last:behind]}\n{indent * depth}{new}{more}{text[behind:]}"
    close = _skip(bare, at + 1)
    if inside := text[at + 1 : close].rstrip():
        behind = at + 1 + len(inside)
        return f"{text[:behind]}\n{indent * depth}{new}{text[behind:]}"
    return f"{text[: at + 1]}\n{indent * depth}{new}\n{indent * (depth - 1)}{text[close:]}"


def cut(text: str, path: Path) -> str:
    """`text` without the member or element at `path`; the object or array that held it alone becomes `{}` or `[]`.

    Comments stay where they are, and what `put` has put in leaves the text as it was. Raises LookupError.
    """
    bare = _bare(text)
    at = _find(bare, path[:-1])
    held = list(_items(bare, at))
    index = next((number for number, item in enumerate(held) if item.name == path[-1]), None)
    if index is None:
        raise LookupError(path)
    start, end = held[index].start, held[index].end
    before = held[index - 1].end if index else at + 1
    close = _skip(bare, end)
    comma = _comma(text, end, held[index + 1].start if index + 1 < len(held) else close)
    if not index and len(held) > 1:
        return text[:start] + text[_skip(text, comma + 1) :]
    alone = len(held) == 1
    if alone and not _written(text[before:start] + text[end:close]):
        return text[:before] + text[close:]
    blank = before + len(text[before:start].rstrip())  # behind a comment, or a comma
    if comma >= 0:
        return text[:blank] + text[end:comma] + text[comma + 1 :]
    if alone:
        return text[:blank] + text[end:]
    former = _comma(text, before, start)
    return text[:former] + (text[former + 1 : blank] if _written(text[before:start]) else "") + text[end:]


def _written(between: str) -> bool:
    """Whether anything but commas and blanks stands there: a comment."""
    return bool(between.strip(", \t\r\n"))


def _comma(text: str, start: int, end: int) -> int:
    """Where the comma between two places is that hold nothing else but blanks and comments; -1: nowhere."""
    return _bare(text, "comments").find(",", start, end)


def _behind(text: str, last: int, close: int) -> tuple[int, bool]:
    """The end of the comments in the line where the last value ends, and whether a comma follows it."""
    comma = _comma(text, last, close)
    start = comma + 1 if comma >= 0 else last
    found = _NOTES.match(text, start)
    return found.end() if found else start, comma >= 0


def indentation(text: str) -> str:
    """What one level is indented by: as the first indented line has it, else two spaces."""
    found = re.search(r"\n([ \t]+)\S", _bare(text))
    return found[1] if found else "  "


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
