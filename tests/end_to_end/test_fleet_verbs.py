"""The fleet at a terminal of the person's own: every verb, what it prints, and what it did."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.fleet_world import World, tmux_of
from tests.patience import PATIENCE
from tests.plugin.terminal import Terminal
from tests.sidecar import sidecar, until


@pytest.fixture
def world() -> Iterator[World]:
    with sidecar() as one, tmux_of(one) as tmux:
        made = World(one, tmux)
        made.start()
        yield made


def says(world: World, *argv: str, code: int = 0) -> str:
    """What a verb prints at a terminal outside tmux, where nobody is asked."""
    command = [sys.executable, "-P", "-m", "tmux_agent", *argv]
    with Terminal(command, columns=200, rows=60, env=world.sidecar.environ, cwd=world.repository) as terminal:
        while terminal.read(PATIENCE):
            pass
        assert terminal.process.wait(PATIENCE) == code, terminal.text()
        return terminal.text().strip()


def told(world: World, *argv: str) -> Any:
    """The same with --json."""
    done = says(world, *argv, "--json")
    return json.loads(done)


def test_from_nothing_to_an_agent_and_back(world: World) -> None:
    assert "wrote" in says(world, "init")
    assert sorted(told(world, "init")["there"]) == [
        str(world.repository / ".tmuxagent" / "fleet.toml"), str(world.repository / ".tmuxagent/templates/feature.md")
    ]  # fmt: skip
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "fleet")
    assert "not trusted" in says(world, "templates")
    assert "is not trusted as it is now" in says(world, "spawn", "feature/x", "--agent", "goose", code=1)
    says(world, "policy", "trust")
    assert "trusted" in says(world, "templates")
    words = ("spawn", "feature/x", "--agent", "goose", "--template", "feature", "--task", "Write it.")
    would = says(world, *words, "--dry-run")
    assert "make the branch feature/x at main" in would
    assert "Write it." in would
    assert "no agent of the fleet" in says(world, "sessions")
    assert "feature-x: goose on feature/x in" in says(world, *words)
    until(lambda: "Write it." in world.told())
    assert "feature-x" in says(world, "sessions")
    assert "Write it." in says(world, "read", "feature-x")
    assert "typed at the prompt" in says(world, "send", "feature-x", "And more.")
    until(lambda: "And more." in world.told())
    assert "stands still" in says(world, "pause", "feature-x")
    assert [one["state"] for one in told(world, "sessions")] == ["paused"]
    assert "goes on" in says(world, "resume", "feature-x")
    assert "ended feature-x" in says(world, "kill", "feature-x")
    assert "has no pane (ended)" in says(world, "read", "feature-x", code=1)
    assert "has no session (ended)" in says(world, "attach", "feature-x", code=1)
    assert told(world, "resume", "feature-x", "--fresh")["state"] == "running"
    (Path(world.agent("feature-x")["worktree"]) / "new").write_text("new\n")
    assert "not committed: ?? new" in says(world, "finish", "feature-x", code=1)
    assert "deleted the branch feature/x" in says(world, "finish", "feature-x", "--discard")
    assert "no agent of the fleet" in says(world, "sessions")
    assert [one["state"] for one in told(world, "sessions", "--finished")] == ["finished"]
    world.nothing_left()


def test_attach_goes_there_to_type_or_only_to_look(world: World) -> None:
    made = world.spawn("feature/x")
    command = [sys.executable, "-P", "-m", "tmux_agent", "attach", "feature-x"]
    env = world.sidecar.environ
    with Terminal(command, columns=100, rows=30, env=env) as terminal:
        terminal.wait_for("ready in")
        terminal.press("hello\r")
        until(lambda: world.told() == ["hello"])
    world.tmux.run("rename-session", "-t", made["session"], "another name")
    with Terminal([*command, "-r"], columns=100, rows=30, env=env) as terminal:
        terminal.wait_for("told: hello")
        assert world.tmux.run("list-clients", "-F", "#{client_readonly}").splitlines()[-1:] == ["1"]
    world.person().call("fleet.finish", {"name": "feature-x"})
    world.nothing_left()
