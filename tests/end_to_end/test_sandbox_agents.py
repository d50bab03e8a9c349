"""The four real agents in the sandbox: each starts, its hooks ask from inside, a person answers with prefix + A, and
what was asked is done. The model is scripted, on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end import real_claude, real_codex, real_gemini, real_opencode, whole
from tests.end_to_end.real_codex import CodexWorld
from tests.end_to_end.real_gemini import GeminiWorld
from tests.end_to_end.real_opencode import OpencodeWorld
from tests.end_to_end.test_each_agent import SHARED, approved, asked, turn
from tests.end_to_end.whole import Whole

pytestmark = pytest.mark.timeout(400)
# Its world, its program, the module whose PROGRAM that world starts, what its setup is told
AGENTS: dict[str, tuple[type[Whole], str | None, Any, tuple[str, ...]]] = {
    "claude": (Whole, real_claude.PROGRAM, whole, ()),
    "codex": (CodexWorld, real_codex.PROGRAM, real_codex, ()),
    "gemini": (GeminiWorld, real_gemini.PROGRAM, real_gemini, ("--popup-only",)),
    "opencode": (OpencodeWorld, real_opencode.PROGRAM, real_opencode, ()),
}


@pytest.fixture(params=AGENTS)
def agent(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(agent: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Whole]:
    kind, program, module, arguments = AGENTS[agent]
    if program is None:
        pytest.skip(f"the real {agent} is not here (npm is missing?): scripts/test installs it")
    made = kind(SHARED | turn("unknown", shell="echo one > made-unknown"))
    walled = made.folder / "walled" / agent
    walled.parent.mkdir()
    walled.write_text(f'#!/bin/sh\nexec {made.command} wrap --plain --sandbox -- {program} "$@"\n')
    walled.chmod(0o755)
    monkeypatch.setattr(module, "PROGRAM", str(walled))
    try:
        made.start(*arguments)
        yield made
    finally:
        made.close()


def test_a_yes_in_the_popup_reaches_an_agent_in_the_sandbox(world: Whole, agent: str) -> None:
    opened = asked(world, "yes")
    assert opened["origin"]["sandbox"] is True
    assert (opened["origin"]["agent"], opened["origin"]["pane"]) == (agent, world.pane)
    assert not (world.project / "made-yes").exists()
    approved(world, "yes", "▣", "touch made-yes")
    world.until((world.project / "made-yes").exists, "the file")
    agents = json.loads(world.run("call", "agent.list", "{}").stdout)["agents"]
    (known,) = [one for one in agents if one.get("pane")]
    assert (known["kind"], known["tier"]) == (agent, "sandbox")
    assert "▣" in world.run("agents").stdout


@pytest.mark.parametrize("agent", ["codex"], indirect=True)
def test_codex_asks_in_the_sandbox_about_what_no_rule_knows(world: Whole, agent: str) -> None:
    """Outside its own sandbox is around that; inside there is ours alone, and nothing else would ask."""
    opened = asked(world, "unknown")
    assert opened["data"]["rule"] == "unmatched"
    assert not (world.project / "made-unknown").exists()
    approved(world, "unknown", "▣", "echo one > made-unknown")
    world.until((world.project / "made-unknown").exists, "the file")
