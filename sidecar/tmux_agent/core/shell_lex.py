"""Shell text to tokens, by bash's own rules (bash(1), QUOTING and SHELL GRAMMAR; POSIX 2.3 token recognition).

Owns where words, operators, comments and here-documents begin and end. It reads only what it is sure of: at the first
construct that it cannot delimit it stops with a `lost` token, and the rest of the text is opaque. Must not own the
grammar (shell_grammar).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from . import shell_arith
from .shell_arith import Sum
from .shell_parts import Run, Value, Word
from .shell_word import WordDraft

_PLAIN = re.compile(r"[^\s'\"\\$`|&;()<>]+|[^\S \t\n]+")
# What most words are, with the blanks in front: nothing in it ends a word, quotes or expands.
_SIMPLE = re.compile(r"[ \t]*(?!#)([A-Za-z0-9_./:@%+,=^~{}*?!#\[\]-]+)(?=[ \t\n|&;)]|\Z)")
_BLANK = re.compile(r"(?:[ \t]|\\\n)+")
_COMMENT = re.compile(r"#[^\n]*")
_OPERATOR = re.compile(r"&&|&>>|&>|&|\|\||\|&|\||;;&|;;|;&|;|<<<|<<-|<<|<&|<>|<|>>|>\||>&|>|\(|\)")
# `>&-word` is the redirection >&- and then a word of its own.
_CLOSE_AND_MORE = re.compile(r"(?:[ \t]|\\\n)*-[^ \t\n|&;()<>]")
_DOUBLE = re.compile(r"[^\"\\$`]+")
_EXPANDS = re.compile(r"[A-Za-z_0-9@*#?$!-]|[^\x00-\x7f]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|.", re.DOTALL)
_UNEXPANDED = re.compile(r"[^$`\\]+")
_HEREDOC_EXPANDS = re.compile(r"[$`\\]")
_HEX = r"x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})"
_ANSI = re.compile(rf"\\(?:{_HEX}|([0-7]{{1,3}})|(.))|[^\\]+", re.DOTALL)
_ANSI_SIMPLE = dict(zip("abeEfnrtv\\'\"?", "\a\b\x1b\x1b\f\n\r\t\v\\'\"?", strict=True))
# Of one text; what is behind them is opaque. To read and judge takes 10 µs a word and 100 a command, at the least.
MAX_TOKENS = 2000
MAX_ENDS = 200
REDIRECTS = frozenset({"<", ">", ">>", ">|", "<>", "&>", "&>>", "<&", ">&", "<<", "<<-", "<<<"})
_NOTHING: Mapping[str, Value] = {}
_IN_BRACES = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# A value made of a variable's: its length, another one where it is empty, without an ending or a beginning.
_MADE = re.compile(
    r"\$\{(?:#([A-Za-z_][A-Za-z0-9_]*)"
    r"|([A-Za-z_][A-Za-z0-9_]*)(?::?[-+][A-Za-z0-9_./ -]*|(?:%%?|##?)(?:[A-Za-z0-9_.*/@=:, -]|\\.)*"
    r"|:[0-9]{1,9}(?::-?[0-9]{1,9})?|\^\^?|,,?|//?[#%]?[A-Za-z0-9_.*@=:, -]+(?:/[A-Za-z0-9_.@=:, -]*)?))\}"
)


_CUT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(%%?|##?)([A-Za-z0-9_.*/-]+)\}")


class Lost(Exception):
    """From `at` on the text cannot be read with certainty."""

    def __init__(self, why: str, at: int) -> None:
        super().__init__(why)
        self.why = why
        self.at = at


@dataclass(slots=True)
class Heredoc:
    """A here-document whose operator has been read and, once the line ended, its body."""

    delimiter: WordDraft
    strip_tabs: bool
    start: int = 0
    end: int = 0
    body: str | None = None
    expanded: WordDraft | None = None  # the body where it holds variables and substitutions that can be read


@dataclass(slots=True)
class Token:
    """`text` is the operator. A word has its `draft`; a redirection operator may have the `fd` written before it."""

    kind: Literal["word", "op", "newline", "comment", "lost", "end"]
    start: int
    end: int
    text: str = ""
    draft: WordDraft | None = None
    fd: int | None = None
    heredoc: Heredoc | None = None

    def word(self, source: str, known: Mapping[str, Value] = _NOTHING) -> Word:
        """The finished word of a word token. `known`: values of variables."""
        assert self.draft is not None
        if self.draft.arith is not None:
            text = source[self.start : self.end]
            return Word(text, text, "opaque", "arithmetic ((…)) in place of a word")
        return self.sum(source, known)

    def sum(self, source: str, known: Mapping[str, Value]) -> Word:
        """The same, where arithmetic may stand."""
        assert self.draft is not None
        return self.draft.resolved(known).finish(source[self.start : self.end])

    def words(self, source: str, known: Mapping[str, Value]) -> list[Word]:
        """What a word token becomes among the words of a command."""
        assert self.draft is not None
        if self.draft.arith is not None:
            return [self.word(source)]
        return self.draft.resolved(known).words(source[self.start : self.end])


# Variables whose values are no secrets: of the shell's own, and of those that say where things are.
_HARMLESS = (
    r"HOME|PWD|OLDPWD|PATH|USER|LOGNAME|SHELL|LANG|LC_ALL|TERM|HOSTNAME|VIRTUAL_ENV|EDITOR|PAGER|TMPDIR|CI|NODE_ENV"
    r"|GOPATH|GOROOT|CARGO_HOME|SHLVL|RANDOM|SECONDS|LINENO|UID|EUID|PPID|BASH_VERSION|COLUMNS|LINES|OSTYPE|HOSTTYPE"
)
_SHOWN = re.compile(rf"[?#$!]|{_HARMLESS}")
_SHOWN_BRACES = re.compile(rf"\$\{{(?:[?#$!]|{_HARMLESS}|PIPESTATUS\[[0-9@*]\]|BASH_VERSINFO\[[0-9@*]\])\}}")


class Lexer:
    """Reads one text once, front to back. Comments are tokens too, so that nothing goes unaccounted."""

    def __init__(self, text: str, ansi_quotes: bool) -> None:
        self.text = text
        self.at = 0
        self.tokens: list[Token] = []
        self.heredocs: list[Heredoc] = []
        self._waiting: list[Heredoc] = []
        self._ends = 0  # operators and newlines so far
        self._ansi_quotes = ansi_quotes

    def run(self) -> list[Token]:
        """All tokens; the last is `end` or `lost`."""
        try:
            while self.at < len(self.text):
                if len(self.tokens) > MAX_TOKENS or self._ends > MAX_ENDS:
                    raise Lost("more words or commands than are read of one text", self.at)
                if simple := _SIMPLE.match(self.text, self.at):
                    draft = WordDraft(simple.start(1))
                    draft.add(simple[1])
                    self.at = simple.end()
                    self.tokens.append(Token("word", draft.start, self.at, draft=draft))
                else:
                    self._next()
            if self._waiting:
                raise Lost("a here-document without its end", self.at)
            self.tokens.append(Token("end", self.at, self.at))
        except Lost as lost:
            self.tokens.append(Token("lost", lost.at, len(self.text), lost.why))
        return self.tokens

    def _next(self) -> None:
        text, at = self.text, self.at
        if blank := _BLANK.match(text, at):
            self.at = blank.end()
        elif text[at] == "\n":
            self.at += 1
            self._ends += 1
            self.tokens.append(Token("newline", at, self.at, "\n"))
            self._read_heredocs()
        elif text[at] == "#":
            end = _COMMENT.match(text, at)
            assert end is not None
            self.at = end.end()
            self.tokens.append(Token("comment", at, self.at))
        elif text.startswith("((", at) and shell_arith.closed(text, at) > 0:
            self._arithmetic()
        elif text[at] in "|&;()<>" and not self._substitutes(at):
            self._operator(None, at)
        else:
            self._word()

    def _arithmetic(self) -> None:
        """`((…))` as one word; where no command may be, the grammar refuses it."""
        draft = WordDraft(self.at)
        end = shell_arith.closed(self.text, self.at)
        inner = self.text[self.at + 2 : end - 2]
        looping = len(self.tokens) > 0 and self.text[self.tokens[-1].start : self.tokens[-1].end] == "for"
        found = shell_arith.read(inner, loop=looping)
        draft.arith = found or Sum()
        draft.computes("arithmetic ((…))", found, quoted=True)
        self.tokens.append(Token("word", self.at, end, draft=draft))
        self.at = end

    def _substitutes(self, at: int) -> bool:
        return self.text[at] in "<>" and self.text.startswith("(", at + 1)

    def _operator(self, fd: int | None, start: int) -> None:
        match = _OPERATOR.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        self._ends += 1
        if self.text.startswith("\\\n", self.at):
            raise Lost("a line continued inside an operator", start)
        token = Token("op", start, self.at, match[0], fd=fd)
        self.tokens.append(token)
        if match[0] in {"<&", ">&"} and _CLOSE_AND_MORE.match(self.text, self.at):
            raise Lost("a word behind a closed descriptor", start)
        if match[0] in {"<<", "<<-"}:
            self._open_heredoc(token)

    def _open_heredoc(self, token: Token) -> None:
        if blank := _BLANK.match(self.text, self.at):
            self.at = blank.end()
        if self.at >= len(self.text) or self.text[self.at] in "\n|&;()<>#":
            raise Lost("a here-document without a delimiter", token.start)
        self._word()
        draft = self.tokens[-1].draft
        if draft is None or draft.continued or draft.finish("").kind != "literal":
            raise Lost("a here-document with an unusual delimiter", token.start)
        token.heredoc = Heredoc(draft, token.text == "<<-")
        self._waiting.append(token.heredoc)
        self.heredocs.append(token.heredoc)

    def _read_heredocs(self) -> None:
        for doc in self._waiting:
            delimiter = doc.delimiter.finish("").text
            if "\n" in delimiter:
                raise Lost("a here-document with an unusual delimiter", doc.delimiter.start)
            doc.start, lines = self.at, []
            while True:
                if self.at >= len(self.text):
                    raise Lost("a here-document without its end", doc.start)
                end = self.text.find("\n", self.at)
                line, after = (self.text[self.at :], len(self.text)) if end < 0 else (self.text[self.at : end], end + 1)
                if doc.strip_tabs:
                    line = line.lstrip("\t")
                self.at = after
                if line == delimiter:
                    break
                if not doc.delimiter.quotes and line.endswith("\\"):
                    raise Lost("a here-document that expands", doc.start)
                lines.append(line + "\n")
            doc.end, body = self.at, "".join(lines)
            if doc.delimiter.quotes or not _HEREDOC_EXPANDS.search(body):
                doc.body = body
            else:
                doc.expanded = _expanded(body)
        self._waiting = []

    # --- words -----------------------------------------------------------------------------------

    def _word(self) -> None:
        text, start = self.text, self.at
        draft = WordDraft(start)
        while self.at < len(text):
            char = text[self.at]
            if plain := _PLAIN.match(text, self.at):
                draft.add(plain[0])
                self.at = plain.end()
            elif char in " \t\n|&;)":
                break
            elif char == "(":
                raise Lost("a parenthesis inside a word (a function, an array or a pattern)", start)
            elif char in "<>":
                if not self._substitutes(self.at):
                    break
                opened = self.at
                self.at = self._balanced(opened + 1)
                draft.pipe = Run(text[opened + 2 : self.at - 1]) if char == "<" and opened == start else None
                draft.doubt(f"process substitution {char}(…)")
            else:
                self._quoted_or_expanded(char, draft)
        self._end_word(draft)

    def _end_word(self, draft: WordDraft) -> None:
        text, start = self.text, draft.start
        if self.at < len(text) and text[self.at] in "<>":
            key = draft.keyword()
            if key.isascii() and key.isdigit():
                if draft.continued or len(key) > 9:
                    raise Lost("an unusual file descriptor", start)
                self._operator(int(key), start)
                return
            if key.startswith("{") and key.endswith("}"):
                raise Lost("a file descriptor in a variable", start)
        self.tokens.append(Token("word", start, self.at, draft=draft))

    def _quoted_or_expanded(self, char: str, draft: WordDraft) -> None:
        text, at = self.text, self.at
        if char == "\\":
            if at + 1 >= len(text):
                raise Lost("a backslash at the end", draft.start)
            if text[at + 1] == "\n":
                draft.continued = True
            else:
                draft.add_quoted(text[at + 1])
            self.at = at + 2
        elif char == "'":
            end = text.find("'", at + 1)
            if end < 0:
                raise Lost("a quote that is not closed", draft.start)
            draft.add_quoted(text[at + 1 : end])
            self.at = end + 1
        elif char == '"':
            self._double(draft)
        elif char == "`":
            self._backtick(draft, quoted=False)
        else:
            self._dollar(draft, quoted=False)

    def _double(self, draft: WordDraft) -> None:
        text, opened = self.text, self.at
        self.at += 1
        draft.add_quoted("")
        while self.at < len(text):
            char = text[self.at]
            if plain := _DOUBLE.match(text, self.at):
                draft.add_quoted(plain[0])
                self.at = plain.end()
            elif char == '"':
                self.at += 1
                return
            elif char == "\\":
                follows = text[self.at + 1 : self.at + 2]
                if follows != "\n":
                    draft.add_quoted(follows if follows in '$`"\\' else "\\" + follows)
                self.at += 2
            elif char == "`":
                self._backtick(draft, quoted=True)
            else:
                self._dollar(draft, quoted=True)
        raise Lost("a quote that is not closed", opened)

    def expand(self, draft: WordDraft) -> None:
        """What stands behind the dollar sign here, as between double quotes."""
        self._dollar(draft, quoted=True)

    def _dollar(self, draft: WordDraft, quoted: bool) -> None:
        text, at = self.text, self.at
        follows = text[at + 1 : at + 2]
        if follows == "\\" and text.startswith("\n", at + 2):
            raise Lost("a line continued after $", draft.start)
        if follows == "(":
            self._substitution(draft, quoted=quoted)
        elif follows in {"{", "["}:
            self._braced(draft, quoted=quoted)
        elif follows and _EXPANDS.match(follows):
            name = _NAME.match(text, at + 1)
            assert name is not None
            shown, named = _SHOWN.fullmatch(name[0]) is not None, name[0].isidentifier() and name[0].isascii()
            own = name[0] if named and not shown else ""
            draft.expands(f"expansion ${name[0]}", quoted=quoted, shown=shown, name=own, exact=named)
            self.at = name.end()
        elif follows == "'" and not quoted:
            self._ansi(draft)
        elif follows == '"' and not quoted:
            draft.doubt('a translated string $"…"')
            self.at = at + 1
        elif quoted:
            draft.add_quoted("$")
            self.at = at + 1
        else:
            draft.add("$")
            self.at = at + 1

    def _braced(self, draft: WordDraft, *, quoted: bool) -> None:
        """`${…}` and `$[…]`."""
        text, at = self.text, self.at
        self.at = self._balanced(at + 1)
        plain, made = _IN_BRACES.match(text, at), _MADE.match(text, at)
        if text[at + 1] == "[" or not (plain or made or _SHOWN_BRACES.match(text, at)):
            draft.doubt("arithmetic $[…]" if text[at + 1] == "[" else "expansion ${…}")
            return
        name = plain[1] if plain else made[1] or made[2] if made else ""
        shown = _SHOWN_BRACES.match(text, at) is not None or _SHOWN.fullmatch(name) is not None
        cut = _CUT.fullmatch(text[at : self.at]) if made and not plain else None
        form = (cut[2], cut[3]) if cut else None
        name = "" if shown else name
        draft.expands("expansion ${…}", quoted=quoted, shown=shown, name=name, exact=plain is not None, cut=form)

    def _substitution(self, draft: WordDraft, *, quoted: bool) -> None:
        """`$(…)` between quotes is one word whatever it prints; without them that falls apart and may be a pattern."""
        at = self.at
        if self.text.startswith("((", at + 1) and (end := shell_arith.closed(self.text, at + 1)) > 0:
            draft.computes("arithmetic $((…))", shell_arith.read(self.text[at + 3 : end - 2]), quoted=quoted)
            self.at = end
            return
        self.at = self._balanced(at + 1)
        if self.text.startswith("((", at + 1):
            draft.doubt("arithmetic $((…))")
        else:
            draft.substitutes("command substitution $(…)", self.text[at + 2 : self.at - 1], quoted=quoted)

    def _ansi(self, draft: WordDraft) -> None:
        opened = self.at
        close = re.compile(r"(?:[^\\']|\\.)*'", re.DOTALL).match(self.text, opened + 2)
        if close is None:
            raise Lost("a quote that is not closed", draft.start)
        self.at = close.end()
        decoded = _ansi_decoded(self.text[opened + 2 : self.at - 1]) if self._ansi_quotes else None
        if decoded is None:
            draft.doubt("a string $'…' with codes")
        else:
            draft.add_quoted(decoded)

    # --- what is skipped because it makes its word opaque ---------------------------------------------

    def _backtick(self, draft: WordDraft, *, quoted: bool) -> None:
        at = self.at
        close = re.compile(r"(?:[^\\`]|\\.)*`", re.DOTALL).match(self.text, at + 1)
        if close is None:
            raise Lost("a backtick that is not closed", at)
        self.at = close.end()
        if "\\" in close[0]:
            draft.doubt("command substitution `…` with a backslash")
        else:
            draft.substitutes("command substitution `…`", close[0][:-1], quoted=quoted)

    def _balanced(self, at: int) -> int:
        """End of the bracketed text that opens at `at`. May err on odd text: what it skips is opaque anyway."""
        text, opened = self.text, at
        depth, closers = 0, {"(": ")", "{": "}", "[": "]"}
        opener, closer = text[at], closers[text[at]]
        while at < len(text):
            char = text[at]
            if char == "\\":
                at += 1
            elif char == "'":
                at = text.find("'", at + 1)
                if at < 0:
                    break
            elif char == '"' and opener == "(":
                at = self._past_quotes(at)
            elif char == opener:
                depth += 1
            elif char == closer:
                depth -= 1
                if depth == 0:
                    return at + 1
            at += 1
        raise Lost("an expansion that is not closed", opened)

    def _past_quotes(self, at: int) -> int:
        """Where the double quotes that open at `at` are closed: single ones are text in them."""
        text, opened = self.text, at
        at += 1
        while at < len(text) and text[at] != '"':
            if text.startswith("$(", at):
                at = self._balanced(at + 1) - 1
            at += 2 if text[at] == "\\" else 1
        if at >= len(text):
            raise Lost("a quote that is not closed", opened)
        return at


def _expanded(body: str) -> WordDraft | None:
    """The text of a here-document in which variables and substitutions are replaced; None where more than that is."""
    lexer, draft = Lexer(body, ansi_quotes=False), WordDraft(0)
    draft.add_quoted("")
    try:
        while lexer.at < len(body):
            if plain := _UNEXPANDED.match(body, lexer.at):
                draft.add_quoted(plain[0])
                lexer.at = plain.end()
            elif body[lexer.at] == "$":
                lexer.expand(draft)
            else:
                return None
    except Lost:
        return None
    return draft


def _ansi_decoded(text: str) -> str | None:
    """The value of $'text', or None where it depends on the locale, holds NUL, or is written oddly."""
    out: list[str] = []
    for match in _ANSI.finditer(text):
        hexa, short, long, octal, simple = match.groups()
        digits = hexa or short or long
        if digits or octal:
            code = int(digits, 16) if digits else int(octal, 8)
            if not 1 < code < 0x7F:
                return None
            out.append(chr(code))
        elif simple is not None:
            if simple not in _ANSI_SIMPLE:
                return None
            out.append(_ANSI_SIMPLE[simple])
        else:
            out.append(match[0])
    return "".join(out)
