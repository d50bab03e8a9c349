"""`spawn --record`: an agent's pane from its first byte to its end, in a real tmux."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.fleet_world import World
from tests.plugin.terminal import Server
from tests.sidecar import sidecar, until

# Prints more at once than its pane has rows, and is clear of it again before anybody could look.
AGENT = """#!/bin/sh
i=0
while [ $i -lt 200 ]; do i=$((i + 1)); echo "line $i"; done
printf '\\033[3J\\033[2J\\033[H'
echo "password=hunter2hunter"
while read -r line; do
    [ "$line" = quit ] && exit 0
    echo "told: $line"
done
"""
LAST = "password=" + "*" * 13


@pytest.fixture
def world() -> Iterator[World]:
    with sidecar() as one:
        env = {name: one.environ[name] for name in ("HOME", "PATH", "PYTHONPATH")}
        with Server("set -g default-shell /bin/sh\nset -g default-command ''\n", env=env) as tmux:
            made = World(one, tmux)
            one.program("goose", AGENT)
            made.start()
            yield made


def cast(world: World, name: str) -> dict[str, Any]:
    (found,) = [one for one in world.person().call("cast.list")["casts"] if one["id"] == name]
    return found


def printed(world: World, name: str) -> str:
    """All output of a recording that has ended."""
    parts = sorted((world.sidecar.state / "casts").glob(f"{name}.*.cast"))
    lines = [json.loads(line) for part in parts for line in part.read_text().splitlines()[1:]]
    return "".join(data for _, code, data in lines if code == "o")


def test_from_its_first_byte_until_it_ends(world: World) -> None:
    """Each run has its recording: every line that it printed at once, until its program ends, or it is killed."""
    told = world.spawn("feat/one", record="masked")
    first = told["cast"]
    assert told["record"] == "masked"
    assert cast(world, first)["state"] == "recording"
    world.tmux.run("send-keys", "-t", told["pane"], "quit", "Enter")
    until(lambda: cast(world, first)["state"] == "ended")
    out = printed(world, first)
    assert re.findall(r"line (\d+)\r\n", out) == [str(number) for number in range(1, 201)]
    assert LAST in out
    assert "hunter2" not in out
    until(lambda: world.agent(told["name"])["state"] == "ended")
    world.person().call("fleet.resume", {"name": told["name"], "fresh": True})
    second = world.agent(told["name"])["cast"]
    assert second != first
    world.tmux.run("set-option", "-p", "-t", world.agent(told["name"])["pane"], "remain-on-exit", "on")
    world.tmux.run("send-keys", "-t", world.agent(told["name"])["pane"], "quit", "Enter")
    until(lambda: cast(world, second)["state"] == "ended")  # though its pane is there
    world.person().call("fleet.resume", {"name": told["name"], "fresh": True})
    third = world.agent(told["name"])["cast"]
    world.person().call("fleet.kill", {"name": told["name"]})
    assert cast(world, third)["state"] == "ended"
    assert "line 200" in printed(world, third)


def test_what_is_not_to_be_recorded_is_not(world: World) -> None:
    """Not without the word; as the person's own fleet.toml says, unless told otherwise."""
    assert "cast" not in world.spawn("plain")
    config = world.sidecar.config / "fleet.toml"
    config.write_text('record = "plain"\n')
    assert world.spawn("by-file")["record"] == "plain"
    assert "record" not in world.spawn("not", record="no")
    config.write_text('record = "all"\n')
    refused = world.person().request("fleet.spawn", {"branch": "x", "repository": str(world.repository)})
    assert "record" in refused["error"]["message"]


def test_what_cannot_be_recorded_is_not_spawned(world: World) -> None:
    """Nor is anything of it left behind: no session, branch, worktree, process or recording."""
    (world.sidecar.config / "config.yaml").write_text("casts: {at_once: 1}\n")
    world.person().call("policy.reload")
    world.spawn("feat/one", record="plain")
    before = world.branches(), world.worktrees(), world.sessions(), world.processes()
    params = {"branch": "feat/two", "repository": str(world.repository), "agent": "goose", "record": "plain"}
    refused = world.person().request("fleet.spawn", params)
    assert "casts.at_once" in refused["error"]["message"]
    assert (world.branches(), world.worktrees(), world.sessions(), world.processes()) == before
    assert len(world.person().call("cast.list")["casts"]) == 1
    (one,) = world.agents()
    world.person().call("fleet.kill", {"name": one["name"]})
    other = world.spawn("feat/other", record="plain")
    refused = world.person().request("fleet.resume", {"name": one["name"], "fresh": True})
    assert "casts.at_once" in refused["error"]["message"]
    assert world.agent(one["name"])["state"] == "ended"
    kept = {found["id"]: found["state"] for found in world.person().call("cast.list")["casts"]}
    assert kept == {one["cast"]: "ended", other["cast"]: "recording"}, "what was recorded before stays"


def test_a_recorded_agent_that_cannot_start_leaves_no_recording(world: World) -> None:
    world.sidecar.program("goose", "#!/nowhere/to/be/found\n")
    params = {"branch": "feat/one", "repository": str(world.repository), "agent": "goose", "record": "plain"}
    refused = world.person().request("fleet.spawn", params)
    assert "could not be started" in refused["error"]["message"]
    assert world.person().call("cast.list")["casts"] == []
    assert world.sessions() == ["work"]


def test_over_a_kill_of_the_sidecar(world: World) -> None:
    """The recording goes on with the next sidecar, and ends with its agent."""
    told = world.spawn("feat/one", record="plain")
    until(lambda: "password=" in printed(world, told["cast"]))
    world.sidecar.kill()
    world.start()
    until(lambda: printed(world, told["cast"]).count("password=") == 2)  # the next part's keyframe
    world.tmux.run("send-keys", "-t", told["pane"], "hello", "Enter")
    world.shows(told["pane"], "told: hello")
    world.person().call("fleet.kill", {"name": told["name"]})
    assert cast(world, told["cast"])["state"] == "ended"
    assert "told: hello" in printed(world, told["cast"])


def test_a_sidecar_that_is_killed_before_it_starts(world: World) -> None:
    """Its session is there, and it waits to be recorded: it is undone, or goes on, but it does not wait for ever."""
    params = {"branch": "feat/one", "repository": str(world.repository), "agent": "goose", "record": "plain"}
    world.person().start("fleet.spawn", params)
    until(lambda: "feat-one" in world.sessions())
    world.sidecar.kill()
    world.start()
    until(lambda: all(one["state"] == "running" for one in world.agents()))
    for one in world.agents():
        world.shows(one["pane"], "password=")
        assert cast(world, one["cast"])["state"] == "recording"
        world.person().call("fleet.kill", {"name": one["name"]})
    assert "feat-one" not in world.sessions()
    assert "recording" not in [one["state"] for one in world.person().call("cast.list")["casts"]]
