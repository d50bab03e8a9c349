"""One simple command, read from tokens: its words, assignments and redirections (POSIX 2.9.1, bash(1) Simple Commands).

Owns the reader's place in the tokens and what a single command consists of. Must not own how commands are joined
(shell_grammar).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from typing import NoReturn

from msgspec.structs import replace

from . import shell_tests
from .shell_lex import REDIRECTS, Lost, Token
from .shell_names import followed
from .shell_parts import Assignment, Opaque, Part, Redirect, Simple, Value, Word
from .shell_word import ASSIGNED

CLOSERS = frozenset({"then", "elif", "else", "fi", "do", "done", "esac", "}", "]]"})
UNMODELLED = {
    "select": "a select loop",
    "function": "a function",
    "coproc": "a coprocess",
}
LOOPS = frozenset({"for", "while", "until"})
_RESERVED = frozenset({"if", "case", "[[", "{", "!", "time"}) | LOOPS | UNMODELLED.keys() | CLOSERS
_SUBSCRIPT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\[")
_MOST_MADE = 2000
_STDIN = frozenset({"<", "<>", "<<", "<<<", "<&"})


@dataclass(slots=True)
class Draft:
    """A part that still learns who feeds it and what is around it."""

    start: int
    end: int
    why: str = ""  # set: opaque
    turns: tuple[Word, ...] = ()
    words: tuple[Word, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    joined: str = ""
    negated: bool = False
    own_input: bool = False
    piped_from: int | None = None
    scope: list[int] = field(default_factory=list)

    def part(self, text: str) -> Part:
        source = text[self.start : self.end]
        if self.why:
            told = (self.joined, tuple(self.scope)) if self.turns else ("||", ())
            return Opaque(self.why, source, self.start, self.end, self.turns, *told)
        return Simple(
            self.words,
            self.assignments,
            self.redirects,
            source,
            self.start,
            self.end,
            self.piped_from,
            self.joined,
            tuple(self.scope),
            self.negated,
        )


def takes_input(redirects: Iterable[Redirect]) -> bool:
    """Whether these give a command an input of its own, so that no pipe feeds it."""
    return any(redirect.op in _STDIN or redirect.fd == 0 for redirect in redirects)


class CommandReader:
    """A place in a list of tokens, and how to read one command there. `command_starts`: offsets of those read; `plain`:
    all words of the text, without their quotes."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self._text = text
        self._tokens = [token for token in tokens if token.kind != "comment"]
        self._index = 0
        self._known: dict[str, Value] = {}  # values of variables, where they are certain
        self._names = followed(text, tokens)
        self.plain = {token.draft.plain for token in tokens if token.draft is not None}
        self._vanishing = "shopt" in self.plain  # -s nullglob: of a pattern that matches nothing, nothing is left
        self._made = 0  # words that braces have added
        self.command_starts: set[int] = set()

    # --- tokens ----------------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._index]

    def _stop(self, why: str, at: int | None = None) -> NoReturn:
        token = self._token
        raise Lost(token.text if token.kind == "lost" else why, token.start if at is None else min(at, token.start))

    def _take(self) -> Token:
        token = self._tokens[self._index]
        self._index += 1
        return token

    def _keyword(self) -> str:
        """The reserved word that stands here, if this is where a command begins."""
        token = self._tokens[self._index]
        return token.draft.keyword() if token.kind == "word" and token.draft is not None else ""

    def _operator(self, texts: Set[str]) -> bool:
        token = self._tokens[self._index]
        return token.kind == "op" and token.text in texts

    def _expect(self, keyword: str) -> None:
        if self._keyword() != keyword:
            self._stop(f"a syntax error ({keyword} is missing)")
        self._take()

    def _newlines(self) -> None:
        while self._token.kind == "newline":
            self._take()

    @property
    def _end(self) -> int:
        return self._tokens[self._index - 1].end

    # --- commands ---------------------------------------------------------------------------------

    def _double_bracket(self, joined: str) -> Draft:
        """`[[ … ]]` as a command of its words, where these can mean only one thing: shell_tests says which."""
        opened = self._take()
        inner: list[Token] = []
        while self._keyword() != "]]":
            if self._token.kind in {"end", "lost"}:
                self._stop("a test [[…]]", opened.start)
            inner.append(self._take())
        closed = self._take()
        draft = Draft(opened.start, closed.end, joined=joined)
        tested = shell_tests.words(inner, self._text, self._known)
        if tested is None:
            draft.why = "a test [[…]]"
        else:
            draft.words = (Word("[[", "[["), *tested, Word("]]", "]]"))
        self.command_starts.add(opened.start)
        if self._token.kind == "word" or self._operator(REDIRECTS):
            self._stop("a redirection of a test [[…]]")
        return draft

    def _computed(self, joined: str) -> Draft:
        """`((…))` as a command that takes the result for a word."""
        token = self._take()
        draft = Draft(token.start, token.end, joined=joined)
        found = token.draft.arith if token.draft is not None else None
        if found is None or not found.sets <= self._names.numbers:
            draft.why = "arithmetic ((…))"
        else:
            given = {name: self._names.value(name) for name in found.sets - found.reads}
            draft.words = (Word(":", ":"), token.sum(self._text, self._known | given))
        self.command_starts.add(token.start)
        if self._token.kind == "word" or self._operator(REDIRECTS):
            self._stop("a redirection of arithmetic ((…))")
        return draft

    def _simple(self, joined: str) -> Draft:
        draft = Draft(self._token.start, self._token.end, joined=joined)
        words: list[Word] = []
        assignments: list[Assignment] = []
        redirects: list[Redirect] = []
        while True:
            token = self._tokens[self._index]
            if token.kind == "word":
                assignment = None if words else self._assignment(token)
                if assignment is not None:
                    assignments.append(assignment)
                else:
                    words += self._further(token) if words else [self._first_word(token)]
                self._index += 1
            elif self._operator(REDIRECTS):
                redirects.append(self._redirect())
            elif token.kind == "lost" or self._operator({"("}):
                self._stop("a function or a pattern group", draft.start)
            else:
                break
        if not (words or assignments or redirects):
            self._stop("a syntax error")
        if words and words[0].source == "time":
            self._check_timed(words)
        draft.end = self._end
        draft.words, draft.assignments, draft.redirects = tuple(words), tuple(assignments), tuple(redirects)
        draft.own_input = takes_input(redirects)
        self.command_starts.add(draft.start)
        return draft

    def _further(self, token: Token) -> list[Word]:
        """The words that one behind the program becomes. Of one text only so many are made of braces."""
        found = token.words(self._text, self._known)
        if self._vanishing and any(word.kind == "glob" for word in found):
            found = [replace(word, vanishes=True) if word.kind == "glob" else word for word in found]
        self._made += len(found) - 1
        return found if self._made <= _MOST_MADE else [token.word(self._text, self._known)]

    def _first_word(self, token: Token) -> Word:
        word = token.word(self._text)
        if word.kind != "opaque" and _SUBSCRIPT.match(word.source):
            return Word(word.source, word.source, "opaque", "a subscript, which is computed")
        return word

    def _check_timed(self, words: list[Word]) -> None:
        # `time` is a reserved word: what follows may be a group, a loop or an assignment, which are no words of it.
        for word in words[1:]:
            if word.source in _RESERVED or ASSIGNED.match(word.source) or _SUBSCRIPT.match(word.source):
                self._stop("a timed group")
            if not word.source.startswith("-"):
                return

    def _assignment(self, token: Token) -> Assignment | None:
        assert token.draft is not None
        if token.draft.assigned() is None:
            return None
        draft = token.draft.resolved(self._known)
        match = draft.assigned()
        assert match is not None
        if draft.continued:
            draft.doubt("an assignment over two lines")
        value = draft.finish(self._text[token.start + match.end() : token.end], skip=match.end())
        return Assignment(match[1], value, bool(match[2]))

    def _redirect(self) -> Redirect:
        operator = self._take()
        if self._token.kind != "word":
            self._stop("a redirection without a target", operator.start)
        target = self._take().word(self._text, self._known)
        if operator.heredoc is not None:
            if operator.heredoc.body is None:
                told = operator.heredoc.expanded
                opaque = Word(target.source, target.source, "opaque", "a here-document that expands")
                target = told.resolved(self._known).finish(target.source) if told is not None else opaque
                if target.kind not in ("varying", "literal"):
                    target = opaque
            return Redirect("<<", operator.fd, target, operator.heredoc.body)
        if operator.text == "<<<":
            exact = target.kind == "literal" and not target.tilde
            return Redirect("<<<", operator.fd, target, target.text + "\n" if exact else None)
        return Redirect(operator.text, operator.fd, target)
