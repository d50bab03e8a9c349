"""Variables of a text's own: which names may be followed, and where their values are certain.

Owns the names, and counting where each is mentioned. Must not own reading commands (shell_grammar). Followed are only
names that mean nothing to the shell and to programs: whoever sets another may change what later commands do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .shell_lex import Token

_LOCAL = re.compile(
    r"(?!(?:npm|yarn|pnpm|pip|uv|cargo|git|bash|zsh)_)[a-z][a-z0-9_]{0,30}(?<!_proxy)|[A-Z]|FILE|DIR|NAME|SRC|WORD"
)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_local(name: str) -> bool:
    """Whether a variable of this name changes nothing but what the text itself makes of it."""
    return _LOCAL.fullmatch(name) is not None


def followed(tokens: Sequence[Token]) -> tuple[frozenset[str], frozenset[str]]:
    """(names that are assigned once, names that only loops set). A name that stands as a word of its own anywhere else
    (`read f`, `unset f`, `export f`) is in neither."""
    assigned: dict[str, int] = {}
    looped: set[str] = set()
    spoilt: set[str] = set()
    before = ""
    for token in tokens:
        word = token.draft.keyword() if token.draft is not None else ""
        if token.draft is not None and (match := token.draft.assigned()):
            assigned[match[1]] = assigned.get(match[1], 0) + 1
        elif token.draft is not None and token.draft.quotes and _WORD.fullmatch(token.draft.plain):
            spoilt.add(token.draft.plain)
        elif _WORD.fullmatch(word):
            (looped if before == "for" else spoilt).add(word)
        before = word
    once = {name for name, count in assigned.items() if count == 1} - looped - spoilt
    loops = looped - assigned.keys() - spoilt
    return frozenset(filter(is_local, once)), frozenset(filter(is_local, loops))
