"""edges/turns.py: the order of clients, and that one of them cannot spoil it."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest

from tmux_agent.edges.turns import TOGETHER, Turns


class One(NamedTuple):
    """A client that notes what it is told to do."""

    number: int
    done: list[tuple[str, int]]
    broken: bool = False

    def answer(self) -> None:
        if self.broken:
            raise ZeroDivisionError
        self.done.append(("answer", self.number))

    def write(self) -> None:
        self.done.append(("write", self.number))

    def close(self) -> None:
        self.done.append(("close", self.number))


async def played(*broken: int, count: int) -> list[tuple[str, int]]:
    turns, done = Turns(), list[tuple[str, int]]()
    for number in range(count):
        turns.add(One(number, done, number in broken))
    await asyncio.sleep(0)
    return done


def test_a_reply_waits_for_few() -> None:
    """A few are answered, in the order in which they came, then written to, before further ones are looked at."""
    done = asyncio.run(played(count=TOGETHER + 1))
    first = range(TOGETHER)
    last = [("answer", TOGETHER), ("write", TOGETHER)]
    assert done == [("answer", n) for n in first] + [("write", n) for n in first] + last


def test_a_defect_costs_one_client(caplog: pytest.LogCaptureFixture) -> None:
    """The connection that met it is closed, the log says so, and the others have their turn."""
    done = asyncio.run(played(1, count=3))
    assert [one for one in done if one[0] != "write"] == [("answer", 0), ("close", 1), ("answer", 2)]
    assert "the connection that met it is closed" in caplog.text
