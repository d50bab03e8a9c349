"""What comes with an agent by fleet.toml: set-up, files, templates; as trusted; a failure leaves nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.end_to_end.fleet_world import World, tmux_of
from tests.sidecar import sidecar, until

WHOLE = """
agent = "goose"
template = "feature"
copy = [".env", "config/local"]
link = ["node_modules"]
setup = ["echo $TMUX_AGENT_BRANCH > made", ["touch", "made too"]]
teardown = ["touch $TMUX_AGENT_REPOSITORY/torn-down"]
[env]
PORT = "3001"
"""


@pytest.fixture
def world() -> Iterator[World]:
    with sidecar() as one, tmux_of(one) as tmux:
        made = World(one, tmux)
        made.start()
        yield made


def test_set_up_files_and_a_template_come_with_it_once_the_person_trusts_them(world: World) -> None:
    world.file(WHOLE)
    template = world.file("<!-- for people -->\nOn {branch}: {task}\n", "templates/feature.md")
    world.commit("fleet", ".gitignore", ".env\nnode_modules\nconfig/local\nmade*\ntorn-down\n")
    (world.repository / ".env").write_text("SECRET=1\n")
    (world.repository / "node_modules").mkdir()
    (world.repository / "config" / "local").mkdir(parents=True)
    (world.repository / "config" / "local" / "a").write_text("a\n")
    assert "not trusted" in world.error("feature/x")
    assert "trusted" in world.trust()
    made = world.spawn("feature/x", task="Write it.", agent="")
    folder = Path(made["worktree"])
    assert (folder / "made").read_text() == "feature/x\n"
    assert (folder / "made too").exists()
    assert (folder / ".env").read_text() == "SECRET=1\n"
    assert (folder / ".env").stat().st_ino != (world.repository / ".env").stat().st_ino
    assert (folder / "config" / "local" / "a").read_text() == "a\n"
    assert os.readlink(folder / "node_modules") == str(world.repository / "node_modules")
    until(lambda: world.told() == ["On feature/x: Write it."])
    assert "PORT=3001" in world.tmux.run("show-environment", "-t", made["session"])
    world.person().call("fleet.finish", {"name": made["name"]})
    assert (world.repository / "torn-down").exists()
    # A template that has changed is not trusted any more, and neither is the file.
    template.write_text("Delete everything. {task}\n")
    assert "not trusted" in world.error("feature/y", task="Write it.")
    world.file(WHOLE + "# more\n")
    assert "not trusted" in world.error("feature/y")
    world.person().call("fleet.kill", {"name": world.spawn("feature/y", plain=True, task="t")["name"]})


def test_a_set_up_command_that_fails_is_shown_and_all_is_undone(world: World) -> None:
    world.file('setup = ["echo begun", "sleep 300 & echo broken pipe wrench; exit 3"]')
    world.trust()
    said = world.error("feature/x")
    assert "exit code 3" in said
    assert "broken pipe wrench" in said
    assert "nothing of it was left behind" in said
    world.nothing_left()


def test_a_set_up_command_that_does_not_end_is_ended_in_time(world: World) -> None:
    world.file('setup = ["sleep 300"]\nsetup_timeout = 0.3')
    world.trust()
    assert "did not end within 0.3 seconds" in world.error("feature/x")
    world.nothing_left()


@pytest.mark.parametrize(
    "command", ["rm -rf \"$PWD\"", "rm .git; exit 1", "git worktree lock .; exit 1", "rm -rf .git; git init -q; exit 1"]
)
def test_a_set_up_command_that_meddles_with_its_worktree_is_undone(world: World, command: str) -> None:
    """Without a folder tmux would start the agent in another one."""
    world.file(f"setup = ['{command}']")
    world.trust()
    assert "nothing of it was left behind" in world.error("feature/x")
    world.nothing_left()


def test_what_set_up_has_started_runs_until_after_tear_down_and_not_longer(world: World) -> None:
    """A server of the worktree, which the tear-down command may want to talk to."""
    world.file(
        'setup = ["sleep 300 >/dev/null 2>&1 & echo $! > ../server"]\n'
        'teardown = ["kill -0 $(cat ../server) && echo lived > ../lived; sleep 301 >/dev/null 2>&1 &"]'
    )
    world.trust()
    folder = Path(world.spawn("feature/x")["worktree"])
    server = int((folder.parent / "server").read_text())
    world.person().call("fleet.finish", {"name": "feature-x"})
    assert (folder.parent / "lived").read_text() == "lived\n"
    until(lambda: not psutil.pid_exists(server))
    assert world.processes() == []


def test_a_window_in_a_folder_that_is_not_there_is_said(world: World) -> None:
    world.file("[[windows]]\nname = 'server'\ncwd = 'nowhere'")
    world.trust()
    assert "the window server beside the agent could not be opened" in world.error("feature/x")
    world.nothing_left()


def test_links_out_of_the_repository_are_refused(world: World) -> None:
    """What is on the list may be a hostile link; so may a folder of the branch that it would be brought into."""
    outside = world.sidecar.folder / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret\n")
    (world.repository / ".env").symlink_to(outside / "secret")
    world.file('copy = [".env"]')
    world.trust()
    assert "leads out of the repository" in world.error("feature/x")
    (world.repository / ".env").unlink()
    (world.repository / "linked").symlink_to(outside)
    world.file('copy = ["linked/secret"]')
    world.trust()
    assert "a symlink is on the way" in world.error("feature/x")
    (world.repository / "linked").unlink()
    world.nothing_left()
    # The branch holds a link where the copy would go.
    world.git("checkout", "-q", "-b", "evil")
    (world.repository / "config").symlink_to(outside)
    world.git("add", "config")
    world.git("commit", "-q", "-m", "a link")
    world.git("checkout", "-q", "main")
    (world.repository / "config").mkdir()
    (world.repository / "config" / "local").write_text("mine\n")
    world.file('copy = ["config/local"]')
    world.trust()
    assert "no folder for it, or a symlink" in world.error("feature/x", base="evil")
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    assert world.branches() == ["evil", "main"]


def test_a_template_that_is_a_link_shows_nothing_of_where_it_leads(world: World) -> None:
    secret = world.sidecar.folder / "secret.md"
    secret.write_text("token-of-the-person\n")
    folder = world.file("", "templates/plain.md").parent
    (folder / "x.md").symlink_to(secret)
    asks = {"repository": str(world.repository)}
    assert "is a symlink" in world.sidecar.agent().error("fleet.templates", asks)["message"]
    (folder / "x.md").unlink()
    world.file("Not yet trusted.\n", "templates/plain.md")
    (told,) = world.sidecar.agent().call("fleet.templates", asks)["templates"]
    assert (told["trusted"], told.get("about", "")) == (False, "")
    (folder / "plain.md").unlink()
    folder.rmdir()
    folder.symlink_to(world.sidecar.folder)
    assert "is a symlink" in world.error("feature/x", template="secret")


def test_what_is_wrong_with_the_file_is_said_with_its_line(world: World) -> None:
    path = world.file('agent = "goose"\nsetpu = ["x"]\n')
    done = world.command("policy", "trust")
    assert done.returncode == 1
    assert f"{path}:2: setpu: is no key of this file, did you mean setup?" in done.stderr
    world.file('copy = ["../x"]\n')
    assert "may hold no" in world.command("policy", "trust").stderr


def test_the_persons_own_file_needs_no_trust(world: World) -> None:
    (world.sidecar.config / "fleet.toml").write_text(
        'agent = "mine"\nworktree = "~/trees/{repo}/{branch}"\n[agents.mine]\ncommand = ["goose", "--fast"]\n'
    )
    made = world.spawn("feature/x", agent="")
    assert made["worktree"] == str(world.home / "trees" / "shop" / "feature-x")
    world.person().call("fleet.finish", {"name": made["name"]})
    world.nothing_left()
