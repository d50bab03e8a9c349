"""An agent for test_kill.py: asks and runs through both clients, and says on stdout what it was told, a line each.

asker.py NAME COUNT
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from tmux_agent.client import AsyncClient, Client
from tmux_agent.core.errors import TmuxAgentError

PATIENCE = 120.0


def say(unique: str, what: str, told: str) -> None:
    print(json.dumps({"unique": unique, "what": what, "told": told}), flush=True)


def check(what: str, unique: str, data: Any) -> str:
    """What an outcome without an error means."""
    if what == "ask":
        return "ok" if data.comment == unique else f"the answer to {data.comment!r}"
    return "ok" if data.exit_code == 0 else f"exit code {data.exit_code}"


def work(name: str, count: int) -> None:
    """One after the other, blocking."""
    with Client(name=name, patience=PATIENCE) as client:
        for number in range(count):
            what = ("ask", "allowed", "asked")[number % 3]
            unique = f"{name}-{number}"
            try:
                data = client.ask(unique) if what == "ask" else client.run(what, unique)
                say(unique, what, check(what, unique, data))
            except TmuxAgentError as why:
                say(unique, what, f"{why.kind}: {why.message}")


async def work_async(name: str, count: int) -> None:
    """Several at once, on one connection."""
    async with AsyncClient(name=name, patience=PATIENCE) as client:
        turns = asyncio.Semaphore(8)

        async def one(number: int) -> None:
            what = ("ask", "allowed", "asked")[number % 3]
            unique = f"{name}-{number}"
            async with turns:
                try:
                    data: Any = await (client.ask(unique) if what == "ask" else client.run(what, unique))
                    say(unique, what, check(what, unique, data))
                except TmuxAgentError as why:
                    say(unique, what, f"{why.kind}: {why.message}")

        await asyncio.gather(*map(one, range(count)))


if __name__ == "__main__":
    name, count = sys.argv[1], int(sys.argv[2])
    if name.startswith("async"):
        asyncio.run(work_async(name, count))
    else:
        work(name, count)
