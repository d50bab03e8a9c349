"""The real opencode asks, the real sidecar judges, a person answers at a real tmux client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.real_opencode import PROGRAM, SKIP, OpencodeWorld

pytestmark = [pytest.mark.skipif(PROGRAM is None, reason=SKIP), pytest.mark.timeout(400)]


def turn(name: str, **call: Any) -> dict[str, Any]:
    return {f"go-{name}": [call, {"text": f"The {name} turn is over."}]}


QUESTION = {
    "question": "Which region?",
    "header": "Region",
    "options": [{"label": "Europe", "description": "eu"}, {"label": "Asia", "description": "as"}],
}
SCRIPT: dict[str, Any] = {
    **turn("yes", shell="touch made-yes"),
    **turn("reason", shell="touch made-reason"),
    **turn("held", shell="mkdir made-held"),
    **turn("guard", shell="echo '{}' > ~/.config/opencode/plugins/tmux-agent.js"),
    **turn("edit", edit={"path": "prices.txt", "old": "apples 3", "new": "apples 4"}),
    **turn("native", shell="touch made-native"),
    **turn("region", tool={"name": "question", "args": {"questions": [QUESTION]}}),
    **turn("mcp", tool={"name": "tmux-agent_command_run", "args": {"command": "mkdir", "args": ["made-mcp"]}}),
    **turn("leave", shell="mkdir made-leave"),
    "*": [{"text": "Hello."}],
}


@pytest.fixture(scope="module")
def world() -> Iterator[OpencodeWorld]:
    made = OpencodeWorld(SCRIPT)
    try:
        made.start()
        yield made
    finally:
        made.close()


def asked(world: OpencodeWorld, name: str) -> dict[str, Any]:
    """Have opencode ask for something: ours waits, the status line says so. The open approval."""
    before = len(world.records("approval.opened"))
    world.say(f"please go-{name}")
    world.until(lambda: len(world.records("approval.opened")) > before, "the question")
    world.shows("⏸1")
    (opened,) = world.records("approval.opened")[before:]
    return opened


def withdrawn(world: OpencodeWorld, opened: dict[str, Any]) -> bool:
    return any(one["request_id"] == opened["request_id"] for one in world.records("approval.withdrawn"))


def test_a_yes_in_the_popup_answers_opencodes_dialog(world: OpencodeWorld) -> None:
    """No rule of ours matches, opencode asks: the popup answers, and the log says who asked and who answered."""
    opened = asked(world, "yes")
    world.draws("Permission required")
    world.popup("touch made-yes")
    world.answer("a", "approved")
    world.leave_popup()
    world.draws("The yes turn is over.")
    assert (world.project / "made-yes").exists()
    (answered,) = world.records("approval.answered")
    origin = opened["origin"]
    assert (origin["agent"], origin["pane"], origin["door"]) == ("opencode", world.pane, "hook")
    assert origin["session"].startswith("ses_")
    assert answered["origin"]["client"] == world.person.tty
    assert answered["data"]["digest"] == opened["data"]["digest"]


def test_a_no_carries_its_reason(world: OpencodeWorld) -> None:
    """What the person types is what the model reads, and the turn goes on."""
    asked(world, "reason")
    world.popup("touch made-reason")
    world.answer("d", "The reason goes to the agent")
    world.person.press(*"use make instead", "\r")
    world.shows("denied")
    world.leave_popup()
    world.draws("The reason turn is over.")
    assert "a person said no: use make instead" in world.results()
    assert not (world.project / "made-reason").exists()


def test_one_yes_is_enough(world: OpencodeWorld) -> None:
    """A rule of ours holds it before opencode asks about the very same: the person is asked once."""
    before = len(world.records("approval.opened"))
    asked(world, "held")
    assert not (world.project / "made-held").exists()
    world.popup("mkdir made-held")
    world.answer("a", "approved")
    world.leave_popup()
    world.draws("The held turn is over.")
    assert (world.project / "made-held").exists()
    assert len(world.records("approval.opened")) == before + 1


def test_a_guardrail_blocks(world: OpencodeWorld) -> None:
    """An agent does not rewrite our plugin: blocked or asked about, never simply run."""
    plugin = world.home / ".config" / "opencode" / "plugins" / "tmux-agent.js"
    text = plugin.read_text()
    world.say("please go-guard")
    world.draws("The guard turn is over.")
    decision = world.records("decision")[-1]["data"]
    assert decision["verdict"] == "deny", decision
    assert decision["rule"] in world.results()
    assert plugin.read_text() == text


def test_an_edit_is_shown_as_a_diff(world: OpencodeWorld) -> None:
    """The person sees what would change before it is written."""
    asked(world, "edit")
    world.popup("+apples 4")
    world.answer("a", "approved")
    world.leave_popup()
    world.draws("The edit turn is over.")
    assert (world.project / "prices.txt").read_text() == "apples 4\n"


def test_an_answer_in_opencode_takes_the_question_away(world: OpencodeWorld) -> None:
    """The person says yes in opencode's own dialog: ours goes, the agent works on."""
    opened = asked(world, "native")
    world.draws("Permission required")
    world.until(lambda: withdrawn(world, opened), "the withdrawal", press="Enter")
    world.draws("The native turn is over.")
    assert (world.project / "made-native").exists()
    world.until(lambda: world.state_of_agent() == "done", "the end of work")


def test_a_question_is_answered_in_the_popup(world: OpencodeWorld) -> None:
    """What opencode asks the person is a question in the popup; the choice goes back."""
    asked(world, "region")
    world.popup("Which region?")
    world.answer("2", "approved")
    world.leave_popup()
    world.draws("The region turn is over.")
    assert '"Which region?"="Asia"' in world.results()


def test_the_bridge_asks_in_the_popup(world: OpencodeWorld) -> None:
    """Set-up gave opencode the guarded tools: what it calls there waits for a person, and is done by us."""
    opened = asked(world, "mcp")
    assert opened["data"]["action"]["argv"] == ["mkdir", "made-mcp"]
    assert (opened["origin"]["agent"], opened["origin"]["pane"]) == ("opencode", world.pane)
    world.popup("mkdir made-mcp")
    world.answer("a", "approved")
    world.leave_popup()
    world.draws("The mcp turn is over.")
    assert (world.project / "made-mcp").is_dir()


def test_esc_takes_the_question_away(world: OpencodeWorld) -> None:
    """The turn is interrupted while a rule of ours holds it: nothing runs, what waited is withdrawn."""
    opened = asked(world, "leave")
    world.interrupt(lambda: withdrawn(world, opened))
    world.until(lambda: world.state_of_agent() == "idle", "the end of work")
    assert not (world.project / "made-leave").exists()
