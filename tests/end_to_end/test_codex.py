"""The real Codex asks, the real sidecar judges, a person answers at a real tmux client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.real_codex import PROGRAM, SKIP, CodexWorld

pytestmark = [pytest.mark.skipif(PROGRAM is None, reason=SKIP), pytest.mark.timeout(180)]

PATCH = "*** Begin Patch\n*** Update File: prices.txt\n@@\n-apples 3\n+apples 4\n*** Add File: more.txt\n+pears 5\n"


def turn(name: str, **call: Any) -> dict[str, Any]:
    return {f"go-{name}": [call, {"text": f"The {name} turn is over."}]}


SCRIPT: dict[str, Any] = {
    **turn("read", shell="cat prices.txt && git status"),
    **turn("yes", shell="touch made-yes"),
    **turn("reason", shell="touch made-reason"),
    **turn("held", shell="mkdir made-held"),
    **turn("once", shell="rmdir made-held"),
    **turn("guard", shell="echo '{}' > ~/.codex/hooks.json"),
    **turn("patch", tool={"name": "apply_patch", "args": {"input": f"{PATCH}*** End Patch\n"}}),
    **turn("kill", shell="mkdir made-kill"),
    **turn("leave", shell="mkdir made-leave"),
    "*": [{"text": "Hello."}],
}


@pytest.fixture(scope="module")
def world() -> Iterator[CodexWorld]:
    made = CodexWorld(SCRIPT)
    try:
        made.start()
        yield made
    finally:
        made.close()


def asked(world: CodexWorld, name: str) -> dict[str, Any]:
    """Have Codex ask for something: ours waits, the status line says so. The open approval."""
    before = len(world.records("approval.opened"))
    world.say(f"please go-{name}")
    world.until(lambda: len(world.records("approval.opened")) > before, "the question")
    world.shows("⏸1")
    (opened,) = world.records("approval.opened")[before:]
    return opened


def test_what_only_reads_runs_without_a_question(world: CodexWorld) -> None:
    """The shipped policy allows it by name: nobody is asked, and it is recorded with its rule."""
    world.say("please go-read")
    world.draws("The read turn is over.")
    assert "apples 3" in world.results()
    assert "Hook failed" not in world.draws("Worked for")
    assert [one["data"]["verdict"] for one in world.records("decision")] == ["allow"]
    assert not world.records("approval.opened")


def test_a_yes_in_the_popup_answers_codexs_question(world: CodexWorld) -> None:
    """Codex would ask by a rule of its own: the popup does, and the log says who asked and who answered."""
    opened = asked(world, "yes")
    world.popup("touch made-yes")
    world.answer("a", "approved")
    world.leave_popup()
    world.draws("The yes turn is over.")
    assert (world.project / "made-yes").exists()
    (answered,) = world.records("approval.answered")
    origin = opened["origin"]
    assert (origin["agent"], origin["pane"], origin["door"]) == ("codex", world.pane, "hook")
    assert len(origin["session"]) == 36
    assert answered["origin"]["client"] == world.person.tty
    assert answered["data"]["digest"] == opened["data"]["digest"]


def test_a_no_carries_its_reason(world: CodexWorld) -> None:
    """What the person types is what the model reads."""
    asked(world, "reason")
    world.popup("touch made-reason")
    world.answer("d", "The reason goes to the agent")
    world.person.press(*"use make instead", "\r")
    world.shows("denied")
    world.leave_popup()
    world.draws("The reason turn is over.")
    assert "a person said no: use make instead" in world.results()
    assert not (world.project / "made-reason").exists()


def test_what_a_rule_asks_about_is_held(world: CodexWorld) -> None:
    """Codex itself would run it without a word: our rule holds it until a person says yes."""
    asked(world, "held")
    assert not (world.project / "made-held").exists()
    world.popup("mkdir made-held")
    world.answer("a", "approved")
    world.leave_popup()
    assert "Hook failed" not in world.draws("The held turn is over.")
    assert (world.project / "made-held").exists()


def test_one_yes_is_enough(world: CodexWorld) -> None:
    """Where a rule of ours and one of Codex's ask about the same use, the person is asked once."""
    asked(world, "once")
    world.popup("rmdir made-held")
    world.answer("a", "approved")
    world.leave_popup()
    world.draws("The once turn is over.")
    assert not (world.project / "made-held").exists()


def test_a_guardrail_blocks(world: CodexWorld) -> None:
    """An agent does not rewrite its own hooks: blocked, and the model is told by which rule."""
    hooks = (world.home / ".codex" / "hooks.json").read_text()
    world.say("please go-guard")
    world.draws("The guard turn is over.")
    decision = world.records("decision")[-1]["data"]
    assert decision["verdict"] == "deny", decision
    assert decision["rule"] in world.results()
    assert (world.home / ".codex" / "hooks.json").read_text() == hooks


def test_a_patch_is_shown_and_judged_by_its_files(world: CodexWorld) -> None:
    """Of two files a rule asks about one: the person sees the patch, and both files, before it is applied."""
    asked(world, "patch")
    world.popup("+apples 4")
    world.shows("more.txt")
    world.answer("a", "approved")
    world.leave_popup()
    world.draws("The patch turn is over.")
    assert (world.project / "prices.txt").read_text() == "apples 4\n"
    assert (world.project / "more.txt").read_text() == "pears 5\n"


def test_a_killed_sidecar_comes_back_and_the_question_with_it(world: CodexWorld) -> None:
    """kill -9 while a use is held: tmux starts a new one, the hook finds its question, nothing has run meanwhile."""
    opened = asked(world, "kill")
    world.kill_sidecar()
    world.shows("sidecar")
    world.shows("⏸1")
    assert not (world.project / "made-kill").exists()
    world.popup("mkdir made-kill")
    world.answer("a", "approved")
    world.leave_popup()
    world.draws("The kill turn is over.")
    assert (world.project / "made-kill").exists()
    assert world.records("approval.answered")[-1]["request_id"] == opened["request_id"]


def test_esc_takes_the_question_away(world: CodexWorld) -> None:
    """The turn is interrupted: nothing runs, what waited is withdrawn, the agent is idle."""
    opened = asked(world, "leave")
    world.press("Escape")

    def gone() -> bool:
        return any(one["request_id"] == opened["request_id"] for one in world.records("approval.withdrawn"))

    world.until(gone, "the withdrawal")
    world.until(lambda: world.state_of_agent() == "idle", "the end of work")
    assert not (world.project / "made-leave").exists()
