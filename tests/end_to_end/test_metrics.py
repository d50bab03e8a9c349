"""Metrics and the log of a real sidecar: what is done to it shows in both, and no text of anybody does."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.services.test_metrics import read
from tests.sidecar import Sidecar, sidecar, until

SECRET = "ghp_" + "a1" * 20


@pytest.fixture
def world() -> Iterator[Sidecar]:
    with sidecar() as one:
        yield one


def page(one: Sidecar, path: str = "/metrics") -> bytes:
    url = re.search(r"listening on (http://\S+)", one.log.read_text())
    assert url
    with urllib.request.urlopen(f"{url[1]}{path}", timeout=60) as reply:
        assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        found: bytes = reply.read()
        return found


def test_the_page_and_the_file(world: Sidecar) -> None:
    """An agent is denied, allowed, asks; a person answers: the numbers are these."""
    file = world.folder / "tmux_agent.prom"
    world.start(
        TMUX_AGENT_HTTP_LISTEN="127.0.0.1:0", TMUX_AGENT_METRICS_HTTP="true", TMUX_AGENT_METRICS_FILE=str(file),
        TMUX_AGENT_METRICS_EVERY="1",
    )  # fmt: skip
    agent, person = world.agent(), world.operator()
    agent.error("command.run", {"command": "nc", "args": ["x"]})
    agent.call("command.run", {"command": "allowed", "args": ["x"]})
    agent.call("human.ask_async", {"prompt": f"use {SECRET}?"})
    (waits,) = person.call("human.pending")["approvals"]
    answer = {"request_id": waits["request_id"], "digest": waits["digest"], "approved": False}
    person.call("human.respond", answer)
    found = read(page(world))
    assert found["tmux_agent_decisions_total{source=rule,verdict=deny}"] == 1
    assert found["tmux_agent_decisions_total{source=rule,verdict=allow}"] == 1
    assert found["tmux_agent_runs_total{outcome=done}"] == 1
    assert found["tmux_agent_approvals_opened_total{kind=question,risk=low}"] == 1
    assert found["tmux_agent_approval_wait_seconds_count"] == 1
    assert found["tmux_agent_request_errors_total{kind=denied}"] == 1
    assert found["tmux_agent_requests_total{method=command.run}"] == 2
    assert found["tmux_agent_audit_records_total"] >= 6
    assert SECRET.encode() not in page(world)
    until(lambda: file.exists() and read(file.read_bytes()).get("tmux_agent_approval_wait_seconds_count") == 1)


def test_off_means_off(world: Sidecar) -> None:
    """With a listener for other things, and the library there."""
    world.start(TMUX_AGENT_HTTP_LISTEN="127.0.0.1:0")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        page(world)


def test_the_log_as_json_with_request_ids(world: Sidecar) -> None:
    """One object a line; what a request made the sidecar say has its id; secrets are not in it."""
    world.start(TMUX_AGENT_LOG_LEVEL="debug", TMUX_AGENT_LOG_FORMAT="json")
    reply = world.agent().request("human.ask_async", {"prompt": f"use {SECRET}?"})
    request_id = reply["result"]["request_id"]
    bad = world.agent().request("plan.get", {"plan_id": "none"})
    lines = [json.loads(line) for line in world.log.read_text().splitlines() if line.startswith("{")]
    assert {"time", "level", "logger", "message"} <= set(lines[-1])
    messages = [line["message"] for line in lines]
    assert any("HumanAskAsync of pid" in one and request_id in one for one in messages), messages
    bad_id = bad["error"]["data"]["request_id"]
    (failed,) = [line for line in lines if line.get("request") == bad_id]
    assert failed["message"] == f"PlanGet of request {bad_id}: not_found"
    assert SECRET not in world.log.read_text()


def test_levels_of_the_command_line(world: Sidecar, tmp_path: Path) -> None:
    """`sidecar run --log-level error` says nothing of a start."""
    import subprocess
    import sys

    (world.config / "config.yaml").write_text("log_level: debug\n")
    argv = [sys.executable, "-P", "-m", "tmux_agent", "sidecar", "run", "--log-level", "error", "--log-format", "json"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(argv, env=world.environ, stderr=log, stdout=log)
        try:
            until(lambda: world.socket.exists())
            world.connect().call("hello")
        finally:
            process.terminate()
            process.wait()
    assert (tmp_path / "log").read_text() == ""
