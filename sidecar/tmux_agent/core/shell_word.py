"""One shell word while it is being read: which characters were quoted, and what that makes of it.

Owns the rules that bash applies to a finished word: quote removal, tilde, braces, globs. Must not own where words
begin and end (shell_lex).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace

from msgspec.structs import replace as replace_

from . import shell_braces
from .shell_arith import Sum
from .shell_numbers import NUMBER, is_count, is_number
from .shell_parts import Given, Piece, Run, Source, Value, Word

_GLOB_ESCAPED = frozenset("*?[]\\")
ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=")
_ENDING = re.compile(r"%\.([a-z]+)")
_NAMES = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAMED = re.compile(r"[A-Za-z_]")
_INNER_TILDE = re.compile(r"[=:]~")
# Values that stay one word although they are not quoted.
_WHOLE = re.compile(r"[A-Za-z0-9_./:@%+,-]+")
_SPECIAL = re.compile(r"[*?\[~{]")
IN_BRACKETS = "quotes inside a pattern in brackets"
_SPREADS = re.compile(r"[*?\[]|^~")
# Characters that the shell itself uses inside words (CTLESC, CTLNUL), and bytes that are no text.
_UNSAFE_ANYWHERE = re.compile("[\x00\x01\x7f\ud800-\udfff]")
_UNSAFE_BARE = re.compile("[\x00-\x08\x0b-\x1f\x7f]|[^\x00-\x7f]")


@dataclass(slots=True, frozen=True)
class Hole:
    """An expansion in a word. `at`: which piece. It is a variable (`name`; `exact`: nothing but its value) or a
    substitution (`run`). `shown`: what comes there holds no secret, as far as the text itself goes."""

    at: int
    why: str
    quoted: bool
    shown: bool = False
    name: str = ""
    exact: bool = False
    run: Run | None = None
    source: Source | None = None
    computed: Sum | None = None  # it is arithmetic
    runs: tuple[Run, ...] = ()  # of the arithmetic
    cut: tuple[str, str] | None = None  # `%` and the like, and the pattern

    @property
    def splits(self) -> bool:
        return not self.quoted and (self.run is not None or self.source is not None or self.name != "")


class WordDraft:
    """Collects a word's characters. `bare` is the text with every quoted character as NUL, so both stay aligned."""

    length = 0
    why = ""
    pipe: Run | None = None  # the text of a process substitution that the word is
    continued = False  # a backslash-newline was inside
    arith: Sum | None = None  # it is a `((…))`

    def __init__(self, start: int) -> None:
        self.start = start
        self._text: list[str] = []
        self._bare: list[str] = []
        self.quotes: list[int] = []  # positions in the text at which something was quoted, if only nothing
        self.holes: list[Hole] = []

    def add(self, text: str) -> None:
        """Characters that stand unquoted."""
        if _UNSAFE_BARE.search(text):
            self._check_bare(text)
        self._text.append(text)
        self._bare.append(text)
        self.length += len(text)

    def add_quoted(self, text: str) -> None:
        """Characters that stand in quotes or behind a backslash; may be none."""
        if _UNSAFE_ANYWHERE.search(text):
            self.doubt("a character that is no text")
        self.quotes.append(self.length)
        self._text.append(text)
        self._bare.append("\0" * len(text))
        self.length += len(text)

    def doubt(self, why: str) -> None:
        """The word is opaque; the first reason is kept."""
        self.why = self.why or why
        self._nothing()

    def expands(
        self,
        why: str,
        *,
        quoted: bool,
        shown: bool = False,
        name: str = "",
        exact: bool = False,
        cut: tuple[str, str] | None = None,
    ) -> None:
        """A variable comes here, or what is made of it. `cut`: what is left of it without a beginning or an end."""
        self.holes.append(Hole(len(self._text), why, quoted, shown, name, exact, cut=cut))
        self._nothing()

    def substitutes(self, why: str, text: str, *, quoted: bool) -> None:
        """What a text prints comes here."""
        self.holes.append(Hole(len(self._text), why, quoted, shown=True, run=Run(text)))
        self._nothing()

    def computes(self, why: str, found: Sum | None, *, quoted: bool) -> None:
        """The result of arithmetic comes here. None: of what nobody knows."""
        if found is None:
            self.doubt(why)
            return
        hole = Hole(len(self._text), why, quoted, computed=found, runs=tuple(map(Run, found.runs)))
        self.holes.append(_computed(hole, {}))
        self._nothing()

    def _nothing(self) -> None:
        self._text.append("\0")  # stands for what nobody knows, so that the rest is not taken for the whole
        self._bare.append("\0")
        self.length += 1

    def resolved(self, known: Mapping[str, Value]) -> WordDraft:
        """The word with what is known of the variables in it."""
        if not (self.holes or self.pipe) or not known:
            return self
        draft = WordDraft(self.start)
        draft._text, draft._bare, draft.quotes = list(self._text), list(self._bare), list(self.quotes)
        draft.why, draft.continued = self.why, self.continued
        draft.arith = self.arith
        draft.pipe = self.pipe and Run(self.pipe.text, seen(self.pipe.text, known))
        match = self.assigned()
        marked = [*self.quotes, match.end() if match else 0]  # what comes in place of a variable is as if quoted
        for hole in self.holes:
            value = known.get(hole.name)
            if isinstance(value, str) and hole.cut is not None:
                value, hole = without(value, *hole.cut), replace(hole, exact=True)
            if isinstance(value, Source) and hole.cut is not None and (end := _ENDING.fullmatch("".join(hole.cut))):
                cut = f"{value.text} | sed 's/\\.{end[1]}$//'"  # does the same to each line
                value, hole = replace_(value, text=cut, number=False, sure=False), replace(hole, exact=True)
            if isinstance(value, str) and hole.exact and (hole.quoted or _WHOLE.fullmatch(value)):
                draft._text[hole.at], draft._bare[hole.at], draft.quotes = value, "\0" * len(value), marked
            elif hole.name in known:
                source = value if hole.exact and isinstance(value, Source) else None
                draft.holes.append(replace(hole, shown=True, source=source))
            elif hole.computed is not None:
                draft.holes.append(_computed(hole, known))
            elif hole.run is not None:
                draft.holes.append(replace(hole, run=Run(hole.run.text, seen(hole.run.text, known))))
            else:
                draft.holes.append(hole)
        return draft

    def _check_bare(self, text: str) -> None:
        for char in text:
            if char < " " or char == "\x7f" or unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}:
                self.doubt(f"an invisible or control character (U+{ord(char):04X})")
                return

    @property
    def plain(self) -> str:
        return "".join(self._text)

    @property
    def bare(self) -> str:
        return "".join(self._bare)

    def assigned(self) -> re.Match[str] | None:
        """The unquoted NAME= or NAME+= that the word begins with (groups: name, plus)."""
        match = ASSIGNED.match(self.bare)
        return None if match is None or any(at < match.end() for at in self.quotes) else match

    def keyword(self) -> str:
        """The word if no character of it is quoted, else "": only such a word can be a reserved word."""
        return "" if self.quotes or self.why or self.holes else "".join(self._text)

    def words(self, source: str) -> list[Word]:
        """What the word becomes among those of a command: several where it has braces that are certain."""
        text, bare = "".join(self._text), self.bare
        if not (self.why or self.holes or self.pipe or _SPECIAL.search(bare)):
            return [Word(text, source)]
        if self.why or self.holes or "{" not in bare or "}" not in bare or not self._expansion(text, bare, 0):
            return [self.finish(source)]
        if _NAMED.match(bare) and "=" in bare.partition("{")[0]:
            return [self.finish(source)]  # bash leaves braces in assignments alone
        try:
            marked = shell_braces.expand(text, bare)
        except shell_braces.Unsure:
            return [self.finish(source)]
        found = []
        for piece, plain in marked:
            draft = WordDraft(self.start)
            draft._text, draft._bare = [piece], [plain]
            found.append(draft.finish(source))
        return found

    def finish(self, source: str, skip: int = 0) -> Word:
        """The word, or what follows its first `skip` characters (the value of an assignment)."""
        text, bare = "".join(self._text), "".join(self._bare)
        why = self.why
        if self.holes and not why:
            return self._varying(source, text[skip:], bare[skip:])
        if self.pipe is not None and not skip and text == "\0" and not self.quotes:
            return Word("/dev/fd/0", source, runs=(self.pipe,))
        if not why and not _SPECIAL.search(bare):
            return Word(text[skip:], source)
        why = why or self._expansion(text, bare, skip)
        text, bare = text[skip:], bare[skip:]
        if why:
            return Word(source, source, "opaque", why)
        tilde = bare.startswith("~")
        if tilde:
            prefix = (bare + "/").index("/")
            if any(skip <= at <= skip + prefix for at in self.quotes):
                return Word(source, source, "opaque", "a ~ with quotes in it")
        if skip or not _is_glob(bare):
            return Word(text, source, tilde=tilde)
        if "[" in bare and any(b == "\0" and t in "!^-:.=" for t, b in zip(text, bare, strict=True)):
            return Word(source, source, "opaque", IN_BRACKETS)
        return Word(_pattern(text, bare), source, "glob", tilde=tilde)

    def _varying(self, source: str, text: str, bare: str) -> Word:
        """A word with expansions in it: how far it is known."""
        hidden = next((hole for hole in self.holes if not hole.shown), None)
        if hidden is not None or _SPREADS.search(bare) or self._expansion(text, bare, 0):
            return Word(source, source, "opaque", (hidden or self.holes[0]).why)
        runs = tuple(run for hole in self.holes for run in ((hole.run,) if hole.run is not None else hole.runs))
        texts = text.split("\0")
        told = [_told(hole) for hole in self.holes]
        splits = any(hole.splits and not (one and is_count(one)) for hole, one in zip(self.holes, told, strict=True))
        pieces: list[Piece] = [texts[0]]
        for one, behind in zip(told, texts[1:], strict=True):
            pieces += [one and replace_(one, globbed=one.globbed or splits), behind]
        certain = any(texts) or self.quotes or any(one and one.sure for one in told)
        return Word(source, source, "varying", self.holes[0].why, False, runs, splits, tuple(pieces), not certain)

    @staticmethod
    def _expansion(text: str, bare: str, skip: int) -> str:
        if not skip and "{" in bare and "}" in bare:
            inside = text[bare.index("{") : bare.rindex("}") + 1]
            if "," in inside or ".." in inside:
                return "brace expansion"
        # In name=~ and name[1]=a:~ the ~ expands, in arguments too; in --name=~ it does not.
        if _NAMED.match(bare) and _INNER_TILDE.search(bare, skip):
            return "a ~ that expands inside the word"
        return ""


def without(value: str, operator: str, pattern: str) -> str:
    """`${value%pattern}` and its kin, for patterns with no other sign than `*`: without the shortest end (`%`) or
    beginning (`#`) that fits, or the longest (doubled)."""
    form = re.compile("".join(".*" if char == "*" else re.escape(char) for char in pattern), re.DOTALL)
    places = range(len(value) + 1)
    if operator[0] == "#":
        fits = [at for at in places if form.fullmatch(value[:at])]
        return value[fits[-1] if len(operator) > 1 else fits[0] :] if fits else value
    fits = [at for at in places if form.fullmatch(value[at:])]
    return value[: fits[0] if len(operator) > 1 else fits[-1]] if fits else value


def _told(hole: Hole) -> Source | None:
    return hole.source or (Source(hole.run.text, hole.run.given) if hole.run is not None else None)


def _computed(hole: Hole, known: Mapping[str, Value]) -> Hole:
    """A hole of arithmetic: a number, where all that it is computed with are numbers."""
    assert hole.computed is not None
    runs = tuple(Run(run.text, seen(run.text, known)) for run in hole.runs)
    sure = all(is_number(known.get(name)) for name in hole.computed.reads | hole.computed.sets)
    sure = sure and all(is_number(Source(run.text, run.given)) for run in runs)
    return replace(hole, shown=sure, source=NUMBER if sure else None, runs=runs)


def seen(text: str, known: Mapping[str, Value]) -> Given:
    """Of the variables those that a text may mention."""
    return tuple((name, known[name]) for name in sorted(set(_NAMES.findall(text)) & known.keys()))


def _is_glob(bare: str) -> bool:
    if "*" in bare or "?" in bare:
        return True
    opened = bare.find("[")
    # A quoted ] is NUL here: then the bracket may or may not close, and a pattern is the careful reading.
    return opened >= 0 and any(char in "]\0" for char in bare[opened + 1 :])


def _pattern(text: str, bare: str) -> str:
    return "".join(
        "\\" + char if mark == "\0" and char in _GLOB_ESCAPED else char for char, mark in zip(text, bare, strict=True)
    )
