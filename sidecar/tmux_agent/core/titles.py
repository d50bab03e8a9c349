"""What agents say in the titles of their panes, where no hook tells.

Owns the titles to look for (Claude Code 2.1.197, Codex 0.169.0, Gemini CLI 0.61.0) and the tmux format that looks.
Pure. An agent can set any title, so nothing is allowed or answered by this: at most a state is shown, or a question is
taken back.
"""

from __future__ import annotations

import enum


class Title(enum.Enum):
    WORKING = "w"
    ASKING = "a"  # its own dialog waits
    READY = "r"  # its prompt waits
    CALM = "c"  # one of these two: Claude shows the same for both


_SPINNER = "⠂⠐⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"  # Claude's two, Codex's ten; not as a range, which follows the locale
_PATTERNS = (
    (Title.CALM, "✳ *"),
    (Title.READY, "◇ *Ready*"),
    (Title.ASKING, "✋ *Action*"),
    (Title.ASKING, "? ? ? Action Required*"),  # "[ ! ] Action Required | shop": Codex, blinking
    (Title.WORKING, "✦ *"),
    (Title.WORKING, f"[{_SPINNER}] *"),
)
_SIGNS = "".join(f"#{{?#{{m:{pattern},#{{pane_title}}}},{title.value},}}" for title, pattern in _PATTERNS)
# Of all panes, whose title says something: "%7w %9c ". What a title holds is compared and never expanded.
FORMAT = f"#{{S:#{{W:#{{P:#{{pane_id}}{_SIGNS} }}}}}}"


def read(value: str) -> dict[str, Title]:
    """What FORMAT gave, by pane."""
    known = {title.value: title for title in Title}
    return {word[:-1]: known[word[-1]] for word in value.split() if word[-1] in known}
