"""Patterns for names, where shells and tools differ in what they take them for.

Owns the two careful answers: what a pattern may match in some tool, and what it matches in every one. Must not own
looking at names (services/observe.py) nor what follows from a match (reach.py).
"""

from __future__ import annotations

import re
from functools import lru_cache

_PLAIN_SET = re.compile(r"[A-Za-z0-9_]+")


def perhaps(name: str, glob: str) -> bool:
    """Whether a shell or tool may match one name: backslashes escape, letters fold, brackets may hold classes."""
    return _wide(glob).fullmatch(name) is not None


def surely(name: str, glob: str) -> bool:
    """Whether every tool matches: only patterns without brackets, braces and backslashes can be sure."""
    if any(char in glob for char in "[]{}\\"):
        return False
    return re.fullmatch("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in glob), name, re.DOTALL) is not None


@lru_cache(maxsize=1024)
def _wide(glob: str) -> re.Pattern[str]:
    out, at = [], 0
    while at < len(glob):
        char = glob[at]
        if char == "[":
            end = glob.find("]", at + 2)
            inner = glob[at + 1 : end] if end > 0 else "["
            if "[" in inner or "\\" in inner:  # [[:alpha:]], [[.a.]], [\]]: where it ends is not plain
                out.append(".*")
                break
            out.append(f"[{inner}]" if _PLAIN_SET.fullmatch(inner) else ".")
            at = end
        elif char == "\\" and at + 1 < len(glob):
            at += 1
            out.append(re.escape(glob[at]))
        else:
            out.append({"*": ".*", "?": "."}.get(char, re.escape(char)))
        at += 1
    return re.compile("".join(out), re.DOTALL | re.IGNORECASE)
