"""The real agents before anybody has set them up: what their own dialogs ask is asked in the popup, and answered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end import real_claude, real_codex, real_gemini, real_opencode
from tests.end_to_end.real_codex import CodexWorld
from tests.end_to_end.real_gemini import GeminiWorld
from tests.end_to_end.real_opencode import OpencodeWorld
from tests.end_to_end.whole import Whole
from tests.patience import PATIENCE

pytestmark = pytest.mark.timeout(600)


class Claude(Whole):
    hooks = False


class Codex(CodexWorld):
    hooks = False


class Gemini(GeminiWorld):
    hooks = False


class Opencode(OpencodeWorld):
    hooks = False


def turn(name: str) -> dict[str, Any]:
    return {f"go-{name}": [{"shell": f"touch made-{name}"}, {"text": f"The {name} turn is over."}]}


SCRIPT: dict[str, Any] = {**turn("yes"), **turn("no"), **turn("native"), "*": [{"text": "Hello."}]}
# The popup's key for yes, where the dialog offers one yes or several; the agent's own for yes.
AGENTS = [
    pytest.param(Claude, "1", ("1",), marks=pytest.mark.skipif(not real_claude.PROGRAM, reason=real_claude.SKIP)),
    pytest.param(Codex, "a", ("y",), marks=pytest.mark.skipif(not real_codex.PROGRAM, reason=real_codex.SKIP)),
    pytest.param(Gemini, "1", ("1",), marks=pytest.mark.skipif(not real_gemini.PROGRAM, reason=real_gemini.SKIP)),
    pytest.param(
        Opencode, "1", ("Enter",), marks=pytest.mark.skipif(not real_opencode.PROGRAM, reason=real_opencode.SKIP)
    ),
]


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[Whole]:
    made: Whole = request.param(SCRIPT)
    try:
        made.start()
        yield made
    finally:
        made.close()


def asked(world: Whole, name: str) -> dict[str, Any]:
    """Have the agent ask in its dialog: ours waits, the status line says so. The open approval."""
    before = len(world.records("approval.opened"))
    world.say(f"please go-{name}")
    end = time.monotonic() + 3 * PATIENCE  # the agent takes its own time, ours begins then
    while f"touch made-{name}" not in world.server.run("capture-pane", "-p", "-t", world.pane):
        assert time.monotonic() < end, "the agent does not come to its dialog"
        world.person.read(0.1)
    world.until(lambda: len(world.records("approval.opened")) > before, "the question")
    world.shows("⏸1")
    (opened,) = world.records("approval.opened")[before:]
    assert f"touch made-{name}" in opened["data"]["action"]["details"]
    assert opened["origin"]["door"] == "screen"
    assert opened["origin"]["pane"] == world.pane
    return opened


@pytest.mark.parametrize(("world", "yes", "own"), AGENTS, indirect=["world"])
def test_an_agent_that_nobody_set_up(world: Whole, yes: str, own: tuple[str, ...]) -> None:
    """A yes runs it, a no does not and its reason is typed nowhere, an answer in the dialog itself withdraws ours."""
    agent = type(world).__name__.lower()
    opened = asked(world, "yes")
    assert opened["origin"]["agent"] == agent
    assert world.state_of_agent() == "waiting"
    world.popup("touch made-yes")
    world.answer(yes, "answered" if yes == "1" else "approved")
    world.leave_popup()
    world.draws("The yes turn is over.")
    assert (world.project / "made-yes").exists()
    world.until(lambda: world.state_of_agent() == "idle", "rest")
    (finished,) = world.records("action.finished")
    assert finished["data"]["outcome"]["ok"], finished

    opened = asked(world, "native")
    for key in own:
        world.press(key)
    world.draws("The native turn is over.")
    world.until(lambda: len(world.records("approval.withdrawn")) == 1, "the withdrawal")
    world.hides("⏸")
    assert (world.project / "made-native").exists()

    asked(world, "no")
    world.popup("touch made-no")
    world.answer("d", "kept in the log")
    world.person.press(*"not like this", "\r")
    world.until(lambda: len(world.records("action.finished")) == 2, "the keys")
    world.leave_popup()
    assert not (world.project / "made-no").exists()
    assert "not like this" not in world.server.run("capture-pane", "-p", "-t", world.pane)
    assert all(one["data"]["outcome"]["ok"] for one in world.records("action.finished"))
