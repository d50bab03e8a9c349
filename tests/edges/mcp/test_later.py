"""Calls begun with `request`: how many are kept, and which are forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.edges.mcp.speaking import WAIT

from tmux_agent.core import errors
from tmux_agent.edges.mcp.later import KEPT, LaterCalls


def test_calls_are_bounded() -> None:
    """Those that ended make room, oldest first; where all wait, one more is refused."""

    async def run() -> None:
        calls, blocked = LaterCalls(), asyncio.Event()

        async def waits() -> Any:
            await blocked.wait()

        ids = [calls.begin(waits()) for _ in range(KEPT)]
        with pytest.raises(errors.LimitExceeded):
            calls.begin(waits())
        blocked.set()
        await calls.wait(ids[0], WAIT)
        newest = calls.begin(waits())
        assert ids[0] not in calls
        assert ids[1] in calls
        assert newest in calls
        await calls.close()

    asyncio.run(run())
