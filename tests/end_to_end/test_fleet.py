"""Agents in worktrees: spawned into real git worktrees and real tmux sessions, told, ended, undone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.fleet_world import World, tmux_of
from tests.sidecar import sidecar, until


@pytest.fixture
def world() -> Iterator[World]:
    with sidecar() as one, tmux_of(one) as tmux:
        yield World(one, tmux)


def test_an_agent_gets_a_branch_a_worktree_and_a_session_and_is_told_its_task(world: World) -> None:
    world.start()
    made = world.spawn("feature/login", task="Write the login form.")
    folder = Path(made["worktree"])
    assert (made["name"], made["state"], made["session"]) == ("feature-login", "running", "feature-login")
    assert folder == world.repository.parent / "shop-worktrees" / "feature-login"
    assert (folder / "prices.txt").read_text() == "apples 3\n"
    assert world.git("rev-parse", "--abbrev-ref", "HEAD", cwd=folder) == "feature/login"
    assert world.sessions() == ["feature-login", "work"]
    until(lambda: world.told() == ["Write the login form."])
    until(lambda: world.agent("feature-login")["task_state"] == "given")
    world.shows(made["pane"], f"ready in {folder}")
    world.person().call("fleet.send", {"name": "feature-login", "text": "And its test."})
    until(lambda: world.told() == ["Write the login form.", "And its test."])
    assert "`tmux-agent attach feature-login`" in world.error("feature/login")
    ended = world.person().call("fleet.kill", {"name": "feature-login"})
    assert ended["state"] == "ended"
    assert world.sessions() == ["work"]
    assert folder.is_dir()


def test_what_fails_half_way_leaves_nothing_behind(world: World) -> None:
    """The worktree's folder cannot be made: its parent is a file."""
    (world.repository.parent / "shop-worktrees").write_text("in the way")
    world.start()
    said = world.person().error(
        "fleet.spawn", {"branch": "feature/x", "repository": str(world.repository), "agent": "goose"}
    )
    assert "nothing" in said["message"] or "already" in said["message"], said
    assert world.branches() == ["main"]
    assert world.sessions() == ["work"]
    assert world.agents() == []


def test_an_agents_spawn_is_asked_and_a_no_does_nothing(world: World) -> None:
    world.start()
    agent = world.sidecar.agent()
    params = {"branch": "feature/y", "repository": str(world.repository), "agent": "goose", "task": "Do y."}
    number = agent.start("fleet.spawn", params)
    until(lambda: world.person().call("human.pending")["approvals"])
    (question,) = world.person().call("human.pending")["approvals"]
    assert question["action"]["type"] == "fleet"
    assert question["action"]["text"] == "Do y."
    answer = {"request_id": question["request_id"], "digest": question["digest"], "approved": False}
    world.person().call("human.respond", answer)
    assert agent.reply_to(number)["error"]["data"]["kind"] == "denied"
    assert world.branches() == ["main"]
    assert world.agents() == []


RULES = """
  - name: the fleet
    when: {fleet: [spawn, send, kill]}
    verdict: allow
"""


def test_a_rule_lets_agents_spawn_and_none_lets_them_meddle(world: World) -> None:
    policy = world.sidecar.config / "policy.yaml"
    policy.write_text(policy.read_text() + RULES)
    world.start()
    agent = world.sidecar.agent()
    params = {"branch": "feature/z", "repository": str(world.repository), "agent": "goose", "task": "A secret."}
    made = agent.call("fleet.spawn", params)
    assert made["state"] == "running"
    agent.start("fleet.kill", {"name": "feature-z"})
    until(lambda: world.person().call("human.pending")["approvals"])
    (question,) = world.person().call("human.pending")["approvals"]
    assert (question["action"]["verb"], question["rule"]) == ("kill", "the fleet by agents")
    assert world.agent("feature-z")["state"] == "running"
    # What it was told is not for other agents.
    other = world.sidecar.agent()
    assert "task" not in other.call("fleet.list")["agents"][0]
    assert "task" not in other.call("fleet.get", {"name": "feature-z"})["agent"]
    assert world.agent("feature-z")["task"] == "A secret."


def test_an_agent_that_is_not_there_is_told_and_undone(world: World) -> None:
    (world.sidecar.config / "fleet.toml").write_text('[agents.ghost]\ncommand = ["no-such-program"]\n')
    world.start()
    said = world.error("feature/x", agent="ghost")
    assert "no-such-program could not be started" in said
    assert "there is no program" in said
    world.nothing_left()
    assert "no agent called 'claud' is known, did you mean claude?" in world.error("feature/x", agent="claud")


def test_a_branch_that_somebody_made_meanwhile_is_theirs(world: World) -> None:
    """While a person was asked: what they saw is not what would be done now, so nothing is."""
    world.start()
    agent = world.sidecar.agent()
    number = agent.start("fleet.spawn", {"branch": "mine", "repository": str(world.repository), "agent": "goose"})
    until(lambda: world.person().call("human.pending")["approvals"])
    (question,) = world.person().call("human.pending")["approvals"]
    assert question["action"]["does"][0].startswith("make the branch mine at main")
    world.git("branch", "mine")
    answer = {"request_id": question["request_id"], "digest": question["digest"], "approved": True}
    world.person().call("human.respond", answer)
    said = agent.reply_to(number)["error"]["message"]
    assert "has changed since it was shown" in said or "could not be made" in said
    assert world.branches() == ["main", "mine"]


def test_agents_of_the_same_branch_at_the_same_time(world: World) -> None:
    """One gets it; the others are told, and what they had begun is undone."""
    world.start()
    peers = [world.sidecar.operator() for _ in range(4)]
    params = {"branch": "feature/x", "repository": str(world.repository), "agent": "goose"}
    numbers = [peer.start("fleet.spawn", params) for peer in peers]
    replies = [peer.reply_to(number) for peer, number in zip(peers, numbers, strict=True)]
    assert sum("result" in reply for reply in replies) == 1, replies
    assert len(world.agents()) == 1
    assert world.branches() == ["feature/x", "main"]
    assert len(world.worktrees()) == 2
    assert len(world.sessions()) == 2


def test_a_yes_to_a_spawn_is_used_up_and_its_end_is_kept(world: World) -> None:
    """What an agent asked for and was given is done once, says so in the log, and is not taken back by a kill."""
    world.start()
    agent = world.sidecar.agent()
    params = {"branch": "feature/x", "repository": str(world.repository), "agent": "goose"}
    number = agent.start("fleet.spawn", params)
    until(lambda: world.person().call("human.pending")["approvals"])
    (asked,) = world.person().call("human.pending")["approvals"]
    answer = {"request_id": asked["request_id"], "digest": asked["digest"], "approved": True}
    world.person().call("human.respond", answer)
    assert agent.reply_to(number)["result"]["data"]["name"] == "feature-x"
    world.sidecar.kill()
    world.start()
    of = [one["type"] for one in world.sidecar.records() if one.get("request_id") == asked["request_id"]]
    assert of.index("action.started") < of.index("action.finished")
    assert "approval.withdrawn" not in of
