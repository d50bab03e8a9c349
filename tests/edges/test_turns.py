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


def test_who_is_alone_waits_for_nobody() -> None:
    """It is answered and written to before the loop goes on; and so again in the loop's next turn but one."""

    async def alone() -> list[tuple[str, int]]:
        turns, done = Turns(), list[tuple[str, int]]()
        turns.add(One(0, done))
        at_once = list(done)
        await asyncio.sleep(0)
        turns.add(One(1, done))
        assert done == [*at_once, ("answer", 1), ("write", 1)]
        return at_once

    assert asyncio.run(alone()) == [("answer", 0), ("write", 0)]


def test_a_reply_waits_for_few() -> None:
    """The others of the same turn are answered a few at a time, in the order in which they came, then written to,
    before further ones are looked at."""
    done = asyncio.run(played(count=TOGETHER + 2))
    few = range(1, TOGETHER + 1)
    last = TOGETHER + 1
    assert done == [
        *(("answer", 0), ("write", 0)),
        *(("answer", n) for n in few),
        *(("write", n) for n in few),
        *(("answer", last), ("write", last)),
    ]


def test_who_has_more_to_say_lets_the_others_in_between() -> None:
    """At the start it may have two turns in a row: the one at once, and the first of those that follow."""


    class Talker(One):
        """Has as many lines as are left in `more`."""

        more = [3]

        def answer(self) -> None:
            super().answer()
            self.more[0] -= 1
            if self.more[0]:
                turns.add(self)

    done = list[tuple[str, int]]()

    async def play() -> None:
        talker = Talker(7, done)
        turns.add(talker)
        for number in range(2):
            turns.add(One(number, done))
        for _ in range(2):  # turns of the loop
            await asyncio.sleep(0)

    turns = Turns()
    asyncio.run(play())
    assert [number for what, number in done if what == "answer"] == [7, 7, 0, 1, 7]


def test_a_defect_costs_one_client(caplog: pytest.LogCaptureFixture) -> None:
    """The connection that met it is closed, the log says so, and the others have their turn."""
    done = asyncio.run(played(1, count=3))
    assert [one for one in done if one[0] != "write"] == [("answer", 0), ("close", 1), ("answer", 2)]
    assert "the connection that met it is closed" in caplog.text
