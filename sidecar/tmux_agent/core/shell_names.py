"""Variables of a text's own: which names may be followed, and where their values are certain.

Owns the names, and counting where each is mentioned. Must not own reading commands (shell_grammar). Followed are only
names that mean nothing to the shell and to programs: whoever sets another may change what later commands do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from .shell_lex import REDIRECTS, Token

_LOCAL = re.compile(
    r"(?!(?:npm|yarn|pnpm|pip|uv|cargo|git|bash|zsh)_)(?!histchars\Z|auto_resume\Z)[a-z][a-z0-9_]{0,30}(?<!_proxy)"
    r"|[A-Z]|FILE|DIR|NAME|SRC|WORD|BRANCH|VERSION|COUNT|BASE|COMMIT|SHA|TAG|TOTAL|LINE|RESULT|FILES|CURRENT|LATEST|PKG"
    r"|NUM|LAST|CHANGED|MERGE_BASE|REPO_ROOT"
)
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


class Names(Struct, frozen=True):
    """`once`: assigned once and by nothing else. `looped`: set by for loops alone. `set`: all that the text itself
    sets, in ways that are read."""

    once: frozenset[str]
    looped: frozenset[str]
    set: frozenset[str]


def is_local(name: str) -> bool:
    """Whether a variable of this name changes nothing but what the text itself makes of it."""
    return _LOCAL.fullmatch(name) is not None


def followed(tokens: Sequence[Token]) -> Names:
    """Who sets which name. One that stands as a word of its own behind a command that may set it in another way
    (`unset f`, `export f`) is in none."""
    assigned: dict[str, int] = {}
    looped: set[str] = set()
    read: set[str] = set()
    spoilt: set[str] = set()
    program, before = "", ""  # of the command that the token belongs to; "" where one begins
    for token in tokens:
        word = token.draft.keyword() if token.draft is not None else ""
        if token.draft is None:
            program = program if token.text in REDIRECTS else ""
        elif match := token.draft.assigned():
            assigned[match[1]] = assigned.get(match[1], 0) + 1
        elif before == program == "for":
            looped.add(token.draft.plain)
        elif program == "read" and _WORD.fullmatch(word):
            read.add(word)
        elif program and program not in _SETS_NOTHING and _WORD.fullmatch(token.draft.plain):
            spoilt.add(token.draft.plain)
        elif not program and word not in _BEFORE_COMMANDS:
            program = word or "?"
        before = word
    own = frozenset(name for name in {*assigned, *looped, *read} - spoilt if is_local(name))
    once = frozenset(name for name, count in assigned.items() if count == 1) - looped - read
    return Names(own & once, own & looped - assigned.keys() - read, own)
