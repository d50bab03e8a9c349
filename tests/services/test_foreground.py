"""Which program a pane belongs to, with real programs in real panes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.plugin.terminal import Server
from tests.sidecar import until

from tmux_agent.services.foreground import Program, foreground, started
from tmux_agent.services.processes import LinuxProcesses, processes_here

pytestmark = pytest.mark.skipif(not isinstance(processes_here(), LinuxProcesses), reason="reads /proc")


@pytest.fixture(scope="module")
def tmux() -> Iterator[Server]:
    with Server() as server:
        server.run("new-session", "-d", "-s", "main", "exec sleep 1000")
        yield server


def becomes(tmux: Server, fits: Callable[[Program], bool], *argv: str) -> Program:
    """The program of a pane that runs this, once `fits` holds of it."""
    pid = int(tmux.run("new-window", "-d", "-P", "-F", "#{pane_pid}", *argv))
    last: list[Program] = []

    def there() -> bool:
        program = foreground(processes_here(), pid)
        last[:] = [program] if program else []
        return program is not None and fits(program)

    until(there)
    return last[0]


def script(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


PYTHON = f"#!{sys.executable}\n"


def test_a_script_that_reads(tmux: Server, tmp_path: Path) -> None:
    """It is called by its own name, however it was started; text for a shell is one, too."""
    name = script(tmp_path, "ask.sh", "#!/bin/sh\nread x\n")
    for argv in ((name,), ("sh", "-c", f"{name}; true"), ("sh", name)):
        program = becomes(tmux, lambda one: one.script and one.reads and one.names[0] == "ask.sh", *argv)
        assert program.agent is None
    becomes(tmux, lambda one: one.script and one.reads, "sh", "-c", "read x; true")
    python = script(tmp_path, "ask.py", f"{PYTHON}input('? ')\n")
    becomes(tmux, lambda one: one.script and one.reads and one.names[0] == "ask.py", python)


def test_who_does_not_read_does_not_ask(tmux: Server, tmp_path: Path) -> None:
    """A script that sleeps or works; a program that reads beneath a script is itself, not the script."""
    becomes(tmux, lambda one: one.script and not one.reads, script(tmp_path, "sleeps", "#!/bin/sh\nsleep 1000; true\n"))
    becomes(
        tmux, lambda one: one.script and not one.reads, script(tmp_path, "runs", "#!/bin/sh\nwhile :; do :; done\n")
    )
    becomes(tmux, lambda one: one.reads and not one.script and "cat" in one.names, "sh", "-c", "cat -; true")


def test_an_agent_and_what_starts_it(tmux: Server, tmp_path: Path) -> None:
    """The innermost that is the agent; in the background it is not in front."""
    aider = script(tmp_path, "aider", f"{PYTHON}import time\ntime.sleep(1000)\n")
    outer = script(tmp_path, "start.sh", f"#!/bin/sh\n{aider}; true\n")
    program = becomes(tmux, lambda one: one.agent == "aider", outer)
    assert program.names == ("aider",)
    assert processes_here().argv(program.process.pid)[1] == aider
    becomes(
        tmux, lambda one: one.agent is None and not one.script, "bash", "--norc", "-c", f"set -m; {aider} & exec cat"
    )


LED = """
import os, signal, time
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
pid = os.fork() or time.sleep(1000)
os.setpgid(pid, pid)
os.tcsetpgrp(0, pid)
os.kill(pid, signal.SIGKILL)
time.sleep(1000)
"""


def test_what_has_ended_in_front_has_not_started(tmux: Server) -> None:
    """Its parent has not heard of it yet: there is a process, and it has no arguments any more."""
    pane = int(tmux.run("new-window", "-d", "-P", "-F", "#{pane_pid}", sys.executable, "-c", LED))
    table = processes_here()
    until(lambda: (one := table.read(table.foreground(pane))) is not None and one.ended)
    assert not started(table, pane)


def test_the_shell_that_starts_an_agent_is_not_the_agent(tmux: Server) -> None:
    """Before it is the wrapper, what it forks has the shell's own arguments."""
    pane = int(tmux.run("new-window", "-d", "-P", "-F", "#{pane_pid}", "sh", "-c", "(read x; true); true"))
    table = processes_here()
    until(lambda: (program := foreground(table, pane)) is not None and program.process.pid != pane)
    assert not started(table, pane)


def test_what_has_no_terminal_yet_has_not_started() -> None:
    """As tmux's child between its fork and its terminal."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as child:
        try:
            assert not started(processes_here(), child.pid)
        finally:
            child.kill()
