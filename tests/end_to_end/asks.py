"""An agent of the tests: reads `[number, method, params]` lines, asks for all at once, prints each answer as it comes.

argv: name, and the file for the answers where that is not stdout. Every wait survives a restart of the sidecar.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, TextIO

from tmux_agent.client import AsyncClient
from tmux_agent.core import errors


async def one(agent: AsyncClient, out: TextIO, number: int, method: str, params: dict[str, Any]) -> None:
    try:
        said: dict[str, Any] = {"data": await agent.call(method, params)}
    except errors.TmuxAgentError as why:
        said = {"error": why.message, "kind": type(why).__name__, "data": dict(why.data)}
    print(json.dumps({"id": number, **said}), file=out, flush=True)


async def main(name: str, out: TextIO) -> None:
    loop = asyncio.get_running_loop()
    tasks = []
    async with AsyncClient(name=name) as agent:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            number, method, params = json.loads(line)
            tasks.append(asyncio.create_task(one(agent, out, number, method, params)))
        await asyncio.gather(*tasks)


if __name__ == "__main__":
    with open(sys.argv[2], "a") if len(sys.argv) > 2 else sys.stdout as out:
        asyncio.run(main(sys.argv[1], out))
