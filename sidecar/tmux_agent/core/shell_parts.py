"""What shell text consists of once it is read: the values that shell.parse returns.

Owns the part and word types. Must not own how they are found (shell_lex, shell_grammar) or what they are worth
(policy).
Offsets are character offsets into the text that was parsed.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Source(Struct, frozen=True, gc=False):
    """What a shell text prints, as the value of a variable or a substitution. `given`: variables that it sees.

    `globbed`: the shell takes each of its words for a pattern once more, and puts what matches in its place. `number`:
    a whole number, or nothing, whatever `text` says; `sure`: not nothing. `zero`: its lines end in NUL.
    """

    text: str
    given: Given = ()
    globbed: bool = False
    number: bool = False
    sure: bool = False
    zero: bool = False


class Run(Struct, frozen=True, gc=False):
    """A text that runs in a shell of its own before the command. `given`: variables that it sees."""

    text: str
    given: Given = ()


# What is certain of a variable: its text; or what it is printed by; or (None) only that the text itself has set it, to
# what it may show. Sorted by name.
Value = str | Source | None
Given = tuple[tuple[str, Value], ...]


Piece = str | Source | None


class Word(Struct, frozen=True, gc=False):
    """One word of a command.

    `literal`: `text` is exactly what the program gets. `glob`: `text` is the pattern; glob characters that were quoted
    (and backslashes) stand there behind a backslash, and without a match the program gets the pattern with those
    backslashes removed. `varying`: text around variables and substitutions that hold no secret, nothing else in it
    expands; `splits` where that falls apart into words, each a pattern. `pieces`: its text, and in between what is
    known of each hole; `vanishes`: nothing may be left of it (of a glob: where it matches nothing). `opaque`: nobody
    knows before it runs; `text` is the source and `why` says what is in it. `runs`: the `$(…)` of a varying
    word, or the `<(…)` that a word is; the program reads that from a pipe, and `text` is standard input's name, which
    stands for one. `tilde`: the shell replaces the leading ~ or ~user, which `text` still has.
    """

    text: str
    source: str
    kind: Literal["literal", "glob", "varying", "opaque"] = "literal"
    why: str = ""
    tilde: bool = False
    runs: tuple[Run, ...] = ()
    splits: bool = False
    pieces: tuple[Piece, ...] = ()
    vanishes: bool = False

    @property
    def hole(self) -> Source | None:
        """What is known of the one hole, where there is no other."""
        told = self.pieces[1] if len(self.pieces) == 3 else None
        return told if isinstance(told, Source) else None

    @property
    def around(self) -> tuple[str, str]:
        """What stands before and behind the one hole."""
        before, behind = self.pieces[::2] if len(self.pieces) == 3 else ("", "")
        return str(before), str(behind)


class Redirect(Struct, frozen=True, gc=False):
    """One redirection. `fd` is the number as written (None: the operator's own default).

    `body` is the data of a here-document or here-string. A here-document that the shell expands has no body and an
    opaque target; of the others the target is the delimiter.
    """

    op: str
    fd: int | None
    target: Word | None
    body: str | None = None


class Assignment(Struct, frozen=True, gc=False):
    """NAME=value or NAME+=value in front of (or instead of) a command."""

    name: str
    value: Word
    append: bool = False


class Simple(Struct, frozen=True, gc=False):
    """One simple command. Without words it only assigns or redirects (a redirect of a whole group is one of these).

    `piped_from`: index of the one part whose output it reads; None where it inherits, redirects its own input, or is
    fed by several parts. `joined`: "" for the first, else the operator before it ("&&" "||" ";" "|" "|&" "&"; a new
    line is ";"). `scope`: ids of the subshells, pipeline elements and background jobs around it, outermost first: what
    it does to the shell itself lasts only for later parts whose scope starts with this one.
    """

    words: tuple[Word, ...]
    assignments: tuple[Assignment, ...]
    redirects: tuple[Redirect, ...]
    source: str
    start: int
    end: int
    piped_from: int | None = None
    joined: str = ""
    scope: tuple[int, ...] = ()
    negated: bool = False


class Opaque(Struct, frozen=True, gc=False):
    """Text whose effect is not modelled. `why` is a phrase for people.

    `turns`: it is a for loop over these words, with patterns among them. Once it is known what they become, `parse`
    reads it."""

    why: str
    source: str
    start: int
    end: int
    turns: tuple[Word, ...] = ()
    joined: str = "||"  # as in Simple, with `turns`
    scope: tuple[int, ...] = ()  # likewise


Part = Simple | Opaque
