"""Three agents in worktrees of their own, each in the sandbox; and one that a restarted sidecar still hears."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.fleet_world import World, tmux_of
from tests.sidecar import Peer, sidecar, until

# Looks about, commits, and says who the sidecar takes it for, each time that it is asked to.
WALLED = f"""#!{sys.executable} -IS
import json, os, socket, subprocess, time
def hello():
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(os.environ["TMUX_AGENT_SOCKET"])
        peer.sendall(b'{{"jsonrpc": "2.0", "id": 1, "method": "hello"}}\\n')
        return json.loads(peer.makefile().readline())["result"]["data"]["origin"]
def note(name, what):
    with open(name + ".new", "w") as out: json.dump(what, out)
    os.rename(name + ".new", name)
subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "inside"])
note("first", [hello(), os.listdir(os.environ["HOME"]), os.getpid()])
while not os.path.exists("again"): time.sleep(0.02)
note("second", hello())
time.sleep(1000)
"""


@pytest.fixture
def world() -> Iterator[World]:
    with sidecar() as one, tmux_of(one) as tmux:
        one.program("walled", WALLED)
        yield World(one, tmux)


def test_three_agents_in_worktrees_each_in_a_sandbox(world: World) -> None:
    (world.sidecar.config / "fleet.toml").write_text('[agents.walled]\ncommand = ["walled"]\n')
    world.start()
    made = [world.spawn(f"task-{number}", agent="walled", sandbox=True) for number in range(3)]
    folders = [Path(one["worktree"]) for one in made]
    for one, folder in zip(made, folders, strict=True):
        until((folder / "first").exists)
        origin, home, pid = json.loads((folder / "first").read_text())
        assert (origin["role"], origin["sandbox"], origin["pane"]) == ("agent", True, one["pane"])
        assert pid < 20, "of a namespace of its own"
        assert ".ssh" not in home
        assert one["tier"] == "sandbox"
        assert world.git("log", "--format=%s", "-1", one["branch"]) == "inside"

    world.sidecar.kill()
    world.start()
    for folder in folders:
        (folder / "again").touch()
        until((folder / "second").exists)
        assert json.loads((folder / "second").read_text())["sandbox"] is True

    for one in made:
        world.person().call("fleet.kill", {"name": one["name"]})
    words = ["pgrep", "-f", str(world.sidecar.bin / "walled")]
    until(lambda: subprocess.run(words, capture_output=True, check=False).stdout == b"")
    until(lambda: not list((world.sidecar.state / "wraps").iterdir()))


ALLOWS = """
  - name: all of the fleet
    when: {fleet: ["*"]}
    verdict: allow
  - name: all of the terminals
    when: {tmux: [record, read]}
    verdict: allow
"""


def walled(world: World) -> Peer:
    """Who comes by the socket that is inside sandboxes."""
    within = copy.copy(world.sidecar)
    within.socket = world.sidecar.state / "agents" / "tmux-agent.sock"
    return within.agent()


def test_what_a_rule_allows_is_asked_for_an_agent_in_the_sandbox_all_the_same(world: World) -> None:
    """Else it would have an agent started outside, where it is told by the task what to do."""
    policy = world.sidecar.config / "policy.yaml"
    policy.write_text(policy.read_text() + ALLOWS)
    world.start()
    pane, repository = world.tmux.run("list-panes", "-t", "work", "-F", "#{pane_id}"), str(world.repository)
    tries = {
        "fleet.spawn": {"branch": "out", "repository": repository, "agent": "goose", "server": world.tmux.socket},
        "queue.add": {"tasks": [{"name": "out", "task": "Get out.", "agent": "goose"}], "repository": repository},
        "queue.pause": {},
        "cast.start": {"pane_id": pane, "server": world.tmux.socket},
        "tmux.read": {"pane_id": pane, "server": world.tmux.socket},
    }
    asking = walled(world)
    for method, params in tries.items():
        asking.start(method, params)

    def asked() -> list[dict[str, str]]:
        found: list[dict[str, str]] = world.person().call("human.pending")["approvals"]
        return found

    until(lambda: len(asked()) == len(tries))
    assert {one["rule"] for one in asked()} == {"sandbox"}
    assert world.worktrees() == [repository]
    assert world.person().call("queue.list") | {"tasks": []} == world.person().call("queue.list")
    outside = world.sidecar.agent()
    outside.call("fleet.spawn", tries["fleet.spawn"])
    assert len(world.worktrees()) == 2, "the rule does allow it"


def test_which_panes_are_watched_is_not_said_from_the_sandbox(world: World) -> None:
    world.start()
    pane = world.tmux.run("list-panes", "-t", "work", "-F", "#{pane_id}")
    said = walled(world).request("sentry.watch", {"pane_id": pane, "server": world.tmux.socket})
    assert said["error"]["data"]["kind"] == "forbidden"
    assert world.person().call("sentry.panes")["panes"] == []
