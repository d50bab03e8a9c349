"""What an agent's screen says where no hook tells: a dialog, work, or a prompt that waits for the person.

Owns the words and titles to look for (Claude Code 2.1.197, captures in tests/corpus/screens; Gemini CLI 0.61.0). Pure.
An agent can print what it likes, so nothing is allowed or answered by this: at most a state is shown, or a question is
taken back, which its dialog still asks.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

FOOT = 3  # lines at the end that hold the keys' help

# A tmux format: the ids of all panes whose title says that its agent does not work: Claude waits, or a dialog of it
# does; Gemini is ready. Where Gemini's dialog waits, or it works, ! or + stands before the id. What a title holds is
# compared and never expanded.
_CALM = "#{?#{||:#{m:✳ *,#{pane_title}},#{m:◇ *Ready*,#{pane_title}}},#{pane_id} ,}"
_GEMINI = "#{?#{m:✋ *Action*,#{pane_title}},!#{pane_id} ,}#{?#{m:✦ *,#{pane_title}},+#{pane_id} ,}"
CALM = f"#{{S:#{{W:#{{P:{_CALM}{_GEMINI}}}}}}}"


class Screen(enum.Enum):
    DIALOG = "dialog"
    WORKING = "working"
    PROMPT = "prompt"


def claude(lines: Sequence[str]) -> Screen:
    """What Claude Code's pane shows, from the lines of its screen."""
    written = [line for line in lines if line.strip()]
    foot = "\n".join(written[-FOOT:])
    if "Esc to cancel" in foot:
        return Screen.DIALOG
    return Screen.WORKING if "esc to interrupt" in foot else Screen.PROMPT
