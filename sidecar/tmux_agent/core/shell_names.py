"""Variables of a text's own: which names may be followed, and where their values are certain.

Owns the names, and counting where each is mentioned. Must not own reading commands (shell_grammar). Followed are only
names that mean nothing to the shell and to programs: whoever sets another may change what later commands do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from .shell_lex import REDIRECTS, Token
from .shell_numbers import is_count, is_number
from .shell_parts import Source, Value
from .shell_word import Hole, WordDraft

_LOCAL = re.compile(
    r"(?!(?:npm|yarn|pnpm|pip|uv|cargo|git|bash|zsh)_)(?!histchars\Z|auto_resume\Z)[a-z][a-z0-9_]{0,30}(?<!_proxy)"
    r"|[A-Z]|FILE|DIR|NAME|SRC|WORD|BRANCH|VERSION|COUNT|BASE|COMMIT|SHA|TAG|TOTAL|LINE|RESULT|FILES|CURRENT|LATEST|PKG"
    r"|NUM|LAST|FIRST|CHANGED|MERGE_BASE|ROOT|TOP|TOPLEVEL|REPO|PROJECT|(ROOT|REPO|PROJECT|BASE|SRC)_DIR|(REPO|PROJECT)_ROOT"
    r"|HASH|REF|REV|PREV|START|END|PATTERN|LIST|EXT|DIRS|OUT|OUTPUT|SIZE|INDEX|TODAY|DATE|AUTHOR|MODULE|PACKAGE|TARGET"
    r"|(DEFAULT|BASE|MAIN|CURRENT)_BRANCH|(LATEST|LAST|PREV)_TAG|(BASE|HEAD)_SHA"
)
# Without any of these no name is set, in no way that is followed.
_SET = re.compile(r"=|for|read|\(\(|\\\n")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Behind these stands a command of its own.
_BEFORE_COMMANDS = frozenset({"if", "then", "elif", "else", "while", "until", "do", "{", "!", "time"})
# Programs that set no variable, whatever their words are.
_SETS_NOTHING = frozenset(
    (
        *("find", "fd", "git", "grep", "egrep", "fgrep", "rg", "ls", "cat", "head", "tail", "wc", "sed", "awk", "sort"),
        *("uniq", "cut", "tr", "jq", "echo", "xargs", "test", "[", "du", "stat", "file", "basename", "dirname", "diff"),
        *("cd", "sleep", "date", "seq", "tree"),
    )
)


# Such as set what their words name; "?" is one that is written oddly.
_SETS = frozenset(
    (
        *("read", "unset", "export", "declare", "typeset", "local", "readonly", "mapfile", "readarray", "getopts"),
        *("let", "wait", "eval", "builtin", "command", "coproc", "?"),
    )
)


class Names(Struct, frozen=True):
    """`once`: assigned once and by nothing else. `looped`: set by for loops alone. `set`: all that the text itself
    sets, in ways that are read. `numbers`: of these such as get nothing but numbers; `empty`: or perhaps nothing."""

    once: frozenset[str]
    looped: frozenset[str]
    set: frozenset[str]
    numbers: frozenset[str] = frozenset()
    empty: frozenset[str] = frozenset()

    def value(self, name: str) -> Value:
        """What is certain of a name wherever it has been set."""
        return Source("", number=True, sure=name not in self.empty) if name in self.numbers else None


_NONE = Names(frozenset(), frozenset(), frozenset())


def is_local(name: str) -> bool:
    """Whether a variable of this name changes nothing but what the text itself makes of it."""
    return _LOCAL.fullmatch(name) is not None


def followed(text: str, tokens: Sequence[Token]) -> Names:
    """Who sets which name in `text`. One that stands as a word of its own behind a command that may set it in another
    way (`unset f`, `export f`) is in none."""
    if not _SET.search(text):
        return _NONE
    assigned: dict[str, int] = {}
    values: dict[str, list[WordDraft]] = {}
    counted: set[str] = set()
    looped: set[str] = set()
    read: set[str] = set()
    spoilt: set[str] = set()
    program, before = "", ""  # of the command that the token belongs to; "" where one begins
    for token in tokens:
        counted |= _counted(token)
        word = token.draft.keyword() if token.draft is not None else ""
        if token.draft is None:
            program = program if token.text in REDIRECTS else ""
        elif match := token.draft.assigned():
            assigned[match[1]] = assigned.get(match[1], 0) + 1
            values.setdefault(match[1], []).append(token.draft)
        elif before == program == "for":
            looped.add(token.draft.plain)
        elif program == "read" and _WORD.fullmatch(word):
            read.add(word)
        elif program == "command" and word in ("-v", "-V"):
            program = "echo"  # it only tells what the next words are
        elif program in _SETS and (token.draft.holes or {"{", "}"} <= set(token.draft.bare)):
            return _NONE  # it may name any of them
        elif program and program not in _SETS_NOTHING and _WORD.fullmatch(token.draft.plain):
            spoilt.add(token.draft.plain)
        elif not program and word not in _BEFORE_COMMANDS:
            program = word or "?"
        before = word
    own = frozenset(name for name in {*assigned, *looped, *read, *counted} - spoilt if is_local(name))
    once = frozenset(name for name, count in assigned.items() if count == 1) - looped - read - counted
    sure, numbers = _numbers(values, own & {*assigned, *counted} - looped - read)
    return Names(own & once, own & looped - assigned.keys() - read - counted, own, numbers, numbers - sure)


def _counted(token: Token) -> set[str]:
    """Names that arithmetic in this word sets."""
    holes = token.draft.holes if token.draft is not None else []
    return {name for hole in holes if hole.computed is not None for name in hole.computed.sets}


def _numbers(values: Mapping[str, list[WordDraft]], names: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Of these the names that get nothing but numbers: surely, and perhaps nothing at all."""
    places = frozenset(n for n, drafts in values.items() if len(drafts) == 1 and _run_of(drafts[0], is_number))
    found = names
    while True:
        left = frozenset(n for n in found if all(_gives(draft, found | places) for draft in values.get(n, ())))
        if left == found:
            break
        found = left
    sure = found
    while True:
        left = frozenset(n for n in sure if all(_is_sure(draft, sure) for draft in values.get(n, ())))
        if left == sure:
            return sure, found
        sure = left


def _run_of(draft: WordDraft, test: Callable[[Source], bool]) -> bool:
    """Whether the value is what one text prints, and that passes the test."""
    hole = _alone(draft)
    return hole is not None and hole.run is not None and test(Source(hole.run.text, hole.run.given))


def _alone(draft: WordDraft) -> Hole | None:
    match = draft.assigned()
    alone = match is not None and len(draft.holes) == 1 and draft.plain[match.end() :] == "\0" and not draft.why
    return draft.holes[0] if alone else None


def _gives(draft: WordDraft, numbers: frozenset[str]) -> bool:
    match, hole = draft.assigned(), _alone(draft)
    if match is None or draft.why:
        return False
    if not draft.holes:
        return re.fullmatch(r"[0-9]{1,18}" if match[2] else r"-?[0-9]{1,18}", draft.plain[match.end() :]) is not None
    if hole is None or match[2]:
        return False
    if hole.computed is not None:
        return hole.computed.reads <= numbers and all(map(is_number, (Source(text) for text in hole.computed.runs)))
    return (hole.exact and hole.name in numbers) or _run_of(draft, is_count)


def _is_sure(draft: WordDraft, sure: frozenset[str]) -> bool:
    """Whether a value that is a number, if anything, is never nothing."""
    hole = _alone(draft)
    return hole is None or hole.computed is not None or hole.name in sure
