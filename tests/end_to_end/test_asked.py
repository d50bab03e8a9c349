"""Verbs that a person is asked about: what they wait for is said at once, whoever called them, and where to answer."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator

import pytest
from tests.end_to_end.plugin_world import World, popup, press
from tests.plugin.terminal import Server


@pytest.fixture
def world() -> Iterator[World]:
    with World() as one:
        yield one


@pytest.mark.parametrize(
    ("words", "says", "opens"),
    [
        (("queue", "pause"), "queue: pause the queue", True),
        (("spawn", "fix/x", "--agent", "goose"), "spawn goose on fix/x in shop", True),
        (("run", "--", "touch", "made"), "touch made", False),
        (("ask", "Deploy 1.4?"), "Deploy 1.4?", False),
    ],
)
def test_without_a_terminal(world: World, words: tuple[str, ...], says: str, opens: bool) -> None:
    """No client is attached either: then no popup opens, which is said, and the answer counts all the same."""
    server: Server = world.server()
    (world.folder / "bin" / "goose").write_text("#!/bin/sh\nexec cat\n")
    (world.folder / "bin" / "goose").chmod(0o755)
    with subprocess.Popen(
        [world.command, *words], env=world.environ, cwd=world.project, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as called:  # fmt: skip
        assert called.stderr
        first, second = called.stderr.readline(), called.stderr.readline()
        assert first.startswith("waits for a person, for ")
        assert first.endswith(f": {says}\n")
        assert "popup (prefix + A)" in second
        if opens:
            assert "no popup opens here: " in called.stderr.readline()
        terminal = server.attach()
        text = popup(terminal, says.partition(" ")[0])
        assert "python" not in text  # the asker is called by what it runs
        press(terminal, "a", "Nothing waits")
        assert called.wait() == 0


def test_in_a_pane_the_popup_opens_at_it(world: World) -> None:
    server = world.server("set -g default-command 'exec sh'\n")
    terminal = server.attach()
    terminal.press(f"cd {shlex.quote(str(world.project))}; {world.command} queue pause; echo ended: $?\r")
    terminal.wait_for("1 waiting")
    text = terminal.wait_for("pause the queue")
    assert "because       queue" not in text  # that is what it is, and stands there once
    assert "“queue”" in text
    press(terminal, "a", "Nothing waits")
    terminal.press("q")
    terminal.wait_for("ended: 0")
    assert "waits for a person" in terminal.text()
