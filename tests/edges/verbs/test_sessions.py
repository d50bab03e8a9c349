"""`tmux-agent sessions`: what each agent waits for, and how to get there; on narrow terminals what matters most."""

from __future__ import annotations

from typing import Any

import pytest

from tmux_agent.edges.verbs import sessions

ONE: dict[str, Any] = {
    "name": "fix-typo", "state": "running", "agent": "codex", "branch": "fix/typo", "pane": "%3", "tier": "sandbox",
    "task": "Correct it.\nAll of it.",
}  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "Correct it."),
        ({"agent_state": "working", "detail": "Bash"}, "Bash"),
        ({"agent_state": "waiting", "waiting_on": "git push"}, "in the popup: git push"),
        ({"agent_state": "waiting", "detail": "hooks need review"}, "in its pane, `tmux-agent attach fix-typo`: hooks"),
        ({"agent_state": "waiting"}, "in its pane, `tmux-agent attach fix-typo`: a dialog of its own"),
        ({"note": "set-up failed", "agent_state": "waiting"}, "set-up failed"),
    ],
)
def test_what_it_is_about(more: dict[str, Any], said: str) -> None:
    row = sessions._row(ONE | more, True)
    assert row[2:5] == ["codex (sandbox)", "fix/typo", "%3"]
    assert row[-1].startswith(said)
    assert sessions._row(ONE | more, False) == [row[0], row[1], row[-1]]
