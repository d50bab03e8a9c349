"""The queue at a terminal of the person's own: every verb, what it prints, and what it did."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
from tests.end_to_end.fleet_world import tmux_of
from tests.end_to_end.queue_world import World
from tests.patience import PATIENCE
from tests.plugin.terminal import Terminal
from tests.sidecar import sidecar


@pytest.fixture
def world() -> Iterator[World]:
    with sidecar() as one, tmux_of(one) as tmux:
        made = World(one, tmux)
        made.start()
        yield made


def opened(world: World, *argv: str, columns: int = 200) -> Terminal:
    """A verb at a terminal outside tmux, where nobody is asked."""
    command = [sys.executable, "-P", "-m", "tmux_agent", "queue", *argv]
    return Terminal(command, columns=columns, rows=60, env=world.sidecar.environ, cwd=world.repository)


def says(world: World, *argv: str, code: int = 0, columns: int = 200) -> str:
    with opened(world, *argv, columns=columns) as terminal:
        while terminal.read(PATIENCE):
            pass
        assert terminal.process.wait(PATIENCE) == code, terminal.text()
        return terminal.text().strip()


def test_every_verb_from_an_empty_queue_to_the_logs(world: World) -> None:
    assert "no task is in the queue" in says(world, "list")
    assert says(world, "pause") == "the queue is paused: nothing new begins"
    added = says(world, "add", "keep first; ok well", "--agent", "goose", "--check", "test -f first", "--timeout", "1h")
    assert added == "keep-first-ok-well  queued: the queue is paused"
    says(world, "add", "ok", "--name", "second", "--agent", "goose", "--needs", "keep-first-ok-well", "--retries", "1")
    says(world, "add", "ok", "--name", "third", "--agent", "goose", "--needs", "second", "--priority", "-1")
    steps = says(world, "run", "--dry-run")
    assert [line.split()[:2] for line in steps.splitlines()[1:]] == [
        ["1", "keep-first-ok-well"], ["2", "second"], ["3", "third"]
    ]  # fmt: skip
    assert "then check: test -f first" in steps
    assert "cancelled" in says(world, "cancel", "third", "--why", "not today")
    assert says(world, "run") == "the queue goes on"
    waited = says(world, "run", "--wait", code=1)  # one was cancelled
    assert "1 cancelled · 2 done" in waited
    shown = says(world, "show", "keep-first-ok-well", columns=60)
    assert "exit code 0" in shown
    assert "1 commit, 1 file, +1 −0" in shown
    assert all(len(line) <= 60 for line in shown.splitlines())
    assert "### SENTRY" in says(world, "log", "keep-first-ok-well")
    assert "second has no try 7" in says(world, "log", "second", "--try", "7", code=1)
    assert "third  " in says(world, "retry", "third")
    says(world, "run", "--wait")
    assert world.states()["third"] == "done"
    assert json.loads(says(world, "pause", "--json")) == {"paused": True}


def test_files_are_checked_loaded_and_shown_on_narrow_terminals(world: World) -> None:
    file = world.sidecar.config / "tasks.yaml"
    file.write_text("tasks:\n- {name: a, task: ok}\n- {name: b, task: ok, nedes: a}\n")
    assert "tasks.yaml:3: tasks[1].nedes: is not a known key, did you mean needs?" in says(
        world, "check", str(file), code=1
    )
    assert "nothing was added" in says(world, "load", str(file), code=1)
    many = "".join(f"- {{name: a-task-with-a-long-name-{n}, task: sleep 100}}\n" for n in range(6))
    file.write_text(f"defaults: {{agent: goose, repository: {world.repository}}}\ntasks:\n{many}")
    assert "a-task-with-a-long-name-5" in says(world, "check", str(file))
    assert "begins" in says(world, "load", str(file), "--dry-run", columns=40)
    assert world.states() == {}
    says(world, "load", str(file))
    listed = says(world, "list", columns=40)
    assert all(len(line) <= 40 for line in listed.splitlines())
    assert "no room: 4 of" in listed
    assert "6 cancelled" not in says(world, "cancel", "--all")


def test_a_list_that_is_watched_is_drawn_again_when_something_changes(world: World) -> None:
    with opened(world, "list", "--watch") as terminal:
        terminal.wait_for("no task is in the queue")
        world.add("seen", "ok")
        terminal.wait_for("1 done")
        terminal.press("\x03")
        while terminal.read(PATIENCE):
            pass
        assert terminal.process.wait(PATIENCE) == 0
