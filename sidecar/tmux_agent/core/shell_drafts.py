"""The drafts of a text's commands, and what is known for certain from one to the next.

Owns the values of variables, who feeds whom, and which commands run in a shell of their own. Must not own the order and
nesting of commands (shell_grammar).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from msgspec.structs import replace

from .shell_arith import Sum
from .shell_command import CommandReader, Draft
from .shell_lex import REDIRECTS, Token
from .shell_numbers import NUMBER, are_numbers
from .shell_parts import Given, Source, Value, Word

MAX_TURNS = 100  # of one loop
# What changes the folder for later commands; inside an `if` it may or may not happen.
_FOLDERS = frozenset({"cd", "chdir", "pushd", "popd"})
_IN_FRONT = frozenset({"builtin", "command", "time"})  # of a cd
_INPUTS = frozenset({"<", "<<", "<<-", "<<<", "<>", "<&"})
_COUNTED = re.compile(r" *seq +(?:(0|[1-9][0-9]{0,5}) +)?(0|[1-9][0-9]{0,5}) *")
Turns = Mapping[tuple[int, tuple[str, ...]], tuple[str, ...]]  # (where a for loop begins, its words) → its values


def _moves(draft: Draft) -> bool:
    words = [word.text for word in draft.words]
    return any(word in _FOLDERS for word in (words if words and words[0] in _IN_FRONT else words[:1]))


class DraftReader(CommandReader):
    """A reader that keeps what it has read. `turns`: what patterns in the headers of for loops become."""

    def __init__(self, text: str, tokens: list[Token], given: Given = (), turns: Turns | None = None) -> None:
        super().__init__(text, tokens)
        self._drafts: list[Draft] = []
        self._turns: Turns = turns or {}
        self._moves = not self.plain.isdisjoint(_FOLDERS)
        mentioned = self.plain | self._names.set
        self._known = {
            name: None if self._moves and isinstance(value, Source) else value
            for name, value in given
            if name not in mentioned
        }
        self._scopes = 0

    def _learn(self, start: int) -> bool:
        """Notes what the last pipeline, which begins with this draft, sets for certain; False where it is not certain
        that it succeeds."""
        if len(self._drafts) != start + 1:
            return False
        draft = self._drafts[start]
        if [redirect.op for redirect in draft.redirects] in (["<<<"], ["<<"]) and not (draft.negated or draft.scope):
            self._known |= self._lines(dataclasses.replace(draft, redirects=()), None)
            return False
        if draft.why or draft.words or draft.redirects or draft.negated or draft.scope or not draft.assignments:
            return False
        certain = True
        for assignment in draft.assignments:
            value = assignment.value
            if value.kind not in ("literal", "varying") or value.tilde or assignment.append:
                return False
            certain = certain and not value.runs
            self._sets(assignment.name, value)
        return certain

    def _sets(self, name: str, value: Word) -> None:
        if name not in self._names.set:
            return
        if name not in self._names.once:
            self._known[name] = self._names.value(name)
        elif value.kind == "literal":
            self._known[name] = value.text
        elif name in self._names.numbers:
            self._known[name] = self._names.value(name)
        else:
            alone = value.hole is not None and value.around == ("", "") and not self._moves
            self._known[name] = Source(value.hole.text, value.hole.given) if alone and value.hole else None

    def _counts(self, found: Sum) -> None:
        """Names that arithmetic has just set."""
        self._known |= {name: self._names.value(name) for name in found.sets & self._names.numbers}

    def _lines(self, draft: Draft, feeder: Source | None) -> dict[str, Value]:
        """The variables that a `read` sets each time that it succeeds."""
        words = [word.text for word in draft.words if word.kind == "literal"]
        if draft.why or draft.negated or draft.redirects or words[:1] != ["read"] or len(words) != len(draft.words):
            return {}
        zero = "-d" in words and words[words.index("-d") + 1 :][:1] == [""]
        options = {"-r", "-d", ""} if zero else {"-r"}
        names = [word for word in words[1:] if word and not word.startswith("-")]
        if set(words[1:]) - {*options, *names} or (zero and words.count("") != 1):
            return {}
        if feeder is not None and zero:
            feeder = replace(feeder, zero=True)
        if not all(name in self._names.set or name == "_" for name in names):
            return {}
        separators = [assignment.value.text for assignment in draft.assignments]
        whole = len(names) == 1 and separators in ([], [""])
        if feeder is not None and len(names) == 1 and are_numbers(feeder):
            feeder = NUMBER
        values: dict[str, Value] = dict.fromkeys((name for name in names if name != "_"), feeder if whole else None)
        if feeder is not None and len(names) > 1 and not separators and not zero and names[0] != "_":
            values[names[0]] = replace(feeder, text=f"{feeder.text} | awk '{{print $1}}'")
        return values

    def _redirected(self, feeder: Source | None) -> Source | None:
        """What feeds the loop that was just read: a pipe, unless its redirections put something else in place."""
        tokens, at, inputs = self._tokens, self._index, 0
        while tokens[at].kind == "op" and tokens[at].text in REDIRECTS and tokens[at + 1].kind == "word":
            if tokens[at].text in _INPUTS or tokens[at].fd == 0:
                draft, inputs, feeder = tokens[at + 1].draft, inputs + 1, None
                if tokens[at].text == "<" and tokens[at].fd in (None, 0) and draft is not None and inputs == 1:
                    run = draft.resolved(self._known).pipe
                    alone = not draft.quotes and draft.plain == "\0"
                    feeder = Source(run.text, run.given) if run is not None and alone else None
            at += 2
        return feeder

    def _values(self, opened: int, words: list[Word]) -> tuple[str, ...]:
        """What the words of a for loop's header become, where that is certain."""
        if words and all(word.kind == "literal" and not word.tilde and not word.runs for word in words):
            values = tuple(word.text for word in words)
        elif len(words) == 1 and words[0].hole is not None and words[0].around == ("", "") and words[0].runs:
            counted = _COUNTED.fullmatch(words[0].hole.text)
            values = (
                tuple(map(str, range(int(counted[1] or 1), int(counted[2]) + 1)[: MAX_TURNS + 1])) if counted else ()
            )
        else:
            values = self._turns.get((opened, tuple(word.text for word in words)), ())
        return values if len(values) <= MAX_TURNS else ()

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

    def _insert(self, at: int, front: Draft, own_input: bool) -> None:
        for draft in self._drafts[at:]:
            if draft.piped_from is not None:
                draft.piped_from += 1
            draft.own_input = draft.own_input or own_input
        if at < len(self._drafts):
            self._drafts[at].joined = "&&"
        self._drafts.insert(at, front)

    def _mind_moves(self, start: int, opened: int, why: str) -> None:
        """Whether a cd in these drafts happens, and how often, nobody knows."""
        if any(_moves(draft) and not draft.scope for draft in self._drafts[start:]):
            self._drafts.append(Draft(opened, self._end, why))
