"""The inside of `[[ … ]]` (bash(1), CONDITIONAL EXPRESSIONS): which words are tested, where that is certain.

Owns the forms that are read. Must not own what may be tested (argv/conditions.py). Not read are numbers that are
compared but are none (bash computes those, and runs what is in their subscripts), -v, groups, and words that look like
operators.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from .shell_lex import Token
from .shell_numbers import is_count
from .shell_parts import Value, Word
from .shell_word import IN_BRACKETS

FILE_TESTS = frozenset({f"-{letter}" for letter in "abcdefghkprstuwxGLNOS"})
TEXT_TESTS = frozenset({"-n", "-z"})
COMPARED = frozenset({"=", "==", "!=", "=~"})
FILES_COMPARED = frozenset({"-nt", "-ot", "-ef"})
NUMBERS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})
_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]{0,15})")
_COUNTS = re.compile(r"\$[?#]|\$\{[?#]\}|\"\$[?#]\"")


def words(tokens: Sequence[Token], source: str, known: Mapping[str, Value]) -> list[Word] | None:
    """The words in between, operators among them; None where they can mean something else."""
    found: list[Word] = []
    clauses = list(_clauses(tokens))
    for index, (clause, behind) in enumerate(clauses):
        tested = _clause(clause, source, known)
        if tested is None or (behind == "") != (index == len(clauses) - 1):
            return None
        found += [*tested, Word(behind, behind)] if behind else tested
    return found


def _clauses(tokens: Sequence[Token]) -> Iterator[tuple[list[Token], str]]:
    clause: list[Token] = []
    for token in tokens:
        if token.kind == "op" and token.text in {"&&", "||"}:
            yield clause, token.text
            clause = []
        else:
            clause.append(token)
    yield clause, ""


def _clause(tokens: list[Token], source: str, known: Mapping[str, Value]) -> list[Word] | None:
    """One test: a word, an operator and a word, or two words with an operator between; `!` in front."""
    before: list[Word] = []
    while len(tokens) > 1 and source[tokens[0].start : tokens[0].end] == "!":
        before.append(Word("!", "!"))
        tokens = tokens[1:]
    if not tokens or any(token.kind != "word" for token in tokens):
        return None
    texts = [source[token.start : token.end] for token in tokens]
    if len(tokens) == 2 and texts[0] in FILE_TESTS | TEXT_TESTS:
        tested = _tested(tokens[1], source, known)
        return None if tested is None else [*before, Word(texts[0], texts[0]), tested]
    if len(tokens) != 3 or texts[1] not in COMPARED | NUMBERS | FILES_COMPARED:
        return None
    left, right = _tested(tokens[0], source, known), _tested(tokens[2], source, known, pattern=texts[1] in COMPARED)
    if left is None or right is None:
        return None
    if texts[1] in NUMBERS and not (_is_number(left) and _is_number(right)):
        return None
    return [*before, left, Word(texts[1], texts[1]), right]


def _tested(token: Token, source: str, known: Mapping[str, Value], *, pattern: bool = False) -> Word | None:
    """A word that is tested. Neither braces nor patterns become other words there, nor does anything fall apart."""
    word = token.word(source, known)
    if pattern and word.why == IN_BRACKETS:
        return Word(word.source, word.source)  # which of its characters are quoted only tells what it fits
    if word.kind == "opaque" or word.tilde or word.text in ("!", "(", ")", "<", ">", "&&", "||"):
        return None
    if word.kind == "glob":
        return Word(word.source, word.source) if pattern else None
    if word.kind == "literal" and (word.text.startswith("-") or word.text in COMPARED):
        return None
    return whole(word)


def whole(word: Word) -> Word:
    """A word where nothing falls apart."""
    return msgspec.structs.replace(word, splits=False) if word.splits else word


def _is_number(word: Word) -> bool:
    if word.hole is not None:
        return is_count(word.hole) and word.around == ("", "")
    return _NUMBER.fullmatch(word.text) is not None or _COUNTS.fullmatch(word.source) is not None
