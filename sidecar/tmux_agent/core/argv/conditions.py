"""What test(1), `[` and bash's `[[` do with words that only running will tell.

Owns where such words stand as mere text, so that whatever they are nothing else is tested. Must not own the words that
are known (operands.py). Source: POSIX test, bash(1) CONDITIONAL EXPRESSIONS.
"""

from __future__ import annotations

from collections.abc import Sequence

from .options import Arg, Fed

_COMPARED = frozenset(("=", "==", "!=", "-eq", "-ne", "-lt", "-le", "-gt", "-ge"))
_TEXT = frozenset(("-n", "-z"))
_FILES = frozenset(f"-{letter}" for letter in "abcdefghkprstuwxGLNOS")
_STANDS_FOR = "text"


def known(program: str, words: Sequence[Arg]) -> list[Arg] | None:
    """The words without those that are compared as text; file names that others print stay. None where an unknown word
    could be taken for an operator, or is looked up. With at most four words test(1) goes by their number alone."""
    inner = list(words[:-1]) if words and words[-1] in ("]", "]]") else list(words)
    if not any(isinstance(word, Fed) for word in inner):
        return list(words)
    clauses: list[list[Arg]] = [[]]
    for word in inner:
        if program == "[[" and word in ("&&", "||"):
            clauses.append([])
        else:
            clauses[-1].append(word)
    found: list[Arg] = []
    for clause in clauses:
        settled = _clause(clause)
        if settled is None:
            return None
        found += settled
    return found


def _clause(words: list[Arg]) -> list[Arg] | None:
    if words[:1] == ["!"] and len(words) > 1:
        words = words[1:]
    if any(isinstance(word, Fed) and not word.single for word in words):
        return None
    if len(words) == 1:
        return [_STANDS_FOR]  # whatever it is: whether there is any text
    if len(words) == 2 and words[0] in _TEXT:
        return [_STANDS_FOR]
    if len(words) == 2 and words[0] in _FILES:
        return words
    if len(words) == 3 and words[1] in _COMPARED | {"=~"}:
        return [_STANDS_FOR if isinstance(word, Fed) else word for word in words]
    return None if any(isinstance(word, Fed) for word in words) else words
