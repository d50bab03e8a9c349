"""Tokens to parts: the grammar of lists, pipelines, groups and simple commands (POSIX 2.10, bash(1) SHELL GRAMMAR).

Owns the order, nesting and plumbing of commands. Where a construct is not modelled it stops: what was read stays
visible and the rest is one Opaque. Must not own what is known from one command to the next (shell_drafts), characters
(shell_lex), nor know what any program does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from . import shell_tests
from .shell_arith import Sum
from .shell_command import CLOSERS, LOOPS, UNMODELLED, Draft, takes_input
from .shell_drafts import DraftReader, Turns
from .shell_lex import REDIRECTS, Lost, Token
from .shell_parts import Given, Part, Redirect, Source, Word
from .shell_word import seen

MAX_DEPTH = 40
MAX_PARTS = 400  # of one text, once turns of loops are counted each
MAX_READ = 4000  # tokens that loops read again
# Of the commands in a loop these leave the lines alone that it reads.
_READS_NO_LINE = frozenset(
    {"echo", "printf", "test", "[", "[[", "true", "false", ":", "break", "continue", "date", "pwd"}
)
_BRANCH_ENDS = frozenset({";;", ";&", ";;&"})
_OPENS = LOOPS | UNMODELLED.keys() | {"{", "if", "case", "[["}


def _leaves_lines(draft: Draft) -> bool:
    """Whether a command in a loop takes nothing from the lines that the loop reads."""
    program = draft.words[0].text if draft.words else ":"
    return draft.own_input or program in _READS_NO_LINE or any(word.kind == "varying" for word in draft.words)


def _on_one_line(text: str) -> str:
    """The same without lines that are continued, outside of quotes."""
    front, continued, rest = text.partition("\\\n")
    if not continued or front.count("'") % 2 or front.count('"') % 2:
        return text
    return front + _on_one_line(rest)


class Grammar(DraftReader):
    """Reads one list of tokens once."""

    def __init__(self, text: str, tokens: list[Token], given: Given = (), turns: Turns | None = None) -> None:
        super().__init__(text, tokens, given, turns)
        self._feeder: Source | None = None  # what the pipe in front of the next command prints
        self._depth = 0
        self._read_again = 0  # tokens

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
            start, kept = len(self._drafts), dict(self._known)
            self._and_or(joined)
            joined = ";"
            token = self._token
            if self._operator({";", "&"}):
                self._take()
                if token.text == "&":
                    self._enclose(start, len(self._drafts))
                    self._known = kept  # what ran in the background has set nothing
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

    def _pipeline(self, joined: str) -> None:
        negated = False
        while self._keyword() == "!":
            self._take()
            negated = not negated
        kept, opened = dict(self._known), self._token.start
        ranges = [self._element(joined, negated)]
        while self._operator({"|", "|&"}):
            self._known = dict(kept)  # each of them runs in a shell of its own
            operator, before = self._take().text, _on_one_line(self._text[opened : self._end])
            self._newlines()
            plain = operator == "|" and not re.search(r"#|<<|\n", before[:-1])
            self._feeder = Source(before[:-1], seen(before, kept)) if plain else None
            ranges.append(self._element(operator, negated))
        if len(ranges) == 1:
            return
        self._known = kept
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

    # --- commands ----------------------------------------------------------------------------------

    def _command(self, joined: str) -> None:
        keyword, token = self._keyword(), self._token
        feeder, self._feeder = self._feeder, None
        if keyword not in _OPENS and token.kind == "word" and (token.draft is None or token.draft.arith is None):
            self._drafts.append(self._simple(joined))
        elif self._operator({"("}):
            if self._text.startswith("((", token.start):
                self._stop("arithmetic ((…))")  # or two subshells, one in another
            self._group(joined, ")")
        elif keyword == "{":
            self._group(joined, "}")
        elif keyword == "if":
            self._compound(joined, self._if)
        elif keyword == "for":
            self._compound(joined, self._for)
        elif keyword == "case":
            self._compound(joined, self._case)
        elif keyword in LOOPS:
            self._compound(joined, lambda joined: self._while(joined, feeder))
        elif keyword == "[[":
            self._drafts.append(self._double_bracket(joined))
        elif token.draft is not None and token.draft.arith is not None:
            self._drafts.append(self._computed(joined))
            self._counts(token.draft.arith)
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
        start, kept = len(self._drafts), dict(self._known)
        body(joined)
        self._known = kept  # some of it may not have run
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

    def _if(self, joined: str) -> None:
        start = len(self._drafts)
        opened = self._take().start
        self._list(joined)
        self._expect("then")
        kept = dict(self._known)
        self._list("&&")
        while self._keyword() == "elif":
            self._take()
            self._known = dict(kept)
            self._list("||")
            self._expect("then")
            self._list("&&")
        if self._keyword() == "else":
            self._take()
            self._known = dict(kept)
            self._list("||")
        self._expect("fi")
        self._mind_moves(start, opened, "a folder changed inside an if")

    def _case(self, joined: str) -> None:
        """Every branch as if it ran. The word and the patterns are only compared, and nothing falls apart there."""
        start, opened = len(self._drafts), self._take().start
        if self._token.kind != "word":
            self._stop("a syntax error in a case", opened)
        word = shell_tests.whole(self._take().word(self._text, self._known))
        self._drafts.append(Draft(opened, self._end, words=(Word(":", ":"), word), joined=joined))
        self._newlines()
        self._expect("in")
        self._newlines()
        kept = dict(self._known)
        while self._keyword() != "esac":
            self._patterns(opened)
            self._known = dict(kept)
            self._newlines()
            if self._begins():
                self._list("&&")
            if self._operator(_BRANCH_ENDS):
                self._take()
                self._newlines()
            elif self._keyword() != "esac":
                self._stop("a syntax error in a case", opened)
        self._take()
        self._mind_moves(start, opened, "a folder changed inside a case")

    def _patterns(self, opened: int) -> None:
        """The patterns of one branch, up to the bracket behind them."""
        if self._operator({"("}):
            self._take()
        while True:
            word = self._take().word(self._text) if self._token.kind == "word" else None
            if word is None or word.kind not in ("literal", "glob") or word.runs:
                self._stop("a pattern of a case that is known only when it runs", opened)
            if not self._operator({"|"}):
                break
            self._take()
        if not self._operator({")"}):
            self._stop("a syntax error in a case", opened)
        self._take()

    # --- loops -------------------------------------------------------------------------------------

    def _while(self, joined: str, feeder: Source | None) -> None:
        """Reads the body once, with a variable that `read` sets standing for any line."""
        opened, first, start = self._take(), self._index, len(self._drafts)
        keyword = opened.draft.keyword() if opened.draft else ""
        self._turn_of_while(joined, keyword, feeder)
        lines = self._redirected(feeder)
        if lines is not None and not all(map(_leaves_lines, self._drafts[start + 1 :])):
            lines = None
        if lines != feeder:
            del self._drafts[start:]
            self._read_again += self._index - first
            self._index = first
            self._turn_of_while(joined, keyword, lines)
        if len(self._drafts) > MAX_PARTS or self._read_again > MAX_READ:
            self._stop("more loops than are read", opened.start)
        self._mind_moves(start, opened.start, "a folder changed inside a loop")

    def _turn_of_while(self, joined: str, keyword: str, feeder: Source | None) -> None:
        start = len(self._drafts)
        kept = dict(self._known)
        self._list(joined)
        if keyword == "while" and len(self._drafts) == start + 1:
            self._known |= self._lines(self._drafts[start], feeder)
        self._expect("do")
        self._list("&&")
        self._expect("done")
        self._known = kept

    def _for(self, joined: str) -> None:
        """`for NAME in WORDS`: the body once for each of them, or once for what all of them are."""
        opened = self._take().start
        if self._token.draft is not None and self._token.draft.arith is not None:
            self._counted_for(joined, opened, self._token.draft.arith)
            return
        name = self._keyword()
        words = self._header() if name in self._names.looped and name not in self._known else []
        start = len(self._drafts)
        values = self._values(opened, words)
        if values and any(word.runs for word in words):
            self._drafts.append(Draft(opened, self._end, words=(Word(":", ":"), *words), joined=joined))
        if values:
            self._unrolled(joined, opened, name, values)
        elif words and all(word.kind in ("literal", "varying") and not word.tilde for word in words):
            header = Draft(opened, self._end, words=(Word(":", ":"), *words), joined=joined)
            self._drafts.append(header)
            told = words[0].hole if len(words) == 1 and words[0].around == ("", "") else None
            self._known[name] = told
            self._take()
            self._list("&&")
            self._expect("done")
        else:
            self._unread_for(joined, opened, tuple(words))
        self._mind_moves(start, opened, "a folder changed inside a loop")

    def _counted_for(self, joined: str, opened: int, head: Sum) -> None:
        """`for ((…; …; …))`: the body once, for any number."""
        start, kept = len(self._drafts), dict(self._known)
        if not head.sets <= self._names.numbers:
            self._stop("a for loop", opened)
        self._counts(head)
        word = self._take().sum(self._text, self._known)
        self._drafts.append(Draft(opened, self._end, words=(Word(":", ":"), word), joined=joined))
        if self._operator({";"}):
            self._take()
        self._newlines()
        self._expect("do")
        self._list("&&")
        self._expect("done")
        self._known = kept
        self._mind_moves(start, opened, "a folder changed inside a loop")

    def _header(self) -> list[Word]:
        """The words of a for loop's header; [] and back where it is anything else. Stands at `do` behind it."""
        place = self._index
        self._take()
        words: list[Word] = []
        if self._keyword() == "in":
            self._take()
            while self._token.kind == "word":
                words += self._further(self._take())
            if self._operator({";"}) or self._token.kind == "newline":
                self._take()
                self._newlines()
                if self._keyword() == "do":
                    return words
        self._index = place
        return []

    def _unrolled(self, joined: str, opened: int, name: str, values: tuple[str, ...]) -> None:
        self._take()
        body = self._index
        for value in values:
            self._index, kept = body, dict(self._known)
            self._known[name] = value
            self._list(joined)
            self._known = kept
            joined = ";"
            self._read_again += self._index - body
            if len(self._drafts) > MAX_PARTS or self._read_again > MAX_READ:
                self._stop("a loop of more turns than are read", opened)
        self._expect("done")

    def _unread_for(self, joined: str, opened: int, words: tuple[Word, ...]) -> None:
        """A for loop over what nobody knows. `words`: of its header, where only patterns are not known of them."""
        mark = Draft(opened, self._end, "a for loop", joined=joined)
        if words and all(word.kind in ("literal", "glob") for word in words):
            mark.turns = words
        self._drafts.append(mark)
        if not words:
            self._for_header()
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
