"""Both eras of the protocol, by what is said on the wire."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.edges.mcp.speaking import CAPABILITIES, MODERN, SERVER, VERSION, Speaking, called

from tmux_agent.core.requests import Request
from tmux_agent.edges.mcp.messages import BATCH


async def reads(request: Request[Any]) -> Any:
    return {"content": "é\n", "lines": 1}


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_the_handshake(version: str) -> None:
    """The client's own version is taken, results have no modern members, and data is structured from 2025-06-18 on."""

    async def run() -> None:
        speaking = Speaking(reads)
        result = await speaking.initialize(version)
        assert result["protocolVersion"] == version
        assert result["capabilities"] == {"tools": {}}
        assert result["serverInfo"]["name"] == "tmux-agent"
        assert (await speaking.ask("ping"))["result"] == {}
        assert set((await speaking.ask("tools/list"))["result"]) == {"tools"}
        called = (await speaking.ask("tools/call", {"name": "file_read", "arguments": {"path": "x"}}))["result"]
        text = '{"content":"é\\n","lines":1}'
        assert called["content"] == [{"type": "text", "text": text}]
        assert called["isError"] is False
        assert called.get("structuredContent") == (json.loads(text) if version >= "2025-06-18" else None)
        assert "resultType" not in called
        assert (await speaking.ask("server/discover"))["error"]["code"] == -32601

    asyncio.run(run())


def test_a_version_from_the_future() -> None:
    """Gets the newest that has a handshake."""

    async def run() -> None:
        for wanted in ("2099-01-01", "2026-07-28", ""):
            assert (await Speaking().initialize(wanted))["protocolVersion"] == "2025-11-25"
        assert (await Speaking().ask("initialize", {"protocolVersion": 1}))["error"]["code"] == -32602
        assert (await Speaking().ask("initialize"))["error"]["code"] == -32602

    asyncio.run(run())


def test_without_a_handshake() -> None:
    """Each request names its version; each result says that it is complete and who answers."""

    async def run() -> None:
        speaking = Speaking(reads)
        found = (await speaking.ask("server/discover", {"_meta": MODERN}))["result"]
        assert found["resultType"] == "complete"
        assert "2026-07-28" in found["supportedVersions"]
        assert found["capabilities"] == {"tools": {}}
        assert found["ttlMs"] > 0
        assert found["cacheScope"] == "public"
        assert found["_meta"][SERVER]["name"] == "tmux-agent"
        listed = (await speaking.ask("tools/list", {"_meta": MODERN}))["result"]
        assert (listed["resultType"], listed["cacheScope"], listed["ttlMs"] > 0) == ("complete", "public", True)
        result = await speaking.call("file_read", {"path": "x"})
        assert result["resultType"] == "complete"
        assert result["structuredContent"]["lines"] == 1
        assert "ttlMs" not in result

    asyncio.run(run())


@pytest.mark.parametrize(
    ("meta", "code"),
    [
        (None, -32602),
        ([], -32602),
        ({}, -32602),
        ({VERSION: "2026-07-28"}, -32602),
        ({VERSION: "2026-07-28", CAPABILITIES: []}, -32602),
        ({VERSION: 20260728, CAPABILITIES: {}}, -32602),
        ({VERSION: "2025-11-25", CAPABILITIES: {}}, -32022),
        ({VERSION: "1900-01-01", CAPABILITIES: {}}, -32022),
    ],
)
def test_requests_of_no_version(meta: Any, code: int) -> None:
    """One that names none, or one that we do not speak, is refused; the latter with those that we do."""

    async def run() -> None:
        for method in ("server/discover", "tools/list", "tools/call"):
            error = (await Speaking().ask(method, {"_meta": meta} if meta is not None else {}))["error"]
            assert error["code"] == code
            if code == -32022:
                assert error["data"]["requested"] == meta[VERSION]
                assert "2026-07-28" in error["data"]["supported"]

    asyncio.run(run())


def test_both_eras_in_one_process() -> None:
    """A request that names its version is answered by it, whatever was negotiated."""

    async def run() -> None:
        speaking = Speaking()
        await speaking.initialize()
        assert (await speaking.ask("tools/list", {"_meta": MODERN}))["result"]["resultType"] == "complete"
        assert "resultType" not in (await speaking.ask("tools/list"))["result"]
        for gone in ("ping", "initialize"):
            assert (await speaking.ask(gone, {"_meta": MODERN}))["error"]["code"] == -32601

    asyncio.run(run())


def test_what_is_not_offered() -> None:
    """Unknown methods are told so; unknown notifications are not answered; a list has one page."""

    async def run() -> None:
        speaking = Speaking()
        await speaking.initialize()
        for method in ("resources/list", "prompts/get", "logging/setLevel", "tools/cal", "", "x" * 5000):
            assert (await speaking.ask(method))["error"]["code"] == -32601
        assert (await speaking.ask("tools/list", {"cursor": "2"}))["error"]["code"] == -32602
        await speaking.send({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"})
        await speaking.send({"jsonrpc": "2.0", "method": "tools/call", "params": called("file_read")})
        assert (await speaking.ask("ping"))["result"] == {}
        assert speaking.said.empty()

    asyncio.run(run())


def test_batches_where_they_were_in_the_protocol() -> None:
    """2025-03-26 has them: replies in one line, none to notifications. Other versions refuse them."""
    ping = {"jsonrpc": "2.0", "method": "ping"}

    async def run() -> None:
        speaking = Speaking()
        await speaking.initialize("2025-03-26")
        await speaking.send([{**ping, "id": "a"}, ping, 1, {**ping, "id": "b", "method": "x"}])
        replies = {reply["id"]: reply for reply in await speaking.hear()}
        assert replies["a"]["result"] == {}
        assert replies["b"]["error"]["code"] == -32601
        assert replies[None]["error"]["code"] == -32600
        await speaking.send([ping] * 3)
        await speaking.send([ping] * (BATCH + 1))
        assert (await speaking.hear())["error"]["code"] == -32600
        other = Speaking()
        await other.initialize()
        await other.send([{**ping, "id": "a"}])
        assert (await other.hear())["error"]["code"] == -32600

    asyncio.run(run())
