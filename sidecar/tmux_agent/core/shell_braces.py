"""Brace expansion of one word, as far as it is certain (bash(1), Brace Expansion).

Owns which words the braces become and in which order. Must not own quotes (shell_word) nor what follows from a word.
Read are lists (`{a,b}`), sequences of whole numbers and of letters of one case, and both within each other; everything
else with braces in it is not certain.
"""

from __future__ import annotations

import re
from itertools import pairwise

_SEQUENCE = re.compile(
    r"(0|-?[1-9][0-9]{0,5})\.\.(0|-?[1-9][0-9]{0,5})(?:\.\.([1-9][0-9]{0,3}))?|([a-z])\.\.([a-z])|([A-Z])\.\.([A-Z])"
)
_DEPTH = 8
MOST = 500
Marked = tuple[str, str]  # the text, and the same with every quoted character as NUL


class Unsure(ValueError):
    """bash may make something else of these braces."""


def expand(text: str, bare: str) -> list[Marked]:
    """What the braces of a word become, in bash's order. Raises Unsure."""
    if re.search(r"[$`\\]\{", text) or "~" in bare:
        raise Unsure
    return _expand(text, bare, 0)


def _expand(text: str, bare: str, depth: int) -> list[Marked]:
    opened = bare.find("{")
    if opened < 0:
        if "}" in bare:
            raise Unsure
        return [(text, bare)]
    if depth > _DEPTH:
        raise Unsure
    commas, closed = _pair(bare, opened)
    front = (text[:opened], bare[:opened])
    if "}" in front[1]:
        raise Unsure
    inner: list[Marked] = []
    if commas:
        edges = [opened, *commas, closed]
        for start, end in pairwise(edges):
            inner += _expand(text[start + 1 : end], bare[start + 1 : end], depth + 1)
    else:
        inner = [(word, word) for word in _sequence(bare[opened + 1 : closed])]
    rest = _expand(text[closed + 1 :], bare[closed + 1 :], depth + 1)
    if len(inner) * len(rest) > MOST:
        raise Unsure
    found = [(front[0] + a[0] + b[0], front[1] + a[1] + b[1]) for a in inner for b in rest]
    if depth == 0 and any(not word for word, _ in found):
        raise Unsure  # empty words vanish, unless there were quotes
    return found


def _pair(bare: str, opened: int) -> tuple[list[int], int]:
    """The commas that belong to the brace at `opened`, and where it is closed."""
    depth = 0
    commas: list[int] = []
    for at in range(opened, len(bare)):
        char = bare[at]
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return commas, at
        elif char == "," and depth == 1:
            commas.append(at)
    raise Unsure


def _sequence(inner: str) -> list[str]:
    found = _SEQUENCE.fullmatch(inner)
    if found is None:
        raise Unsure
    if found[1] is not None:
        first, last, step = int(found[1]), int(found[2]), int(found[3] or 1)
    else:
        first, last, step = ord(found[4] or found[6]), ord(found[5] or found[7]), 1
    if abs(last - first) // step >= MOST:
        raise Unsure
    codes = range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
    return [str(code) if found[1] is not None else chr(code) for code in codes]
