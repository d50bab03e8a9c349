"""Colours and line characters of the popup.

Owns: the one table from meaning to terminal attributes. Must not own: layout, words.
Sixteen colours on the terminal's own background, so that the person's theme decides what red is; never white or black
text, never a colour that is the only carrier of its meaning.
"""

from __future__ import annotations

from prompt_toolkit.styles import Style

from tmux_agent.core.model import Risk

STYLE = Style.from_dict(
    {
        "frame": "dim",
        "title": "bold",
        "faint": "dim",
        "label": "dim",
        "odd": "reverse",
        "accent": "ansicyan",
        "cursor": "ansicyan bold",
        "chosen": "bold",
        "gone": "dim strike",
        "high": "ansired bold",
        "medium": "ansiyellow",
        "low": "ansigreen",
        "question": "ansicyan",
        "warn": "ansired bold",
        "good": "ansigreen",
        "bad": "ansired",
        "key": "ansicyan bold",
        "flash": "bold",
        "add": "ansigreen",
        "del": "ansired",
        "hunk": "ansicyan dim",
        "code.keyword": "ansimagenta",
        "code.string": "ansicyan",
        "code.number": "ansicyan",
        "code.comment": "dim italic",
        "code.name": "bold",
        "code.operator": "ansimagenta",
        "editor": "",
    }
)


def risk_style(risk: Risk) -> str:
    return f"class:{risk.value}"


class Lines:
    """Border and mark characters."""

    def __init__(self, utf8: bool) -> None:
        self.utf8 = utf8
        chars = "─│┌┐└┘├┤▌●↳⋯✓✗·•↑↓⚠" if utf8 else "-|++++++>*>.+x-*^v!"
        (
            self.across, self.down, self.top_left, self.top_right, self.bottom_left, self.bottom_right,
            self.tee_left, self.tee_right, self.bar, self.mark, self.onward, self.gap, self.yes, self.no,
            self.dot, self.radio, self.up_key, self.down_key, self.warn,
        ) = chars  # fmt: skip
