"""The state of every agent, whatever happens to it: four real ones in one tmux server, a sidecar, a person's keys.
Cursor, which cannot be had, by a program of its name that runs the hooks that the set-up wrote, with recorded inputs.

Each event is watched until the state and the badge are right, and for a moment longer; how long it took is printed
(`pytest -s`), and stands in docs/measurements.md for a quiet machine.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.all_agents import KINDS, MISSING, SKIP, AllAgents

pytestmark = [pytest.mark.skipif(MISSING, reason=SKIP), pytest.mark.timeout(600)]

REFUSED = "You have hit your usage limit, try again at 3:15 PM."
NEVER = {"text": "It thought for long.", "delay": 3600}
SCRIPT: dict[str, Any] = {
    "go-think": [NEVER],
    "go-touch": [{"shell": "touch made && cat gate"}, NEVER],
    "go-hold": [{"shell": "mkdir made"}, NEVER],
    "go-refused": [{"error": 429, "kind": "rate_limit_error", "said": REFUSED, "headers": {"x-should-retry": "false"}}],
    "go-hello": [{"text": "Hello there."}],
    "*": [NEVER],
}


@pytest.fixture(scope="module")
def world() -> Iterator[AllAgents]:
    made = AllAgents(SCRIPT)
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def leave(world: AllAgents) -> Iterator[None]:
    """What a test opened ends with it."""
    yield
    world.leave()


each = pytest.mark.parametrize("agent", KINDS)


@each
def test_turns(world: AllAgents, agent: str) -> None:
    """A turn that ends, and turns that are interrupted."""
    world.open(agent)
    world.say("please go-hello")
    world.becomes("done", "the end of a turn")
    for key, name, state in (("Escape", "Esc", "idle"), ("C-c", "Ctrl-C", world.kind.ctrl_c)):
        world.say("please go-think")
        world.becomes("working", "a prompt")
        world.becomes(state, f"{name} while it works", lambda key=key: world.interrupts(key))


@pytest.mark.parametrize(("agent", "state"), [("claude", "error"), ("codex", "idle")])
def test_a_usage_limit(world: AllAgents, agent: str, state: str) -> None:
    """The model refuses: Claude tells by a hook, in whose words the time stands; of Codex only the screen tells."""
    world.open(agent)
    world.say("please go-refused")
    world.becomes(state, "a usage limit")
    if agent == "claude":
        (one,) = world.agents() or ()
        assert "try again at 3:15 PM" in one["limit"]["words"]
        assert "resets" in one["limit"]


@each
def test_answers_in_its_own_dialog(world: AllAgents, agent: str) -> None:
    """A yes there lets it work on, however long the command takes; a no and Esc end the turn."""
    world.open(agent)
    world.asks("go-touch")
    world.draws(world.kind.dialog)
    world.becomes("waiting", "its own dialog")
    world.becomes("working", "a native yes", lambda: world.press(world.kind.yes))
    world.becomes("idle", "Esc while the command runs", lambda: world.interrupts("Escape"))
    world.asks("go-touch")
    world.draws(world.kind.dialog)
    world.becomes("idle", "a native no", lambda: world.interrupts("Escape"))


@each
@pytest.mark.parametrize("key", ["Escape", "C-c"])
def test_interrupted_while_we_ask(world: AllAgents, agent: str, key: str) -> None:
    """The question leaves the popup, and the agent is idle, also where its hook is not told."""
    world.open(agent)
    world.asks("go-hold" if agent == "codex" else "go-touch")
    if (agent, key) == ("claude", "C-c"):  # which its dialog does not take
        world.draws(world.kind.dialog)
        world.becomes("waiting", "C-c while we ask", lambda: world.press(key))
        return
    world.becomes("idle", f"{key} while we ask", lambda: world.interrupts(key))
    world.until(lambda: not world.pending(), "the end of the question")


def test_gemini_interrupted_while_its_hook_is_held(world: AllAgents) -> None:
    """Where the popup is the only prompt Gemini's hook is held, and Gemini does not end it."""
    assert world.run("setup", "gemini", "--yes", "--popup-only").returncode == 0
    world.open("gemini")
    world.asks("go-touch")
    world.becomes("idle", "Esc while its hook is held", lambda: world.interrupts("Escape"))
    world.until(lambda: not world.pending(), "the end of the question")
    assert world.run("setup", "gemini", "--yes", "--uninstall").returncode == 0
    assert world.run("setup", "gemini", "--yes").returncode == 0


@each
def test_a_new_conversation(world: AllAgents, agent: str) -> None:
    """One agent is in the pane, and it is idle; its next turn is its only one."""
    world.open(agent)
    world.say("please go-hello")
    world.becomes("done", "the end of a turn")
    world.becomes("idle", world.kind.clear, world.clear)
    world.say("please go-hello")
    world.becomes("done", f"the end of a turn after {world.kind.clear}")


@each
def test_a_killed_sidecar(world: AllAgents, agent: str) -> None:
    """What was known is known again, and what happened meanwhile is seen."""
    world.open(agent)
    world.say("please go-think")
    world.becomes("working", "a prompt")
    world.becomes("working", "kill -9 of the sidecar", world.kill_sidecar)

    world.becomes("idle", "kill -9 of the sidecar, and Esc", lambda: (world.kill_sidecar(), world.interrupts("Escape")))
    world.asks("go-touch")
    world.becomes("waiting", "kill -9 of the sidecar while we ask", world.kill_sidecar)
    world.becomes("gone", "the end of its pane", lambda: world.server.run("kill-pane", "-t", world.pane))


@each
def test_killed(world: AllAgents, agent: str) -> None:
    """The agent itself, at work and while it asks; its pane."""
    for prompt in ("go-think", "go-touch"):
        world.open(agent)
        world.say(f"please {prompt}")
        world.becomes("working" if prompt == "go-think" else "waiting", "a prompt")
        world.becomes("gone", f"kill -9 of it, {prompt}", lambda: os.kill(world.agent_pid(), signal.SIGKILL))
    world.open(agent)
    world.asks("go-touch")
    world.becomes("gone", "kill-pane", lambda: world.server.run("kill-pane", "-t", world.pane))
    world.until(lambda: not world.pending(), "the end of the question")


@each
def test_resumed(world: AllAgents, agent: str) -> None:
    """An agent that ended and is started again with its former conversation waits for a prompt."""
    world.open(agent)
    world.say("please go-hello")
    world.becomes("done", "the end of a turn")
    world.server.run("kill-pane", "-t", world.pane)
    world.becomes("idle", "resume", lambda: world.open(agent, *world.kind.resume))
    world.say("please go-think")
    world.becomes("working", "a prompt after it")


def test_cursor(world: AllAgents) -> None:
    """Turns and their ends, a question of ours, another conversation; sidecar, agent and pane are killed."""
    world.open_cursor()
    for name, state in (
        ("sessionStart", "idle"), ("beforeSubmitPrompt", "working"), ("stop", "done"),
        ("beforeSubmitPrompt", "working"), ("stop-aborted", "idle"),
        ("beforeSubmitPrompt", "working"), ("stop-error", "error"), ("sessionEnd", "gone"),
        ("sessionStart", "idle"), ("beforeSubmitPrompt", "working"),
    ):  # fmt: skip
        world.becomes(state, name, lambda name=name: world.cursor(name))
    world.becomes("working", "kill -9 of the sidecar", world.kill_sidecar)
    world.cursor("preToolUse-Shell")
    world.becomes("waiting", "a question, preToolUse")
    world.becomes("waiting", "kill -9 of the sidecar while we ask", world.kill_sidecar)
    world.becomes("gone", "kill -9 of it", lambda: os.kill(world.agent_pid(), signal.SIGKILL))
    world.until(lambda: not world.pending(), "the end of the question")
    world.open_cursor()
    world.cursor("beforeSubmitPrompt")
    world.becomes("working", "beforeSubmitPrompt")
    world.becomes("gone", "kill-pane", lambda: world.server.run("kill-pane", "-t", world.pane))
