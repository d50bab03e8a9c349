"""Regular expressions that files give: in RE2, whose time grows linearly with the text, whatever the pattern.

Owns RE2 (imported here and nowhere else), its bounds, and what a wrong pattern is told. Must not own: what is looked
for. What RE2 does not know (look-around, back-references) is an error of the file that uses it.
"""

from __future__ import annotations

import functools

import re2  # type: ignore[import-untyped]
from msgspec import Struct

LENGTH = 2000  # characters of a pattern
MEMORY = 8 << 20  # bytes that one pattern's automaton may take


class Pattern:
    """Made by `pattern`. `groups` are the names of its groups."""

    __slots__ = ("_found", "groups", "text")

    def __init__(self, text: str) -> None:
        options = re2.Options()
        options.log_errors = False  # else it writes to standard error
        options.max_mem = MEMORY
        self.text = text
        self._found = re2.compile(text, options)
        self.groups: tuple[str, ...] = tuple(self._found.groupindex)

    def search(self, text: str) -> Match | None:
        """The first place where it fits."""
        found = self._found.search(_valid(text))
        return None if found is None else Match(found.group(0), found.groupdict(default=""))

    def fits(self, text: str) -> bool:
        """Whether it fits anywhere."""
        return self._found.search(_valid(text)) is not None


class Match(Struct, frozen=True):
    """`text` is what fits, `groups` its named groups ("" for one that has no part in it)."""

    text: str
    groups: dict[str, str]


@functools.lru_cache(maxsize=1024)
def pattern(text: str) -> Pattern:
    """The pattern that `text` is. Raises ValueError saying what is wrong with it."""
    if len(text) > LENGTH:
        raise ValueError(f"a pattern of {len(text)} characters is too long (at most {LENGTH})")
    try:
        return Pattern(_valid(text))
    except re2.error as why:
        said = b" ".join(part for part in why.args if isinstance(part, bytes)).decode(errors="replace") or str(why)
        hint = ": look-around and back-references are not known to this engine (RE2)" if "(?" in said else ""
        raise ValueError(f"{text!r} is no pattern: {said}{hint}") from None


def _valid(text: str) -> str:
    """Without lone surrogates, which UTF-8 cannot hold."""
    return text if text.isascii() else text.encode(errors="replace").decode()
