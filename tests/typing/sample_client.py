"""What a typed program may write with the client; test_client.py gives it to mypy --strict. Never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, assert_type

from tmux_agent.client import AsyncClient, Client
from tmux_agent.core import replies as r
from tmux_agent.core.model import Plan, Shell


def blocking() -> None:
    with Client(name="sample") as client:
        assert_type(client, Client)
        assert_type(client.hello(), r.HelloData)
        assert_type(client.ask("Deploy?", urgency="high", options=["a", "b"]), r.AnswerData)
        assert_type(client.ask_async("Deploy?").request_id, str)
        assert_type(client.run("make", "deploy", timeout=3.0).exit_code, int | None)
        assert_type(client.would_run("make"), r.DryRun)
        assert_type(client.read("x").lines, int)
        assert_type(client.judge(Shell(text="ls", cwd="/")), r.JudgeData)
        assert_type(client.plan("p", ["one"]), Plan)
        assert_type(client.call("health"), Any)
        events: Iterator[r.EventData] = client.events("approval.opened")
        assert_type(next(events).seq, int)
        client.ask(7)  # type: ignore[arg-type]
        client.ask("Deploy?", urgency="now")  # type: ignore[arg-type]
        client.run("make", nothing=1)  # type: ignore[call-arg]


async def waiting() -> None:
    async with AsyncClient() as client:
        asked: Awaitable[r.AnswerData] = client.ask("Deploy?")
        assert_type(await asked, r.AnswerData)
        assert_type((await client.run("make")).stdout, str)
        events: AsyncIterator[r.EventData] = client.events(since=3)
        async for event in events:
            assert_type(event.type, str)
        await client.status("x", wait="long")  # type: ignore[arg-type]
