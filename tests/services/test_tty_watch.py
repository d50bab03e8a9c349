"""What the kernel tells of a terminal: that its program wrote or read, once for each look, and that it is gone."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable, Coroutine

import pytest
from tests.patience import PATIENCE

from tmux_agent.services.tty_watch import TtyWatch


class World:
    """A terminal, and what was told of it."""

    def __init__(self) -> None:
        self.ours, self.programs = os.openpty()
        tty.setraw(self.programs)
        self.path = os.ttyname(self.programs)
        self.told: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
        self.watch = TtyWatch(lambda path, gone: self.told.put_nowait((path, gone)))


def run(test: Callable[[World], Coroutine[None, None, None]]) -> None:
    async def whole() -> None:
        world = World()
        world.watch.start()
        if not world.watch.works:
            pytest.skip("no inotify here")
        async with asyncio.timeout(PATIENCE):
            await test(world)
        world.watch.close()

    asyncio.run(whole())


def test_it_tells_once_for_each_arming() -> None:
    """Written to, read from: the first that happens is told; until it is armed again all is silent."""

    async def test(world: World) -> None:
        os.write(world.programs, b"before it was armed")
        world.watch.arm(world.path)
        os.write(world.programs, b"one")
        os.write(world.programs, b"two")
        assert await world.told.get() == (world.path, False)
        os.write(world.programs, b"three")
        world.watch.arm(world.path)
        os.write(world.ours, b"typed")
        os.read(world.programs, 5)
        assert await world.told.get() == (world.path, False)
        assert world.told.empty()

    run(test)


def test_a_terminal_that_is_gone() -> None:
    """The pane has closed, or was respawned."""

    async def test(world: World) -> None:
        world.watch.arm(world.path)
        os.close(world.programs)
        os.close(world.ours)
        assert await world.told.get() == (world.path, True)
        world.watch.arm(world.path)  # nothing there: no error

    run(test)


def test_a_terminal_that_is_left_alone() -> None:
    """Disarmed, it tells nothing; another one does."""

    async def test(world: World) -> None:
        other = World()
        world.watch.arm(world.path)
        world.watch.arm(other.path)
        world.watch.disarm(world.path)
        os.write(world.programs, b"x")
        os.write(other.programs, b"x")
        assert await world.told.get() == (other.path, False)
        assert world.told.empty()

    run(test)
