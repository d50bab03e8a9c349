"""What is in flight: bounds, cancellation, progress, the pair for slow people, the end. The sidecar is played."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.edges.mcp.speaking import MODERN, WAIT, Speaking, called

from tmux_agent.core import errors
from tmux_agent.core.requests import Request
from tmux_agent.edges.mcp import bridge as bridge_


class Person:
    """A sidecar that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[Request[Any]] = asyncio.Queue()
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.withdrawn = 0
        self.gone = asyncio.Event()

    async def __call__(self, request: Request[Any]) -> Any:
        self.asked.put_nowait(request)
        try:
            answer = await self.answers.get()
        except asyncio.CancelledError:
            self.withdrawn += 1
            self.gone.set()
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def hears(self) -> Request[Any]:
        async with asyncio.timeout(WAIT):
            return await self.asked.get()


def test_calls_do_not_hold_up_each_other() -> None:
    """While a person thinks, others are answered."""

    async def run() -> None:
        person = Person()
        speaking = Speaking(person)
        slow = await speaking.request("tools/call", called("human_ask", {"prompt": "?"}))
        assert (await person.hears()).method == "human.ask"
        assert "result" in await speaking.ask("tools/list", {"_meta": MODERN})
        person.answers.put_nowait({"approved": True})
        reply = await speaking.hear()
        assert reply["id"] == slow
        assert reply["result"]["structuredContent"] == {"approved": True}

    asyncio.run(run())


def test_refusals_are_results() -> None:
    """A person's no, a limit, a sidecar that is away, wrong arguments: nothing of that is an error of the protocol."""

    async def run() -> None:
        person = Person()
        speaking = Speaking(person)
        for why in (errors.Denied("a person said no: because", comment="because"), errors.LimitExceeded("too much")):
            person.answers.put_nowait(why)
            result = await speaking.call("file_write", {"path": "x", "content": ""})
            assert result["isError"]
            assert why.message in result["content"][0]["text"]
        assert (await speaking.call("file_write", {"path": 1}))["structuredContent"]["kind"] == "invalid_params"
        away = await Speaking(away=True).call("file_write", {"path": "x", "content": ""})
        assert away["structuredContent"]["kind"] == "unavailable"

    asyncio.run(run())


def test_calls_that_are_none() -> None:
    """Unknown tools and params of a wrong shape are errors of the protocol."""

    async def run() -> None:
        speaking = Speaking()
        for wrong in ({"name": "nothing"}, {"name": 1}, {}, {"name": "file_read", "arguments": []}):
            error = (await speaking.ask("tools/call", {**wrong, "_meta": MODERN}))["error"]
            assert error["code"] == -32602
            assert "Traceback" not in error["message"]

    asyncio.run(run())


def test_a_defect_of_ours_is_told_shortly() -> None:
    """What nobody expected is -32603, without a traceback, and the next request is answered."""

    async def run() -> None:
        person = Person()
        speaking = Speaking(person)
        person.answers.put_nowait(ZeroDivisionError("secret"))
        error = (await speaking.ask("tools/call", called("file_read", {"path": "x"})))["error"]
        assert error["code"] == -32603
        assert "secret" not in error["message"]
        assert "result" in await speaking.ask("tools/list", {"_meta": MODERN})

    asyncio.run(run())


def test_cancelled_calls_are_withdrawn() -> None:
    """A cancelled call is taken back and never answered; who cancels something else cancels nothing."""

    async def run() -> None:
        person = Person()
        speaking = Speaking(person)
        number = await speaking.request("tools/call", called("human_ask", {"prompt": "?"}))
        await person.hears()
        for wrong in ({"requestId": 99}, {"requestId": True}, {"requestId": [number]}, {}, {"requestId": str(number)}):
            await speaking.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": wrong})
        assert "result" in await speaking.ask("tools/list", {"_meta": MODERN})
        assert not person.withdrawn
        cancelled = {"requestId": number, "reason": "enough"}
        await speaking.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled})
        async with asyncio.timeout(WAIT):
            await person.gone.wait()
        await speaking.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled})
        assert "result" in await speaking.ask("tools/list", {"_meta": MODERN})
        assert speaking.said.empty()

    asyncio.run(run())


def test_progress_while_a_person_thinks() -> None:
    """Told to who wants to be told, under its token, ever larger, and not after the answer."""

    async def run() -> None:
        person = Person()
        speaking = Speaking(person, progress_seconds=0.001)
        number = await speaking.request("tools/call", called("human_ask", {"prompt": "?"}, progressToken="t"))
        told = [await speaking.hear() for _ in range(3)]
        assert [one["method"] for one in told] == ["notifications/progress"] * 3
        assert [one["params"]["progressToken"] for one in told] == ["t"] * 3
        assert [one["params"]["progress"] for one in told] == [1, 2, 3]
        assert "prefix + A" in told[0]["params"]["message"]
        person.answers.put_nowait({"approved": True})
        while (reply := await speaking.hear()).get("id") != number:
            pass
        assert speaking.said.empty()
        for token in (None, True, 1.5, [], {}):
            person.answers.put_nowait({"approved": True})
            assert not (await speaking.call("human_ask", {"prompt": "?"}, progressToken=token))["isError"]
        assert reply["result"]["structuredContent"] == {"approved": True}

    asyncio.run(run())


def test_ids_and_numbers_in_flight() -> None:
    """An id that is in flight is refused, so is one request too many; an end makes room."""

    async def run() -> None:
        person = Person()
        speaking = Speaking(person)
        ask = called("human_ask", {"prompt": "?"})
        for id in range(bridge_.CALLS):
            await speaking.send({"jsonrpc": "2.0", "id": f"c{id}", "method": "tools/call", "params": ask})
        for id, says in (("c0", "in flight already"), ("more", f"{bridge_.CALLS} requests")):
            await speaking.send({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": ask})
            refused = await speaking.hear()
            assert (refused["id"], refused["error"]["code"]) == (id, -32600)
            assert says in refused["error"]["message"]
        person.answers.put_nowait({})
        assert "result" in await speaking.hear()
        assert "result" in await speaking.ask("tools/list", {"_meta": MODERN})
        await speaking.bridge.close()

    asyncio.run(run())


def test_a_client_that_does_not_read() -> None:
    """It is not read from any further: what it can make us hold is bounded. When it reads, each is answered."""

    async def run() -> None:
        speaking, read, full = Speaking(), asyncio.Event(), asyncio.Event()
        hear, said = speaking.bridge._send, asyncio.Semaphore(0)

        async def send(line: bytes) -> None:
            said.release()
            if b'"error"' in line:
                full.set()
            await read.wait()
            await hear(line)

        speaking.bridge._send = send
        taken = 0

        async def ping() -> None:
            nonlocal taken
            while taken < 10 * bridge_.CALLS:
                await speaking.request("tools/list", {"_meta": MODERN})
                await said.acquire()
                taken += 1

        pinging = asyncio.create_task(ping())
        await full.wait()
        assert taken == 2 * bridge_.CALLS
        read.set()
        await pinging
        replies = [await speaking.hear() for _ in range(taken)]
        assert {reply["id"] for reply in replies} == set(range(1, taken + 1))

    asyncio.run(run())


def test_request_and_wait() -> None:
    """`request` returns at once; `wait` says pending, then the result, as often as it is asked."""

    async def run() -> None:
        person = Person()
        speaking = Speaking(person)
        begun = await speaking.call("request", {"tool": "command_run", "arguments": {"command": "make"}})
        asked = begun["structuredContent"]
        assert asked["state"] == "pending"
        assert (await person.hears()).method == "command.run"
        wait = {"request_id": asked["request_id"], "wait_secs": 0.001}
        assert (await speaking.call("wait", wait))["structuredContent"] == asked
        person.answers.put_nowait({"exit_code": 0})
        for _ in range(2):
            result = await speaking.call("wait", {"request_id": asked["request_id"], "wait_secs": WAIT})
            assert result["structuredContent"] == {**asked, "state": "done", "result": {"exit_code": 0}}
        person.answers.put_nowait(errors.Denied("a person said no: later", comment="later"))
        begun = await speaking.call("request", {"tool": "file_delete", "arguments": {"path": "x"}})
        result = await speaking.call("wait", {"request_id": begun["structuredContent"]["request_id"]})
        assert result["isError"]
        assert "later" in result["content"][0]["text"]

    asyncio.run(run())


def test_questions_are_kept_by_the_sidecar() -> None:
    """`request` of human_ask is human.ask_async, and `wait` asks after any id that is not ours: human.status."""

    async def run() -> None:
        person = Person()
        speaking = Speaking(person)
        person.answers.put_nowait({"request_id": "01X"})
        begun = await speaking.call("request", {"tool": "human_ask", "arguments": {"prompt": "?", "options": ["a"]}})
        asked = await person.hears()
        assert (asked.method, asked.params.prompt, asked.params.options) == ("human.ask_async", "?", ("a",))
        person.answers.put_nowait({"request_id": "01X", "state": "approved"})
        waited = await speaking.call("wait", {**begun["structuredContent"], "wait_secs": 1e9})
        asked = await person.hears()
        assert (asked.method, asked.params.request_id, asked.params.wait_secs) == ("human.status", "01X", 3600)
        assert waited["structuredContent"]["state"] == "approved"

    asyncio.run(run())


def test_wrong_requests() -> None:
    """What cannot be begun, or not so, is said at once; nothing waits."""

    async def run() -> None:
        speaking = Speaking()
        for wrong in (
            {"tool": "request"},
            {"tool": "plan_create"},
            {"tool": "human_respond"},
            {"tool": "command_run", "arguments": {"cmd": "ls"}},
            {"tool": "command_run", "arguments": []},
            {},
        ):
            result = await speaking.call("request", wrong)
            assert result["structuredContent"]["kind"] == "invalid_params"
        away = await Speaking(away=True).call("request", {"tool": "file_read", "arguments": {"path": "x"}})
        assert away["structuredContent"]["kind"] == "unavailable"

    asyncio.run(run())


def test_the_end_withdraws() -> None:
    """When the client has gone, what waits is withdrawn, whether called or requested."""

    async def run() -> None:
        person = Person()
        speaking = Speaking(person)
        await speaking.request("tools/call", called("human_ask", {"prompt": "?"}))
        await person.hears()
        await speaking.call("request", {"tool": "file_delete", "arguments": {"path": "x"}})
        await person.hears()
        await speaking.bridge.close()
        assert person.withdrawn == 2
        assert speaking.said.empty()

    asyncio.run(run())


def test_the_end_lets_quick_ones_end() -> None:
    """A client may send, close its side, and read (`… | tmux-agent mcp`)."""

    async def run() -> None:
        begun = asyncio.Event()

        async def answer(request: Request[Any]) -> Any:
            asyncio.get_running_loop().call_soon(begun.set)  # while the end is on its way
            await begun.wait()
            return {}

        speaking = Speaking(answer)
        await speaking.request("tools/call", called("file_read", {"path": "x"}))
        await speaking.bridge.close()
        assert "result" in await speaking.hear()

    asyncio.run(run())
