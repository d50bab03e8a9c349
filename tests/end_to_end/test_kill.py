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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sidecar import ALLOWED, ROOT, Peer, Sidecar, sidecar, until

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


# --- askers without a key ----------------------------------------------------------------------------

HOLDS = '#!/bin/sh\nprintf "%s\\n" "$1" >> "${0%/*}/effects"\nread x < "${0%/*}/hold"\n'


@pytest.fixture
def holding() -> Iterator[Sidecar]:
    """A sidecar with the programs `allowed` (say) and `asked`, which have their effect and then do not end."""
    with sidecar() as one:
        for name in ("allowed", "asked"):
            one.program(name, HOLDS)
        os.mkfifo(one.bin / "hold")
        try:
            yield one.start()
        finally:
            for _ in one.effects():
                with contextlib.suppress(OSError):  # who still waits for it may end
                    os.close(os.open(one.bin / "hold", os.O_WRONLY | os.O_NONBLOCK))


def ask_to_run(peer: Peer, what: str) -> int:
    return peer.start("command.run", {"command": what, "args": ["x"]})


def yes(one: Sidecar) -> str:
    """A person approves what waits, which is one thing; its id."""
    operator = one.operator()
    until(lambda: operator.call("human.pending")["approvals"])
    (approval,) = operator.call("human.pending")["approvals"]
    params = {"request_id": approval["request_id"], "digest": approval["digest"], "approved": True}
    operator.call("human.respond", params)
    request_id: str = approval["request_id"]
    return request_id


def types(one: Sidecar, request_id: str) -> list[str]:
    return [record["type"] for record in one.records() if record.get("request_id") == request_id]


@pytest.mark.parametrize("what", ["allowed", "asked"])
def test_what_was_running_is_told_of_and_not_run_again(holding: Sidecar, what: str) -> None:
    """Without a key: the client's connection ends unanswered, the log says that it is unknown whether it was done."""
    one = holding
    agent = one.agent()
    ask_to_run(agent, what)
    if what == "asked":
        yes(one)
    until(lambda: one.effects() == ["x"])
    (started,) = [record for record in one.records() if record["type"] == "action.started"]
    one.kill()
    assert agent.line() == b""
    for _ in range(2):
        one.start()
        kinds = types(one, started["request_id"])
        told = {"allowed": "action.unknown", "asked": "approval.unknown"}[what]
        assert kinds.count(told) == 1
        assert kinds[-1] == told
        assert one.operator().call("audit.verify")["ok"]
        one.kill()
    assert one.effects() == ["x"]
    one.start()
    if what == "asked":
        status = one.operator().call("human.status", {"request_id": started["request_id"]})
        assert status["state"] == "unknown"


def test_what_had_ended_is_not_told_of(holding: Sidecar) -> None:
    """What was recorded as finished before the death is not unknown after it."""
    one = holding
    one.program("allowed", ALLOWED)
    agent = one.agent()
    assert agent.reply_to(ask_to_run(agent, "allowed"))["result"]["data"]["exit_code"] == 0
    one.kill()
    one.start()
    assert "action.unknown" not in [record["type"] for record in one.records()]


def test_asked_again_it_is_the_same_question(holding: Sidecar) -> None:
    """A process whose connection died with the sidecar asks the same again: one question, one run, one answer each.
    Another process asks for itself."""
    one = holding
    one.program("asked", ALLOWED)
    connect = one.connector(at_terminal=False)
    before = one.peer(connect())
    numbers = [before.start("command.run", {"command": "asked", "args": [word]}) for word in ("a", "b")]
    operator = one.operator()
    until(lambda: len(operator.call("human.pending")["approvals"]) == len(numbers))
    ids = [approval["request_id"] for approval in operator.call("human.pending")["approvals"]]
    one.kill()
    one.start()
    operator = one.operator()
    assert [approval["request_id"] for approval in operator.call("human.pending")["approvals"]] == ids
    after, stranger = one.peer(connect()), one.agent()
    again = {word: after.start("command.run", {"command": "asked", "args": [word]}) for word in ("b", "a")}
    stranger.start("command.run", {"command": "asked", "args": ["a"]})
    until(lambda: len(operator.call("human.pending")["approvals"]) == len(ids) + 1)
    pending = operator.call("human.pending")["approvals"]
    assert [approval["request_id"] for approval in pending[:2]] == ids
    for approval in pending[:2]:
        params = {"request_id": approval["request_id"], "digest": approval["digest"], "approved": True}
        operator.call("human.respond", params)
    replies = [after.reply(), after.reply()]
    assert {reply["id"] for reply in replies} == set(again.values())
    assert all(reply["result"]["data"]["exit_code"] == 0 for reply in replies)
    assert sorted(one.effects()) == ["a", "b"]


def test_a_link_that_is_swapped_while_no_sidecar_runs(holding: Sidecar) -> None:
    """What was asked before the death is judged by what was seen then: another place is a conflict, and recorded."""
    one = holding
    folder = one.root / "in"
    folder.mkdir()
    connect, params = one.connector(at_terminal=False), {"command": "touch", "args": ["in/a"]}
    before = one.peer(connect())
    before.start("command.run", params, key="k")
    operator = one.operator()
    until(lambda: operator.call("human.pending")["approvals"])
    one.kill()
    folder.rmdir()
    folder.symlink_to(one.folder)
    one.start()
    after = one.peer(connect())
    number = after.start("command.run", params, key="k")
    request_id = yes(one)
    error = after.reply_to(number)["error"]
    assert error["data"]["kind"] == "conflict"
    assert "is not what it was" in error["message"]
    assert types(one, request_id)[-1] == "action.skipped"
    assert not (one.folder / "a").exists()
