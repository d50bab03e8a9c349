"""Agents that stand still, go on, end, and are undone when the sidecar is killed half-way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.end_to_end.fleet_world import World, tmux_of
from tests.sidecar import sidecar, until

LAYOUT = """
[[windows]]
name = "server #S"
panes = ["echo one > one; pwd > where", "echo two > two", ""]
layout = "even-horizontal"
[[windows]]
name = "shell"
"""


@pytest.fixture
def world() -> Iterator[World]:
    config = "set -g default-shell /bin/sh\nset -g default-command ''\n"
    with sidecar() as one, tmux_of(one, config) as tmux:
        made = World(one, tmux)
        made.start()
        yield made


def below(pane_pid: int) -> list[psutil.Process]:
    return psutil.Process(pane_pid).children(recursive=True)


def test_an_agent_stands_still_and_goes_on_where_it_was(world: World) -> None:
    made = world.spawn("feature/x")
    world.shows(made["pane"], "ready in")
    call = world.person().call
    moved = call("fleet.pause", {"name": "feature-x"})
    assert moved["state"] == "paused"
    assert moved["processes"] == len(below(made["pane_pid"])) >= 2
    until(lambda: all(one.status() == psutil.STATUS_STOPPED for one in below(made["pane_pid"])))
    assert world.agent("feature-x")["state"] == "paused"
    assert [one["paused"] for one in call("tmux.panes")["panes"] if one["id"] == made["pane"]] == [True]
    assert "resume" in world.person().error("fleet.send", {"name": "feature-x", "text": "hello"})["message"]
    world.tmux.run("send-keys", "-t", made["pane"], "typed meanwhile", "Enter")
    assert world.told() == []
    assert call("fleet.resume", {"name": made["pane"], "server": world.tmux.socket})["state"] == "running"
    until(lambda: world.told() == ["typed meanwhile"])
    assert world.agent("feature-x")["state"] == "running"
    assert psutil.STATUS_STOPPED not in [one.status() for one in below(made["pane_pid"])]


def test_a_shell_that_would_notice_is_left_alone(world: World) -> None:
    pane = world.tmux.run("display-message", "-p", "-t", "work", "#{pane_id}")
    world.tmux.run("send-keys", "-t", pane, "set -m; sleep 300", "Enter")
    until(lambda: world.tmux.run("display-message", "-p", "-t", pane, "#{pane_current_command}") == "sleep")
    said = world.person().error("fleet.pause", {"name": pane})["message"]
    assert "would notice" in said
    (job,) = below(int(world.tmux.run("display-message", "-p", "-t", pane, "#{pane_pid}")))
    assert job.status() != psutil.STATUS_STOPPED


def test_kill_ends_what_stands_still_and_what_left_the_pane(world: World) -> None:
    world.sidecar.program("goose", "#!/bin/sh\nsetsid sleep 300 &\necho ready in $PWD\nexec cat\n")
    made = world.spawn("feature/x")
    world.shows(made["pane"], "ready in")
    until(lambda: any("sleep 300" in line for line in world.processes()))
    world.person().call("fleet.pause", {"name": "feature-x"})
    world.person().call("fleet.kill", {"name": "feature-x"})
    assert world.processes() == []
    assert world.agent("feature-x")["state"] == "ended"


def test_the_end_of_its_program_is_seen(world: World) -> None:
    world.sidecar.program("goose", "#!/bin/sh\necho ready; read -r line\n")
    made = world.spawn("feature/x")
    world.shows(made["pane"], "ready")
    world.tmux.run("send-keys", "-t", made["pane"], "Enter")
    until(lambda: world.agent("feature-x")["state"] == "ended")


def test_windows_beside_it(world: World) -> None:
    (world.sidecar.config / "fleet.toml").write_text(LAYOUT)
    made = world.spawn("feature/x")
    folder = Path(made["worktree"])
    until(lambda: (folder / "two").exists() and (folder / "where").exists())
    assert (folder / "where").read_text() == f"{folder}\n"
    windows = world.tmux.run("list-windows", "-t", made["session"], "-F", "#{window_name} #{window_panes}").splitlines()
    assert windows[1:] == ["server #S 3", "shell 1"]
    assert world.tmux.run("display-message", "-p", "-t", made["session"], "#{window_index}") == "0"
    for name in ("one", "two", "where"):
        (folder / name).unlink()
    world.person().call("fleet.finish", {"name": "feature-x"})
    world.nothing_left()


def test_a_sidecar_that_is_killed_half_way_leaves_nothing_behind(world: World) -> None:
    (world.sidecar.config / "fleet.toml").write_text('setup = ["touch begun; sleep 300"]\n')
    world.person().start("fleet.spawn", {"branch": "x", "repository": str(world.repository), "agent": "goose"})
    begun = world.repository.parent / "shop-worktrees" / "x" / "begun"
    until(begun.exists)
    world.sidecar.kill()
    assert begun.exists()
    world.start()
    until(lambda: world.agents() == [])
    world.nothing_left()
    (undone,) = [one for one in world.sidecar.records() if one["type"] == "fleet.undone"]
    assert undone["data"]["why"] == "the sidecar ended while it was spawned"


def test_a_sidecar_that_is_killed_beside_a_half_built_session_leaves_nothing_behind(world: World) -> None:
    """Its agent runs already; windows beside it are still being opened. Undone before tmux has attached again."""
    window = '[[windows]]\nname = "w"\npanes = ["", "", "", ""]\n'
    (world.sidecar.config / "fleet.toml").write_text(window * 12)
    world.person().start("fleet.spawn", {"branch": "x", "repository": str(world.repository), "agent": "goose"})
    until(lambda: "x" in world.sessions())
    world.sidecar.kill()
    assert "x" in world.sessions()
    assert world.processes()
    world.start(attach=False)
    until(lambda: world.sessions() == ["work"])
    until(lambda: world.agents() == [])
    world.nothing_left()


def test_a_sidecar_that_is_killed_while_the_agent_starts_has_it_go_on(world: World) -> None:
    """It may have begun its work: it is not begun twice, and is told its task."""
    begins = '#!/bin/sh\necho began >> "$HOME/began"\nread -r line\necho "$line" >> "$HOME/told"\ncat\n'
    world.sidecar.program("goose", begins)
    world.person().start(
        "fleet.spawn", {"branch": "x", "repository": str(world.repository), "agent": "goose", "task": "Do x."}
    )
    until(lambda: "x" in world.sessions())
    world.sidecar.kill()
    world.start()
    until(lambda: world.told() == ["Do x."])
    assert (world.home / "began").read_text() == "began\n"
    assert world.agent("x")["state"] == "running"
    world.person().call("fleet.finish", {"name": "x"})
    world.nothing_left()


def test_a_sidecar_that_is_killed_while_it_finishes_one_finishes_it_later(world: World) -> None:
    teardown = "touch $TMUX_AGENT_REPOSITORY/../torn; test -e $HOME/go || sleep 300"
    (world.sidecar.config / "fleet.toml").write_text(f'teardown = ["{teardown}"]\nteardown_timeout = 500\n')
    made = world.spawn("feature/x")
    world.commit("work", "file", "x\n", cwd=Path(made["worktree"]))
    world.person().start("fleet.finish", {"name": "feature-x", "merge": True})
    until((world.repository.parent / "torn").exists)
    world.sidecar.kill()
    (world.home / "go").touch()
    world.start()
    assert world.agent("feature-x")["state"] == "ended"
    assert Path(made["worktree"]).is_dir()
    did = world.person().call("fleet.finish", {"name": "feature-x", "merge": True})["did"]
    assert did[0] == "main has all of feature/x already"
    world.nothing_left()
    assert (world.repository / "file").exists()


def test_whoever_goes_away_while_it_is_spawned_has_it_undone(world: World) -> None:
    (world.sidecar.config / "fleet.toml").write_text('setup = ["touch begun; sleep 300"]\n')
    peer = world.sidecar.operator()
    peer.start("fleet.spawn", {"branch": "x", "repository": str(world.repository), "agent": "goose"})
    until((world.repository.parent / "shop-worktrees" / "x" / "begun").exists)
    peer.close()
    until(lambda: world.agents() == [])
    world.nothing_left()


def test_an_agent_outlives_the_sidecar_and_its_task_is_given_once(world: World) -> None:
    """The task waits for a prompt that comes only after the sidecar was killed."""
    world.sidecar.program("goose", "#!/bin/sh\nwhile ! test -e $HOME/go; do sleep 0.05; done\nexec \"$0-2\"\n")
    world.sidecar.program("goose-2", '#!/bin/sh\necho ready\nread -r line\necho "$line" >> $HOME/told\nexec cat\n')
    made = world.spawn("feature/x", task="Do x.")
    world.sidecar.kill()
    world.start()
    (world.home / "go").touch()
    world.shows(made["pane"], "ready")
    until(lambda: world.agent("feature-x")["task_state"] == "given")
    until(lambda: world.told() == ["Do x."])
    assert world.screen(made["pane"]).count("Do x.") == 1


def test_it_is_begun_again_after_its_tmux_server_is_gone(world: World) -> None:
    world.sidecar.program("goose", '#!/bin/sh\necho "started with <$*>"\nexec cat\n')
    made = world.spawn("feature/x")
    world.shows(made["pane"], "started with <>")
    world.tmux.run("kill-server")
    until(lambda: world.agent("feature-x")["state"] == "ended")
    world.tmux.run("new-session", "-d", "-s", "work", "-x", "120", "-y", "40")
    world.attach()
    world.person().call("fleet.resume", {"name": "feature-x"})
    again = world.agent("feature-x")
    world.shows(again["pane"], "started with <session --resume>")
    assert again["worktree"] == made["worktree"]
    world.person().call("fleet.kill", {"name": "feature-x"})
    world.person().call("fleet.resume", {"name": "feature-x", "fresh": True})
    world.shows(world.agent("feature-x")["pane"], "started with <>")


def test_the_last_of_several_takes_the_folder_of_the_worktrees_with_it(world: World) -> None:
    """Whichever came first."""
    for name in ("one", "two"):
        world.spawn(name)
    for name in ("one", "two"):
        world.person().call("fleet.finish", {"name": name})
    world.nothing_left()


def test_twenty_agents_in_a_row_leave_nothing_behind(world: World) -> None:
    descriptors = len(os.listdir(f"/proc/{world.sidecar.process.pid}/fd")) if world.sidecar.process else 0
    for number in range(20):
        made = world.spawn(f"feature/{number}", task=f"Task {number}.")
        until(lambda number=number: world.told()[-1:] == [f"Task {number}."])
        until(lambda made=made: world.agent(made["name"])["task_state"] == "given")
        world.commit(f"work {number}", f"file-{number}", "x\n", cwd=Path(made["worktree"]))
        world.git("config", "user.email", "a@b.example")
        world.git("config", "user.name", "a")
        world.person().call("fleet.finish", {"name": made["name"], "merge": True})
    world.nothing_left()
    assert len(list(world.repository.glob("file-*"))) == 20
    assert list((world.sidecar.state / "fifos").glob("*")) == []
    assert list((world.sidecar.state / "wraps").glob("*-*")) == []
    assert world.sidecar.process
    assert len(os.listdir(f"/proc/{world.sidecar.process.pid}/fd")) <= descriptors + 8


SANDBOXED = """#!/bin/sh
ls "$HOME" > seen
touch made && git add made && git -c user.name=a -c user.email=a@b.example commit -qm sandboxed && echo committed
exec cat
"""


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_a_sandboxed_agent_works_in_its_worktree_stands_still_and_is_merged(world: World) -> None:
    world.sidecar.program("goose", SANDBOXED)
    (world.home / "private").write_text("of the person\n")
    made = world.spawn("feature/x", sandbox=True)
    assert made["tier"] == "sandbox"
    world.shows(made["pane"], "committed")
    assert (Path(made["worktree"]) / "seen").read_text() == ""
    (Path(made["worktree"]) / "seen").unlink()
    assert world.person().call("fleet.pause", {"name": "feature-x"})["processes"] >= 2
    until(lambda: all(one.status() == psutil.STATUS_STOPPED for one in below(made["pane_pid"])))
    world.person().call("fleet.resume", {"name": "feature-x"})
    world.person().call("fleet.finish", {"name": "feature-x", "merge": True})
    assert (world.repository / "made").exists()
    world.nothing_left()
