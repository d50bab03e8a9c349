"""MCP on one side, the sidecar's socket on the other: answers one client's messages.

Owns what is in flight: its bounds, progress, cancellation, and the negotiated protocol version. Who calls is nothing
that anybody says: this process descends from the agent, and the kernel tells the sidecar. Must not own: bytes
(stdio.py), formats (messages.py, eras.py, tools.py), decisions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from ...client import PATIENCE, AsyncClient
from ...core import errors
from ...core import protocol as p
from ...core.requests import Request
from . import eras, messages, tools
from .later import LaterCalls
from .messages import Message, Refused, Reply

log = logging.getLogger(__name__)

CALLS = 64  # requests in flight
PROGRESS_SECONDS = 4.0  # clients that stop waiting after 10 s are known
START_SECONDS = 5.0  # that a new call waits for a sidecar: tmux starts one that died within a second or two
LAST_SECONDS = 1.0  # that what is in flight has to end, when the client has closed its side


class Bridge:
    """Answers what one client sends. `send` writes a line and waits until it is written."""

    def __init__(
        self,
        send: Callable[[bytes], Awaitable[None]],
        client: Callable[[float], AsyncClient] = lambda patience: AsyncClient(patience=patience),
        *,
        progress_seconds: float = PROGRESS_SECONDS,
    ) -> None:
        self._send = send
        self._client = client
        self._near = client(START_SECONDS)  # tells whether the sidecar is there, and what waits
        self._progress_seconds = progress_seconds
        self._later = LaterCalls()
        self._negotiated: str | None = None
        self._running: dict[messages.Id, asyncio.Task[Reply]] = {}
        self._serving: set[asyncio.Task[None]] = set()

    async def take(self, line: bytes | None) -> None:
        """A line from the client (None: one that was too long)."""
        try:
            if line is not None and line.lstrip()[:1] == b"[" and self._negotiated == eras.BATCHES:
                self._take_batch(messages.parse_batch(line))
            elif message := messages.parse(line):
                self._take(message)
        except Refused as why:
            await self._send(messages.line(messages.error(why)))

    async def close(self) -> None:
        """The client has gone: what does not end by itself at once is withdrawn."""
        if self._serving:
            await asyncio.wait(self._serving, timeout=LAST_SECONDS)
        for task in [*self._running.values(), *self._serving]:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._later.close()
        await self._near.close()

    # --- in flight ---

    def _take(self, message: Message) -> None:
        if message.id is None:
            self._note(message)
        else:
            self._serve([self._start(message)], self._send_one)

    def _take_batch(self, lines: Sequence[bytes]) -> None:
        """Each part is answered or refused as if it had come alone, but all replies are one line."""
        tasks = []
        for line in lines:
            try:
                message = messages.parse(line)
                if message is not None and message.id is None:
                    self._note(message)
                elif message is not None:
                    tasks.append(self._start(message))
            except Refused as why:
                tasks.append(asyncio.create_task(_refusal(why)))
        if tasks:
            self._serve(tasks, self._send_many)

    def _start(self, message: Message) -> asyncio.Task[Reply]:
        """Raises Refused."""
        id = message.id
        assert id is not None
        if id in self._running:
            raise Refused(-32600, f"id {id!r} is in flight already", id)
        if len(self._running) >= CALLS or len(self._serving) >= 2 * CALLS:  # the latter where it does not read
            raise Refused(-32600, f"{CALLS} requests are in flight already: wait for some of them", id)
        task = self._running[id] = asyncio.create_task(self._reply(message))
        task.add_done_callback(lambda _: self._running.pop(id))
        return task

    def _serve(self, tasks: list[asyncio.Task[Reply]], send: Callable[[list[Reply]], Awaitable[None]]) -> None:
        async def serve() -> None:
            await asyncio.wait(tasks)
            replies = [task.result() for task in tasks if not task.cancelled()]  # cancelled: nobody wants it
            if replies:
                await send(replies)

        serving = asyncio.create_task(serve())
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _send_one(self, replies: list[Reply]) -> None:
        await self._send(messages.line(replies[0]))

    async def _send_many(self, replies: list[Reply]) -> None:
        await self._send(messages.line(replies))

    def _note(self, message: Message) -> None:
        """A notification. Those that are unknown or wrong are ignored, as JSON-RPC has it."""
        wanted = message.params.get("requestId")
        if message.method != "notifications/cancelled" or not messages.is_id(wanted):
            return
        if task := self._running.get(wanted):
            task.cancel()

    # --- answers ---

    async def _reply(self, message: Message) -> Reply:
        try:
            return messages.result(message.id, await self._answer(message))
        except Refused as why:
            why.id = message.id
            return messages.error(why)
        except Exception:
            log.exception("%s failed", message.method[:100])
            return messages.error(Refused(-32603, "a defect of tmux-agent; its standard error has more", message.id))

    async def _answer(self, message: Message) -> dict[str, Any]:
        if message.method == "initialize" and not eras.is_modern(message):
            self._negotiated = eras.negotiate(message)
            return eras.initialized(self._negotiated)
        spoken = eras.version(message, self._negotiated)
        modern = spoken in eras.MODERN
        match message.method:
            case "server/discover" if modern:
                body = eras.discovered()
            case "ping" if not modern:
                body = {}
            case "tools/list":
                body = self._list(message, spoken)
            case "tools/call":
                body = await self._call(message, eras.is_structured(spoken))
            case _:
                raise Refused(-32601, f"unknown method {message.method[:100]!r}; this server has tools only")
        return eras.complete(spoken, body)

    def _list(self, message: Message, spoken: str) -> dict[str, Any]:
        if message.params.get("cursor") is not None:
            raise Refused(-32602, "tools/list: no such cursor: the list has one page")
        return {"tools": tools.listed(), **eras.fresh(spoken)}

    async def _call(self, message: Message, structured: bool) -> dict[str, Any]:
        name, arguments = message.params.get("name"), message.params.get("arguments")
        if not isinstance(name, str) or not isinstance(arguments, dict | None):
            raise Refused(-32602, "tools/call: params.name has to be a string, params.arguments an object")
        tool, token = tools.find(name), eras.meta(message).get("progressToken")
        progress = asyncio.create_task(self._progress(token))
        try:
            return tools.done(await self._run(tool, arguments or {}), structured)
        except errors.TmuxAgentError as why:
            return tools.failed(why, structured)
        finally:
            progress.cancel()
            await asyncio.gather(progress, return_exceptions=True)

    async def _run(self, tool: tools.Tool, arguments: dict[str, Any]) -> msgspec.Raw | dict[str, Any]:
        if tool is tools.REQUEST:
            return await self._begin(arguments)
        if tool is tools.WAIT:
            return await self._wait(arguments)
        return await self._ask(tool.request(arguments))

    async def _ask(self, request: Request[msgspec.Raw]) -> msgspec.Raw:
        """Ask the sidecar, on a connection of its own: whatever ends that one is no other call's.

        Raises Unavailable soon where no sidecar is there; one that goes away meanwhile is waited for.
        """
        await self._near.hello()
        async with self._client(PATIENCE) as client:
            return await client.request(request)

    # --- slow people ---

    async def _begin(self, arguments: dict[str, Any]) -> msgspec.Raw | dict[str, Any]:
        params = tools.convert(tools.REQUEST, arguments)
        assert isinstance(params, tools.Later)
        tool = tools.TOOLS.get(params.tool)
        if tool is None or not tool.may_wait:
            raise errors.InvalidParams(f"request: {params.tool[:100]!r} is none of the tools that it can begin")
        request = tool.request(params.arguments)
        if isinstance(request.params, p.HumanAsk):  # the sidecar keeps questions itself
            asked = msgspec.convert(request.params, p.HumanAskAsync, from_attributes=True)
            return await self._ask(Request("human.ask_async", asked, msgspec.Raw))
        await self._near.hello()
        return {"request_id": self._later.begin(self._ask(request)), "state": "pending"}

    async def _wait(self, arguments: dict[str, Any]) -> msgspec.Raw | dict[str, Any]:
        params = tools.convert(tools.WAIT, arguments)
        assert isinstance(params, tools.Wait)
        seconds = max(0.0, min(params.wait_secs, tools.WAIT_SECONDS))
        if params.request_id in self._later:
            return await self._later.wait(params.request_id, seconds)
        status = p.HumanStatus(request_id=params.request_id, wait_secs=seconds)
        return await self._ask(Request("human.status", status, msgspec.Raw))

    async def _progress(self, token: Any) -> None:
        """While a call lasts, tell the client so that it keeps waiting, if it wants to be told."""
        if not messages.is_id(token):
            return
        told = 0
        while True:
            await asyncio.sleep(self._progress_seconds)
            told += 1
            said = {"progressToken": token, "progress": told, "message": await self._state()}
            await self._send(messages.line(messages.notification("notifications/progress", said)))

    async def _state(self) -> str:
        """What a call that lasts is most likely waiting for."""
        try:
            waiting = await self._near.call("human.pending", {"limit": 1})
        except errors.TmuxAgentError:
            return "the sidecar is away: it goes on when it is back (`tmux-agent sidecar start`)"
        if waiting["approvals"]:
            return "waiting for the person: prefix + A in tmux"
        return "running"


async def _refusal(why: Refused) -> Reply:
    return messages.error(why)
