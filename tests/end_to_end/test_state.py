"""The state database over its whole life, with a real sidecar: `tmux-agent state`, damage in use, the views."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sidecar import Sidecar, sidecar, until

ASK = {"prompt": "push?", "timeout_secs": 600}


@pytest.fixture
def world() -> Iterator[Sidecar]:
    with sidecar() as one:
        yield one


def verb(one: Sidecar, *words: str) -> subprocess.CompletedProcess[str]:
    """`tmux-agent state …`."""
    return subprocess.run(
        [sys.executable, "-m", "tmux_agent", "state", *words],
        env=one.environ, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def told(one: Sidecar, *words: str) -> Any:
    done = verb(one, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def harm(database: Path) -> None:
    """Overwrite all pages but the first, behind the back of whoever has it open."""
    with database.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(random.Random(2).randbytes(size - 4096))


def test_backed_up_checked_damaged_and_brought_back(world: Sidecar) -> None:
    """By the commands that docs/state.md names, with the sidecar running and stopped."""
    world.start()
    asked = world.agent().call("human.ask_async", ASK)["request_id"]
    made = told(world, "backup")
    assert [row["wrong"] for row in told(world, "list")] == [""]
    assert told(world, "check") == {"database": "ok", "audit": "ok", "backups": {made["name"]: ""}}
    refused = verb(world, "restore")
    assert refused.returncode == 1
    assert "a sidecar runs already" in refused.stderr
    world.stop()
    harm(world.state / "state.db")
    found = verb(world, "check")
    assert found.returncode == 1
    assert "tmux-agent state restore" in found.stdout
    assert verb(world, "restore", "nonsense").returncode == 1
    assert told(world, "restore")["backup"] == made["name"]
    assert verb(world, "check").returncode == 0
    world.start()
    pending = world.operator().call("human.pending")["approvals"]
    assert [one["request_id"] for one in pending] == [asked]
    assert [
        one["data"]["why"] for one in world.records() if one["type"] == "sidecar.recovered" and "lost" in one["data"]
    ]


def test_damage_found_in_use_begins_anew_in_the_same_process(world: Sidecar) -> None:
    """The timer's copy finds it; the process stays, what waited waits, clients are answered, the warning says so."""
    world.start().stop()  # what is in the file by now is not in its WAL
    world.start(TMUX_AGENT_STATE_BACKUP_EVERY="0.2")
    asked = world.agent().call("human.ask_async", ASK)["request_id"]
    backups = world.state / "state-backups"
    until(lambda: any(int(one.stem.split("-")[1]) >= 6 for one in backups.glob("*.db")))
    assert world.process
    pid = world.process.pid
    before = world.operator()
    harm(world.state / "state.db")
    before.start("human.respond", {"request_id": "none", "digest": "d", "approved": False})  # recorded, or not
    world.agent().start("human.ask", ASK)  # something to copy
    assert before.closed
    until(lambda: world.socket.exists() and list(world.state.glob("state.db.damaged-*")))
    until(lambda: "sidecar.started" in [one["type"] for one in world.records()][-6:])
    again = world.operator()
    health = again.call("health")
    assert health["pid"] == pid
    assert [one for one in health["warnings"] if one.startswith("state: the state database was damaged")]
    assert asked in [one["request_id"] for one in again.call("human.pending")["approvals"]]


def test_the_views_that_are_promised(world: Sidecar) -> None:
    """What a person types, with the sidecar running: panes, requests, permissions."""
    world.start()
    world.agent().call("human.ask_async", ASK)

    def sql(text: str) -> str:
        done = subprocess.run(
            ["sqlite3", str(world.state / "state.db"), text], capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()

    assert sql("SELECT COUNT(*) FROM pane_states;") == "0"
    assert sql("SELECT state, action, rule FROM requests;").startswith("pending|ask|")
    assert sql("SELECT COUNT(*) FROM permissions;") == "0"
