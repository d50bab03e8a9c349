"""Codex, Gemini and opencode, each real and in a world of its own: the real sidecar judges, a person answers at a real
tmux client. (Claude Code, whose dialog stays beside the popup, is in test_whole.py.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.end_to_end import real_codex, real_gemini, real_opencode
from tests.end_to_end.real_codex import CodexWorld
from tests.end_to_end.real_gemini import GeminiWorld
from tests.end_to_end.real_opencode import OpencodeWorld
from tests.end_to_end.whole import Whole

pytestmark = pytest.mark.timeout(400)


def turn(name: str, **call: Any) -> dict[str, Any]:
    return {f"go-{name}": [call, {"text": f"The {name} turn is over."}]}


def used(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"name": tool, "args": arguments}


PATCH = "*** Begin Patch\n*** Update File: prices.txt\n@@\n-apples 3\n+apples 4\n*** Add File: more.txt\n+pears 5\n"
RAISE = {"old_string": "apples 3", "new_string": "apples 4", "instruction": "raise it"}
QUESTION = {
    "question": "Which region?",
    "header": "Region",
    "options": [{"label": "Europe", "description": "eu"}, {"label": "Asia", "description": "as"}],
}
HOOKS, SETTINGS, PLUGIN = ".codex/hooks.json", ".gemini/settings.json", ".config/opencode/plugins/tmux-agent.js"
SHARED: dict[str, Any] = {
    **turn("yes", shell="touch made-yes"),
    **turn("reason", shell="touch made-reason"),
    **turn("held", shell="mkdir made-held"),
    **turn("leave", shell="mkdir made-leave"),
    "*": [{"text": "Hello."}],
}
CODEX: dict[str, Any] = {
    **turn("read", shell="cat prices.txt && git status"),
    **turn("once", shell="rmdir made-held"),
    **turn("guard", shell=f"echo '{{}}' > ~/{HOOKS}"),
    **turn("edit", tool=used("apply_patch", input=f"{PATCH}*** End Patch\n")),
    **turn("kill", shell="mkdir made-kill"),
    **turn("own", shell="touch made-own"),
}
GEMINI: dict[str, Any] = {
    "go-after": [{"text": "Nothing is in its way."}],  # the first: Gemini may send a prompt that was given up along
    **turn("read-file", tool=used("read_file", file_path="prices.txt")),
    **turn("read", shell="cat prices.txt && git status"),
    **turn("yes", shell="touch made-yes && echo done > made-too"),
    **turn("reason", tool=used("write_file", file_path="made-reason", content="one\n")),
    **turn("edit", tool=used("replace", file_path="prices.txt", **RAISE)),
    **turn("guard", tool=used("write_file", file_path=SETTINGS, content="{}")),
    **turn("leave", shell="touch made-leave"),
}
OPENCODE: dict[str, Any] = {
    **turn("guard", shell=f"echo '{{}}' > ~/{PLUGIN}"),
    **turn("edit", edit={"path": "prices.txt", "old": "apples 3", "new": "apples 4"}),
    **turn("native", shell="touch made-native"),
    **turn("region", tool=used("question", questions=[QUESTION])),
    **turn("mcp", tool=used("tmux-agent_command_run", command="mkdir", args=["made-mcp"])),
}


@dataclass(frozen=True)
class Kind:
    """What differs between them."""

    make: Callable[[dict[str, Any]], Whole]
    program: str | None
    skip: str
    script: dict[str, Any]
    session: Callable[[str], bool]  # whether that is an id of its making
    own: str  # the file in the person's home that an agent must not rewrite
    shown: str = "touch made-reason"  # what the popup shows of what is denied with a reason
    arguments: tuple[str, ...] = ()


KINDS = {
    "codex": Kind(
        CodexWorld, real_codex.PROGRAM, real_codex.SKIP, CODEX, lambda session: len(session) == 36, HOOKS
    ),
    "gemini": Kind(
        GeminiWorld, real_gemini.PROGRAM, real_gemini.SKIP, GEMINI, lambda session: len(session) == 36, SETTINGS,
        "made-reason", ("--popup-only",),
    ),
    "opencode": Kind(
        OpencodeWorld, real_opencode.PROGRAM, real_opencode.SKIP, OPENCODE,
        lambda session: session.startswith("ses_"), PLUGIN,
    ),
}  # fmt: skip


def of(*agents: str) -> pytest.MarkDecorator:
    """A test of these. All tests of one run one after the other, in one world."""
    return pytest.mark.parametrize("agent", agents, scope="module")


each = of(*KINDS)


@pytest.fixture(scope="module")
def world(agent: str) -> Iterator[Any]:
    kind = KINDS[agent]
    if kind.program is None:
        pytest.skip(kind.skip)
    made = kind.make(SHARED | kind.script)
    try:
        made.start(*kind.arguments)
        yield made
    finally:
        made.close()


def asked(world: Whole, name: str) -> dict[str, Any]:
    """Have the agent ask for something: ours waits, the status line says so. The open approval."""
    before = len(world.records("approval.opened"))
    world.say(f"please go-{name}")
    world.until(lambda: len(world.records("approval.opened")) > before, "the question")
    world.shows("⏸1")
    (opened,) = world.records("approval.opened")[before:]
    return opened


def approved(world: Whole, name: str, *shows: str) -> None:
    """A yes in the popup, which shows all of these, and the end of the turn."""
    world.popup(shows[0])
    for text in shows[1:]:
        world.shows(text)
    world.answer("a", "approved")
    world.leave_popup()
    assert "Hook failed" not in world.draws(f"The {name} turn is over.")


def withdrawn(world: Whole, opened: dict[str, Any]) -> bool:
    return any(one["request_id"] == opened["request_id"] for one in world.records("approval.withdrawn"))


# --- each of them ------------------------------------------------------------------------------------


@of("codex", "gemini")
def test_what_only_reads_runs_without_a_question(world: Whole, agent: str) -> None:
    """The shipped policy allows it by name: nobody is asked, here or in a dialog of its own, and it is recorded."""
    names = ["read"] if agent == "codex" else ["read-file", "read"]
    for name in names:
        world.say(f"please go-{name}")
        assert "Hook failed" not in world.draws(f"The {name} turn is over.")
    assert world.results().count("apples 3") == len(names)
    assert [one["data"]["verdict"] for one in world.records("decision")] == ["allow"] * len(names)
    assert not world.records("approval.opened")


@each
def test_a_yes_in_the_popup_answers_it(world: Whole, agent: str) -> None:
    """What the agent asks about by a rule of its own (Gemini: would ask about, for its redirection, too) the popup
    answers, and the log says who asked and who answered."""
    opened = asked(world, "yes")
    if agent == "opencode":
        world.draws("Permission required")
    assert not (world.project / "made-yes").exists()
    approved(world, "yes", "touch made-yes")
    assert (world.project / "made-yes").exists()
    if agent == "gemini":
        assert (world.project / "made-too").read_text() == "done\n"
    (answered,) = world.records("approval.answered")
    origin = opened["origin"]
    assert (origin["agent"], origin["pane"], origin["door"]) == (agent, world.pane, "hook")
    assert KINDS[agent].session(origin["session"])
    assert answered["origin"]["client"] == world.person.tty
    assert answered["data"]["digest"] == opened["data"]["digest"]


@each
def test_a_no_carries_its_reason(world: Whole, agent: str) -> None:
    """What the person types is what the model reads, nothing is done, and the turn goes on."""
    asked(world, "reason")
    world.popup(KINDS[agent].shown)
    world.answer("d", "The reason goes to the agent")
    world.person.press(*"use make instead", "\r")
    world.shows("denied")
    world.leave_popup()
    world.draws("The reason turn is over.")
    assert "a person said no: use make instead" in world.results()
    assert not (world.project / "made-reason").exists()


@of("codex", "opencode")
def test_what_a_rule_asks_about_is_held_and_asked_once(world: Whole, agent: str) -> None:
    """Codex would run it without a word, opencode would ask about the very same: a rule of ours holds it until a person
    says yes, once."""
    before = len(world.records("approval.opened"))
    asked(world, "held")
    assert not (world.project / "made-held").exists()
    approved(world, "held", "mkdir made-held")
    assert (world.project / "made-held").exists()
    assert len(world.records("approval.opened")) == before + 1


@each
def test_a_guardrail_blocks(world: Whole, agent: str) -> None:
    """An agent does not rewrite its own hooks: blocked, and the model is told by which rule."""
    own = world.home / KINDS[agent].own
    before = own.read_bytes()
    world.say("please go-guard")
    world.draws("The guard turn is over.")
    decision = world.records("decision")[-1]["data"]
    assert decision["verdict"] == "deny", decision
    assert decision["rule"] in world.results()
    assert own.read_bytes() == before
    assert not (world.project / SETTINGS).exists()


@each
def test_an_edit_is_shown_before_it_is_written(world: Whole, agent: str) -> None:
    """A diff; of a patch of two files, of which a rule asks about one, all of it."""
    asked(world, "edit")
    approved(world, "edit", *(("+apples 4", "more.txt") if agent == "codex" else ("apples 4",)))
    assert (world.project / "prices.txt").read_text() == "apples 4\n"
    if agent == "codex":
        assert (world.project / "more.txt").read_text() == "pears 5\n"


@each
def test_esc_takes_the_question_away(world: Whole, agent: str) -> None:
    """The turn is interrupted, of which Gemini's hook is not told: nothing runs, what waited is withdrawn."""
    opened = asked(world, "leave")
    if isinstance(world, OpencodeWorld):
        world.interrupt(lambda: withdrawn(world, opened))
    elif agent == "gemini":
        world.until(lambda: "Request cancelled" in world.draws("Request cancelled", "esc to cancel"), "Esc", "Escape")
    else:
        world.press("Escape")
    world.until(lambda: withdrawn(world, opened), "the withdrawal")
    world.until(lambda: world.state_of_agent() == "idle", "the end of work")
    if agent == "gemini":  # the next prompt is free
        world.say("please go-after")
        world.draws("Nothing is in its way.")
        world.until(lambda: world.state_of_agent() == "done", "the end of its turn")
    assert not (world.project / "made-leave").exists()


# --- one of them -------------------------------------------------------------------------------------


@of("codex")
def test_one_yes_is_enough(world: Whole) -> None:
    """Where a rule of ours and one of Codex's ask about the same use, the person is asked once."""
    asked(world, "once")
    approved(world, "once", "rmdir made-held")
    assert not (world.project / "made-held").exists()


@of("codex")
def test_codexs_own_dialog_is_read_once_its_hook_may_wait_no_longer(world: Whole) -> None:
    """Of what Codex asks by itself: the question goes with its hook, and is back from its screen, as bad as before."""
    opened = asked(world, "own")
    assert opened["origin"]["door"] == "hook"
    world.until(lambda: withdrawn(world, opened), "the end of its hook")
    world.until(lambda: world.records("approval.opened")[-1] != opened, "the question of its dialog")
    read = world.records("approval.opened")[-1]
    assert (read["origin"]["door"], read["origin"]["pane"]) == ("screen", world.pane)
    assert read["data"]["risk"] == max(opened["data"]["risk"], "medium", key=["low", "medium", "high"].index)
    assert world.state_of_agent() == "waiting"
    world.shows("⏸1")
    approved(world, "own", "Would you like to run the following command?", "touch made-own", "Yes, proceed")
    assert (world.project / "made-own").exists()
    world.until(lambda: world.state_of_agent() == "done", "the end of work")
    assert len(world.records("approval.opened")) == world.records("approval.opened").index(read) + 1


@of("codex")
def test_a_killed_sidecar_comes_back_and_the_question_with_it(world: Whole) -> None:
    """kill -9 while a use is held: another one comes, the hook finds its question, nothing has run meanwhile."""
    opened = asked(world, "kill")
    killed = world.sidecar_pid()
    world.kill_sidecar()
    world.until(lambda: world.sidecar_pid() not in (0, killed), "another sidecar")
    world.shows("⏸1")
    assert not (world.project / "made-kill").exists()
    approved(world, "kill", "mkdir made-kill")
    assert (world.project / "made-kill").exists()
    assert world.records("approval.answered")[-1]["request_id"] == opened["request_id"]


@of("opencode")
def test_an_answer_in_opencode_takes_the_question_away(world: Whole) -> None:
    """The person says yes in opencode's own dialog: ours goes, the agent works on."""
    opened = asked(world, "native")
    world.draws("Permission required")
    world.until(lambda: withdrawn(world, opened), "the withdrawal", press="Enter")
    world.draws("The native turn is over.")
    assert (world.project / "made-native").exists()
    world.until(lambda: world.state_of_agent() == "done", "the end of work")


@of("opencode")
def test_a_question_is_answered_in_the_popup(world: Whole) -> None:
    """What opencode asks the person is a question in the popup; the choice goes back."""
    asked(world, "region")
    world.popup("Which region?")
    world.answer("2", "approved")
    world.leave_popup()
    world.draws("The region turn is over.")
    assert '"Which region?"="Asia"' in world.results()


@of("opencode")
def test_the_bridge_asks_in_the_popup(world: Whole) -> None:
    """Set-up gave opencode the guarded tools: what it calls there waits for a person, and is done by us."""
    opened = asked(world, "mcp")
    assert opened["data"]["action"]["argv"] == ["mkdir", "made-mcp"]
    assert (opened["origin"]["agent"], opened["origin"]["pane"]) == ("opencode", world.pane)
    approved(world, "mcp", "mkdir made-mcp")
    assert (world.project / "made-mcp").is_dir()
