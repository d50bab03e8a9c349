"""A usage limit on an agent's screen: its words, and whether the agent could be told to go on as the screen stands.

Owns finding both by a rule for `limit`. Pure. Must not own: when the limit ends (limits.py), pressing (services/).
As everything on a screen it may be made up by the agent: at most a state is shown, and the person's own text typed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from . import display
from .screen_rules import Rule, key_of

LINES = 6  # that the words may be wrapped to
CELLS = 400
_MARK = re.compile(r"^\W+")  # that agents draw before it


class Reached(Struct, frozen=True, kw_only=True):
    """`words`: what it says, in one line; `resets`: of these, the time it ends. `rows`: from them to the end.

    `menu`: it asks what to do in a menu of its own, which `keys` leave, or (`goes_on`) by which it goes on. `prompt`:
    it has a prompt, and nothing is typed there. `alone`: it goes on by itself.
    """

    words: str
    resets: str = ""
    rows: tuple[int, int]
    menu: bool = False
    keys: tuple[str, ...] = ()
    goes_on: bool = False
    prompt: bool = False
    alone: bool = False


def find(rule: Rule, lines: Sequence[str], plain: Sequence[str], end: int) -> Reached | None:
    """By a rule for `limit`, in a whole screen up to the last written line: `plain` without what is drawn around it.

    Only its last words count, and only where nothing below them shows that the agent went on.
    """
    said = rule.sign or rule.resets
    if said is None:
        return None
    at = next((row for row in range(end, -1, -1) if said.search(plain[row])), None)
    if at is None:
        return None
    below = plain[at + 1 : end + 1]
    if rule.over and any(rule.over.search(line) for line in lines[at + 1 : end + 1]):
        return None
    words = _whole(rule, plain, at, end)
    found = rule.resets.search(words) if rule.resets else None
    menu = bool(rule.menu and any(rule.menu.search(line) for line in below))
    return Reached(
        words=display.safe(words)[:CELLS],
        resets=display.safe((found["resets"] or "").strip()) if found else "",
        rows=(at, end),
        menu=menu,
        keys=tuple(map(key_of, rule.leave or rule.resume)) if menu else (),
        goes_on=bool(menu and rule.resume),
        prompt=not menu and bool(rule.prompt and any(rule.prompt.search(line) for line in below)),
        alone=rule.alone,
    )


def _whole(rule: Rule, plain: Sequence[str], at: int, end: int) -> str:
    """The words with the lines that they were wrapped to: up to the next blank one, a prompt or a menu."""
    lines = [plain[at]]
    for line in plain[at + 1 : min(end + 1, at + LINES)]:
        if not line or any(pattern and pattern.search(line) for pattern in (rule.prompt, rule.menu)):
            break
        lines.append(line)
    return _MARK.sub("", " ".join(lines))
