"""`.env` files: text to names and values. A well-defined part of what shells and other readers of such files take.

    # a comment            NAME=plain words    # a comment after a blank
    export NAME=value      NAME='as it is'     NAME="with \\n, \\t, \\\", \\\\ and \\$"

Quoted values may run over several lines. Nothing is expanded: `$X`, `` `x` `` and `$(x)` are taken as they are written.
A name that is there twice has its last value, as in a shell. Must not own: files.
"""

from __future__ import annotations

import re

_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=")
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_PLAIN = re.compile(r"[^\n]*+")
_COMMENT = re.compile(r"(?<=[ \t])#")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\n": ""}


def parse(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Every value by its name, and a sentence ("line 3 …") for each line that cannot be read: it is left out."""
    found: dict[str, str] = {}
    wrong: list[str] = []
    text = text.replace("\r\n", "\n")
    at, line = 0, 1
    while at < len(text):
        end, name, value, why = _entry(text, at)
        if why:
            wrong.append(f"line {line} {why}")
            end = (text.find("\n", at) + 1) or len(text)
        elif name:
            found[name] = value
        line += text.count("\n", at, end)
        at = end
    return found, tuple(wrong)


def _entry(text: str, at: int) -> tuple[int, str, str, str]:
    """One line (or several, in quotes) from `at`: where the next begins, name, value, and what is wrong with it."""
    if blank := _BLANK.match(text, at):
        return blank.end(), "", "", ""
    head = _LINE.match(text, at)
    if head is None:
        return at, "", "", "is not NAME=value"
    plain = _PLAIN.match(text, head.end())
    assert plain is not None  # it may be empty
    words = plain[0].lstrip(" \t")
    at = plain.end() - len(words)
    if not words.startswith(("'", '"')):
        comment = _COMMENT.search(plain[0])
        return plain.end() + 1, head[1], plain[0][: comment.start() if comment else None].strip(" \t"), ""
    quoted = (_SINGLE if words[0] == "'" else _DOUBLE).match(text, at)
    if quoted is None:
        return at, "", "", f"has a quote that is not closed ({head[1]})"
    rest = _BLANK.match(text, quoted.end())
    if rest is None:
        return at, "", "", f"goes on after the closing quote ({head[1]})"
    return rest.end(), head[1], quoted[1] if words[0] == "'" else _ESCAPE.sub(_unescaped, quoted[1]), ""


def _unescaped(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[1], found[1] if found[1] in '"\\$`' else found[0])
