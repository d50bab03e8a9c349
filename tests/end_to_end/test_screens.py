"""Agents without hooks, real: scripts that ask in panes, the popup that answers, what only looks like a question."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.plugin_world import World, close, popup, press
from tests.plugin.terminal import Server, Terminal
from tests.sidecar import until

ASKS = """\
#!/bin/sh
printf 'Deploying to production.\\n'
printf 'Continue? [y/N] '
read answer
printf 'it was told <%s>\\n' "$answer"
exec sleep 1000
"""


@pytest.fixture
def world() -> Iterator[World]:
    with World() as one:
        yield one


def script(world: World, text: str = ASKS, name: str = "deploy.sh") -> Path:
    path = world.project / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def window(server: Server, *argv: str) -> str:
    """A new window that runs a program; its pane."""
    return server.run("new-window", "-d", "-P", "-F", "#{pane_id}", "-t", "work:", *argv)


def screen(server: Server, pane: str) -> str:
    return server.run("capture-pane", "-p", "-t", pane)


def asked(world: World, server: Server, terminal: Terminal) -> str:
    """A script asks in a window of its own, and the badge says so; its pane."""
    pane = window(server, str(script(world)))
    terminal.wait_for("⏸1")
    return pane


def test_a_yes_presses_what_the_line_names(world: World, server: Server, terminal: Terminal) -> None:
    """The badge, the popup with what the pane says, `a`: the script reads y; the log has all of it."""
    pane = asked(world, server, terminal)
    text = popup(terminal, "Continue?")
    assert "deploy.sh" in text
    assert "Deploying to production." in text
    press(terminal, "a", "Nothing waits")
    until(lambda: "told <y>" in screen(server, pane))
    close(terminal)
    terminal.wait_gone("⏸")
    (opened,), (answered,) = world.records("approval.opened"), world.records("approval.answered")
    (started,), (finished,) = world.records("action.started"), world.records("action.finished")
    assert opened["origin"]["door"] == "screen"
    assert opened["origin"]["pane"] == pane
    assert answered["data"]["digest"] == opened["data"]["digest"]
    assert answered["origin"]["role"] == "operator"
    assert started["data"]["keys"] == ["=y", "Enter"]
    assert finished["data"]["outcome"]["ok"]
    assert world.agent_command("audit", "verify").returncode == 0


def test_a_no_presses_no_and_types_no_reason(world: World, server: Server, terminal: Terminal) -> None:
    """`d` with a reason: the script reads n, and nothing of the reason."""
    pane = asked(world, server, terminal)
    popup(terminal, "Continue?")
    press(terminal, "d", "kept in the log")
    terminal.press("not on a Friday\r")
    until(lambda: "told <n>" in screen(server, pane))
    assert "Friday" not in screen(server, pane)
    assert "not on a Friday" in str(world.records("approval.answered"))


def test_an_answer_in_the_pane_withdraws_ours(world: World, server: Server, terminal: Terminal) -> None:
    """Who types there has answered."""
    pane = asked(world, server, terminal)
    server.run("send-keys", "-t", pane, "y", "Enter")
    terminal.wait_gone("⏸")
    until(lambda: world.records("approval.withdrawn"))
    assert not world.records("action.started")


def test_what_our_own_command_asks_is_no_request(world: World, server: Server, terminal: Terminal) -> None:
    """Whoever typed it is asked, there."""
    (world.home / ".claude").mkdir()
    pane = window(server, str(world.command), "setup", "claude")
    until(lambda: "Write this? [y/N]" in screen(server, pane))
    asked(world, server, terminal)
    popup(terminal, "Continue?")
    assert [one["origin"]["script"] for one in world.records("approval.opened")] == ["deploy.sh"]


def test_a_killed_sidecar_goes_on_with_it(world: World, server: Server, terminal: Terminal) -> None:
    """The same question waits, asked once; one whose pane has closed meanwhile does not."""
    pane = asked(world, server, terminal)
    other = window(server, "/bin/sh", "-c", "printf 'Another one (yes/no)? '; read answer; exec sleep 1000")
    terminal.wait_for("⏸2")
    old = world.serves(server)
    os.kill(old, signal.SIGSTOP)  # it hears nothing of what comes
    server.run("kill-pane", "-t", other)
    os.kill(old, signal.SIGKILL)
    until(lambda: world.alive(server) not in ("", str(old)))
    terminal.wait_for("⏸1")
    until(lambda: len(world.records("approval.withdrawn")) == 1)
    popup(terminal, "Continue?")
    press(terminal, "a", "Nothing waits")
    until(lambda: "told <y>" in screen(server, pane))
    assert len(world.records("approval.opened")) == 2


@pytest.mark.parametrize("end", ["interrupt", "pane", "respawn"])
def test_a_question_goes_with_its_script(world: World, server: Server, terminal: Terminal, end: str) -> None:
    """Ctrl-C, a closed pane, another program in it: nothing waits any more."""
    pane = asked(world, server, terminal)
    if end == "interrupt":
        server.run("send-keys", "-t", pane, "C-c")
    elif end == "pane":
        server.run("kill-pane", "-t", pane)
    else:
        server.run("respawn-pane", "-k", "-t", pane, "exec sleep 1000")
    terminal.wait_gone("⏸")


def refused(terminal: Terminal, says: str, key: str = "a") -> None:
    """The popup takes an answer and says that nothing was pressed."""
    press(terminal, key, says)


def test_nothing_is_pressed_in_copy_mode(world: World, server: Server, terminal: Terminal) -> None:
    """Keys would go to copy mode: the popup says so, the person is taken to the pane, and the question still waits."""
    pane = asked(world, server, terminal)
    server.run("copy-mode", "-t", pane)
    popup(terminal, "Continue?")
    refused(terminal, "copy mode")
    until(lambda: server.run("display-message", "-p", "-t", "work:", "#{pane_id}") == pane)
    assert server.run("display-message", "-p", "-t", pane, "#{pane_in_mode}") == "1"
    assert not world.records("action.started")
    server.run("copy-mode", "-q", "-t", pane)
    terminal.press("\x1b[5~")
    press(terminal, "a", "Nothing waits")
    until(lambda: "told <y>" in screen(server, pane))


def test_nothing_is_pressed_in_synchronized_panes(world: World, server: Server, terminal: Terminal) -> None:
    """The keys would go to all of them."""
    pane = asked(world, server, terminal)
    server.run("split-window", "-d", "-t", pane, "exec sleep 1000")
    server.run("set-option", "-w", "-t", pane, "synchronize-panes", "on")
    popup(terminal, "Continue?")
    refused(terminal, "synchronized")
    assert "told" not in screen(server, pane)


CHANGES = """\
#!/bin/sh
printf 'Continue? [y/N] '
read go <"$0.go"
printf '\\033[2J\\033[HErase all disks? [y/N] '
read answer
printf 'it was told <%s>\\n' "$answer"
exec sleep 1000
"""


def test_a_dialog_that_changed_is_not_answered(world: World, server: Server, terminal: Terminal) -> None:
    """Another question stands there now: the answer to the first presses nothing, and the other is asked by itself."""
    path = script(world, CHANGES.replace('read go <"$0.go"', 'read go; read go <"$0.go"'), "changes.sh")
    os.mkfifo(f"{path}.go")
    pane = window(server, str(path))
    terminal.wait_for("⏸1")
    popup(terminal, "Continue?")
    server.run("send-keys", "-t", pane, "Enter")
    with open(f"{path}.go", "w") as pipe:
        pipe.write("go\n")
    terminal.press("a")
    terminal.wait_for("Erase all disks?")
    assert "told" not in screen(server, pane)
    assert not world.records("action.started")


@pytest.mark.parametrize("lines", ["Continue? [y/N] ", "# README\\nTo go on, see below.\\n\\nContinue? [y/N] "])
def test_a_file_that_is_printed_is_no_question(world: World, server: Server, terminal: Terminal, lines: str) -> None:
    """A README that ends like a question: printed by cat, by a script that goes on, in a shell, in a pager."""
    readme = world.project / "README"
    readme.write_text(lines.replace("\\n", "\n"))
    name = shlex.quote(str(readme))
    window(server, "/bin/sh", "-c", f"exec cat {name} -")
    window(server, "/bin/sh", "-c", f"cat {name}; sleep 1000")
    window(server, "/bin/sh", "-c", f"cat {name}; exec sleep 1000")
    window(server, "less", str(readme))
    server.run("send-keys", "-t", "work:0", f"cat {name}", "Enter")
    pane = asked(world, server, terminal)
    until(lambda: "Continue?" in screen(server, pane))
    assert "⏸1" in terminal.text()
    (opened,) = world.records("approval.opened")
    assert opened["origin"]["pane"] == pane


def test_a_rule_of_the_persons_own(world: World, server: Server, terminal: Terminal) -> None:
    """A file in the configuration: its script's question and keys; an error in it is told with its line."""
    folder = world.config / "screens"
    folder.mkdir()
    own = folder / "release.yaml"
    own.write_text(
        "version: 1\nagent: release\nprocess: [release.sh]\nrules:\n  - name: which\n    state: waiting\n"
        "    ask: '^Release (?P<question>.*)\\? \\(ship/hold\\)$'\n    answers:\n"
        "      - {label: Ship it, keys: [ship, Enter]}\n      - {label: Hold it, keys: [hold, Enter], denny: true}\n"
    )
    wrong = "release.yaml:10: rules[0].answers[1].denny: is not a known key, did you mean deny?"
    until(lambda: wrong in world.agent_command("sidecar", "status").stdout)
    own.write_text(own.read_text().replace("denny", "deny"))
    text = ASKS.replace("Continue? [y/N]", "Release 1.2? (ship/hold)")
    pane = window(server, str(script(world, text, "release.sh")))
    terminal.wait_for("⏸1")
    popup(terminal, "1.2")
    press(terminal, "a", "Nothing waits")
    until(lambda: "told <ship>" in screen(server, pane))
