"""The main job, whole: real Claude Code asks, the real sidecar judges, a person answers at a real tmux client."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.real_claude import PROGRAM, SKIP
from tests.end_to_end.whole import CLEAR_LINE, END, SUBMIT, Whole

pytestmark = [pytest.mark.skipif(PROGRAM is None, reason=SKIP), pytest.mark.timeout(600)]

DIALOG = "Do you want to proceed?"


def turn(name: str, shell: str) -> dict[str, Any]:
    return {f"go-{name}": [{"shell": shell}, {"text": f"The {name} turn is over."}]}


SCRIPT: dict[str, Any] = {
    **turn("read", "cat prices.txt && git status"),
    **turn("yes", "touch made-yes"),
    **turn("reason", "touch made-reason"),
    **turn("edit", "touch made-edit"),
    **turn("guard", "echo '{}' > ~/.claude/settings.json"),
    **turn("native", "touch made-native; sleep 60"),
    **turn("refuse", "touch made-refuse"),
    **turn("kill", "touch made-kill"),
    **turn("away", "cat prices.txt"),
    **turn("clear", "touch made-clear"),
    "go-slow": [{"text": "Thinking.", "delay": 50}],
    "*": [{"text": "Hello."}],
}


@pytest.fixture(scope="module")
def whole() -> Iterator[Whole]:
    made = Whole(SCRIPT)
    try:
        made.start()
        yield made
    finally:
        made.close()


def asked(whole: Whole, name: str) -> dict[str, Any]:
    """Have Claude ask for something: its dialog shows, ours waits, the status line says so. The open approval."""
    before = len(whole.records("approval.opened"))
    whole.say(f"please go-{name}")
    whole.draws(DIALOG)
    whole.shows("⏸1")
    whole.until(lambda: len(whole.records("approval.opened")) > before, "the question")
    (opened,) = whole.records("approval.opened")[before:]
    return opened


def withdrawn(whole: Whole, opened: dict[str, Any], press: str = "") -> None:
    """Ours goes, because of a key in Claude's dialog or of something else."""

    def gone() -> bool:
        return any(one["request_id"] == opened["request_id"] for one in whole.records("approval.withdrawn"))

    whole.until(gone, "the withdrawal", press)
    whole.hides("⏸")


def test_what_only_reads_runs_without_a_dialog(whole: Whole) -> None:
    """The shipped policy allows it by name: it runs, nobody is asked, and it is recorded with its rule."""
    whole.say("please go-read")
    assert DIALOG not in whole.draws("The read turn is over.", DIALOG)
    assert "apples 3" in whole.results()
    assert [one["data"]["verdict"] for one in whole.records("decision")] == ["allow"]
    assert not whole.records("approval.opened")


def test_a_yes_in_the_popup_runs_it(whole: Whole) -> None:
    """Prefix + A, a: the tool runs, the dialog goes, and the log says who asked and who answered."""
    opened = asked(whole, "yes")
    whole.popup("touch made-yes")
    whole.answer("a", "approved")
    whole.leave_popup()
    whole.draws("The yes turn is over.")
    assert (whole.project / "made-yes").exists()
    (answered,) = whole.records("approval.answered")
    origin = opened["origin"]
    assert (origin["agent"], origin["pane"], origin["door"]) == ("claude", whole.pane, "hook")
    assert len(origin["session"]) == 36
    by = answered["origin"]
    assert by["role"] == "operator"
    assert by["client"] == whole.person.tty
    assert answered["data"]["digest"] == opened["data"]["digest"]


def test_a_no_carries_its_reason(whole: Whole) -> None:
    """What the person types is what the model reads."""
    asked(whole, "reason")
    whole.popup("touch made-reason")
    whole.answer("d", "The reason goes to the agent")
    whole.person.press(*"use make instead", "\r")
    whole.shows("denied")
    whole.leave_popup()
    whole.draws("The reason turn is over.")
    assert "use make instead" in whole.results()
    assert not (whole.project / "made-reason").exists()


def test_an_edit_is_what_runs(whole: Whole) -> None:
    """The person changes the command; Claude runs the changed one."""
    asked(whole, "edit")
    whole.popup("touch made-edit")
    whole.answer("e", "Ctrl-S")
    whole.person.press(END, CLEAR_LINE, *"touch edited")
    whole.shows("touch edited")
    whole.person.press(SUBMIT)
    whole.shows("approve this")
    whole.person.press("a")
    whole.shows("approved as edited")
    whole.leave_popup()
    whole.draws("The edit turn is over.")
    assert (whole.project / "edited").exists()
    assert not (whole.project / "made-edit").exists()


def test_a_guardrail_blocks(whole: Whole) -> None:
    """An agent does not rewrite its own hooks: blocked, and Claude and the model are told by which rule."""
    settings = (whole.home / ".claude" / "settings.json").read_text()
    whole.say("please go-guard")
    whole.draws("The guard turn is over.", DIALOG)
    decision = whole.records("decision")[-1]["data"]
    assert decision["verdict"] == "deny", decision
    assert decision["rule"] in whole.results()
    assert (whole.home / ".claude" / "settings.json").read_text() == settings


def test_a_yes_in_claudes_dialog_withdraws_ours(whole: Whole) -> None:
    """Also while the command runs on and no hook tells; Esc then ends the turn, and the agent is not called working."""
    opened = asked(whole, "native")
    withdrawn(whole, opened, "Enter")
    assert (whole.project / "made-native").exists()
    assert whole.state_of_agent() == "working"
    whole.until(lambda: whole.state_of_agent() == "idle", "the end of work", "Escape")
    whole.draws("Interrupted")


def test_esc_while_the_model_thinks_is_seen(whole: Whole) -> None:
    """No hook tells of it at all."""
    whole.say("please go-slow")
    whole.draws("esc to interrupt")
    whole.until(lambda: whole.state_of_agent() == "working", "work")
    whole.until(lambda: whole.state_of_agent() == "idle", "the end of work", "Escape")


@pytest.mark.parametrize("key", ["3", "Escape"])
def test_a_no_in_claudes_dialog_withdraws_ours(whole: Whole, key: str) -> None:
    """No, and Esc: the hook is ended, our question goes."""
    opened = asked(whole, "refuse")
    withdrawn(whole, opened, key)
    assert not (whole.project / "made-refuse").exists()


def test_a_killed_sidecar_comes_back_and_the_question_with_it(whole: Whole) -> None:
    """kill -9 while Claude waits: a new one comes, the hook finds it, the popup answers."""
    opened = asked(whole, "kill")
    killed = whole.sidecar_pid()
    whole.kill_sidecar()
    whole.until(lambda: whole.sidecar_pid() not in (0, killed), "another sidecar")
    whole.shows("⏸1")
    whole.popup("touch made-kill")
    whole.answer("a", "approved")
    whole.leave_popup()
    whole.draws("The kill turn is over.")
    assert (whole.project / "made-kill").exists()
    assert whole.records("approval.answered")[-1]["request_id"] == opened["request_id"]
    assert whole.run("audit", "verify").returncode == 0


def test_clear_begins_another_session(whole: Whole) -> None:
    """The old session leaves, the new one is there, and asks as any."""
    whole.say("/clear")
    whole.until(lambda: whole.state_of_agent() == "idle", "the new session")
    opened = asked(whole, "clear")
    withdrawn(whole, opened, "Escape")


@pytest.mark.parametrize("killed", ["process", "pane"])
def test_a_killed_claude_leaves_nothing_behind(whole: Whole, killed: str) -> None:
    """In the middle of a question, whose hook lives on: the question and the agent go at once."""
    opened = asked(whole, "clear")
    if killed == "process":
        os.kill(int(whole.server.run("display-message", "-p", "-t", whole.pane, "#{pane_pid}")), signal.SIGKILL)
    else:
        whole.server.run("kill-pane", "-t", whole.pane)
    withdrawn(whole, opened)
    whole.until(lambda: whole.state_of_agent() == "", "the agent's leaving")
    whole.start_claude()


def test_bypass_mode_does_not_skip_a_rule_that_asks_and_a_stopped_sidecar_asks(whole: Whole) -> None:
    """With --dangerously-skip-permissions a named ask shows the dialog; so does all, while no sidecar is there."""
    rule = {"name": "touching", "when": {"command": ["touch", "..."]}, "verdict": "ask"}
    rule |= {"match": ["touch x"], "not_match": ["ls"]}
    folder = whole.folder / "config" / "policy.d"
    folder.mkdir(exist_ok=True)
    (folder / "touch.yaml").write_text(json.dumps({"version": 1, "rules": [rule]}))
    loaded = len(whole.records("policy.loaded"))
    assert whole.run("sidecar", "reload").returncode == 0
    whole.until(lambda: len(whole.records("policy.loaded")) > loaded, "the new policy")
    whole.start_claude("--dangerously-skip-permissions")
    opened = asked(whole, "refuse")
    assert opened["data"]["rule"] == "touching"
    withdrawn(whole, opened, "Escape")
    assert whole.run("sidecar", "stop").returncode == 0
    whole.say("please go-away")
    assert "the sidecar is away" in whole.draws(DIALOG)
    whole.press("Escape")
