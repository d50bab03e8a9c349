"""Pipelines on a disk that is full: what cannot be recorded is not begun, what is done is told once it can be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.disk import Disk
from tests.end_to_end.pipeline_world import MARK, STEP, World, approve, pending
from tests.sidecar import Peer, until

THREE = """
pipelines:
  - name: p
    match: {window: w}
    stages:
      - {name: s0, success_when: [{marker: DONE}]}
      - {name: s1, needs: s0, actions_on_start: [{send_keys: "step 1"}, {run: "allowed r1"}], notify: local_bus}
      - {name: s2, needs: s1, require_approval: true, actions_on_start: [{send_keys: "step 2"}]}
"""


@pytest.fixture
def disk(world: World) -> Iterator[Disk]:
    """That of the sidecar's state folder."""
    found = Disk(world.sidecar.state)
    try:
        yield found
    finally:
        found.close()


def begun(world: World, file: str, **states: str) -> Peer:
    world.sidecar.program("step", STEP)
    world.file(file)
    world.window("w")
    world.sidecar.start()
    peer = world.attach()
    world.until(peer, **states)
    return peer


def pid(world: World) -> int:
    assert world.sidecar.process
    return world.sidecar.process.pid


def says(world: World, text: str) -> bool:
    """Whether the sidecar's own log has it."""
    return text in world.sidecar.log.read_text()


def stages(world: World) -> list[tuple[str, str]]:
    told = [one["data"] for one in world.sidecar.records() if one["type"] == "pipeline.stage"]
    return [(one["stage"], one["state"]) for one in told]


@pytest.mark.parametrize("killed", [False, True])
def test_a_stage_does_not_act_before_its_record_is_written(world: World, disk: Disk, killed: bool) -> None:
    """Nothing that happened meanwhile is lost, also not to `kill -9`, and with room again each action is done once."""
    peer = begun(world, THREE, s0="running")
    disk.fill(pid(world))
    world.tmux.run("send-keys", "-t", "%0", f"""echo '{MARK} {{"type":"ASK","prompt":"Which?"}}'""", "Enter")
    world.tmux.run("send-keys", "-t", "%0", f"""echo '{MARK} {{"type":"DONE"}}'""", "Enter")
    until(lambda: says(world, "waits: "))
    assert peer.error("sentry.emit", {"marker": {"type": "STATUS"}})["data"]["kind"] == "unavailable"
    assert world.states(peer) == {"s0": "running", "s1": "waiting", "s2": "waiting"}
    assert (world.typed(), world.sidecar.effects()) == ([], [])
    if killed:
        world.sidecar.kill()
        disk.free(pid(world))
        world.sidecar.start()
        peer = world.attach()
    else:
        disk.free(pid(world))
    world.until(peer, s0="success", s1="success", s2="approval")
    until(lambda: len(pending(world)) == 2)
    (question,) = [one for one in pending(world) if one["action"]["type"] == "pipeline"]
    assert world.typed() == ["1"]
    approve(world, question)
    world.until(peer, s2="success")
    assert world.typed() == ["1", "2"]
    assert world.sidecar.effects() == ["r1"]
    assert stages(world) == [
        ("s0", "running"), ("s0", "success"), ("s1", "running"), ("s1", "success"), ("s2", "approval"),
        ("s2", "running"), ("s2", "success"),
    ]  # fmt: skip
    assert [one["data"]["kind"] for one in world.sidecar.records() if one["type"] == "marker"].count("DONE") == 1
    assert world.person().call("audit.verify")["ok"]


@pytest.mark.parametrize("how", ["run: fills", "send_keys: fills"])
def test_what_fills_the_disk_itself_is_not_done_again(world: World, disk: Disk, how: str) -> None:
    """It was begun, and its end cannot be recorded: it stays under way until it can be, and has not failed."""
    rest = world.sidecar.state / "rest"
    world.sidecar.program("fills", f"""#!/bin/sh
cat /dev/zero > '{rest}' 2>/dev/null
echo once >> '{world.sidecar.bin}/typed'
""")
    stage = f"{{name: s0, retries: {{max: 3, backoff: 0s}}, actions_on_start: [{{{how}}}, {{run: allowed after}}]}}"
    peer = begun(world, f"pipelines: [{{name: p, match: {{window: w}}, stages: [{stage}]}}]", s0="running")
    until(lambda: world.typed() and says(world, "waits"))
    assert world.states(peer) == {"s0": "running"}
    assert world.sidecar.effects() == []
    disk.free(pid(world))
    until(lambda: len(world.sidecar.effects()) == 1)
    assert world.typed() == ["once"]
    assert world.sidecar.effects() == ["after"]
    assert world.runs(peer)[0]["stages"][0]["attempt"] == 1
