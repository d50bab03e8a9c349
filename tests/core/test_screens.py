"""What Claude's screen says, on screens that were recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tmux_agent.core.screens import Screen, claude

CORPUS = Path(__file__).parents[1] / "corpus" / "screens"
RECORDED = {
    "waiting": Screen.DIALOG,
    "waiting-edit": Screen.DIALOG,
    "waiting-write": Screen.DIALOG,
    "working": Screen.WORKING,
    "prehook-blocking-mid": Screen.WORKING,
    "idle": Screen.PROMPT,
    "finished": Screen.PROMPT,
}


@pytest.mark.parametrize(("name", "screen"), RECORDED.items())
def test_recorded_screens(name: str, screen: Screen) -> None:
    """Each kind of screen of the real program is told from the others."""
    assert claude((CORPUS / f"claude-{name}.txt").read_text().splitlines()) is screen


def test_every_recorded_screen_is_tried() -> None:
    """None lies beside the test."""
    assert {path.stem.removeprefix("claude-") for path in CORPUS.glob("claude-*.txt")} == set(RECORDED)


def test_words_of_a_dialog_higher_up_are_no_dialog() -> None:
    """Only the keys' help at the foot counts; an agent may print the same words."""
    assert claude(["Esc to cancel", "", "❯", "----", "  ? for shortcuts", ""]) is Screen.PROMPT
    assert claude([]) is Screen.PROMPT
