"""What an agent's screen says where no hook tells: a dialog, work, or a prompt that waits for the person.

Owns the words to look for (Claude Code 2.1.197, Gemini CLI 0.61.0). Pure.
An agent can print what it likes, so nothing is allowed or answered by this: at most a state is shown, or a question is
taken back, which its dialog still asks.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

FOOT = 3  # lines at the end that hold the keys' help


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


def gemini_gave_up(lines: Sequence[str]) -> bool:
    """Whether Esc ended the turn that Gemini's pane shows, though its hook may run on."""
    prompts = [at for at, line in enumerate(lines) if line.startswith(" > ")]  # the last one is its input
    turn = lines[prompts[-2] if len(prompts) > 1 else 0 : prompts[-1]] if prompts else ()
    return any(line.strip() == "ℹ Request cancelled." for line in turn)
