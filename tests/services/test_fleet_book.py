"""What is done to agents of the fleet: by one at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tmux_agent.services.fleet_book import Book
from tmux_agent.services.journal import Journal


def test_one_at_a_time_also_where_several_wait_and_others_come_as_it_is_handed_over(tmp_path: Path) -> None:
    """A lock that was just given back is free for a moment, though somebody waits for it."""
    book = Book(Journal(tmp_path / "db", tmp_path / "audit"))
    inside = most = done = 0

    async def hold(turns: int) -> None:
        nonlocal inside, most, done
        for _ in range(turns):
            async with book.held("repository"):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1
            done += 1

    async def cancelled() -> None:
        async with book.held("repository"):
            await asyncio.sleep(3600)

    async def all_of_them() -> None:
        gone = asyncio.create_task(cancelled())
        others = [asyncio.create_task(hold(20)) for _ in range(5)]
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(*others)

    asyncio.run(all_of_them())
    assert (most, done) == (1, 100)
    assert book._doing == {}
