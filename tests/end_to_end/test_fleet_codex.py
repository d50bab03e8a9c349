"""The real Codex in a worktree of its own: told at a prompt without a conversation, gone on with by its last one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.real_codex import PROGRAM, SKIP, CodexWorld
from tests.end_to_end.test_fleet_claude import at_the_pane, fleet

pytestmark = [pytest.mark.skipif(PROGRAM is None, reason=SKIP), pytest.mark.timeout(600)]
SCRIPT: dict[str, Any] = {"tidy-up": [{"text": "Tidied it all."}], "*": [{"text": "Hello."}]}


@pytest.fixture
def world() -> Iterator[CodexWorld]:
    one = CodexWorld(SCRIPT)
    try:
        assert PROGRAM
        one.start_fleet("codex", PROGRAM)
        yield one
    finally:
        one.close()


def test_codex_is_told_its_task_and_goes_on_with_it(world: CodexWorld) -> None:
    at_the_pane(world, "spawn feature/x --agent codex --task 'Please tidy-up.'", "spawn codex on feature/x in shop")
    world.until(lambda: fleet(world).get("state") == "running", "the agent")
    world.pane = fleet(world)["pane"]
    world.draws("Tidied it all.")
    at_the_pane(world, "kill feature-x", "kill feature-x")
    world.until(lambda: fleet(world)["state"] == "ended", "its end")
    at_the_pane(world, "resume feature-x", "resume feature-x")
    world.until(lambda: fleet(world)["state"] == "running", "it goes on")
    world.pane = fleet(world)["pane"]
    world.draws("Tidied it all.")
