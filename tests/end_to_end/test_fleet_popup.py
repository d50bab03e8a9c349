"""prefix + S and prefix + F as a person uses them: a form, the fleet, and what comes of each key in git and /proc."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

import psutil
import pytest
from tests.end_to_end.fleet_world import AGENT
from tests.end_to_end.plugin_world import PREFIX, World, close, popup, press
from tests.plugin.terminal import Server, Terminal
from tests.sidecar import until


class Stage:
    """A person at a client in a repository, and an agent of no rules called goose."""

    def __init__(self, world: World, *, columns: int = 100, rows: int = 30) -> None:
        self.world = world
        program = world.folder / "bin" / "goose"
        program.write_text(AGENT)
        program.chmod(0o755)
        self.server: Server = world.server()
        self.person: Terminal = self.server.attach(columns=columns, rows=rows)

    def open(self, key: str, sign: str) -> str:
        return self.person.press_until((PREFIX, key), lambda text: sign in text and "┌" in text, f"{sign!r}")

    def spawn(self, branch: str, task: str = "") -> None:
        self.open("S", "spawn an agent")
        self.person.wait_for(str(self.world.folder)[:12])
        self.field(branch, "who works there")
        self.field("goose", "a text of yours")
        self.field("", "typed at its prompt")
        self.field(task, "what a new branch begins at")
        self.person.press("\x13")
        self.person.wait_for("It would do this:")
        self.sure()
        self.person.wait_for("spawned: ")

    def field(self, text: str, then: str) -> None:
        self.person.press(text)
        self.person.wait_for(text)
        self.person.press("\r")
        self.person.wait_for(then)

    def sure(self) -> None:
        """y, until it counts: not in the first moment."""
        self.person.press_until(("y",), lambda text: "do it" not in text)

    def git(self, *argv: str) -> str:
        done = subprocess.run(
            ["git", *argv], cwd=self.world.project, env=self.world.environ, capture_output=True, text=True, check=True
        )
        return done.stdout

    def session(self, name: str) -> bool:
        return name in self.server.run("list-sessions", "-F", "#{session_name}").splitlines()

    def states(self, name: str) -> set[str]:
        """What the processes of a session's agent do: without the pane's own program."""
        pid = int(self.server.run("display-message", "-p", "-t", f"{name}:", "#{pane_pid}"))
        found = set()
        for one in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it ended while it was looked at
                found.add(one.status())
        return found


@pytest.fixture
def world() -> Iterator[World]:
    with World() as one:
        yield one


def test_spawned_by_the_form_paused_told_and_finished(world: World) -> None:
    """All that a person does with one agent, from prefix + S to a worktree that is gone; each as theirs in the log."""
    stage = Stage(world)
    person = stage.person
    stage.open("S", "spawn an agent")
    person.wait_for("shop")
    person.press("fix/prices\t")
    person.wait_for("nothing to complete here")
    person.press("\r")
    person.wait_for("who works there")
    person.press("cl\t")
    person.wait(lambda text: "agent     claude" in text)
    person.press("\x15goose\r")  # Ctrl-U
    person.wait_for("a text of yours")
    person.press("\r")
    stage.field("add the fees", "what a new branch begins at")
    person.press("\x13")
    text = person.wait_for("It would do this:")
    assert "fix/prices (new, from feat/login)" in text
    assert f"{world.folder}/shop-worktrees/fix-prices" in text
    assert "add the fees" in text
    assert not stage.session("fix-prices")
    stage.sure()
    person.wait_for("spawned: fix-prices")
    assert stage.session("fix-prices")
    assert "fix/prices" in stage.git("worktree", "list")
    until(lambda: "add the fees" in (world.home / "told").read_text() if (world.home / "told").exists() else False)

    person.wait(lambda text: "fix-prices" in text and "no change" in text)
    person.press("z")
    person.wait_for("stands still")
    person.wait_for("paused")
    assert stage.states("fix-prices") == {psutil.STATUS_STOPPED}
    person.press("z")
    person.wait_for("goes on")
    until(lambda: psutil.STATUS_STOPPED not in stage.states("fix-prices"))

    person.press("s")
    person.wait_for("Typed at its prompt")
    stage.field("and the taxes", "sent to fix-prices")
    until(lambda: "and the taxes" in (world.home / "told").read_text())
    person.press("\r")
    person.wait_for("told: and the taxes")
    person.press("\x1b")
    person.wait_for("1 running")

    person.press("f")
    person.wait_for("keep the branch fix/prices")
    person.press("jjj\r")
    person.wait_for("Throw all of it away")
    stage.sure()
    person.wait_for("No agent of the fleet runs")
    assert not stage.session("fix-prices")
    assert "fix/prices" not in stage.git("worktree", "list") + stage.git("branch")
    told = [one for one in world.records("decision") if one["data"]["action"]["type"] == "fleet"]
    assert [one["data"]["action"]["verb"] for one in told] == ["spawn", "pause", "resume", "send", "finish"]
    assert {(one["data"]["rule"], one["origin"]["door"], one["origin"]["client"]) for one in told} == {
        ("a person", "popup", person.tty)
    }


def test_what_cannot_be_spawned_is_said_in_the_form_and_nothing_is_done(world: World) -> None:
    stage = Stage(world)
    stage.open("S", "spawn an agent")
    stage.person.wait_for("shop")
    stage.person.press("\x13")
    stage.person.wait_for("on which branch?")
    stage.person.press("feat/login\x13")  # which is checked out
    stage.person.wait_for("is checked out in")
    stage.person.press("\x1b")
    stage.person.wait_gone("spawn an agent")
    assert stage.git("worktree", "list").count("\n") == 1
    assert not world.records("decision")


def test_the_fleets_page_leads_to_requests_and_panes_and_kills_after_a_yes(world: World) -> None:
    stage = Stage(world)
    person = stage.person
    stage.spawn("feat/a")
    pane = stage.server.run("display-message", "-p", "-t", "feat-a:", "#{pane_id}")
    bot = world.agent_in(stage.server, "feat-a")
    bot.known()
    stage.server.run("swap-pane", "-s", bot.pane, "-t", pane)  # it asks from the agent's window
    person.press("a")
    person.wait_for("waits for no answer of yours")
    person.press("x")
    person.wait_for("kill  feat-a")
    person.press("\x1b")
    person.wait_for("1 running")
    person.press("x")
    person.wait_for("kill  feat-a")
    stage.sure()
    person.wait(lambda text: "1 ended" in text and "kill: feat-a" in text)
    assert (world.folder / "shop-worktrees" / "feat-a").is_dir()
    for key in ("\r", "o"):
        person.press(key)
        person.wait_for("feat-a has no pane: ended; z begins it again")
        person.press("k")
        person.wait_gone("has no pane")
    person.press("z")
    person.wait(lambda text: "goes on" in text and "1 running" in text)
    assert stage.session("feat-a")
    person.press("o")
    person.wait_gone("┌")
    until(lambda: stage.server.run("list-clients", "-F", "#{session_name}").splitlines().count("feat-a") == 1)


def test_an_agents_request_is_answered_from_the_fleet(world: World) -> None:
    """Its line says that it waits for you, and a leads to the request."""
    stage = Stage(world)
    asker = world.folder / "bin" / "goose"
    stage.spawn("feat/a")
    close(stage.person)
    asker.write_text('#!/bin/sh\ntmux-agent ask "May I deploy?"\nread -r line\n')
    stage.spawn("feat/b")
    stage.person.wait(lambda text: any("feat-b" in line and "waiting" in line for line in text.splitlines()))
    stage.person.wait_for("waits for you")
    stage.person.press("a")
    stage.person.wait_for("May I deploy?")
    press(stage.person, "a", "approved")
    until(lambda: world.records("approval.answered"))


@pytest.mark.parametrize("columns", [40, 100])
def test_it_fits_and_hostile_names_act_in_nothing(world: World, columns: int) -> None:
    flag = world.folder / "flag"
    stage = Stage(world, columns=columns)
    stage.spawn("日本語/#(touch-flag)#S%%")
    stage.person.wait(lambda text: "日本語" in text and "running" in text)
    assert not any("#{" in name for name in stage.server.run("list-sessions", "-F", "#{session_name}").splitlines())
    close(stage.person)
    assert "tmux-agent" in popup(stage.person)
    assert not flag.exists()


def test_the_menu_pauses_an_agent_and_lets_it_go_on(world: World) -> None:
    """From the main menu: the agent's own menu, pause after a yes; then the menu offers the other."""
    stage = Stage(world)
    asker = world.folder / "bin" / "goose"
    asker.write_text("#!/bin/sh\ntmux-agent ask 'May I deploy?'\nread -r line\n")
    stage.spawn("feat/a")
    stage.person.wait_for("waits for you")
    close(stage.person)
    for offered, verb, stopped in (("pause it", "pause", True), ("let it go on", "let it go on", False)):
        stage.person.press_until((PREFIX, "G"), lambda text: "spawn an agent" in text, "the main menu")
        stage.person.press("1")
        stage.person.wait_for(offered)
        assert "spawn another" in stage.person.text()
        stage.person.press("z")
        stage.person.wait(lambda text, verb=verb: f"│{verb}  " in text or f"│ {verb}  " in text)
        stage.sure()
        until(lambda stopped=stopped: (psutil.STATUS_STOPPED in stage.states("feat-a")) is stopped)
        stage.person.wait_gone("┌")
