"""What may not count as a task's end, though it looks like it; and what a task names has to be there."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.fleet_world import tmux_of
from tests.end_to_end.queue_world import World
from tests.sidecar import ROOT, sidecar, until

DONE = '### SENTRY {"type":"DONE"}'


@pytest.fixture
def world() -> Iterator[World]:
    with sidecar() as one, tmux_of(one) as tmux:
        made = World(one, tmux)
        made.start()
        yield made


def refused(world: World, **task: Any) -> str:
    params = {"tasks": [{"name": "a", "task": "ok", "agent": "goose", **task}], "repository": str(world.repository)}
    return str(world.person().error("queue.add", params)["message"])


def test_a_text_whose_echo_would_be_its_end_is_refused(world: World) -> None:
    assert "would count as soon as it is typed" in refused(world, task=f"Work. At the end print:\n{DONE}\n")
    world.file(f"Work. At the end print:\n{DONE}\n\n{{task}}", "templates/told.md")
    world.trust()
    assert "would count as soon as it is typed" in refused(world, template="told")
    assert world.states() == {}
    world.add("line", f"true # at the end print {DONE}")
    world.add("word", f"{DONE}\n", command=["sh", "-c", "sleep 1000", "{task}"])
    world.until(line="running", word="running")
    until(lambda: [one.get("task_state") for one in world.agents()] == ["given", None])
    assert world.states() == {"line": "running", "word": "running"}


def test_a_marker_ends_no_other_task_and_none_without_its_token_where_that_is_wanted(world: World) -> None:
    of_b, of_signed = '{"type":"DONE","stage":"b"}', '{"type":"DONE","stage":"signed","message":"look"}'
    said = f"says '{of_b}'; says '{of_signed}'; sleep 1000"
    world.add("a", said)
    world.add("b", "sleep 1000")
    world.add("signed", said, markers="signed")
    until(lambda: world.task("a").get("tries", [{}])[-1].get("message", "").endswith("look"))
    world.until(a="running", b="running", signed="running")
    agent = world.sidecar.agent()
    assert agent.error("queue.ended", {"exit_code": 0})["data"]["kind"] == "not_found"


def test_what_an_agent_tells_that_the_tasks_own_has_started_is_not_its_word(world: World) -> None:
    """Of the same kind, in the same pane: `claude -p`, started by claude."""
    tells = f"{shlex.quote(sys.executable)} -P -m tmux_agent call agent.state"
    inner = world.home / "goose"
    inner.write_text(
        f"#!/bin/sh\n{tells} '{{\"state\":\"working\"}}'\n{tells} '{{\"state\":\"done\"}}'\n"
        'touch "$HOME/told-by-inner"\nwhile ! test -e "$HOME/go"; do sleep 0.1; done\n'
    )
    inner.chmod(0o755)
    outer = f"{tells} '{{\"state\":\"working\"}}'; \"$HOME/goose\"; {tells} '{{\"state\":\"done\"}}'; sleep 1000"
    world.add("a", outer, done="hook")
    until((world.home / "told-by-inner").exists)
    agents = world.person().call("agent.list")["agents"]
    assert sorted(one["state"] for one in agents if one["kind"] == "goose") == ["done", "working"]
    assert world.states() == {"a": "running"}
    (world.home / "go").touch()
    world.until(a="done")


def test_an_agent_that_ends_before_it_was_told_has_not_done_its_task(world: World) -> None:
    """As one that says that you have to log in, and ends with 0."""
    world.sidecar.program("claude", "#!/bin/sh\necho please log in\nwhile ! test -e $HOME/go; do sleep 0.1; done\n")
    world.add("a", "work", agent="claude")
    world.until(a="running")
    (world.home / "go").touch()
    world.until(a="failed")
    assert world.task("a")["reason"] == "it ended before its task was given"


def test_a_command_that_ends_at_once_is_done_by_its_exit_code(world: World) -> None:
    """However short it runs, and so whether anybody has seen it run or not."""
    for number in range(6):
        world.add(f"t{number}", "work", command=["sh", "-c", f"echo {number} >> $HOME/ran", "{task}"])
        world.add(f"f{number}", "work", command=["sh", "-c", "exit 3", "{task}"])
    world.until(**{f"t{number}": "done" for number in range(6)}, **{f"f{number}": "failed" for number in range(6)})
    assert sorted((world.home / "ran").read_text().split()) == [str(number) for number in range(6)]
    assert world.sessions() == ["work"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("agent", "gose", "tasks.a.agent: no agent called 'gose' is known, did you mean goose?"),
        ("template", "nope", "tasks.a.template: there is no template 'nope'"),
        ("branch", "a b", "tasks.a.branch: 'a b' is no name that git takes"),
        ("base", "mian", "did you mean main?"),
        ("repository", "/nowhere", "tasks.a.repository: /nowhere is no folder"),
        ("name", "a..b", "single '.'"),
        ("env", {"A=B": "c"}, "tasks.a.env: 'A=B' is no name of a variable"),
        ("command", ["sh", "\0"], "tasks.a.command: holds a NUL"),
    ],
)
def test_what_a_task_names_and_is_not_there_is_said_before_it_is_in_the_queue(
    world: World, key: str, value: Any, said: str
) -> None:
    assert said in refused(world, **{key: value})
    assert world.states() == {}


def test_everything_that_is_wrong_with_a_file_is_said_at_once(world: World) -> None:
    path = world.sidecar.config / "tasks.yaml"
    path.write_text(
        f"defaults: {{agent: gose, repository: {world.repository}}}\ntasks:\n- {{name: a, task: ok}}\n"
        "- {name: b, task: ok, agent: goose, template: nope, branch: -x, base: mian}\n"
    )
    wrong = world.person().call("queue.load", {"file": str(path)})["errors"]
    assert [one.partition(": ")[0].removeprefix(str(path)) for one in wrong] == [":3", ":4", ":4", ":4"]


def test_a_fleet_toml_that_is_not_trusted_is_said_before_a_task_fails_by_it(world: World) -> None:
    world.file("agent = 'goose'")
    assert "tmux-agent policy trust" in refused(world)
    world.trust()
    world.add("a", "ok", agent="")
    world.until(a="done")


def test_a_person_who_is_asked_sees_what_the_agents_environment_is_to_be(world: World) -> None:
    task = {"name": "a", "task": "ok", "agent": "goose", "env": {"LD_PRELOAD": "/tmp/evil.so"}}
    world.sidecar.agent().start("queue.add", {"tasks": [task], "repository": str(world.repository)})
    until(lambda: world.person().call("human.pending")["approvals"])
    (question,) = world.person().call("human.pending")["approvals"]
    assert question["action"]["does"][1] == "a: set LD_PRELOAD=/tmp/evil.so"


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_a_task_in_the_sandbox_is_done_by_its_marker_and_checked_behind_the_wall_as_well(world: World) -> None:
    """What a check reads of the worktree is the agent's: it can be run where that reaches nothing."""
    (world.home / "private").write_text("of the person\n")
    world.commit("makes", "look", '#!/bin/sh\nls "$HOME"; test -f made\n')
    installed = f'#!/bin/sh\nPYTHONPATH={ROOT / "sidecar"} exec {sys.executable} -P -m tmux_agent "$@"\n'
    world.sidecar.program("tmux-agent", installed)
    check = ["tmux-agent", "wrap", "--sandbox", "--plain", "--", "sh", "look"]
    policy = world.sidecar.config / "policy.yaml"
    rule = "  - {name: checks, when: {command: [tmux-agent, wrap, ...]}, verdict: allow}\n"
    policy.write_text(policy.read_text() + rule)
    world.person().call("policy.reload")
    world.add("a", "ls $HOME > seen; keep made; ok here", sandbox=True, check=check)
    world.until(a="done")
    (tried,) = world.task("a")["tries"]
    assert (tried["message"], tried["exit_code"], "private" in tried.get("output", "")) == ("here", 0, False)
    assert world.git("show", f"{tried['branch']}:made") == "made"
    assert "private" not in world.git("show", f"{tried['branch']}:seen")
    assert world.sessions() == ["work"]
