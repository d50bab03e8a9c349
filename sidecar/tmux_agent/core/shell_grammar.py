"""Tokens to parts: the grammar of lists, pipelines, groups and simple commands (POSIX 2.10, bash(1) SHELL GRAMMAR).

Owns the order, nesting and plumbing of commands. Where a construct is not modelled it stops: what was read stays
visible and the rest is one Opaque. Must not own characters (shell_lex) nor know what any program does.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from .shell_command import CLOSERS, LOOPS, UNMODELLED, CommandReader, Draft, takes_input
from .shell_lex import REDIRECTS, Lost, Token
from .shell_names import followed
from .shell_parts import Part, Redirect

MAX_DEPTH = 40
MAX_TURNS = 100  # of one loop
MAX_PARTS = 400  # of one text, once turns of loops are counted each
MAX_READ = 4000  # tokens that loops read again
_OPENERS = REDIRECTS | {"("}
# What changes the folder for later commands; inside an `if` it may or may not happen.
_MOVES = frozenset({"cd", "pushd", "popd", "builtin", "command"})


class Grammar(CommandReader):
    """Reads one list of tokens once."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        super().__init__(text, tokens)
        self._drafts: list[Draft] = []
        self._assigned_once, self._looped = followed(tokens)
        self._depth = 0
        self._read_again = 0
        self._scopes = 0

    def run(self) -> tuple[Part, ...]:
        """All parts, in the order in which they stand."""
        try:
            self._list("")
            if self._token.kind != "end":
                self._stop("a word out of place" if self._token.kind == "word" else "a syntax error")
        except Lost as lost:
            self._drafts.append(Draft(lost.at, len(self._text), lost.why))
        return tuple(draft.part(self._text) for draft in self._drafts)

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
                    self._forget(start)
                    joined = "&"
            elif token.kind != "newline":
                break
            self._newlines()
        if len(self._drafts) == first and self._depth:
            self._stop("a syntax error (nothing where a command must stand)")

    def _begins(self) -> bool:
        token = self._token
        if token.kind == "word":
            return self._keyword() not in CLOSERS
        return token.kind == "lost" or (token.kind == "op" and (token.text == "(" or token.text in REDIRECTS))

    def _and_or(self, joined: str) -> None:
        start = len(self._drafts)
        self._pipeline(joined)
        certain = self._learn(start)
        while self._operator({"&&", "||"}):
            operator = self._take().text
            self._newlines()
            start = len(self._drafts)
            self._pipeline(operator)
            certain = certain and operator == "&&" and self._learn(start)

    def _learn(self, start: int) -> bool:
        """Notes what the last pipeline, which begins with this draft, sets for certain; False where it does no more
        than that for certain. Inside groups, loops and conditions nothing is."""
        if self._depth or len(self._drafts) != start + 1:
            return False
        draft = self._drafts[start]
        if draft.why or draft.words or draft.redirects or draft.negated or draft.scope or not draft.assignments:
            return False
        for assignment in draft.assignments:
            value = assignment.value
            if value.kind != "literal" or value.tilde or assignment.append:
                return False
            if assignment.name in self._assigned_once:
                self._known[assignment.name] = value.text
        return True

    def _forget(self, start: int) -> None:
        """What ran in the background has set nothing."""
        for draft in self._drafts[start:]:
            for assignment in draft.assignments:
                self._known.pop(assignment.name, None)

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
        elif keyword in LOOPS:
            self._compound(joined, self._loop)
        elif keyword == "[[":
            self._drafts.append(self._double_bracket(joined))
        elif keyword in UNMODELLED:
            self._stop(UNMODELLED[keyword])
        else:
            self._drafts.append(self._simple(joined))

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
        own_input = takes_input(redirects)
        front = Draft(opened, self._tokens[self._index - 1].end, redirects=tuple(redirects), joined=joined)
        front.own_input = own_input
        self._insert(start, front, own_input)
        return True

    def _insert(self, at: int, front: Draft, own_input: bool) -> None:
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
            self._drafts.append(Draft(opened, self._end, "a folder changed inside an if"))

    def _loop(self, joined: str) -> None:
        token = self._take()
        keyword = token.draft.keyword() if token.draft else ""
        if keyword == "for" and self._for_each(joined, token.start):
            return
        mark = Draft(token.start, token.end, f"a {keyword} loop", joined=joined)
        self._drafts.append(mark)
        if keyword == "for":
            self._for_header()
        else:
            self._list(";")
        self._expect("do")
        self._list("&&")
        self._expect("done")
        mark.end = self._end

    def _for_each(self, joined: str, opened: int) -> bool:
        """Reads a for loop over literal words: its body once for each of them. False, and nothing is read, for any
        other."""
        header = self._index
        name = self._keyword()
        values = self._values() if name in self._looped else []
        if not values or name in self._known or self._keyword() != "do":
            self._index = header
            return False
        self._take()
        body, start = self._index, len(self._drafts)
        for value in values:
            self._index, self._known[name] = body, value
            self._list(joined)
            joined = ";"
            self._read_again += self._index - body
            if len(self._drafts) > MAX_PARTS or self._read_again > MAX_READ:
                self._stop("a loop of more turns than are read", opened)
        del self._known[name]
        self._expect("done")
        if any(word.text in _MOVES for draft in self._drafts[start:] for word in draft.words):
            self._drafts.append(Draft(opened, self._end, "a folder changed inside a loop"))
        return True

    def _values(self) -> list[str]:
        """The words of a for loop's header, where all are literal and what stands behind is as it should be."""
        self._take()
        if self._keyword() != "in":
            return []
        self._take()
        values: list[str] = []
        while self._token.kind == "word":
            for word in self._further(self._take()):
                if word.kind != "literal" or word.tilde or word.runs:
                    return []
                values.append(word.text)
        if not self._operator({";"}) and self._token.kind != "newline":
            return []
        self._take()
        self._newlines()
        return values if len(values) <= MAX_TURNS else []

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
