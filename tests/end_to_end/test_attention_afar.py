"""Requests tell a person who sits elsewhere: behind a login from another machine, and behind further tmux.

A login is what sshd makes of it: a terminal of its own, whose bytes a process carries, with the person's TERM.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator

import pytest
from tests.end_to_end.plugin_world import World, close
from tests.end_to_end.test_attention import BEL, OSC9, OSC777, gets
from tests.plugin.terminal import Server, Terminal
from tests.sidecar import until

# argv: a command. Runs it on a terminal of its own and carries the bytes, as sshd does; the size is not carried.
TOLD = re.compile(rb"\x1b\]9;tmux-agent: \S+ asks: Deploy now\?\x1b\\")  # whole, and not wrapped
CARRIES = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]))"
LOGIN = {"SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22", "SSH_TTY": "/dev/pts/x", "SSH_CLIENT": "192.0.2.7 50000 22"}
OPTIONS = "set -g @tmux-agent-attention '{}'\nset -g @tmux-agent-attention-idle 1\nset -sg escape-time 0\n"


@pytest.fixture
def world() -> Iterator[World]:
    with World() as one:
        yield one


def login(server: Server, term: str) -> list[str]:
    """The command of a person who logs in from elsewhere and attaches: with their TERM, and nothing of a local tmux."""
    attach = f"stty rows 28 columns 100; exec {shlex.join(server.argv('attach-session'))}"
    environ = [f"{name}={value}" for name, value in LOGIN.items()]
    command = ["env", "-u", "TMUX", "-u", "DISPLAY", *environ, f"TERM={term}", "sh", "-c", attach]
    return [sys.executable, "-I", "-S", "-c", CARRIES, *command]


@pytest.fixture
def laptop(world: World) -> Iterator[Server]:
    """A tmux of the person's own, which no sidecar knows; it hands on what programs in it wrap for its terminal."""
    config = "set -g allow-passthrough on\nset -g default-terminal tmux-256color\nset -g bell-action any\n"
    with Server(config, env={"HOME": str(world.home)}) as server:
        server.run("new-session", "-d", "-s", "laptop", "-x", "110", "-y", "30")
        yield server


def old(server: Server) -> bool:
    """tmux before 3.3 neither shows popups by themselves nor hands anything on unasked."""
    return server.run("display-message", "-p", "#{version}").startswith("3.2")


def test_a_login_is_told_in_every_way(world: World) -> None:
    """Bell and both notifications reach the terminal at the other end, and the popup comes and answers there."""
    server = world.server(OPTIONS.format("popup bell osc9 osc777"))
    with Terminal(login(server, "xterm-256color"), columns=100, rows=28, env=world.environ) as person:
        person.wait_for("[work]")
        agent = world.agent()
        number = agent.ask("Deploy now?")
        for data in (OSC9, OSC777, BEL):
            gets(person, data)
        assert TOLD.search(person.raw)
        if not old(server):
            person.wait(lambda text: "┌" in text and "Deploy now?" in text)
            press_until_answered_at(person)
            assert agent.hear(number)["data"]["approved"] is True
            close(person)


def press_until_answered_at(person: Terminal) -> None:
    person.press_until(("a",), lambda text: "approved" in text, "the answer")


def test_a_login_from_inside_another_tmux(world: World, laptop: Server) -> None:
    """The laptop's tmux is unknown here: what goes to the terminal is wrapped for it to hand on, once; a message stands
    in the status line of ours, and the bell rings."""
    server = world.server(OPTIONS.format("message bell osc9"))
    person = laptop.attach(columns=110)
    laptop.run("new-window", "-t", "laptop:", shlex.join(login(server, "tmux-256color")))
    person.wait_for("[work]")
    world.agent().ask("Deploy now?")
    gets(person, BEL)
    if not old(laptop):
        gets(person, OSC9)
        assert TOLD.search(person.raw)
        person.wait(lambda text: "asks: Deploy now?" in text)
        assert person.raw.count(OSC9) == 1
    assert b"\x1bPtmux;" not in person.raw


def test_a_tmux_around_that_hands_nothing_on(world: World, laptop: Server) -> None:
    """Without `allow-passthrough` the notification ends there, unseen; badge and bell are there all the same."""
    laptop.run("set-option", "-g", "allow-passthrough", "off", check=False)
    server = world.server(OPTIONS.format("bell osc9"))
    person = laptop.attach(columns=110)
    laptop.run("new-window", "-t", "laptop:", shlex.join(login(server, "tmux-256color")))
    person.wait_for("[work]")
    world.agent().ask("Deploy now?")
    gets(person, BEL)
    person.wait_for("⏸1")
    assert OSC9 not in person.raw
    assert "Deploy now?" not in person.text()


def test_of_two_that_are_known_the_one_around_tells(world: World) -> None:
    """A tmux in a pane of another, both served: the outer client is the one in use, and is told once; nothing comes up
    inside, where whoever sits in the pane might be an agent."""
    options = OPTIONS.format("popup bell osc9")
    outer, inner = world.server(options), world.server(options)
    person = outer.attach(columns=120, rows=40)
    outer.run("new-window", "-t", "work:", shlex.join(["env", "-u", "TMUX", *inner.argv("attach-session")]))
    person.wait(lambda text: text.count("[work]") == 2, what="the inner status line")
    agent = world.agent()
    number = agent.ask("Deploy now?")
    gets(person, OSC9)
    gets(person, BEL)
    if not old(outer):
        person.wait(lambda text: "┌" in text and "Deploy now?" in text)
        assert inner.run("list-clients", "-F", "#{client_flags}").count("\n") == 1  # ours, and the one in the pane
        press_until_answered_at(person)
        assert agent.hear(number)["data"]["approved"] is True
        close(person)
    assert person.raw.count(OSC9) == 1
    assert b"\x1bPtmux;" not in person.raw
    until(lambda: not world.records("refused"))
