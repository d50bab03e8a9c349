"""Every name that an agent controls, made to act: in status line, window marks, popup, tables of commands, the log."""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.plugin_world import World, close, popup, press
from tests.plugin.terminal import Server, Terminal
from tests.sidecar import until

HOSTILE = {
    "ansi": "\x1b[31mRED\x1b[2J\x1b]0;title\x07\x9b31m",
    "bidi": "a\u202egnp.exe\u2066b\u200b",
    "runs": "#(touch {flag})#{{E:##(touch {flag})}}",
    "styles": "#[bg=red,fill=red]#[align=right]#[default]",
    "clock": "%H:%M %%{} %1",
    "lines": "one\ntwo\r\nthree\ttab\x0bvt\x85nel\u2028ls",
    "long": "#[bg=red]\x1b[31m" * 6_000,
    "quotes": "'\"; run-shell 'touch {flag}' ; \"'$(touch {flag})`touch {flag}`",
}
LIMITS = {"name": 256, "prompt": 16_000, "details": 250_000, "options": 200, "argv": 100_000}


@pytest.fixture
def world() -> Iterator[World]:
    with World() as one:
        yield one


@pytest.fixture(params=HOSTILE)
def hostile(request: pytest.FixtureRequest, world: World) -> str:
    return HOSTILE[request.param].replace("{flag}", str(world.folder / "flag"))


def no_effect(world: World, *terminals: Terminal) -> None:
    """Nothing ran, no colour of theirs, and what is drawn stands where it stood."""
    assert not (world.folder / "flag").exists()
    for terminal in terminals:
        screen = terminal.screen()
        assert not [char for row in screen.buffer.values() for char in row.values() if char.bg == "red"]
        assert terminal.lines()[-1].startswith("[work]"), terminal.text()
        assert "\x1b]0;title" not in terminal.raw.decode("utf-8", "replace")


def ours(terminal: Terminal) -> None:
    """The popup's frame is whole: each of its lines ends where the first does."""
    terminal.wait(is_whole, what="a popup with a whole frame")


def is_whole(screen: str) -> bool:
    lines = screen.splitlines()
    top = next((at for at, line in enumerate(lines) if "┌" in line), 0)
    bottom = next((at for at, line in enumerate(lines) if "└" in line), 0)
    if bottom <= top:
        return False
    left, right = lines[top].index("┌"), len(lines[top]) - 1
    edges = [(line[left], line[-1], len(line) - 1) for line in lines[top : bottom + 1] if len(line) > left]
    return len(edges) == bottom + 1 - top and all(
        first in "┌│├└" and last in "┐│┤┘" and end == right for first, last, end in edges
    )


def test_what_an_agent_says(world: World, hostile: str) -> None:
    """Its name, kind, detail, question, details, options and type of action; seen in badge, popup, tables and log."""
    server = world.server("set -g window-status-format '#{E:##{TMUX_AGENT_W_#{window_id}#}}#I:#W'\n")
    terminal = server.attach()
    agent = world.agent_in(server)
    agent.known()
    name = hostile[: LIMITS["name"]]
    agent.call("agent.register", name=name, kind=name)
    agent.call("agent.state", state="working", detail=hostile[: LIMITS["prompt"]])
    terminal.wait_for("⏵1")
    popup(terminal, "Nothing waits")
    ours(terminal)
    number = agent.start(
        "human.ask", prompt=hostile[: LIMITS["prompt"]], details=hostile[: LIMITS["details"]], action_type=name,
        options=[hostile[: LIMITS["options"]], "other"],
    )  # fmt: skip
    terminal.wait_for("1 waiting")
    ours(terminal)
    no_effect(world, terminal)
    press(terminal, "\r", "asks")
    terminal.press("\x1b[6~", "\x1b[F")
    ours(terminal)
    close(terminal)
    terminal.wait_for("⏸1")
    rows_are_lines(world, "pending")
    rows_are_lines(world, "agents")
    popup(terminal, "1 waiting")
    press(terminal, "2", "Nothing waits")
    assert agent.hear(number)["data"]["choice"] == "other"
    ours(terminal)
    no_effect(world, terminal)
    rows_are_lines(world, "audit", "tail")


def rows_are_lines(world: World, *words: str) -> None:
    """A command's table holds nothing that acts on a terminal."""
    done = world.agent_command(*words)
    assert done.returncode == 0, done.stderr
    plain = done.stdout.replace("\n", "")
    assert not [char for char in plain if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")]


def test_what_an_agent_does(world: World, hostile: str) -> None:
    """A command's words, a file's path and text, the folder and the branch it is in."""
    folder = world.project / "".join(c for c in hostile if c not in "/\x00")[:60]
    folder.mkdir()
    name = "".join(c for c in hostile if c not in "/\x00")[:60]
    server = world.server()
    terminal = server.attach()
    agent = world.agent(cwd=folder)
    argument = hostile[: LIMITS["argv"]]
    numbers = [
        agent.run("touch", "--", name, argument[:50]),
        agent.run("npm", "ci", argument),
        agent.start("file.write", path=str(folder / f"{name}.txt"), content=hostile),
        agent.judge(f"true {shlex.quote(argument)} && npm ci"),
    ]
    until(lambda: server.run("display-message", "-p", "#{tmux_agent_pending}") == "4")
    popup(terminal, "4 waiting")
    for left in (3, 2, 1, 0):
        ours(terminal)
        no_effect(world, terminal)
        press(terminal, "d", "The reason goes")
        terminal.press("\r")
        terminal.wait_for(f"{left} waiting" if left else "Nothing waits")
    for number in numbers:
        agent.hear(number)
    no_effect(world, terminal)
    ours(terminal)
    rows_are_lines(world, "audit", "tail")


def test_names_in_tmux(world: World, hostile: str) -> None:
    """A session's and a window's name, and a title that the program in the pane sets (OSC 2)."""
    name = hostile.replace("\x00", "")[:80]
    server = world.server("set -g allow-rename on\nset -g set-titles on\n")
    literal = name.replace("#", "##")  # the person's own commands expand formats
    server.run("rename-window", "-t", "work:0", literal, check=False)
    terminal = server.attach()
    agent = world.agent_in(server, window="bot")
    agent.known()
    server.run("rename-session", "-t", "work", literal, check=False)
    title = f"\x1b]2;{name}\x07\x1bk{name}\x1b\\"
    server.run("new-window", "-d", "printf %s " + shlex.quote(title).replace("\n", " ") + "; exec cat", check=False)
    agent.start("human.ask", prompt="May I?")
    terminal.wait_for("⏸1")
    popup(terminal, "May I?")
    ours(terminal)
    assert not (world.folder / "flag").exists()
    press(terminal, "p", "its last lines")
    ours(terminal)
    terminal.press("\x1b")
    terminal.wait_gone("its last lines")
    press(terminal, "a", "Nothing waits")
    assert not (world.folder / "flag").exists()


def test_branch_names(world: World) -> None:
    """A branch with a format in its name is shown as it is written."""
    flag = world.folder / "flag"
    branch = f"x#(touch{{IFS}}{flag.name})#[bg=red]%H"
    Path(world.project / ".git" / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
    server: Server = world.server()
    terminal = server.attach(columns=160)
    agent = world.agent()
    agent.run("touch", "made")
    terminal.wait_for("⏸1")
    popup(terminal, "#[bg=red]%H")
    ours(terminal)
    no_effect(world, terminal)
