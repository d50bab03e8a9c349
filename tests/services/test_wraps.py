"""Who may register a token, what it signs, and when that ends; identity of what a wrapped agent leaves behind. With a
real sidecar, a real tmux, and agents that are scripts called claude."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.plugin.terminal import Server
from tests.sidecar import Peer, Sidecar, sidecar, until

ROOT = Path(__file__).parents[2]
WRAP = f"{sys.executable} -P -m tmux_agent wrap --project shop"
# Asks the sidecar who it is, writes that down, registers where it is told to, and stays.
ASKS = f"""#!{sys.executable} -IS
import json, os, socket, sys, time
def ask(method, **params):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(os.environ["TMUX_AGENT_SOCKET"])
        peer.sendall(json.dumps({{"jsonrpc": "2.0", "id": 1, "method": method, "params": params}}).encode() + b"\\n")
        return json.loads(peer.makefile().readline())
def who(): return ask("hello")["result"]["data"]["origin"]
def tell(name, what):
    path = os.environ["TEST_OUT"] + "/" + name
    with open(path + ".new", "w") as out: json.dump(what, out)
    os.rename(path + ".new", path)
"""
AGENT = (
    ASKS
    + """
tell("agent", who())
ask("agent.register", name="emit")  # as every client of ours does: the person's name for it stays
tell("again", ask("sentry.register", token_sha256="0" * 64))
gone, here = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(here)
        os.read(gone, 1)  # until its parent is
        left = os.path.dirname(os.path.realpath(sys.argv[0])) + "/left"
        os.execv(left, [left])
    os._exit(0)
os.close(here)
os.wait()
tell("token", os.environ["TMUX_AGENT_RUN"])
while line := sys.stdin.readline(): print(line, end="", flush=True)
"""
)
LEFT = (
    ASKS
    + """
tell("orphan registers", ask("sentry.register", token_sha256="0" * 64))
tell("orphan", who())
time.sleep(1000)
"""
)


LATER = (
    ASKS
    + """
tell("pid", os.getpid())
tell("token", os.environ["TMUX_AGENT_RUN"])
while line := sys.stdin.readline(): print(line, end="", flush=True)
"""
)


class World:
    def __init__(self, one: Sidecar, tmux: Server) -> None:
        self.sidecar, self.tmux, self.out = one, tmux, one.folder / "out"
        self.out.mkdir()
        one.program("left", LEFT)
        one.program("claude", AGENT)
        one.program("plain", AGENT)

    def start(self, command: str) -> None:
        """A window that runs it; the sidecar serves its tmux."""
        environ = {**self.sidecar.environ, "TEST_OUT": str(self.out)}
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in environ.items())
        self.pane = self.tmux.run("new-window", "-d", "-t", "main:", "-P", "-F", "#{pane_id}", f"env {words} {command}")

    def told(self, name: str) -> Any:
        until(lambda: (self.out / name).exists())
        return json.loads((self.out / name).read_text())

    def markers(self) -> list[dict[str, Any]]:
        return [one["data"] for one in self.sidecar.records() if one["type"] == "marker"]

    def types(self, text: str) -> None:
        self.tmux.run("send-keys", "-t", self.pane, "-l", text)
        self.tmux.run("send-keys", "-t", self.pane, "Enter")


@pytest.fixture
def world() -> Iterator[World]:
    with sidecar() as one, Server() as tmux:
        tmux.run("new-session", "-d", "-s", "main", "-x", "100", "-y", "30")
        one.start()
        found = World(one, tmux)
        attach(found)
        yield found


def attach(world: World) -> Peer:
    peer = world.sidecar.agent()
    peer.call("tmux.attach", {"socket": world.tmux.socket})
    until(lambda: peer.request("tmux.panes").get("result", {}).get("data", {}).get("panes"))
    return peer


@pytest.mark.parametrize(("name", "kind"), [("claude", "claude"), ("plain", "plain")])
def test_what_it_leaves_behind_is_still_the_agents(world: World, name: str, kind: str) -> None:
    world.start(f"{WRAP} -- {world.sidecar.bin / name}")
    agent, orphan = world.told("agent"), world.told("orphan")
    assert (agent["agent"], agent["pane"], agent["role"]) == (kind, world.pane, "agent")
    assert psutil.Process(orphan["pid"]).ppid() == psutil.Process(agent["pid"]).ppid()  # adopted by the wrapper
    assert [orphan[one] for one in ("agent", "pane", "session", "role")] == [
        agent[one] for one in ("agent", "pane", "session", "role")
    ]
    assert agent["session"].startswith(f"{agent['pid']}:")


def test_tmux_sees_the_agent_and_ctrl_z_where_no_shell_waits_changes_nothing(world: World) -> None:
    world.start(f"{WRAP} -- cat")
    until(lambda: world.tmux.run("display-message", "-p", "-t", world.pane, "#{pane_current_command}") == "cat")
    world.tmux.run("send-keys", "-t", world.pane, "C-z")
    world.types('### SENTRY {"type":"DONE"}')
    until(world.markers)


def test_only_the_agents_own_process_registers_and_once(world: World) -> None:
    world.start(f"{WRAP} -- {world.sidecar.bin / 'claude'}")
    assert "registered already" in world.told("again")["error"]["message"]
    assert "only `tmux-agent wrap`" in world.told("orphan registers")["error"]["message"]
    stranger = world.sidecar.agent().error("sentry.register", {"token_sha256": "0" * 64})
    assert "only `tmux-agent wrap`" in stranger["message"]
    (record,) = [one for one in world.sidecar.records() if one["type"] == "agent.wrapped"]
    assert record["origin"]["pane"] == world.pane
    assert record["data"] == {"kind": "claude", "project": "shop", "tier": "baseline"}


def test_a_token_signs_in_its_own_pane_over_restarts_until_its_agent_ends(world: World) -> None:
    world.start(f"{WRAP} -- {world.sidecar.bin / 'plain'}")
    token = world.told("token")

    def marks(run: str, stage: str) -> bool:
        """Whether a marker that the pane shows is signed."""
        world.types(json.dumps({"type": "STATUS", "run": run, "stage": stage}).join(("### SENTRY ", "")))
        until(lambda: any(one["stage"] == stage for one in world.markers()))
        return bool(next(one["signed"] for one in world.markers() if one["stage"] == stage))

    assert marks(token, "one")
    assert not marks(token[::-1], "two")
    world.sidecar.kill()
    world.sidecar.start()
    attach(world)
    assert marks(token, "three")
    database = (world.sidecar.state / "state.db").read_bytes() + (world.sidecar.state / "audit.jsonl").read_bytes()
    assert token.encode() not in database
    peer = world.sidecar.agent()
    assert [one["name"] for one in peer.call("agent.list")["agents"]] == ["shop"]
    os.kill(world.told("agent")["pid"], 9)
    until(lambda: peer.call("agent.list")["agents"] == [])


@pytest.mark.parametrize("attached", [True, False])
def test_a_sidecar_that_starts_later_knows_it_too(attached: bool) -> None:
    """The process above the agent tells it, once; also before that sidecar serves the tmux server."""
    with sidecar() as one, Server() as tmux:
        tmux.run("new-session", "-d", "-s", "main", "-x", "100", "-y", "30")
        world = World(one, tmux)
        one.program("plain", LATER)
        world.start(f"{WRAP} -- {one.bin / 'plain'}")
        token = world.told("token")
        assert "no sidecar answers" in tmux.run("capture-pane", "-p", "-t", world.pane)
        shown = tmux.run("capture-pane", "-p", "-t", world.pane)
        one.start()
        if attached:
            attach(world)
        until(lambda: [each for each in one.records() if each["type"] == "agent.wrapped"])
        if not attached:
            attach(world)
        (record,) = [each for each in one.records() if each["type"] == "agent.wrapped"]
        assert record["origin"]["agent"] == "plain"
        assert record["origin"]["pid"] == world.told("pid")
        assert record["origin"].get("pane") == (world.pane if attached else None)
        assert tmux.run("capture-pane", "-p", "-t", world.pane) == shown  # nothing is written over what it draws
        world.types(f"""### SENTRY {json.dumps({"type": "DONE", "run": token})}""")
        until(world.markers)
        assert world.markers()[0]["signed"]
