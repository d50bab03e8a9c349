"""Usage limits: an agent that reaches one, a real tmux, sidecar and popup; told to go on once, and only where it fits.

The agent is a script that is taken for aider, with a rule file of a person's own: everything about it can be varied.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.plugin_world import World
from tests.plugin.terminal import Server, Terminal
from tests.sidecar import until

RULES = """\
version: 1
agent: aider
rules:
  - name: used up
    state: limit
    sign: '^Limit reached'
    resets: 'resets (?P<resets>.+)$'
    over: '^went on'
    menu: '^1\\. Wait$'
    leave: [q]
    prompt: '^>$'
  - name: rests
    state: idle
    foot: '^>'
"""
# Works a turn for each line it is told; {reaches} is what it says in the first.
AGENT = """\
#!/usr/bin/env python3
import sys, tty
def prompt():
    print("> ", end="", flush=True)
tty.setcbreak(0)
prompt()
line = ""
MENU = {menu}
while True:
    key = sys.stdin.read(1)
    if MENU == "open":
        if key == "q":
            MENU = ""
            print("\\033[4A\\033[J", end="")
            prompt()
        continue
    if key == "\\n":
        print(flush=True)
        with open("heard", "a") as log:
            log.write(line + "\\n")
        if line == "work":
            print({reaches!r})
            if MENU:
                MENU = "open"
                print("\\nWhat now?\\n1. Wait\\n2. Pay", flush=True)
                line = ""
                continue
        elif line == {deaf!r}:
            print("\\033[1A\\033[J", end="")
        else:
            print("went on with", line)
        line = ""
        prompt()
    elif key == "\\x7f":
        line = line[:-1]
        print("\\b \\b", end="", flush=True)
    else:
        line += key
        print(key, end="", flush=True)
"""


@pytest.fixture
def world() -> Iterator[World]:
    with World() as one:
        (one.config / "screens").mkdir()
        (one.config / "screens" / "aider.yaml").write_text(RULES)
        yield one


def rule(world: World, text: str, more: str = "") -> None:
    (world.config / "config.yaml").write_text(f"resume: {{agents: [aider], after: 0, text: {text}}}\n{more}")


def agent(
    world: World, server: Server, reaches: str = "Limit reached, resets in 2s", menu: str = "", deaf: str = ""
) -> str:
    """An agent in a window of its own, its prompt ready; its pane."""
    path = world.folder / "bin" / "aider"
    path.write_text(AGENT.format(reaches=reaches, menu=repr(menu), deaf=deaf))
    path.chmod(0o755)
    (world.project / "heard").write_text("")
    pane = server.run("new-window", "-d", "-P", "-F", "#{pane_id}", "-t", "work:", "-c", str(world.project), str(path))
    until(lambda: ">" in screen(server, pane))
    return pane


def screen(server: Server, pane: str) -> str:
    return server.run("capture-pane", "-p", "-t", pane)


def heard(world: World) -> list[str]:
    return (world.project / "heard").read_text().splitlines()


def limited(server: Server, terminal: Terminal, pane: str) -> None:
    """It reaches its limit, and the status line says so."""
    server.run("send-keys", "-t", pane, "work", "Enter")
    terminal.wait_for("◷1")


def the_agent(world: World) -> dict[str, Any]:
    (one,) = agents(world)
    return one


def agents(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(world.agent_command("agents", "--json").stdout)
    return found


@pytest.mark.parametrize("menu", ["", "yes"])
def test_by_rule(world: World, server: Server, terminal: Terminal, menu: str) -> None:
    """Noticed, shown, told elsewhere, told to go on at its time (its own menu left first), recorded, and over."""
    told_of = world.folder / "told"
    rule(world, "go on then", f"notify: {{command: [sh, -c, 'cat >> {told_of}']}}\n")
    pane = agent(world, server, menu=menu)
    limited(server, terminal, pane)
    one = the_agent(world)
    assert one["state"] == "error"
    assert one["limit"]["words"] == "Limit reached, resets in 2s"
    assert one["limit"]["resumes"] == one["limit"]["resets"] > one["limit"]["noticed"]
    until(lambda: "went on with go on then" in screen(server, pane))
    terminal.wait_gone("◷")
    until(lambda: bool(world.records("action.finished")))
    (told,) = world.records("agent.limited")
    (decided,), (finished,) = world.records("decision"), world.records("action.finished")
    assert told["data"]["agent"]["pane"] == pane
    assert (decided["data"]["rule"], decided["data"]["verdict"]) == ("resume in config.yaml", "allow")
    assert decided["data"]["action"]["verb"] == "resume"
    assert finished["data"]["outcome"]["ok"]
    assert heard(world) == ["work", "go on then"]
    until(lambda: told_of.exists() and "has reached its usage limit" in told_of.read_text())
    assert "Limit reached, resets in 2s" in told_of.read_text()
    assert "limit" not in the_agent(world)


@pytest.mark.parametrize(
    ("do", "why"),
    [
        (lambda server, pane: server.run("send-keys", "-t", pane, "-l", "a draft"), "something stands at its prompt"),
        (lambda server, pane: server.run("copy-mode", "-t", pane), "copy mode"),
        (
            lambda server, pane: server.run("set-option", "-w", "-t", pane, "synchronize-panes", "on"),
            "synchronized",
        ),
        (
            lambda server, pane: server.run("respawn-pane", "-k", "-t", pane, "printf 'Limit reached\\n> '; exec cat"),
            "",
        ),
    ],
    ids=["draft", "copy-mode", "synchronized", "another program"],
)
def test_where_it_does_not_fit_nothing_is_pressed(
    world: World, server: Server, terminal: Terminal, do: Any, why: str
) -> None:
    """And the person is told; it is not tried again."""
    rule(world, "go on then")
    pane = agent(world, server, reaches="Limit reached, resets in 4s")
    limited(server, terminal, pane)
    before = screen(server, pane)
    do(server, pane)
    if not why:
        terminal.wait_gone("◷")
        assert world.records("decision") == []
    else:
        until(lambda: bool(world.records("action.finished")))
        (finished,) = world.records("action.finished")
        assert not finished["data"]["outcome"]["ok"]
        assert why in finished["data"]["outcome"]["error"]
        said = world.agent_command("explain", pane).stdout
        assert "not told to go on" in said
        assert screen(server, pane).replace("a draft", "").rstrip() == before.rstrip()
        one = the_agent(world)
        assert (one["limit"]["tries"], one["limit"].get("resumes")) == (1, None)
    assert heard(world) == ["work"]


def test_one_that_does_not_go_on(world: World, server: Server, terminal: Terminal) -> None:
    """It was typed, and nothing came of it: the person is told."""
    rule(world, "deaf")
    pane = agent(world, server, deaf="deaf")
    limited(server, terminal, pane)
    until(lambda: bool(world.records("action.finished")))
    (finished,) = world.records("action.finished")
    assert "but it did not go on" in finished["data"]["outcome"]["error"]
    terminal.wait_for("could not be told to go on")


def test_a_policy_forbids_it(world: World, server: Server, terminal: Terminal) -> None:
    """What the policy denies stays denied."""
    (world.config / "policy.d").mkdir()
    text = "version: 1\nrules:\n  - {name: never, when: {tmux: [resume]}, verdict: deny}\n"
    (world.config / "policy.d" / "10.yaml").write_text(text)
    rule(world, "go on then")
    pane = agent(world, server)
    limited(server, terminal, pane)
    until(lambda: bool(world.records("decision")))
    assert world.records("decision")[0]["data"]["verdict"] == "deny"
    assert heard(world) == ["work"]


def test_a_killed_sidecar_tells_it_once(world: World, server: Server, terminal: Terminal) -> None:
    """Killed while it waits, and after it has told: the limit is the same one, its agent told to go on once in all."""
    rule(world, "deaf")
    pane = agent(world, server, reaches="Limit reached, resets in 6s", deaf="deaf")
    limited(server, terminal, pane)
    before = the_agent(world)["limit"]
    kill(world, server)
    terminal.wait_for("◷1")
    assert the_agent(world)["limit"]["resets"] == before["resets"]
    until(lambda: heard(world) == ["work", "deaf"])
    kill(world, server)
    terminal.wait_for("◷1")
    until(lambda: the_agent(world)["limit"]["tries"] == 1)
    assert "resumes" not in the_agent(world)["limit"]
    assert heard(world) == ["work", "deaf"]


def kill(world: World, server: Server) -> None:
    """kill -9 of the sidecar, and its successor."""
    old = world.serves(server)
    os.kill(old, signal.SIGKILL)
    until(lambda: world.alive(server) not in ("", str(old)))


def test_on_request_in_the_popup(world: World, server: Server, terminal: Terminal) -> None:
    """Nobody is told by itself; a pane can but have it asked; y in the popup has it told, in the person's name."""
    pane = agent(world, server, reaches="Limit reached, resets in 3 hours", menu="yes")
    limited(server, terminal, pane)
    shell = server.run("new-window", "-P", "-F", "#{pane_id}", "-t", "work:", "/bin/sh")
    server.run("send-keys", "-t", shell, f"tmux-agent resume {pane}", "Enter")
    terminal.wait_for("have it go on")
    text = terminal.wait_for("Usage limit until")
    assert "“continue” is typed" in text
    terminal.press_until(("y",), lambda shown: "have it go on" not in shown, "the end of the popup")
    until(lambda: "went on with continue" in screen(server, pane))
    until(lambda: bool(world.records("action.finished")))
    (decided,) = world.records("decision")
    assert decided["data"]["rule"] == "a person"
    assert decided["origin"]["role"] == "operator"


def test_no_agent_can_have_it_done(world: World, server: Server, terminal: Terminal) -> None:
    """agent.resume is for operators; what is not there says so."""
    pane = agent(world, server)
    limited(server, terminal, pane)
    done = world.agent_command("call", "agent.resume", f'{{"target": "{pane}"}}')
    assert "for operators only" in done.stderr
    done = world.agent_command("resume", "%999")
    assert "no agent is known there" in done.stderr
    assert heard(world) == ["work"]


def test_a_closed_pane(world: World, server: Server, terminal: Terminal) -> None:
    """Nothing is left of it."""
    rule(world, "go on then")
    pane = agent(world, server, reaches="Limit reached, resets in 3s")
    limited(server, terminal, pane)
    server.run("kill-pane", "-t", pane)
    terminal.wait_gone("◷")
    assert agents(world) == []
    assert world.records("decision") == []
