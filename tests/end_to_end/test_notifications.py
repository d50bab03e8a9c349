"""Notifications of a whole sidecar: killed anywhere, and with a person in front of a real tmux."""

from __future__ import annotations

import base64
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.end_to_end.plugin_world import World
from tests.patience import PATIENCE
from tests.receivers import http, mail
from tests.sidecar import Sidecar, sidecar, until

SEED = 20240503


@pytest.fixture
def one() -> Iterator[Sidecar]:
    with sidecar() as found:
        yield found


@pytest.fixture
def world() -> Iterator[World]:
    with World() as found:
        yield found


def rows(one: Sidecar) -> list[tuple[str, str]]:
    with sqlite3.connect(one.state / "state.db") as db:
        return db.execute("SELECT key, state FROM notices ORDER BY id").fetchall()


def test_killed_between_queue_and_send(one: Sidecar) -> None:
    """It dies while the server holds the message: the next sidecar sends it again, the one after that nothing."""
    with http() as server:
        server.hold.clear()
        environ = {"TMUX_AGENT_NOTIFY_URLS": f"json://{server.address}/"}
        one.start(**environ).agent().call("human.ask_async", {"prompt": "deploy?"})
        first = server.next()
        assert [state for _, state in rows(one)] == ["waiting"]
        one.kill()
        server.hold.set()
        one.start(**environ)
        assert server.next().json["message"] == first.json["message"]
        until(lambda: [state for _, state in rows(one)] == ["sent"])
        one.kill()
        agent = one.start(**environ).agent()
        agent.call("human.ask_async", {"prompt": "the next one"})
        assert "the next one" in server.next().json["message"]
        assert server.got.empty()


def test_killed_at_random(one: Sidecar) -> None:
    """kill -9 at ten random moments while requests come in: each that was accepted is told, in the end."""
    chance = random.Random(SEED)
    environ = {"NOTIFICATION_CHANNELS": "local_bus"}
    accepted: list[str] = []
    for _ in range(10):
        agent = one.start(**environ).agent()
        for _ in range(chance.randrange(1, 6)):
            accepted.append(agent.call("human.ask_async", {"prompt": "x"})["request_id"])
        one.kill()
    one.start(**environ)
    bus = one.state / "bus" / "messages.jsonl"

    def told() -> set[str]:
        return {json.loads(line)["request_id"] for line in bus.read_text().splitlines()} if bus.exists() else set()

    until(lambda: set(accepted) <= told())
    until(lambda: {state for _, state in rows(one)} == {"sent"})
    assert len(rows(one)) == len(accepted)
    assert told() == set(accepted)
    seqs = [json.loads(line)["seq"] for line in bus.read_text().splitlines()]
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_wrong_password_is_said_and_is_nowhere(one: Sidecar, tmp_path: Path) -> None:
    """`notify list` and the log say what the mail server said; the password is in no record, row or line of the log,
    also as it is sent (base64). With the right one the same sidecar's mail arrives."""
    wrong = "not-the-pa55word"
    (one.config / "config.yaml").write_text(
        "notify: {retries: 0, default: box, channels: {box: {url: !secret box}, late: {url: !secret late}}}"
    )
    with mail("starttls", tmp_path) as box:
        environ = {"BOX": box.url(wrong), "LATE": box.url(box.PASSWORD), "SSL_CERT_FILE": str(box.certificate)}
        one.start(**environ)
        one.agent().call("human.ask_async", {"prompt": "deploy?"})
        until(lambda: rows(one) and rows(one)[0][1] == "failed")

        def run(*words: str) -> str:
            argv = [sys.executable, "-m", "tmux_agent", "notify", *words]
            return subprocess.run(argv, env=one.environ | environ, capture_output=True, text=True, check=True).stdout

        assert "535 5.7.8 Authentication credentials invalid" in run("list")
        assert "535 5.7.8 Authentication credentials invalid" in one.log.read_text()
        assert box.got.empty()
        run("test", "late")
        assert box.got.get(timeout=PATIENCE)[1] == ["you@example.org"]
        sent = base64.b64encode(f"\0{box.USER}\0{wrong}".encode()).decode()
        files = [path.read_bytes() for path in (one.log, *one.state.rglob("*")) if path.is_file()]
        assert len(files) > 3
        for secret in (wrong, box.PASSWORD, quote(box.PASSWORD, safe=""), sent):
            assert not [file for file in files if secret.encode() in file]


def test_a_channel_that_is_unwell_is_on_the_status_line(world: World, tmp_path: Path) -> None:
    """From its first failure; gone after a success."""
    works = tmp_path / "works"
    (world.config / "config.yaml").write_text(
        f"notify:\n  channels:\n    prog: {{command: [sh, -c, 'cat >> {tmp_path}/got; test -e {works}']}}\n"
    )
    server = world.server()
    person = server.attach(columns=110)
    person.wait_for("[work]")
    agent = world.agent()
    agent.start("human.ask", prompt="first")
    until(lambda: "notify" in server.run("show-environment", "-gh", "TMUX_AGENT_STATUS"))
    works.touch()
    until(lambda: "notify" not in server.run("show-environment", "-gh", "TMUX_AGENT_STATUS"))


def test_not_about_the_pane_that_the_person_looks_at(world: World, tmp_path: Path) -> None:
    """In front of the asking pane nothing is sent; from another window it is, to whoever looks away later, too."""
    program = f'd=$(cat); printf "%s\\n" "$d" >> {tmp_path}/got'
    (world.config / "config.yaml").write_text(f"notify:\n  channels:\n    prog: {{command: [sh, -c, '{program}']}}\n")

    def got() -> list[str]:
        path = tmp_path / "got"
        return [json.loads(line)["action"]["prompt"] for line in path.read_text().splitlines()] if path.exists() else []

    server = world.server()
    person = server.attach(columns=110)
    person.wait_for("[work]")
    bot = world.agent_in(server)
    bot.known()
    server.run("select-window", "-t", bot.window)
    person.press("x")  # somebody is there
    bot.start("human.ask", prompt="in front")
    world.agent().start("human.ask", prompt="elsewhere")
    until(lambda: got() == ["elsewhere"])
    person.press("\x1b[O")  # the terminal says that it is not in front any more
    until(lambda: sorted(got()) == ["elsewhere", "in front"])
