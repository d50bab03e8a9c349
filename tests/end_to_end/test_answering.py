"""Answers from elsewhere, as the person at a tmux client sees them: real tmux, plugin, sidecar, files and pages."""

from __future__ import annotations

import re
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest
from tests.end_to_end.plugin_world import World
from tests.patience import PATIENCE
from tests.sidecar import until

CONFIG = """
answers: {files: true, links: true, folder: ~/.tmux_agent/approvals}
http: {listen: "127.0.0.1:0"}
notify: {channels: {phone: {command: [tell]}}, default: phone}
"""


@pytest.fixture
def world() -> Iterator[World]:
    with World() as one:
        (one.config / "config.yaml").write_text(CONFIG)
        tell = one.folder / "bin" / "tell"
        tell.write_text(f"#!/bin/sh\ncat > {one.folder}/told.new && mv {one.folder}/told.new {one.folder}/told\n")
        tell.chmod(0o755)
        yield one


def test_a_file_written_in_a_pane_answers_and_everybody_is_told(world: World) -> None:
    """`echo approve > FILE`, as the seeds have it; what was no answer is said on the screen, too."""
    server = world.server()
    server.run("new-window", "-t", "work:", "sh")
    person = server.attach(columns=150)
    agent = world.agent()
    number = agent.run("touch", "made")
    folder = world.home / ".tmux_agent" / "approvals"
    until(lambda: list(folder.glob("*.txt")))
    (file,) = folder.glob("*.txt")
    person.wait_for("[⏸1]")
    person.press(f"clear; echo perhaps > {file}\r")
    person.wait_for("not answered by file: the first word has to be approve, reject or deny")
    until(lambda: "NOT ANSWERED" in file.read_text())
    person.press(f"clear; cat {file}\r")
    person.wait_for("you wrote: perhaps")
    person.press(f"clear; echo approve > {file}\r")
    person.wait_for("answered outside the popup:")
    assert agent.hear(number)["data"]["exit_code"] == 0
    assert (world.project / "made").exists()
    until(lambda: not file.exists())
    person.close()


def test_a_link_of_a_message_answers_and_everybody_is_told(world: World) -> None:
    server = world.server()
    person = server.attach(columns=150)
    agent = world.agent()
    number = agent.run("touch", "made")
    told = world.folder / "told"
    until(told.exists)
    found = re.search(r"http://127\.0\.0\.1:\d+/a/[A-Za-z0-9_-]+", told.read_text())
    assert found
    with urllib.request.urlopen(found[0], timeout=PATIENCE) as page:
        assert "touch made" in page.read().decode()
    form = urllib.parse.urlencode({"token": found[0].rpartition("/")[2], "verdict": "deny", "comment": "later"})
    with urllib.request.urlopen(found[0], form.encode(), timeout=PATIENCE) as page:
        assert "Denied" in page.read().decode()
    person.wait_for("answered outside the popup:")
    assert "by link" in person.text()
    assert agent.hear(number)["kind"] == "Denied"
    person.close()
