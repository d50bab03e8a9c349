"""Pipelines on a disk that is full: what cannot be recorded is not begun, what is done is told once it can be."""

from __future__ import annotations

import hmac
from collections.abc import Iterator

import pytest
import requests
from tests.disk import Disk
from tests.end_to_end.pipeline_world import MARK, STEP, World, approve, pending
from tests.patience import PATIENCE
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


FILLS = """#!/bin/sh
cat /dev/zero > '{rest}' 2>/dev/null
echo once >> '{typed}'
"""


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("how", ["run: fills", "send_keys: fills"])
def test_what_fills_the_disk_itself_is_not_done_again(world: World, disk: Disk, how: str, killed: bool) -> None:
    """It was begun, and its end cannot be recorded: it stays under way until it can be, and has not failed. Killed
    meanwhile, tmux knows that it was typed, and of a command nobody knows, which is said."""
    rest, typed = world.sidecar.state / "rest", world.sidecar.bin / "typed"
    world.sidecar.program("fills", FILLS.format(rest=rest, typed=typed))
    stage = f"{{name: s0, retries: {{max: 3, backoff: 0s}}, actions_on_start: [{{{how}}}, {{run: allowed after}}]}}"
    peer = begun(world, f"pipelines: [{{name: p, match: {{window: w}}, stages: [{stage}]}}]", s0="running")
    until(lambda: world.typed() and says(world, "waits"))
    assert world.states(peer) == {"s0": "running"}
    assert world.sidecar.effects() == []
    if killed:
        world.sidecar.kill()
    disk.free(pid(world))
    if killed:
        world.sidecar.start()
        peer = world.attach()
    if killed and how.startswith("run"):
        world.until(peer, s0="unknown")
    else:
        until(lambda: len(world.sidecar.effects()) == 1)
        assert world.sidecar.effects() == ["after"]
    assert world.typed() == ["once"]
    assert world.runs(peer)[0]["stages"][0]["attempt"] == 1


def test_a_delivery_that_cannot_be_kept_is_refused_and_counts_when_it_is_sent_again(world: World, disk: Disk) -> None:
    """503 says so to whoever sends it, so that they send it again; then it moves the stage, once."""
    (world.sidecar.config / "config.yaml").write_text("http: {listen: '127.0.0.1:0'}")
    check = "external_check: {type: webhook, name: ci, secret: sign3d-by-this}"
    peer = begun(world, f"""
pipelines:
  - name: p
    match: {{window: w}}
    stages:
      - {{name: s0, actions_on_start: [{{{check}}}], success_when: [{{external_status: success}}]}}
      - {{name: s1, needs: s0, actions_on_start: [{{send_keys: "step 1"}}]}}
""", s0="running")  # fmt: skip
    until(lambda: says(world, "waits for POST "))
    url = world.sidecar.log.read_text().partition("waits for POST ")[2].split()[0]
    body = b'{"ok": true, "build": 17}'
    signature = hmac.new(b"sign3d-by-this", body, "sha256").hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Delivery": "d1"}

    def delivered() -> int:
        answer = requests.post(url, data=body, headers=headers, timeout=PATIENCE)
        return answer.status_code

    disk.fill(pid(world))
    assert delivered() == 503
    assert world.states(peer) == {"s0": "running", "s1": "waiting"}
    disk.free(pid(world))
    until(lambda: delivered() == 202)
    world.until(peer, s0="success", s1="success")
    assert world.typed() == ["1"]
    assert [one["type"] for one in world.sidecar.records()].count("check.delivered") == 1
