"""Stopping, continuing and ending processes: those that were meant, and nobody who got their number."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator

import psutil
import pytest
from tests.sidecar import until

from tmux_agent.core import errors
from tmux_agent.services.pausing import Pausing, below
from tmux_agent.services.processes import Process, processes_here

TABLE = processes_here()
TREE = "sleep 301 & (sleep 302 & wait) & wait"


@pytest.fixture
def top() -> Iterator[Process]:
    """A process that waits for its children, as a pane's own."""
    one = subprocess.Popen(["sh", "-c", TREE], start_new_session=True)
    try:
        until(lambda: len(psutil.Process(one.pid).children(recursive=True)) == 3)
        found = TABLE.read(one.pid)
        assert found
        yield found
    finally:
        for child in psutil.Process(one.pid).children(recursive=True):
            child.kill()
        one.kill()
        one.wait()


def stopped(top: Process) -> list[bool]:
    children = psutil.Process(top.pid).children(recursive=True)
    return [child.status() == psutil.STATUS_STOPPED for child in children]


def test_all_below_stands_still_and_goes_on(top: Process) -> None:
    pausing = Pausing()
    assert asyncio.run(pausing.pause(top.pid, top.started)) == 3
    until(lambda: stopped(top) == [True] * 3)
    assert psutil.Process(top.pid).status() != psutil.STATUS_STOPPED
    assert pausing.is_paused(top.pid)
    assert asyncio.run(pausing.resume(top.pid, top.started)) == 3
    until(lambda: stopped(top) == [False] * 3)
    assert not pausing.is_paused(top.pid)


def test_whoever_began_at_another_time_is_somebody_else(top: Process) -> None:
    pausing = Pausing()
    assert below(TABLE, top.pid, top.started - 1) == []
    with pytest.raises(errors.NotFound):
        asyncio.run(pausing.pause(top.pid, top.started - 1))
    impostors = [Process(one.pid, one.ppid, one.started - 1, one.name) for one in below(TABLE, top.pid, top.started)]
    assert asyncio.run(pausing.end(impostors)) == 0
    assert stopped(top) == [False] * 3
    assert psutil.Process(top.pid).is_running()


def test_a_server_below_is_spared(top: Process) -> None:
    inner = below(TABLE, top.pid, top.started)[-1]
    with pytest.raises(errors.Conflict, match="must not be stopped"):
        asyncio.run(Pausing().pause(top.pid, top.started, [inner.pid]))
    assert stopped(top) == [False] * 3


def test_a_program_of_tmux_itself_cannot_stand_still() -> None:
    one = subprocess.Popen(["sleep", "300"], start_new_session=True)
    try:
        found = TABLE.read(one.pid)
        assert found
        with pytest.raises(errors.Conflict, match="started by tmux itself"):
            asyncio.run(Pausing().pause(one.pid, found.started))
    finally:
        one.kill()
        one.wait()


def test_what_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tmux_agent.services.pausing.END_SECONDS", 0.1)
    one = subprocess.Popen(["sleep", "300"])
    found = TABLE.read(one.pid)
    assert found
    assert asyncio.run(Pausing().end([found])) == 1
    assert one.wait() == -9
