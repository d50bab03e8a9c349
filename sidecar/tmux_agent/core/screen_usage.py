"""What an agent's screen says of its cost and of how full its context is, in few words. Pure.

Codex draws "98% context left" or "Context 98% left", Claude Code "Context left until auto-compact: 12%", opencode
"6% used" and "$0.02 spent" in its side bar (found in the programs themselves). What no screen says is not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_CONTEXT = (
    re.compile(r"\b(?P<left>\d{1,3})% context left\b"),
    re.compile(r"\bcontext (?P<left>\d{1,3})% left\b", re.IGNORECASE),
    re.compile(r"\bcontext left until auto-compact: (?P<left>\d{1,3})%", re.IGNORECASE),
    re.compile(r"\bcontext (?P<used>\d{1,3})% used\b", re.IGNORECASE),
    re.compile(r"(?<![\w.])(?P<used>\d{1,3})% used\b"),
)
_COST = re.compile(r"(?<!\w)\$(\d{1,7}(?:\.\d{1,4})?) spent\b")
_LINE = 1000  # characters of a line that are looked at


def said(lines: Iterable[str]) -> str:
    """ "94 % context left, $0.02": what stands lowest on the screen. "" where it says nothing of that."""
    context = cost = ""
    for line in lines:
        text = line[:_LINE]
        for pattern in _CONTEXT:
            if found := pattern.search(text):
                left = found.groupdict().get("left")
                context = f"{left} % context left" if left is not None else f"{found['used']} % context used"
                break
        if found := _COST.search(text):
            cost = f"${found[1]}"
    return ", ".join(filter(None, (context, cost)))
