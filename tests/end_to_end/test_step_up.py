"""A rule's `step_up`, as the person in the popup meets it: real tmux, the plugin's own sidecar, proofs that run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.end_to_end.plugin_world import World, close, popup, press
from tests.plugin.terminal import Terminal
from tests.sidecar import until

SECRET = "open sesame 7"
# Asks at its terminal, as `sudo -k -v` does.
ASKS = """#!{python} -I
import getpass, sys
for _ in range(3):
    if getpass.getpass("[proof] password: ") == {secret!r}:
        sys.exit(0)
    print("Sorry, try again.", file=open("/dev/tty", "w"))
sys.exit(1)
"""
RULES = """
version: 1
rules:
  - {name: by input, when: {command: [touch, ...]}, verdict: ask, step_up: [grep, -qxF, "open sesame 7"]}
  - {name: by terminal, when: {command: [mkdir, ...]}, verdict: ask, step_up: [asks]}
  - {name: never ends, when: {command: [rmdir, ...]}, verdict: ask, step_up: [sleep, "86399"]}
  - {name: floods, when: {command: [ln, ...]}, verdict: ask, step_up: [sh, -c, "exec yes >/dev/tty"]}
  - {name: is not there, when: {command: [cp, ...]}, verdict: ask, step_up: [nowhere-to-be-found]}
"""


@pytest.fixture
def world() -> Iterator[World]:
    with World() as one:
        (one.config / "policy.d").mkdir(mode=0o700)
        (one.config / "policy.d" / "10-proofs.yaml").write_text(RULES)
        (one.config / "config.yaml").write_text("answers: {files: true}\n")
        asks = one.folder / "bin" / "asks"
        asks.write_text(ASKS.format(python=sys.executable, secret=SECRET))
        asks.chmod(0o755)
        yield one


@pytest.fixture
def terminal(world: World) -> Terminal:
    return world.server().attach(columns=150)


def prove(terminal: Terminal, secret: str, then: str) -> str:
    """`a`, what is typed as the proof, Enter, and what the popup says then."""
    press(terminal, "a", "wants a proof")
    terminal.press(secret)
    terminal.wait_for("*" * len(secret))
    terminal.press("\r")
    return terminal.wait_for(then)


def select(terminal: Terminal, key: str, shown: str) -> None:
    """Moves in the list until the detail shows that request."""
    terminal.press(key)
    terminal.wait(lambda text: shown in text.partition("├")[2], what=f"the request {shown!r}")


def unseen(world: World, terminal: Terminal, text: str) -> None:
    """It was on no screen and is in no file of ours; an argument of the policy's own apart."""
    assert text.encode() not in bytes(terminal.raw)
    for path in (file for file in Path(world.state).rglob("*") if file.is_file()):
        assert text.encode() not in path.read_bytes(), path


def test_a_yes_counts_after_the_proof(world: World, terminal: Terminal) -> None:
    """A wrong one answers nothing and is told to everybody; the right one counts once; the next asks again."""
    agent = world.agent()
    first, second = agent.run("mkdir", "made"), agent.run("mkdir", "more")
    terminal.wait_for("[⏸2]")
    assert "a yes needs" in popup(terminal, "mkdir made")
    press(terminal, "a", "wants a proof")
    assert "asks" in terminal.text()
    terminal.press("\x1b")
    terminal.wait_gone("wants a proof")
    prove(terminal, "wrong guess 3", "the proof was not accepted: asks: it asked again")
    assert not (world.project / "made").exists()
    prove(terminal, SECRET, "1 waiting")
    assert agent.hear(first)["data"]["exit_code"] == 0
    assert not (world.project / "more").exists()
    press(terminal, "a", "wants a proof")
    terminal.press("\r")
    terminal.wait_for("the proof was not accepted")
    assert not (world.project / "more").exists()
    prove(terminal, SECRET, "Nothing waits")
    assert agent.hear(second)["data"]["exit_code"] == 0
    unseen(world, terminal, SECRET)
    unseen(world, terminal, "wrong guess 3")
    proofs = world.records("step_up")
    assert [one["data"]["passed"] for one in proofs] == [False, True, False, True]
    assert all(one["origin"]["door"] == "popup" for one in proofs)
    assert world.agent_command("audit", "verify").returncode == 0
    close(terminal)
    assert sum("not accepted" in one["data"]["why"] for one in world.records("refused")) == 2


def test_no_other_road_skips_it(world: World, terminal: Terminal) -> None:
    """Marks, an edit, a grant, an approval file, a terminal's command: each without the proof answers nothing."""
    agent = world.agent()
    numbers = [agent.run("touch", "made"), agent.run("touch", "more")]
    terminal.wait_for("[⏸2]")
    popup(terminal, "touch made")
    press(terminal, " ", "1 marked")
    select(terminal, "j", "touch more")
    press(terminal, " ", "2 marked")
    press(terminal, "a", "need an answer of their own")
    press(terminal, " ", "1 marked")
    select(terminal, "k", "touch made")
    terminal.press(" ")
    terminal.wait_gone("marked")
    press(terminal, "e", "Ctrl-S")
    terminal.press("\x13")
    terminal.wait_for("approve this")
    terminal.press("a")
    terminal.wait_for("wants a proof")
    terminal.press("nothing", "\r")
    terminal.wait_for("the proof was not accepted: grep: it ended with 1")
    press(terminal, "g", "not offered")
    folder = world.state / "approvals"
    for file in folder.glob("*.txt"):
        file.write_text("approve\n")
        until(lambda file=file: "give it in the popup" in file.read_text())
    request = world.records("approval.opened")[0]["request_id"]
    shell = f"{world.command} approve {request} --json; exec cat"
    with Terminal(["/bin/sh", "-c", shell], columns=150, env=world.environ, cwd=world.project) as own:
        own.wait_for("its rule demands a proof")
    assert not list(world.project.glob("m*"))
    assert not world.records("approval.answered")
    prove(terminal, SECRET, "1 waiting")
    prove(terminal, SECRET, "Nothing waits")
    assert [agent.hear(number)["data"]["exit_code"] for number in numbers] == [0, 0]
    assert SECRET.encode() not in bytes(terminal.raw).replace(b"'" + SECRET.encode() + b"'", b"")


def test_proofs_that_do_not_work(world: World, terminal: Terminal) -> None:
    """One that floods, one that is not there, one that does not end: no yes, and nothing stays behind."""
    agent = world.agent()
    for argv in (("cp", "a", "b"), ("ln", "-s", "a", "b"), ("rmdir", "build")):
        agent.run(*argv)
    terminal.wait_for("[⏸3]")
    popup(terminal, "cp a b")
    prove(terminal, SECRET, "there is no such program")
    select(terminal, "j", "ln -s")
    prove(terminal, SECRET, "it floods its terminal")
    select(terminal, "j", "rmdir")
    prove(terminal, SECRET, "the proof is looked at")
    sleeps = [one for one in world.processes() if one.cmdline()[-1:] == ["86399"]]
    assert len(sleeps) == 1
    assert all(SECRET not in " ".join([*one.cmdline(), *one.environ().values()]) for one in sleeps)
    select(terminal, "k", "ln -s")
    close(terminal)
    psutil.wait_procs(sleeps, 60)
    assert not sleeps[0].is_running()
    assert not world.records("approval.answered")
    assert not os.path.lexists(world.project / "b")


def test_guessing_has_an_end(world: World, terminal: Terminal) -> None:
    """After five wrong ones none is looked at for a while, which is a warning; the request waits on."""
    agent = world.agent()
    agent.run("touch", "made")
    terminal.wait_for("[⏸1]")
    popup(terminal, "touch made")
    for at in range(5):
        prove(terminal, f"guess number {at}", "the proof was not accepted")
        terminal.press("\x1b[5~")
        terminal.wait_gone("the proof was not accepted")
    prove(terminal, SECRET, "too many proofs were wrong")
    assert len(world.records("step_up")) == 5
    assert not world.records("approval.answered")
    close(terminal)
    until(lambda: "refused" in world.agent_command("sidecar", "status").stdout)
