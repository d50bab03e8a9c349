"""From a shell in a pane to a real Claude Code in a worktree of its own, and to its end: asked in the popup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.real_claude import PROGRAM, SKIP
from tests.end_to_end.whole import Whole

pytestmark = [pytest.mark.skipif(PROGRAM is None, reason=SKIP), pytest.mark.timeout(600)]

SCRIPT: dict[str, Any] = {
    "tidy-up": [{"shell": "touch made"}, {"text": "Tidied."}],
    "and-more": [{"text": "More."}],
    "*": [{"text": "Hello."}],
}


@pytest.fixture
def whole() -> Iterator[Whole]:
    one = Whole(SCRIPT)
    try:
        assert PROGRAM
        one.start_fleet("claude", PROGRAM)
        one.set_up("claude")
        yield one
    finally:
        one.close()


def fleet(whole: Whole) -> dict[str, Any]:
    agents = json.loads(whole.run("sessions", "--json").stdout)
    return agents[0] if agents else {}


def at_the_pane(whole: Whole, words: str, shows: str) -> None:
    """A command that the person types; the popup comes by itself, at its question, and they say yes."""
    whole.person.press(f"clear; {whole.command} {words}\r")
    whole.shows("1 waiting")
    whole.shows(shows)
    whole.answer("a", "Nothing waits")
    whole.leave_popup()


def test_a_person_at_a_pane_has_claude_work_in_a_worktree(whole: Whole) -> None:
    at_the_pane(whole, "spawn feature/x --task 'Please tidy-up.'", "spawn claude on feature/x in shop")
    whole.until(lambda: fleet(whole).get("state") == "running", "the agent")
    whole.pane = fleet(whole)["pane"]
    whole.until(lambda: fleet(whole)["task_state"] == "given", "the task")
    whole.popup("touch made")
    whole.answer("a", "Nothing waits")
    whole.leave_popup()
    whole.draws("Tidied.")
    made = whole.home / "shop-worktrees" / "feature-x" / "made"
    assert made.exists()
    assert not (whole.project / "made").exists()
    # It ends, and goes on with what was said.
    at_the_pane(whole, "kill feature-x", "kill feature-x")
    whole.until(lambda: fleet(whole)["state"] == "ended", "its end")
    at_the_pane(whole, "resume feature-x", "resume feature-x")
    whole.until(lambda: fleet(whole)["state"] == "running", "it goes on")
    whole.pane = fleet(whole)["pane"]
    whole.draws("Tidied.")
    at_the_pane(whole, "send feature-x 'Please and-more.'", "Please and-more.")
    whole.draws("More.")
    # What it made is not committed, so it is not thrown away unasked.
    whole.person.press(f"clear; {whole.command} finish feature-x\r")
    whole.shows("not committed: ?? made")
    at_the_pane(whole, "finish feature-x --discard", "throw away what is not committed")
    whole.until(lambda: not fleet(whole), "its end")
    assert not made.parent.exists()
    assert "feature/x" not in whole.git("branch")


def test_whether_its_folder_is_trusted_is_asked_in_the_popup(whole: Whole) -> None:
    """Before any hook of it runs; its task is typed after the yes."""
    known = json.loads((whole.home / ".claude.json").read_text())
    (whole.home / ".claude.json").write_text(json.dumps({**known, "projects": {}}))
    at_the_pane(whole, "spawn fix/prices --task 'Please and-more.'", "spawn claude on fix/prices in shop")
    whole.until(lambda: bool(fleet(whole).get("waiting_on")), "its dialog")
    listed = whole.run("sessions").stdout
    assert "in the popup: Trust this folder?" in listed
    whole.popup("Trust this folder?")
    assert "Quick safety check" in whole.shows("shop-worktrees/fix-prices")
    assert fleet(whole)["task_state"] == "waiting"
    whole.answer("a", "Nothing waits")
    whole.leave_popup()
    whole.pane = fleet(whole)["pane"]
    whole.draws("More.")
    whole.until(lambda: fleet(whole)["task_state"] == "given", "the task")
    assert whole.records("approval.opened")[-1]["origin"]["door"] == "screen"
