"""The real sidecar is killed at random moments while real clients ask and run: nothing is lost, nothing done twice."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.sidecar import ALLOWED, ROOT, Peer, Sidecar, sidecar

KILLS = int(os.environ.get("TMUX_AGENT_TEST_KILLS", "25"))
ASKERS = {"sync-1": 45, "sync-2": 45, "async-1": 150}


@pytest.mark.timeout(300)
def test_killed_at_random_it_loses_nothing_and_does_nothing_twice() -> None:
    """Every request gets one answer, its own; what was told to be done was done once, all else at most once."""
    seed = random.randrange(1 << 30)
    with sidecar() as one:
        one.program("asked", ALLOWED)
        askers = [asker(one, name, count) for name, count in ASKERS.items()]
        kills = kill_while(one, askers, random.Random(seed))
        told = [json.loads(line) for process in askers for line in process.communicate()[0].splitlines()]
        assert kills >= 3, f"seed {seed}: the askers were done too soon"
        assert check(told, one.effects()) == [], f"seed {seed}, {kills} kills\n{one.log.read_text()[-3000:]}"
        operator = one.operator()
        assert operator.call("audit.verify")["ok"]
        assert operator.call("human.pending")["approvals"] == []


def asker(one: Sidecar, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", str(Path(__file__).with_name("asker.py")), name, str(count)],
        env=one.environ | {"PYTHONPATH": f"{ROOT / 'sidecar'}"},
        stdout=subprocess.PIPE,
        text=True,
        cwd=one.root,
    )


def kill_while(one: Sidecar, askers: list[subprocess.Popen[str]], chance: random.Random) -> int:
    """Start, answer, kill, again; at last without killing. How often it was killed."""
    kills = 0
    while True:
        one.start()
        last = kills >= KILLS
        deadline = None if last else time.monotonic() + chance.uniform(0.0, 0.25)
        with contextlib.suppress(AssertionError, OSError) if not last else contextlib.nullcontext():
            answer_until(one.operator(), deadline, askers)
        if all(process.poll() is not None for process in askers):
            return kills
        one.kill()
        kills += 1


def answer_until(operator: Peer, deadline: float | None, askers: list[subprocess.Popen[str]]) -> None:
    """Say yes to whatever waits, with the question's own text as the comment."""
    while (deadline is None or time.monotonic() < deadline) and any(one.poll() is None for one in askers):
        for approval in operator.call("human.pending")["approvals"]:
            comment = approval["action"].get("prompt", "")
            params = {"request_id": approval["request_id"], "digest": approval["digest"], "approved": True}
            operator.request("human.respond", params | {"comment": comment})
            if deadline is not None and time.monotonic() > deadline:
                return


def check(told: list[dict[str, Any]], effects: list[str]) -> list[str]:
    """The promises that were broken."""
    wrong = []
    outcomes = Counter(one["unique"] for one in told)
    wanted = {f"{name}-{number}" for name, count in ASKERS.items() for number in range(count)}
    wrong += [f"{unique} has {outcomes[unique]} outcomes" for unique in wanted if outcomes[unique] != 1]
    done = Counter(effects)
    wrong += [f"{unique} was done {times} times" for unique, times in done.items() if times > 1]
    for one in told:
        unique, what, said = one["unique"], one["what"], one["told"]
        if what == "ask" and said != "ok":
            wrong.append(f"{unique}: {said}")
        if what != "ask" and said == "ok" and not done[unique]:
            wrong.append(f"{unique} was told ok and not done")
        if what != "ask" and said != "ok" and not said.startswith("conflict"):
            wrong.append(f"{unique}: {said}")
    return wrong
