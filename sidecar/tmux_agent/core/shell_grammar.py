"""Tokens to parts: the grammar of lists, pipelines, groups and simple commands (POSIX 2.10, bash(1) SHELL GRAMMAR).

Owns the order, nesting and plumbing of commands. Where a construct is not modelled it stops: what was read stays visible
and the rest is one Opaque. Must not own characters (shell_lex) nor know what any program does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NoReturn

from .shell_lex import REDIRECTS, Lost, Token
from .shell_parts import Assignment, Opaque, Part, Redirect, Simple, Word

MAX_DEPTH = 40
_CLOSERS = frozenset({"then", "elif", "else", "fi", "do", "done", "esac", "}", "]]", "in"})
_UNMODELLED = {
    "case": "a case statement",
    "select": "a select loop",
    "function": "a function",
    "coproc": "a coprocess",
}
_LOOPS = frozenset({"for", "while", "until"})
_RESERVED = frozenset({"if", "[[", "{", "!", "time"}) | _LOOPS | _UNMODELLED.keys() | (_CLOSERS - {"in"})
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=")
_SUBSCRIPT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\[")
_FILE_TESTS = frozenset({f"-{letter}" for letter in "abcdefghknprstuwxzGLNOS"})
# What a shell does to itself so that later commands mean something else; inside an `if` it may or may not happen.
_MOVES = frozenset({"cd", "pushd", "popd", "builtin", "command"})
_OPENERS = REDIRECTS | {"("}
_STDIN = frozenset({"<", "<>", "<<", "<<-", "<<<", "<&"})


@dataclass(slots=True)
class _Draft:
    """A part that still learns who feeds it and what is around it."""

    start: int
    end: int
    why: str = ""  # set: opaque
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
            return Opaque(self.why, source, self.start, self.end)
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


class Grammar:
    """Reads one list of tokens once. `command_starts` are the offsets at which a simple command or test begins."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self._text = text
        self._tokens = [token for token in tokens if token.kind != "comment"]
        self._index = 0
        self._drafts: list[_Draft] = []
        self._depth = 0
        self._scopes = 0
        self.command_starts: set[int] = set()

    def run(self) -> tuple[Part, ...]:
        """All parts, in the order in which they stand."""
        try:
            self._list("")
            if self._token.kind != "end":
                self._stop("a word out of place" if self._token.kind == "word" else "a syntax error")
        except Lost as lost:
            self._drafts.append(_Draft(lost.at, len(self._text), lost.why))
        return tuple(draft.part(self._text) for draft in self._drafts)

    # --- tokens ----------------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._index]

    def _stop(self, why: str, at: int | None = None) -> NoReturn:
        token = self._token
        raise Lost(token.text if token.kind == "lost" else why, token.start if at is None else min(at, token.start))

    def _take(self) -> Token:
        token = self._token
        self._index += 1
        return token

    def _keyword(self) -> str:
        """The reserved word that stands here, if this is where a command begins."""
        token = self._token
        return token.draft.keyword() if token.kind == "word" and token.draft is not None else ""

    def _operator(self, texts: Set[str]) -> bool:
        token = self._token
        return token.kind == "op" and token.text in texts

    def _expect(self, keyword: str) -> None:
        if self._keyword() != keyword:
            self._stop(f"a syntax error ({keyword} is missing)")
        self._take()

    def _newlines(self) -> None:
        while self._token.kind == "newline":
            self._take()

    # --- lists and pipelines -----------------------------------------------------------------------

    def _list(self, joined: str) -> None:
        """Commands until something that closes a list; at least one unless at top level."""
        self._newlines()
        first = len(self._drafts)
        while self._begins():
            start = len(self._drafts)
            self._and_or(joined)
            joined = ";"
            token = self._token
            if self._operator({";", "&"}):
                self._take()
                if token.text == "&":
                    self._enclose(start, len(self._drafts))
                    joined = "&"
            elif token.kind != "newline":
                break
            self._newlines()
        if len(self._drafts) == first and self._depth:
            self._stop("a syntax error (nothing where a command must stand)")

    def _begins(self) -> bool:
        token = self._token
        if token.kind == "word":
            return self._keyword() not in _CLOSERS - {"in"}
        return token.kind == "lost" or (token.kind == "op" and (token.text == "(" or token.text in REDIRECTS))

    def _and_or(self, joined: str) -> None:
        self._pipeline(joined)
        while self._operator({"&&", "||"}):
            operator = self._take().text
            self._newlines()
            self._pipeline(operator)

    def _pipeline(self, joined: str) -> None:
        negated = False
        while self._keyword() == "!":
            self._take()
            negated = not negated
        ranges = [self._element(joined, negated)]
        while self._operator({"|", "|&"}):
            operator = self._take().text
            self._newlines()
            ranges.append(self._element(operator, negated))
        if len(ranges) == 1:
            return
        for start, end in ranges:
            self._enclose(start, end)
        for (start, end), (into, past) in pairwise(ranges):
            feeder = self._drafts[start]
            self._feed(start if end - start == 1 and not feeder.why else None, into, past)

    def _element(self, joined: str, negated: bool) -> tuple[int, int]:
        start = len(self._drafts)
        if not self._begins() or self._keyword() == "!":
            self._stop("a syntax error (nothing where a command must stand)")
        self._command(joined)
        for draft in self._drafts[start:]:
            draft.negated = draft.negated or negated
        return start, len(self._drafts)

    def _feed(self, feeder: int | None, start: int, end: int) -> None:
        for draft in self._drafts[start:end]:
            if draft.piped_from is None and not draft.own_input:
                draft.piped_from = feeder
            # What several parts feed has no one source, and nothing further out feeds it either.
            draft.own_input = True

    def _enclose(self, start: int, end: int) -> None:
        self._scopes += 1
        for draft in self._drafts[start:end]:
            draft.scope.insert(0, self._scopes)  # outer ones come later, so each goes in front

    # --- commands ----------------------------------------------------------------------------------

    def _command(self, joined: str) -> None:
        keyword, token = self._keyword(), self._token
        if self._operator({"("}):
            if self._text.startswith("((", token.start):
                self._stop("arithmetic ((…))")
            self._group(joined, ")")
        elif keyword == "{":
            self._group(joined, "}")
        elif keyword == "if":
            self._compound(joined, self._if)
        elif keyword in _LOOPS:
            self._compound(joined, self._loop)
        elif keyword == "[[":
            self._double_bracket(joined)
        elif keyword in _UNMODELLED:
            self._stop(_UNMODELLED[keyword])
        else:
            self._simple(joined)

    def _group(self, joined: str, closer: str) -> None:
        def body(joined: str) -> None:
            self._take()
            self._list(joined)
            if closer == "}":
                self._expect("}")
            elif self._operator({")"}):
                self._take()
            else:
                self._stop("a subshell that is not closed")

        start = len(self._drafts)
        redirected = self._compound(joined, body)
        if closer == ")":
            self._enclose(start + redirected, len(self._drafts))

    def _compound(self, joined: str, body: Callable[[str], None]) -> bool:
        """A construct with its redirections, which become a part in front of it. True if it has any."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._stop("commands nested too deeply")
        start = len(self._drafts)
        body(joined)
        self._depth -= 1
        opened = self._token.start
        redirects: list[Redirect] = []
        while self._operator(REDIRECTS):
            redirects.append(self._redirect())
        if self._keyword() or self._token.draft is not None:
            self._stop("a word behind a group")
        if not redirects:
            return False
        own_input = any(redirect.op in _STDIN or redirect.fd == 0 for redirect in redirects)
        front = _Draft(opened, self._tokens[self._index - 1].end, redirects=tuple(redirects), joined=joined)
        front.own_input = own_input
        self._insert(start, front, own_input)
        return True

    def _insert(self, at: int, front: _Draft, own_input: bool) -> None:
        for draft in self._drafts[at:]:
            if draft.piped_from is not None:
                draft.piped_from += 1
            draft.own_input = draft.own_input or own_input
        if at < len(self._drafts):
            self._drafts[at].joined = "&&"
        self._drafts.insert(at, front)

    def _if(self, joined: str) -> None:
        start = len(self._drafts)
        opened = self._take().start
        self._list(joined)
        self._expect("then")
        self._list("&&")
        while self._keyword() == "elif":
            self._take()
            self._list("||")
            self._expect("then")
            self._list("&&")
        if self._keyword() == "else":
            self._take()
            self._list("||")
        self._expect("fi")
        moved = any(word.text in _MOVES for draft in self._drafts[start:] for word in draft.words)
        if moved:
            self._drafts.append(_Draft(opened, self._end, "a folder changed inside an if"))

    def _loop(self, joined: str) -> None:
        token = self._take()
        keyword = token.draft.keyword() if token.draft else ""
        mark = _Draft(token.start, token.end, f"a {keyword} loop", joined=joined)
        self._drafts.append(mark)
        if keyword == "for":
            self._for_header()
        else:
            self._list(";")
        self._expect("do")
        self._list("&&")
        self._expect("done")
        mark.end = self._end

    def _for_header(self) -> None:
        if self._token.kind != "word":
            self._stop("a for loop")
        self._take()
        self._newlines()
        if self._keyword() == "in":
            while self._token.kind == "word":
                self._take()
        if self._operator({";"}):
            self._take()
        self._newlines()

    @property
    def _end(self) -> int:
        return self._tokens[self._index - 1].end

    def _double_bracket(self, joined: str) -> None:
        """`[[ -f word ]]` is `[ -f word ]` where the word is plain; any other form compares patterns or computes."""
        opened = self._take()
        inner: list[Token] = []
        while self._keyword() != "]]":
            if self._token.kind in {"end", "lost"}:
                self._stop("a test [[…]]", opened.start)
            inner.append(self._take())
        closed = self._take()
        words = [token.word(self._text) for token in inner if token.kind == "word"]
        draft = _Draft(opened.start, closed.end, joined=joined)
        plain = len(words) == len(inner) == 2 and all(w.kind == "literal" and not w.tilde for w in words)
        if plain and words[0].source in _FILE_TESTS:
            draft.words = (Word("[", "[["), *words, Word("]", "]]"))
        else:
            draft.why = "a test [[…]]"
        self.command_starts.add(opened.start)
        self._drafts.append(draft)
        if self._token.kind == "word" or self._operator(REDIRECTS):
            self._stop("a redirection of a test [[…]]")

    # --- simple commands ---------------------------------------------------------------------------

    def _simple(self, joined: str) -> None:
        draft = _Draft(self._token.start, self._token.end, joined=joined)
        words: list[Word] = []
        assignments: list[Assignment] = []
        redirects: list[Redirect] = []
        while True:
            token = self._token
            if self._operator(REDIRECTS):
                redirects.append(self._redirect())
            elif token.kind == "word":
                assignment = None if words else self._assignment(token)
                if assignment is not None:
                    assignments.append(assignment)
                else:
                    words.append(self._first_word(token) if not words else token.word(self._text))
                self._take()
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
        draft.own_input = any(redirect.op in _STDIN or redirect.fd == 0 for redirect in redirects)
        self.command_starts.add(draft.start)
        self._drafts.append(draft)

    def _first_word(self, token: Token) -> Word:
        word = token.word(self._text)
        if word.kind != "opaque" and _SUBSCRIPT.match(word.source):
            return Word(word.source, word.source, "opaque", "a subscript, which is computed")
        return word

    def _check_timed(self, words: list[Word]) -> None:
        # `time` is a reserved word: what follows may be a group, a loop or an assignment, which are no words of it.
        for word in words[1:]:
            if word.source in _RESERVED or _ASSIGNMENT.match(word.source):
                self._stop("a timed group")
            if not word.source.startswith("-"):
                return

    def _assignment(self, token: Token) -> Assignment | None:
        draft = token.draft
        assert draft is not None
        match = _ASSIGNMENT.match(draft.bare)
        if match is None:
            return None
        if draft.continued:
            draft.doubt("an assignment over two lines")
        value = draft.finish(self._text[token.start + match.end() : token.end], skip=match.end())
        return Assignment(match[1], value, bool(match[2]))

    def _redirect(self) -> Redirect:
        operator = self._take()
        if self._token.kind != "word":
            self._stop("a redirection without a target", operator.start)
        target = self._take().word(self._text)
        if operator.heredoc is not None:
            if operator.heredoc.body is None:
                target = Word(target.source, target.source, "opaque", "a here-document that expands")
            return Redirect("<<", operator.fd, target, operator.heredoc.body)
        if operator.text == "<<<":
            exact = target.kind == "literal" and not target.tilde
            return Redirect("<<<", operator.fd, target, target.text + "\n" if exact else None)
        return Redirect(operator.text, operator.fd, target)
