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
        "differs": "ansicyan underline",
        "high": "ansired bold",
        "medium": "ansiyellow",
        "low": "ansigreen",
        "question": "ansicyan",
        "warn": "ansired bold",
        "good": "ansigreen",
        "bad": "ansired",
        "key": "ansicyan bold",
        "flash": "bold",
        "plus": "ansigreen",
        "minus": "ansired",
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


STAGES = ("waiting", "approval", "running", "retrying", "success", "failed", "skipped", "cancelled", "unknown")


class Lines:
    """Border and mark characters."""

    def __init__(self, utf8: bool) -> None:
        self.across = "─" if utf8 else "-"
        self.down = "│" if utf8 else "|"
        self.top_left = "┌" if utf8 else "+"
        self.top_right = "┐" if utf8 else "+"
        self.bottom_left = "└" if utf8 else "+"
        self.bottom_right = "┘" if utf8 else "+"
        self.tee_left = "├" if utf8 else "+"
        self.tee_right = "┤" if utf8 else "+"
        self.bar = "▌" if utf8 else ">"
        self.mark = "●" if utf8 else "*"
        self.onward = "↳" if utf8 else ">"
        self.gap = "⋯" if utf8 else "~"
        self.no = "✗" if utf8 else "x"
        self.radio = "•" if utf8 else "*"
        self.up_key = "↑" if utf8 else "^"
        self.down_key = "↓" if utf8 else "v"
        self.warn = "⚠" if utf8 else "!"
        self.full, self.empty = ("█", "░") if utf8 else ("#", ".")
        self.stages = dict(zip(STAGES, "·⏸⏵↻✓✗––?" if utf8 else ".!>~+x--?", strict=True))
