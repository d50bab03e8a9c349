"""A bridge without standard input and output, before a sidecar that a test plays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Self, cast

import msgspec
from tests.patience import PATIENCE

from tmux_agent.client import AsyncClient
from tmux_agent.core import errors
from tmux_agent.core.requests import Request
from tmux_agent.edges.mcp.bridge import Bridge

WAIT = PATIENCE
VERSION, CAPABILITIES, SERVER = (
    f"io.modelcontextprotocol/{name}" for name in ("protocolVersion", "clientCapabilities", "serverInfo")
)
MODERN = {VERSION: "2026-07-28", CAPABILITIES: {}}

Answer = Callable[[Request[Any]], Awaitable[Any]]


class Playing:
    """Stands for AsyncClient: `answer` says what comes of a request."""

    def __init__(self, answer: Answer, away: bool) -> None:
        self._answer, self._away = answer, away

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        pass

    async def hello(self) -> None:
        if self._away:
            raise errors.Unavailable("no sidecar answers")

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        assert (method, params) == ("human.pending", {"limit": 1})
        return {"approvals": [{}]}

    async def request(self, request: Request[Any]) -> msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode(await self._answer(request)))


async def refuse(request: Request[Any]) -> Any:
    raise AssertionError(f"nothing was to be asked of the sidecar, and {request.method} was")


class Speaking:
    """A bridge, and what it says, line by line."""

    def __init__(self, answer: Answer = refuse, *, away: bool = False, progress_seconds: float = 60) -> None:
        self.said: asyncio.Queue[Any] = asyncio.Queue()
        playing = cast(AsyncClient, Playing(answer, away))
        self.bridge = Bridge(self._hear, lambda _: playing, progress_seconds=progress_seconds)
        self._number = 0

    async def _hear(self, line: bytes) -> None:
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        self.said.put_nowait(json.loads(line))

    async def send(self, message: Any) -> None:
        await self.bridge.take(message if isinstance(message, bytes) else json.dumps(message).encode())

    async def hear(self) -> Any:
        async with asyncio.timeout(WAIT):
            return await self.said.get()

    async def request(self, method: str, params: Any = None, **more: Any) -> int:
        """Send it; its id."""
        self._number += 1
        params = {} if params is None else {"params": params}
        await self.send({"jsonrpc": "2.0", "id": self._number, "method": method, **params, **more})
        return self._number

    async def ask(self, method: str, params: Any = None) -> Any:
        """The whole reply to a request."""
        number = await self.request(method, params)
        reply = await self.hear()
        assert reply["id"] == number, reply
        return reply

    async def initialize(self, version: str = "2025-11-25") -> Any:
        params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        result = (await self.ask("initialize", params))["result"]
        await self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return result

    async def call(self, tool: str, arguments: Any = None, **meta: Any) -> Any:
        """The result of a tool, asked for in the modern way."""
        return (await self.ask("tools/call", called(tool, arguments, **meta)))["result"]


def called(tool: str, arguments: Any = None, **meta: Any) -> dict[str, Any]:
    """`params` of a modern tools/call."""
    return {"name": tool, "arguments": arguments or {}, "_meta": {**MODERN, **meta}}
