"""The real Gemini CLI asks, the real sidecar judges, a person answers at a real tmux client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.real_gemini import FOUND, SKIP, GeminiWorld

pytestmark = [pytest.mark.skipif(FOUND is None, reason=SKIP), pytest.mark.timeout(300)]


def turn(name: str, **call: Any) -> dict[str, Any]:
    return {f"go-{name}": [call, {"text": f"The {name} turn is over."}]}


def used(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"name": tool, "args": arguments}


EDIT = used("replace", file_path="prices.txt", old_string="apples 3", new_string="apples 4", instruction="raise it")
SCRIPT: dict[str, Any] = {
    "go-after": [{"text": "Nothing is in its way."}],  # the first: Gemini may send a prompt that was given up along
    **turn("read", tool=used("read_file", file_path="prices.txt")),
    **turn("allowed", shell="cat prices.txt && git status"),
    **turn("yes", shell="touch made-yes && echo done > made-too"),
    **turn("no", tool=used("write_file", file_path="notes.txt", content="one\n")),
    **turn("edit", tool=EDIT),
    **turn("guard", tool=used("write_file", file_path=".gemini/settings.json", content="{}")),
    **turn("leave", shell="touch made-leave"),
    "*": [{"text": "Hello."}],
}


@pytest.fixture(scope="module")
def world() -> Iterator[GeminiWorld]:
    made = GeminiWorld(SCRIPT)
    try:
        made.start("--popup-only")
        yield made
    finally:
        made.close()


def asked(world: GeminiWorld, name: str) -> dict[str, Any]:
    """Have Gemini ask for something: ours waits, the status line says so. The open approval."""
    before = len(world.records("approval.opened"))
    world.say(f"please go-{name}")
    world.until(lambda: len(world.records("approval.opened")) > before, "the question")
    world.shows("⏸1")
    (opened,) = world.records("approval.opened")[before:]
    return opened


def test_what_only_reads_runs_without_a_question(world: GeminiWorld) -> None:
    """The shipped policy allows it by name: nobody is asked, here or in Gemini's dialog, and it is recorded."""
    world.say("please go-read")
    world.draws("The read turn is over.")
    world.say("please go-allowed")
    world.draws("The allowed turn is over.")
    assert world.results().count("apples 3") == 2
    assert [one["data"]["verdict"] for one in world.records("decision")] == ["allow", "allow"]
    assert not world.records("approval.opened")


def test_a_yes_in_the_popup_is_the_only_one(world: GeminiWorld) -> None:
    """A command that Gemini would ask about, for its redirection, too, runs; the log says who asked and answered."""
    opened = asked(world, "yes")
    assert not (world.project / "made-yes").exists()
    world.popup("touch made-yes")
    world.answer("a", "approved")
    world.leave_popup()
    world.draws("The yes turn is over.")
    assert (world.project / "made-yes").exists()
    assert (world.project / "made-too").read_text() == "done\n"
    (answered,) = world.records("approval.answered")
    origin = opened["origin"]
    assert (origin["agent"], origin["pane"], origin["door"]) == ("gemini", world.pane, "hook")
    assert len(origin["session"]) == 36
    assert answered["origin"]["client"] == world.person.tty
    assert answered["data"]["digest"] == opened["data"]["digest"]


def test_a_no_carries_its_reason(world: GeminiWorld) -> None:
    """What the person types is what the model reads, and nothing is written."""
    asked(world, "no")
    world.popup("notes.txt")
    world.answer("d", "The reason goes to the agent")
    world.person.press(*"keep it in your head", "\r")
    world.shows("denied")
    world.leave_popup()
    world.draws("The no turn is over.")
    assert "a person said no: keep it in your head" in world.results()
    assert not (world.project / "notes.txt").exists()


def test_an_edit_is_shown_as_a_diff(world: GeminiWorld) -> None:
    """Gemini's edit is a file action: the person sees what changes, and then it changes."""
    asked(world, "edit")
    world.popup("apples 4")
    world.answer("a", "approved")
    world.leave_popup()
    world.draws("The edit turn is over.")
    assert (world.project / "prices.txt").read_text() == "apples 4\n"


def test_a_guardrail_blocks(world: GeminiWorld) -> None:
    """An agent does not turn its own hooks off: blocked, and the model is told by which rule."""
    world.say("please go-guard")
    world.draws("The guard turn is over.")
    decision = world.records("decision")[-1]["data"]
    assert decision["verdict"] == "deny", decision
    assert decision["rule"] in world.results()
    assert not (world.project / ".gemini").exists()


def test_esc_takes_the_question_away(world: GeminiWorld) -> None:
    """Gemini has given the call up, though its hook waits on: so the question leaves, and the next prompt is free."""
    opened = asked(world, "leave")
    world.until(lambda: "Request cancelled" in world.draws("Request cancelled", "esc to cancel"), "Esc", press="Escape")
    gone = lambda: any(one["request_id"] == opened["request_id"] for one in world.records("approval.withdrawn"))  # noqa: E731
    world.until(gone, "the withdrawal")
    world.until(lambda: world.state_of_agent() == "idle", "the end of work")
    world.say("please go-after")
    world.draws("Nothing is in its way.")
    world.until(lambda: world.state_of_agent() == "done", "the end of its turn")
    assert not (world.project / "made-leave").exists()
