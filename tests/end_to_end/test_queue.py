"""The queue of tasks: real worktrees and sessions, scripted agents, checks that are run, kills between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.fleet_world import tmux_of
from tests.end_to_end.queue_world import World
from tests.sidecar import sidecar, until


@pytest.fixture
def world() -> Iterator[World]:
    with sidecar() as one, tmux_of(one) as tmux:
        yield World(one, tmux)


def test_a_task_is_worked_on_in_a_worktree_of_its_own_and_done_when_its_agent_says_so(world: World) -> None:
    world.start()
    added = world.add("login", "keep login; ok 'all of it'")
    assert added["by"] == "you"
    world.until(login="done")
    (tried,) = world.task("login")["tries"]
    assert tried["branch"].startswith("task/login-")
    assert (tried["message"], tried["diff"], tried["state"]) == ("all of it", "1 commit, 1 file, +1 −0", "done")
    assert world.git("log", "-1", "--format=%s", tried["branch"]) == "login"
    assert "kept" not in tried
    assert world.worktrees() == [str(world.repository)]
    assert world.sessions() == ["work"]
    assert '{"type":"DONE"' in world.log("login")
    assert world.began() == ["login"]
    told = [one["data"] for one in world.sidecar.records() if one["type"] == "queue.task"]
    assert [one["state"] for one in told] == ["starting", "running", "closing", "done"]


def test_a_check_runs_in_the_worktree_and_a_failed_try_begins_anew_on_a_branch_of_its_own(world: World) -> None:
    world.start()
    task = 'echo x >> "$HOME/tries"; test "$(wc -l < "$HOME/tries")" -gt 1 && keep good; ok'
    world.add("fix", task, check=["sh", "-c", "cat good"], retries=1)
    world.until(fix="done")
    first, second = world.task("fix")["tries"]
    assert (first["state"], first["exit_code"]) == ("failed", 1)
    assert first["reason"] == "its check failed: exit code 1"
    assert "good" in first["output"]
    assert (second["state"], second["exit_code"], second["output"]) == ("done", 0, "good")
    assert second["agent"] == first["agent"] + "-2"
    runs = [one["data"] for one in world.sidecar.records() if one["type"] == "decision"]
    checks = [one for one in runs if one["action"]["type"] == "command"]
    assert [one["rule"] for one in checks] == ["your configuration", "your configuration"]


def test_what_the_policy_denies_is_no_check_and_the_task_fails(world: World) -> None:
    world.start()
    world.add("leaks", "ok", check="nc example.com 80")
    world.until(leaks="failed")
    assert "nothing leaves this machine" in world.task("leaks")["reason"]


def test_needs_come_first_also_their_branch_and_what_needs_a_failed_one_is_skipped(world: World) -> None:
    world.start()
    tasks = [
        {"name": "late", "task": "cat schema && keep late; ok", "agent": "goose", "needs": "schema",
         "base": "task:schema"},
        {"name": "never", "task": "ok", "agent": "goose", "needs": ["late", "bad"]},
        {"name": "bad", "task": """says '{"type":"ERROR","message":"I cannot"}'""", "agent": "goose"},
        {"name": "schema", "task": "keep schema; ok", "agent": "goose"},
    ]  # fmt: skip
    world.person().call("queue.add", {"tasks": tasks, "repository": str(world.repository)})
    world.until(late="done", bad="failed", never="skipped", schema="done")
    assert world.task("bad")["reason"] == "I cannot"
    assert world.task("never")["reason"] == "needs bad, which is failed"
    branch = world.task("late")["tries"][0]["branch"]
    assert world.git("ls-tree", "--name-only", branch).split() == ["late", "prices.txt", "schema"]
    assert world.began().index("schema") < world.began().index("late")


def test_an_agent_that_asks_a_person_waits_and_is_not_timed_out(world: World) -> None:
    world.start()
    ask = """says '{"type":"ASK","prompt":"Which region?","options":["eu","us"]}'; read -r go; ok"""
    world.add("ask", ask, timeout=3.0)
    world.until(ask="waiting")
    assert "Which region?" in world.task("ask")["reason"]
    assert "due" not in world.task("ask")
    (question,) = world.person().call("human.pending")["approvals"]
    answer = {"request_id": question["request_id"], "digest": question["digest"], "approved": True, "choice": "eu"}
    world.person().call("human.respond", answer)
    world.until(ask="running")
    world.person().call("fleet.send", {"name": world.task("ask")["tries"][0]["agent"], "text": "go"})
    world.until(ask="done")


def test_a_time_that_runs_out_ends_the_session_and_what_is_not_committed_is_kept(world: World) -> None:
    world.start()
    world.add("slow", "echo half > half; sleep 1000", timeout=8.0)
    world.until(slow="failed")
    (tried,) = world.task("slow")["tries"]
    assert (tried["reason"], tried["kept"], tried["diff"]) == ("its time ran out", True, "1 not committed")
    assert (Path(tried["worktree"]) / "half").read_text() == "half\n"
    assert world.sessions() == ["work"]


def test_cancel_pause_run_and_retry(world: World) -> None:
    world.start()
    person = world.person()
    world.add("one", "sleep 1000")
    world.until(one="running")
    assert person.call("queue.pause")["paused"]
    assert world.add("two", "ok")["waits_for"] == "the queue is paused"
    assert "is in the queue already" in person.error(
        "queue.add", {"tasks": [{"name": "two", "task": "t"}], "repository": str(world.repository)}
    )["message"]  # fmt: skip
    person.call("queue.cancel", {"tasks": ["one"], "why": "enough"})
    world.until(one="cancelled", two="queued")
    assert world.task("one")["reason"] == "enough"
    assert world.sessions() == ["work"]
    steps = person.call("queue.run", {"dry_run": True})["steps"]
    assert [(one["name"], one["turn"], one["waits"]) for one in steps] == [("two", 1, "the queue is paused")]
    person.call("queue.run")
    world.until(two="done")
    assert person.error("queue.retry", {"task": "two"})["data"]["kind"] == "conflict"
    person.call("queue.retry", {"task": "one"})
    world.until(one="running")
    person.call("queue.cancel", {"all": True})
    world.until(one="cancelled")
    assert len(world.task("one")["tries"]) == 2


def test_what_a_program_said_last_counts_and_its_end_where_it_may(world: World) -> None:
    world.start()
    world.add("silent", "exit 0")
    world.add("checked", "keep it; exit 3", check="test -f it", done="marker")
    world.add("last", "ok said; exit 3", done="marker")
    world.until(silent="done", checked="done", last="done")
    assert world.branches() == sorted(["main", world.task("checked")["tries"][0]["branch"]])


def test_a_command_of_its_own_is_done_where_it_ends_with_0(world: World) -> None:
    world.start()
    world.add("good", "write it", agent="", command=["sh", "-c", "echo I did {task}; sleep 3; exit 0"])
    world.add("bad", "write it", agent="", command=["sh", "-c", "sleep 3; exit 3"], retries=1)
    world.until(good="done", bad="failed")
    assert world.task("good")["agent"] == "sh"
    assert "I did write it\n" in world.log("good")
    first, second = world.task("bad")["tries"]
    assert first["reason"] == second["reason"] == "its program ended with exit code 3"
    assert world.branches() == ["main"]  # there was nothing on the others


def test_a_task_that_is_cancelled_while_it_is_spawned_leaves_nothing_behind(world: World) -> None:
    (world.sidecar.config / "fleet.toml").write_text("setup = ['sleep 1000']\n")
    world.start()
    world.add("slow", "ok")
    until(lambda: world.processes())
    assert world.states() == {"slow": "starting"}
    world.person().call("queue.cancel", {"tasks": ["slow"]})
    world.until(slow="cancelled")
    assert world.sessions() == ["work"]
    assert world.branches() == ["main"]
    assert world.worktrees() == [str(world.repository)]
    assert world.agents() == []


def test_no_more_are_worked_on_than_there_is_room_for(world: World) -> None:
    (world.sidecar.config / "config.yaml").write_text("queue: {machine: 3, per_agent: {goose: 1}}")
    world.start()
    world.add("a", "sleep 1000")
    assert world.add("b", "ok")["waits_for"] == "no room: 1 of 1 goose"
    (world.sidecar.config / "config.yaml").write_text("queue: {machine: 3, per_agent: {goose: 2}}")
    world.until(a="running", b="done")


# --- who may ---


def test_an_agents_tasks_are_put_to_a_person_with_all_that_they_would_do(world: World) -> None:
    world.start()
    secret = """says '{"type":"ERROR","message":"the key is 17"}'"""
    world.add("other", secret)
    world.add("again", secret, retries={"max": 1, "backoff": 600})
    world.until(other="failed", again="retrying")
    assert "the key is 17" in world.task("other")["reason"]
    agent = world.sidecar.agent()
    for name in ("other", "again"):
        assert "the key is 17" not in json.dumps(agent.call("queue.show", {"task": name}))
    task = {"name": "mine", "task": "ok", "agent": "goose", "check": "true"}
    number = agent.start("queue.add", {"tasks": [task], "repository": str(world.repository)})
    until(lambda: world.person().call("human.pending")["approvals"])
    (question,) = world.person().call("human.pending")["approvals"]
    action = question["action"]
    assert (action["verb"], action["text"], action["agent"]) == ("queue", "ok", "goose")
    assert action["does"] == [
        f"mine: spawn goose in {world.repository} on a branch of its own, then check: true"
    ]  # fmt: skip
    answer = {"request_id": question["request_id"], "digest": question["digest"], "approved": True}
    world.person().call("human.respond", answer)
    assert agent.reply_to(number)["result"]["data"]["tasks"][0]["by"].startswith("somebody in")
    world.until(mine="done")
    assert agent.call("queue.show", {"task": "mine"})["tries"][0].get("message", "") == ""
    assert agent.error("queue.log", {"task": "mine"})["data"]["kind"] == "forbidden"


def test_an_agent_that_may_queue_may_still_not_end_others_nor_read_what_they_printed(world: World) -> None:
    policy = world.sidecar.config / "policy.yaml"
    rule = '  - {name: queue, when: {fleet: [queue, kill]}, verdict: allow}\n'
    policy.write_text(policy.read_text() + rule)
    world.start()
    agent = world.sidecar.agent()
    world.add("mine", "ok", peer=agent)
    world.until(mine="done")
    world.add("long", "sleep 1000")
    world.until(long="running")
    agent.start("queue.cancel", {"tasks": ["long"]})
    until(lambda: world.person().call("human.pending")["approvals"])
    (question,) = world.person().call("human.pending")["approvals"]
    assert (question["action"]["verb"], question["action"]["name"]) == ("kill", "long")
    (log,) = (world.sidecar.state / "queue").iterdir()
    assert log.stat().st_mode & 0o777 == 0o600
    said = world.sidecar.agent().call("policy.check", {"action": {"type": "file", "verb": "read", "path": str(log)}})
    assert said["verdict"] == "deny"


def test_a_no_adds_nothing(world: World) -> None:
    world.start()
    agent = world.sidecar.agent()
    task = {"name": "mine", "task": "ok", "agent": "goose"}
    number = agent.start("queue.add", {"tasks": [task], "repository": str(world.repository)})
    until(lambda: world.person().call("human.pending")["approvals"])
    (question,) = world.person().call("human.pending")["approvals"]
    answer = {"request_id": question["request_id"], "digest": question["digest"], "approved": False}
    world.person().call("human.respond", answer)
    assert agent.reply_to(number)["error"]["data"]["kind"] == "denied"
    assert world.states() == {}


def test_tasks_of_a_repository_are_loaded_only_as_they_were_trusted(world: World) -> None:
    world.start()
    text = "defaults: {agent: goose}\ntasks: [{name: a, task: ok}, {name: b, task: ok, needs: a}]\n"
    (world.repository / "tasks.yaml").write_text(text)
    file = {"file": str(world.repository / "tasks.yaml")}
    (said,) = world.person().call("queue.load", file)["errors"]
    assert "not trusted as it is" in said
    assert world.states() == {}
    world.tmux_agent("policy", "trust", "tasks.yaml")
    (world.repository / "tasks.yaml").write_text(text + "# another\n")
    assert "not trusted" in world.person().call("queue.load", file)["errors"][0]
    (world.repository / "tasks.yaml").write_text(text)
    outside = world.sidecar.folder / "outside.yaml"
    outside.write_text(text)
    (world.repository / "link.yaml").symlink_to(outside)
    link = {"file": str(world.repository / "link.yaml")}
    assert "not trusted" in world.person().call("queue.load", link)["errors"][0]
    dry = world.person().call("queue.load", {**file, "dry_run": True})["steps"]
    assert [(one["name"], one["turn"]) for one in dry] == [("a", 1), ("b", 2)]
    world.person().call("queue.load", file)
    world.until(a="done", b="done")
    assert world.task("b")["repository"] == str(world.repository)


def test_what_is_wrong_with_a_file_is_said_by_line_and_nothing_is_added(world: World) -> None:
    world.start()
    path = world.sidecar.config / "tasks.yaml"
    path.write_text(
        "defaults: {repository: ../root/shop}\ntasks:\n- {name: a, task: ok, needs: b}\n"
        "- {name: c, task: ok, repository: nowhere}\n"
    )
    wrong = world.person().call("queue.load", {"file": str(path)})["errors"]
    assert [one.partition(": ")[0] for one in wrong] == [f"{path}:3", f"{path}:4"]
    assert "there is no task 'b'" in wrong[0]
    secret = world.home / "secret"
    secret.write_text("password_of_mine: 17\n")
    said = world.sidecar.agent().error("queue.load", {"file": str(secret), "dry_run": True})
    assert (said["data"]["kind"], "password" in said["message"]) == ("denied", False)
    assert world.states() == {}


def test_what_ended_while_the_sidecar_was_dead_is_known_by_its_exit_code_and_its_last_words(world: World) -> None:
    world.start()
    go = world.home / "go"
    waits = f"while ! test -e {go}; do sleep 0.1; done"
    world.add("good", f"{waits}; keep it; exit 0")
    world.add("bad", f"{waits}; exit 3")
    world.add("said", f"{waits}; says '{{\"type\":\"DONE\",\"message\":\"here\"}}'; exit 1", done="marker")
    world.until(good="running", bad="running", said="running")
    until(lambda: [one["task_state"] for one in world.agents()] == ["given"] * 3)
    world.sidecar.kill()
    go.touch()
    until(lambda: world.panes("#{pane_dead}").count("1") == 3)
    world.start()
    world.until(good="done", bad="failed", said="done")
    assert world.task("bad")["reason"] == "its program ended with exit code 3"
    assert world.task("said")["tries"][0]["message"] == "here"
    assert world.sessions() == ["work"]
