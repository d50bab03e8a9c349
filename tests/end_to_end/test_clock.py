"""The wall clock is set while requests wait: none ends too soon or never, ids and records keep their order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sidecar import ROOT, Peer, Sidecar, sidecar

DAY = 86400.0


class Timed(Sidecar):
    """Its clock may be set."""

    def set_clock(self, ahead: float) -> None:
        (self.folder / "clock.new").write_text(str(ahead))
        (self.folder / "clock.new").rename(self.folder / "clock")

    def launch(self) -> Sidecar:
        path = f"{ROOT / 'sidecar'}:{ROOT}"
        return self.start(CLOCK=str(self.folder / "clock"), PYTHONPATH=path)


@pytest.fixture
def one() -> Iterator[Timed]:
    with sidecar(Timed) as found:
        found.program_file = Path(__file__).with_name("jumping_clock.py")
        found.set_clock(0)
        yield found


def ask(peer: Peer, prompt: str, **more: Any) -> str:
    found: str = peer.call("human.ask_async", {"prompt": prompt, "timeout_secs": 3000} | more)["request_id"]
    return found


def waiting(peer: Peer) -> list[str]:
    return [one["request_id"] for one in peer.call("human.pending")["approvals"]]


def test_set_while_it_runs(one: Timed) -> None:
    """A day ahead, a day back: what waits has its time still, a short one ends after it, the newest id is the last."""
    one.launch()
    agent, operator, ids = one.agent(), one.operator(), []
    for ahead in (0, DAY, -DAY, 2 * DAY, 0):
        one.set_clock(ahead)
        ids.append(ask(agent, f"at {ahead}"))
        assert waiting(operator) == ids == sorted(ids)
        short = agent.start("human.ask", {"prompt": "soon", "timeout_secs": 0.05})
        assert agent.reply_to(short)["error"]["data"]["kind"] == "expired"
        assert waiting(operator) == ids
    assert [record["seq"] for record in one.records()] == list(range(1, len(one.records()) + 1))
    assert operator.call("audit.verify")["ok"]


@pytest.mark.parametrize("ahead", [-DAY, 60.0])
def test_set_while_no_sidecar_runs(one: Timed, ahead: float) -> None:
    """What waited waits on, with no more time than it was given, and what is asked next is listed after it."""
    one.launch()
    first = ask(one.agent(), "first")
    one.kill()
    one.set_clock(ahead)
    one.launch()
    operator = one.operator()
    second = ask(one.agent(), "second")
    assert waiting(operator) == [first, second]
    assert first < second
    assert operator.call("audit.verify")["ok"]


def test_over_while_no_sidecar_ran(one: Timed) -> None:
    """A day later, as far as anybody can know, what had less than that is expired."""
    one.launch()
    first = ask(one.agent(), "first")
    one.kill()
    one.set_clock(DAY)
    one.launch()
    agent = one.agent()
    assert agent.call("human.status", {"request_id": first, "wait_secs": 30})["state"] == "expired"
