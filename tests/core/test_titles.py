"""Titles of panes, as the real agents set them (captured), and what they tell."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.plugin.terminal import Server
from tests.sidecar import until

from tmux_agent.core import titles
from tmux_agent.core.titles import Title

CAPTURED = {
    "✳ Scripted session": Title.CALM,
    "⠂ Scripted session": Title.WORKING,
    "◇  Ready (proj)": Title.READY,
    "✦  Working… (proj)": Title.WORKING,
    "✋  Action Required (proj)": Title.ASKING,
    "⠦ proj": Title.WORKING,
    "[ . ] Action Required | proj": Title.ASKING,
    "[ ! ] Action Required | proj": Title.ASKING,
    "Scripted session | proj": None,
    "OC | Scripted session": None,
    "#(touch pwned) #{pane_id} w": None,
}


# A pane whose title is what its input says: tmux takes it as it is (`select-pane -T` would run what it holds).
DRAWS = "stty -echo; while IFS= read -r title; do printf '\\033]2;%s\\007' \"$title\"; done"


def test_each_title_is_told_apart_by_tmux(tmp_path: Path) -> None:
    """tmux itself compares, whatever a title holds; a title that says nothing is not among them."""
    with Server() as server:
        server.run("new-session", "-d", "-s", "main", "-c", str(tmp_path), "sh", "-c", DRAWS)
        for title, told in CAPTURED.items():
            server.run("send-keys", "-t", "%0", "-l", title)
            server.run("send-keys", "-t", "%0", "Enter")
            until(lambda title=title: server.run("display-message", "-p", "#{pane_title}") == title)
            assert titles.read(server.run("display-message", "-p", titles.FORMAT)).get("%0") is told, title
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("value", ["", " ", "%", "%1 %2", "%1x %2 w"])
def test_what_says_nothing(value: str) -> None:
    """Whatever comes, no pane is named that told nothing."""
    assert not [pane for pane in titles.read(value) if pane.startswith("%")]
