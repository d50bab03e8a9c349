"""The MCP bridge as agents meet it: the official client over real standard input and output, before a real sidecar.

The client is the `mcp` package, in both eras of the protocol. A person answers through a connection of their own.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client, types
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPError
from tests.patience import PATIENCE
from tests.sidecar import Sidecar, sidecar

pytestmark = pytest.mark.timeout(600)

ARGV = [sys.executable, "-P", "-m", "tmux_agent", "mcp"]
ERAS = ("auto", "legacy")
WAIT = PATIENCE


@pytest.fixture
def one() -> Iterator[Sidecar]:
    """A running sidecar."""
    with sidecar() as found:
        yield found.start()


class Person:
    """An operator who hears of what waits and answers it."""

    def __init__(self, one: Sidecar) -> None:
        self._hears, self._answers = one.operator(), one.operator()
        self._hears.call("events.subscribe", {"types": ["approval.opened", "approval.withdrawn"]})

    def next(self, type: str) -> Any:
        """The next event of this type."""
        while (event := self._hears.reply()["params"])["type"] != type:
            pass
        return event

    async def hears(self, type: str = "approval.opened") -> Any:
        return await asyncio.to_thread(self.next, type)

    async def answers(self, approved: bool = True, **more: Any) -> Any:
        """Answer what is asked next; its event."""
        event = await self.hears()
        params = {"request_id": event["request_id"], "digest": event["data"]["digest"], "approved": approved}
        await asyncio.to_thread(self._answers.call, "human.respond", params | more)
        return event


@asynccontextmanager
async def agent(one: Sidecar, mode: str = "auto") -> AsyncIterator[Client]:
    """The official client and the bridge that it starts."""
    program = StdioServerParameters(command=ARGV[0], args=ARGV[1:], env=one.environ, cwd=str(one.root))
    async with asyncio.timeout(4 * WAIT), Client(program, mode=mode) as client:
        yield client


def text(result: types.CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


@pytest.mark.parametrize("mode", ERAS)
def test_an_agents_day(one: Sidecar, mode: str) -> None:
    """Listed, read by a rule, refused by a rule, written after a yes, refused with a reason, asked with options."""
    (one.root / "a.txt").write_text("hällo\n")
    (one.config / "policy.yaml").write_text((one.config / "policy.yaml").read_text().replace("write, ", ""))
    one.stop()
    one.start()
    person = Person(one)

    async def run() -> None:
        async with agent(one, mode) as client:
            assert client.protocol_version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[mode]
            assert {"file_read", "request", "wait"} <= {tool.name for tool in (await client.list_tools()).tools}
            read = await client.call_tool("file_read", {"path": "a.txt"})
            assert read.structured_content == json.loads(text(read))
            assert json.loads(text(read))["content"] == "hällo\n"
            denied = await client.call_tool("command_run", {"command": "nc", "args": ["x"]})
            assert denied.is_error
            assert "no netcat" in text(denied)
            write = client.call_tool("file_write", {"path": "b.txt", "content": "new\n"})
            written, event = await asyncio.gather(write, person.answers())
            assert not written.is_error, text(written)
            assert (one.root / "b.txt").read_text() == "new\n"
            assert event["data"]["action"]["content"] == "new\n"
            write = client.call_tool("file_write", {"path": "b.txt", "content": "worse\n"})
            refused, _ = await asyncio.gather(write, person.answers(False, comment="put it into c.txt"))
            assert refused.is_error
            assert "put it into c.txt" in text(refused)
            assert (one.root / "b.txt").read_text() == "new\n"
            ask = client.call_tool("human_ask", {"prompt": "which?", "options": ["red", "blue"]})
            answered, _ = await asyncio.gather(ask, person.answers(choice="blue"))
            assert json.loads(text(answered))["choice"] == "blue"
            plan = json.loads(text(await client.call_tool("plan_create", {"name": "p", "steps": ["a", "b"]})))
            assert plan["steps"][0]["status"] != "completed"
            with pytest.raises(MCPError):
                await client.call_tool("human_respond", {})

    asyncio.run(run())
    kinds = [record["type"] for record in one.records()]
    assert kinds.count("approval.opened") == kinds.count("approval.answered") == 3
    origins = {record["origin"]["role"] for record in one.records() if record["type"] == "approval.opened"}
    assert origins == {"agent"}


@pytest.mark.parametrize("mode", ERAS)
def test_a_client_that_gives_up_and_one_that_is_told_to_wait(one: Sidecar, mode: str) -> None:
    """Progress arrives while nobody answers; a client that stops waiting withdraws its request; the next is served."""
    person = Person(one)

    async def run() -> None:
        told = asyncio.Event()
        said: list[str | None] = []

        async def progress(_done: float, _total: float | None, message: str | None) -> None:
            said.append(message)
            told.set()

        async with agent(one, mode) as client:
            waits = asyncio.create_task(client.call_tool("human_ask", {"prompt": "slow"}, progress_callback=progress))
            opened = await person.hears()
            await told.wait()
            assert said[0] is not None
            assert "prefix + A" in said[0]
            waits.cancel()
            await asyncio.gather(waits, return_exceptions=True)
            assert (await person.hears("approval.withdrawn"))["request_id"] == opened["request_id"]
            ask = client.call_tool("human_ask", {"prompt": "next"})
            answered, _ = await asyncio.gather(ask, person.answers())
            assert not answered.is_error

    asyncio.run(run())


def test_request_and_wait(one: Sidecar) -> None:
    """Begun, looked after, answered, run once; and a question that outlives the bridge."""
    one.program("asked", (one.bin / "allowed").read_text())
    person = Person(one)

    async def run() -> str:
        async with agent(one) as client:
            command = {"command": "asked", "args": ["once"]}
            begun = json.loads(text(await client.call_tool("request", {"tool": "command_run", "arguments": command})))
            wait = {"request_id": begun["request_id"], "wait_secs": 0}
            assert json.loads(text(await client.call_tool("wait", wait)))["state"] == "pending"
            await person.answers()
            ended = json.loads(text(await client.call_tool("wait", wait | {"wait_secs": WAIT})))
            assert (ended["state"], ended["result"]["exit_code"]) == ("done", 0)
            question = {"tool": "human_ask", "arguments": {"prompt": "tomorrow?"}}
            asked = json.loads(text(await client.call_tool("request", question)))
            return str(asked["request_id"])

    async def again(request_id: str) -> None:
        await person.answers(comment="yes")
        async with agent(one) as client:
            found = await client.call_tool("wait", {"request_id": request_id})
            assert json.loads(text(found))["answer"]["comment"] == "yes"

    asyncio.run(again(asyncio.run(run())))
    assert one.effects() == ["once"]


def test_the_sidecar_is_killed_while_a_call_waits(one: Sidecar) -> None:
    """Started again, the same request waits, once; the call goes on, and what was approved is run once."""
    one.program("asked", (one.bin / "allowed").read_text())
    person = Person(one)

    async def run() -> None:
        async with agent(one) as client:
            call = asyncio.create_task(client.call_tool("command_run", {"command": "asked", "args": ["once"]}))
            opened = await person.hears()
            await asyncio.to_thread(one.kill)
            await asyncio.to_thread(one.start)
            operator = await asyncio.to_thread(one.operator)
            (waits,) = (await asyncio.to_thread(operator.call, "human.pending"))["approvals"]
            assert waits["request_id"] == opened["request_id"]
            params = {"request_id": waits["request_id"], "digest": waits["digest"], "approved": True}
            await asyncio.to_thread(operator.call, "human.respond", params)
            assert not (await call).is_error, text(await call)
            assert not (await client.call_tool("file_list", {"path": "."})).is_error

    asyncio.run(run())
    assert one.effects() == ["once"]
    assert [record["type"] for record in one.records()].count("approval.opened") == 1


def test_no_sidecar(one: Sidecar) -> None:
    """Soon an error that says what to do; the tools are listed meanwhile, and all is well when it is back."""
    one.stop()

    async def run() -> None:
        async with agent(one) as client:
            assert (await client.list_tools()).tools
            away = await client.call_tool("file_list", {"path": "."})
            assert away.is_error
            assert "tmux-agent sidecar start" in text(away)
            await asyncio.to_thread(one.start)
            assert not (await client.call_tool("file_list", {"path": "."})).is_error

    asyncio.run(run())


# --- without the official client ------------------------------------------------------------------

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


def call(id: int, tool: str, **arguments: Any) -> bytes:
    params = {"name": tool, "arguments": arguments, "_meta": META}
    message = {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}
    return json.dumps(message).encode() + b"\n"


def start(one: Sidecar, **more: Any) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(ARGV, env=one.environ, cwd=one.root, **{"stdin": pipe, "stdout": pipe, **more})


@pytest.mark.parametrize("how", ["stdin", "stdout", "kill"])
def test_the_end_of_the_client_withdraws(one: Sidecar, how: str) -> None:
    """Its side closed, its ear closed, or the bridge killed: what it asked leaves the popup, and the bridge ends."""
    person = Person(one)
    with start(one) as bridge:
        assert bridge.stdin
        assert bridge.stdout
        bridge.stdin.write(call(1, "human_ask", prompt="?"))
        bridge.stdin.flush()
        opened = person.next("approval.opened")
        if how == "stdin":
            bridge.stdin.close()
        elif how == "stdout":
            bridge.stdout.close()
            bridge.stdin.write(b"nobody hears that this is no JSON\n")
            bridge.stdin.flush()
        else:
            bridge.kill()
        assert person.next("approval.withdrawn")["request_id"] == opened["request_id"]
        assert bridge.wait(WAIT) == (-9 if how == "kill" else 0)


def test_sent_and_closed_at_once(one: Sidecar) -> None:
    """`… | tmux-agent mcp` answers; a last line needs no newline; files do as well as pipes."""
    asked = call(1, "nothing") + call(2, "file_list", x=1).rstrip()
    with start(one) as bridge:
        out, _ = bridge.communicate(asked, timeout=WAIT)
    assert {json.loads(line)["id"] for line in out.splitlines()} == {1, 2}
    (one.folder / "in").write_bytes(asked)
    with (one.folder / "in").open("rb") as source, (one.folder / "out").open("wb") as sink:
        start(one, stdin=source, stdout=sink).wait(WAIT)
    assert {json.loads(line)["id"] for line in (one.folder / "out").read_bytes().splitlines()} == {1, 2}


def test_hostile_input(one: Sidecar) -> None:
    """Whatever comes, only messages go out, each wrong line gets its error, and what is right is served afterwards."""
    junk = [os.urandom(4096).replace(b"\n", b""), b"{" * 50_000, b"\x00" * 64, b"[1,2", b'{"jsonrpc":"2.0","id":[]}']
    huge = b'"' + b"x" * (33 << 20)
    big = call(7, "file_write", path="x", content="y" * (2 << 20))
    asked = [
        *(line + b"\n" for line in [*junk, huge]),
        big,
        call(8, "file_list", path=1),
        call(9, "file_list", path="."),
    ]
    with start(one, stderr=subprocess.PIPE) as bridge:
        assert bridge.stdin
        assert bridge.stdout
        bridge.stdin.write(b"".join(asked))
        bridge.stdin.flush()
        replies = [json.loads(bridge.stdout.readline()) for _ in asked]
        out, log = bridge.communicate(timeout=WAIT)
    assert all(reply["jsonrpc"] == "2.0" for reply in replies)
    assert len([reply for reply in replies if reply["id"] is None]) == len(junk) + 1
    by_id = {reply["id"]: reply for reply in replies}
    assert by_id[7]["error"]["code"] == -32600
    assert by_id[8]["result"]["isError"]
    assert not by_id[9]["result"]["isError"]
    assert (out, log) == (b"", b"")
    assert not (one.root / "x").exists()


def test_who_asks_is_what_the_kernel_says(one: Sidecar) -> None:
    """The bridge claims nothing: its requests carry its own pid, below the program that started it."""
    person = Person(one)
    with start(one) as bridge:
        assert bridge.stdin
        bridge.stdin.write(call(1, "human_ask", prompt="who am I?"))
        bridge.stdin.flush()
        origin = person.next("approval.opened")["origin"]
        assert origin["pid"] == bridge.pid
        assert any(str(os.getpid()) in name for name in origin["ancestry"])
        bridge.stdin.close()
