"""Standard input and output: pipes that end, and that nobody reads. Files and processes: end_to_end/test_mcp.py."""

from __future__ import annotations

import asyncio
import json
import os

from tests.edges.mcp.speaking import MODERN, WAIT

from tmux_agent.edges.mcp import stdio


def asked(id: int) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": "tools/list", "params": {"_meta": MODERN}}).encode()


async def served(said: bytes) -> bytes:
    """What comes out where this goes in, and ends."""
    (source, ours), (theirs, sink) = os.pipe(), os.pipe()
    serving = asyncio.create_task(stdio.serve(source, sink))
    os.write(ours, said)
    os.close(ours)
    with os.fdopen(theirs, "rb") as out:
        reading = asyncio.create_task(asyncio.to_thread(out.read))
        async with asyncio.timeout(WAIT):
            await serving
            os.close(sink)
            found = await reading
    os.close(source)
    return found


def test_all_that_was_asked_is_answered_before_the_end() -> None:
    """Also the last line, which has no newline, and more than a pipe holds."""
    out = asyncio.run(served(b"\n".join(asked(id) for id in range(20))))
    assert sorted(json.loads(line)["id"] for line in out.splitlines()) == list(range(20))


def test_nobody_reads() -> None:
    """The end of who reads is the end."""

    async def run() -> None:
        (source, ours), (theirs, sink) = os.pipe(), os.pipe()
        os.close(theirs)
        os.write(ours, asked(1) + b"\n")
        async with asyncio.timeout(WAIT):
            await stdio.serve(source, sink)
        os.close(ours)  # ends the thread that still reads
        os.close(sink)

    asyncio.run(run())
