"""The text of a git configuration file as (key, value) pairs. Pure.

Owns git's own syntax (git-config(1), "Syntax"). What is not plainly in it makes the whole file unreadable, which its
reader takes for the worst.
"""

from __future__ import annotations

import re

from msgspec import Struct

_SECTION = re.compile(r'\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\\n]|\\.)*)")?\s*\]')
_ESCAPED = re.compile(r"\\(?=.)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


class Settings(Struct, frozen=True):
    """Keys in lower case as section.name or section.subsection.name; a name without a value has the value "true"."""

    pairs: tuple[tuple[str, str], ...]

    def last(self, key: str) -> str | None:
        """The value that counts, as git takes the last one."""
        return next((value for name, value in reversed(self.pairs) if name == key), None)


def parse(data: bytes) -> Settings | None:
    """None where git might read something else than we do."""
    if b"\0" in data:
        return None
    text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff").replace("\r\n", "\n")
    pairs: list[tuple[str, str]] = []
    section, at = "", 0
    while at < len(text):
        char = text[at]
        if char in " \t\n\r":
            at += 1
        elif char in "#;":
            at = (text.find("\n", at) + 1) or len(text)
        elif char == "[":
            found = _SECTION.match(text, at)
            if not found:
                return None
            section = found[1] if found[2] is None else f"{found[1]}.{_ESCAPED.sub('', found[2])}"
            at = found.end()
        else:
            name = _NAME.match(text, at)
            if not name or not section:
                return None
            read = _value(text, name.end())
            if read is None:
                return None
            at, value = read
            pairs.append((f"{section}.{name[0]}".lower(), value))
    return Settings(tuple(pairs))


def _value(text: str, at: int) -> tuple[int, str] | None:
    """(position behind the line, value) of what follows a name."""
    while at < len(text) and text[at] in " \t":
        at += 1
    if at >= len(text) or text[at] == "\n" or text[at] in "#;":
        return (text.find("\n", at) + 1) or len(text), "true"
    if text[at] != "=":
        return None
    at += 1
    out: list[str] = []
    quoted = False
    while at < len(text) and (quoted or text[at] != "\n"):
        char = text[at]
        if char == "\\":
            follower = text[at + 1 : at + 2]
            if follower not in ("n", "t", "b", "\\", '"', "\n"):
                return None
            out.append({"n": "\n", "t": "\t", "b": "\b", "\n": ""}.get(follower, follower))
            at += 2
            continue
        if char == '"':
            quoted = not quoted
        elif char in "#;" and not quoted:
            at = text.find("\n", at)
            at = len(text) if at < 0 else at
            break
        elif char == "\n":
            return None
        else:
            out.append(char)
        at += 1
    return None if quoted else (at + 1, "".join(out).strip())
