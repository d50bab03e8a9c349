"""Notifications go out over real HTTP and to real commands, are tried again, and are never in the way."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE
from tests.sidecar import Sidecar, sidecar, until

from tmux_agent.core import notice_text
from tmux_agent.core.model import Shell

HOSTILE = (
    "#(touch x) \x1b[31mred\x1b[0m \u202e%s #[fg=red]\n\nsecond "
    + "x" * 9000
    + " token=ghp_0123456789abcdefghijklmnopqrstuvwxyzABCD"
)


class Receiver:
    """An HTTP server on loopback. `answers` are status codes, then 200; `hold` keeps requests without an answer."""

    def __init__(self, *answers: int) -> None:
        self.got: queue.Queue[dict[str, Any]] = queue.Queue()
        self.answers = list(answers)
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.put(json.loads(body))
                outer.hold.wait()
                self.send_response(outer.answers.pop(0) if outer.answers else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def one() -> Iterator[Sidecar]:
    with sidecar() as found:
        yield found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def test_a_message_says_what_is_asked_and_nothing_else(one: Sidecar, receiver: Receiver) -> None:
    """Hostile text arrives harmless: no control or bidi characters, no secrets, no line of its own, bounded."""
    agent = one.start(TMUX_AGENT_NOTIFY_URLS=receiver.url).agent()
    agent.start("human.ask", {"prompt": HOSTILE})
    message = receiver.got.get(timeout=PATIENCE)
    text = message["title"] + message["message"]
    assert "asks" in message["title"]
    assert not set(text.replace("\n", "")) & {"\x1b", "\u202e"}
    assert "ghp_0123456789" not in text
    assert len(text) < 1000
    assert message["message"].count("\n") == 1


def test_what_fails_is_tried_again(one: Sidecar, receiver: Receiver) -> None:
    """After a refusal it is sent again; in the end all is well."""
    receiver.answers = [500]
    agent = one.start(TMUX_AGENT_NOTIFY_URLS=receiver.url).agent()
    agent.start("human.ask", {"prompt": "again"})
    first, second = receiver.got.get(timeout=PATIENCE), receiver.got.get(timeout=PATIENCE)
    assert first["message"] == second["message"]
    until(lambda: agent.call("health")["notify"] == "ok")


def test_what_keeps_failing_is_a_warning_and_a_record(one: Sidecar) -> None:
    """A command that fails, and one that is not there: said in health, recorded once, the question goes on waiting."""
    agent = one.start(TMUX_AGENT_NOTIFY_COMMAND="/no/such/program", TMUX_AGENT_NOTIFY_RETRIES="0").agent()
    agent.start("human.ask", {"prompt": "x"})
    until(lambda: any("/no/such/program" in said for said in agent.call("health").get("warnings", ())))
    until(lambda: [record["type"] for record in one.records()].count("notify.failed") == 1)
    assert len(agent.call("human.pending")["approvals"]) == 1


def test_the_command_gets_the_approval(one: Sidecar, tmp_path: Path) -> None:
    """As JSON on its standard input, without secrets."""
    one.program("tell", f"#!/bin/sh\ncat > {tmp_path}/part\nmv {tmp_path}/part {tmp_path}/told\n")
    agent = one.start(TMUX_AGENT_NOTIFY_COMMAND=str(one.bin / "tell")).agent()
    number = agent.start("human.ask", {"prompt": HOSTILE})
    until((tmp_path / "told").exists)
    told = json.loads((tmp_path / "told").read_text())
    assert told["action"]["prompt"].startswith("#(touch x)")
    assert "ghp_0123456789" not in json.dumps(told)
    assert told["request_id"] == agent.call("human.pending")["approvals"][0]["request_id"], number


def test_a_channel_that_hangs_is_in_nobodys_way(one: Sidecar, receiver: Receiver) -> None:
    """While every message hangs, tools that use threads work, questions are answered, and a stop waits for none."""
    receiver.hold.clear()
    agent = one.start(TMUX_AGENT_NOTIFY_URLS=receiver.url).agent()
    for number in range(40):
        agent.start("human.ask", {"prompt": f"{number}"})
    receiver.got.get(timeout=PATIENCE)
    agent.call("file.write", {"path": "written", "content": "x"})
    assert agent.call("command.run", {"command": "allowed", "args": ["hang"]})["exit_code"] == 0
    assert one.stop() == 0  # nobody lets go of the messages before it has ended


def test_nobody_hears_of_what_is_answered_already(one: Sidecar, receiver: Receiver) -> None:
    """With `after`, only what still waits by then is told."""
    agent = one.start(TMUX_AGENT_NOTIFY_URLS=receiver.url, TMUX_AGENT_NOTIFY_AFTER="1").agent()
    number = agent.start("human.ask", {"prompt": "withdrawn"})
    agent.send(b'{"jsonrpc":"2.0","method":"cancel","params":{"id":%d}}\n' % number)
    agent.reply_to(number)
    agent.start("human.ask", {"prompt": "stays"})
    assert "stays" in receiver.got.get(timeout=PATIENCE)["message"]
    assert receiver.got.empty()


def test_a_headline_shows_how_a_long_action_ends() -> None:
    """Blanks by the thousand hide neither what stands behind them nor how long it is, and no secret is shown."""
    text = notice_text.headline(Shell(text="echo hi" + " " * 100_000 + "; rm -rf ~ token=hunter2", cwd="/"))
    assert text.startswith("echo hi")
    assert "100 031" in text
    assert text.endswith("; rm -rf ~ token=[redacted]")
    assert len(text) <= 300
