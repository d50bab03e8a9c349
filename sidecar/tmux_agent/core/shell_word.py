"""One shell word while it is being read: which characters were quoted, and what that makes of it.

Owns the rules that bash applies to a finished word: quote removal, tilde, braces, globs. Must not own where words
begin and end (shell_lex).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from . import shell_braces
from .shell_parts import Word

_GLOB_ESCAPED = frozenset("*?[]\\")
ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=")
_NAMED = re.compile(r"[A-Za-z_]")
_INNER_TILDE = re.compile(r"[=:]~")
# Values that stay one word although they are not quoted.
_WHOLE = re.compile(r"[A-Za-z0-9_./:@%+,-]+")
_SPECIAL = re.compile(r"[*?\[~{]")
# Characters that the shell itself uses inside words (CTLESC, CTLNUL), and bytes that are no text.
_UNSAFE_ANYWHERE = re.compile("[\x00\x01\x7f\ud800-\udfff]")
_UNSAFE_BARE = re.compile("[\x00-\x08\x0b-\x1f\x7f]|[^\x00-\x7f]")


class WordDraft:
    """Collects a word's characters. `bare` is the text with every quoted character as NUL, so both stay aligned."""

    __slots__ = ("_bare", "_text", "continued", "length", "pipe", "quotes", "runs", "start", "uses", "varies", "why")

    def __init__(self, start: int) -> None:
        self.start = start
        self._text: list[str] = []
        self._bare: list[str] = []
        self.length = 0
        self.quotes: list[int] = []  # positions in the text at which something was quoted, if only nothing
        self.why = ""
        self.varies = False  # all that is not known in it are harmless variables, and what `runs` print
        self.uses: list[tuple[int, str, bool]] = []  # pieces that are variables: which, its name, quoted?
        self.runs: list[str] = []  # the texts of quoted command substitutions
        self.pipe: str | None = None  # the text of a process substitution that the word is
        self.continued = False  # a backslash-newline was inside

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

    def doubt(self, why: str, *, varies: bool = False) -> None:
        """The word is opaque; the first reason is kept. `varies`: because of a variable that may be shown."""
        self.varies = varies and (self.varies or not self.why)
        self.why = self.why or why
        self._text.append("\0")  # stands for what nobody knows, so that the rest is not taken for the whole
        self._bare.append("\0")

    def use(self, name: str, *, quoted: bool) -> None:
        """A variable comes here; what it holds may be known later. Goes with a doubt."""
        self.uses.append((len(self._text), name, quoted))

    def resolved(self, known: Mapping[str, str]) -> WordDraft:
        """The word with the values of variables in it, where all that is not known of it is in `known`."""
        if not self.uses or len(self.uses) != self._text.count("\0"):
            return self
        draft = WordDraft(self.start)
        draft._text, draft._bare, draft.quotes = list(self._text), list(self._bare), [0]
        for at, name, quoted in self.uses:
            value = known.get(name)
            if value is None or not (quoted or _WHOLE.fullmatch(value)):
                return self
            draft._text[at], draft._bare[at] = value, "\0" * len(value)
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
        return "" if self.quotes or self.why else "".join(self._text)

    def words(self, source: str) -> list[Word]:
        """What the word becomes among those of a command: several where it has braces that are certain."""
        text, bare = "".join(self._text), self.bare
        if self.why or "{" not in bare or "}" not in bare or not self._expansion(text, bare, 0):
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
        if self.varies and not skip and not _SPECIAL.search(bare):
            return Word(source, source, "varying", why, runs=tuple(self.runs))
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
            return Word(source, source, "opaque", "quotes inside a pattern in brackets")
        return Word(_pattern(text, bare), source, "glob", tilde=tilde)

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
