"""Arithmetic of the shell, `((…))` and `$((…))`: which names it reads and sets, and what runs in it.

Owns which text is plainly arithmetic. Must not own values (shell_drafts). bash computes what a name holds once more,
subscripts and the commands in them included: whoever reads a name here has to know that it holds a number.
"""

from __future__ import annotations

import re

from msgspec import Struct

_TOKEN = re.compile(
    r"(?P<blank>[ \t]+)|(?P<number>[0-9]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\$(?P<shown>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\$\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<length>\$\{#[A-Za-z_][A-Za-z0-9_]*\}|\$[#?])|(?P<run>\$\()"
    r"|(?P<steps>\+\+|--)|(?P<sets>(?:<<|>>|[-+*/%&|^])=|=(?!=))|(?P<op>\*\*|<<|>>|&&|\|\||[<>=!]=|[-+*/%<>!&|^~?:,;()])"
)
_STANDS = frozenset(("number", "name", "shown", "braced", "length", "run"))  # for a value


class Sum(Struct, frozen=True):
    """`reads`: names whose values are computed with; `sets`: names that get a number; `runs`: texts of the `$(…)`."""

    reads: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    runs: tuple[str, ...] = ()


def closed(text: str, at: int) -> int:
    """Behind the `))` that closes the `((` at `at`; -1 where these brackets are not closed side by side, as those of
    two subshells, or it is not sure. Quotes may be in its `$(…)`."""
    depth, index = 0, at
    while index < len(text):
        char = text[index]
        if char in "`\\\n" or (char == "#" and text[index - 1] not in "{$"):
            return -1
        if char in "'\"":
            index = text.find(char, index + 1) if depth > 2 else -1
            if index < 0:
                return -1
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 1:
                return index + 2 if text[index + 1 : index + 2] == ")" else -1
        index += 1
    return -1


def read(inner: str, *, loop: bool = False) -> Sum | None:
    """What stands between the brackets; None where it is anything but plain. `loop`: three of them, in a for's head."""
    if inner.count(";") != (2 if loop else 0):
        return None
    reads: set[str] = set()
    sets: set[str] = set()
    runs: list[str] = []
    found: list[tuple[str, str]] = []  # kind and name of each token that is no blank
    at, before = 0, ""
    while at < len(inner):
        token = _TOKEN.match(inner, at)
        if token is None or token.lastgroup is None:
            return None
        kind, end = token.lastgroup, token.end()
        if kind == "run":
            end = _behind(inner, token.end())
            if end < 0:
                return None
            runs.append(inner[token.end() : end - 1])
        if kind in _STANDS and before in _STANDS:
            return None  # two values side by side become another one
        if kind != "blank":
            found.append((kind, token[kind] if kind in ("name", "shown", "braced") else ""))
        before, at = kind, end
    for index, (kind, name) in enumerate(found):
        around = [found[place][0] if 0 <= place < len(found) else "" for place in (index - 1, index + 1)]
        if kind == "name" and ("steps" in around or around[1] == "sets"):
            sets.add(name)
        assigned = kind == "name" and around[1] == "sets" and _is_plain(inner, name)
        if name and not assigned:
            reads.add(name)
    return Sum(frozenset(reads), frozenset(sets), tuple(runs))


def _is_plain(inner: str, name: str) -> bool:
    """Whether the name is only given a value, by `=`."""
    return re.search(rf"\b{name}\s*(?:<<|>>|[-+*/%&|^])=", inner) is None


def _behind(text: str, at: int) -> int:
    """Behind the bracket that closes a `$(` whose text begins at `at`."""
    depth = 1
    while at < len(text):
        char = text[at]
        if char in "'\"":
            at = text.find(char, at + 1)
            if at < 0:
                return -1
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    return -1
