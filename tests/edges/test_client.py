"""The Python client, blocking and asyncio, against a real sidecar that goes away and comes back.

Its connections are made by a child process and handed over, so that the operator of a test does not descend from the
asker; the kill test (end_to_end) uses clients as they are.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE
from tests.sidecar import Peer, Sidecar, sidecar

from tmux_agent.client import AsyncClient, Client, talking
from tmux_agent.core import errors, replies

ROOT = Path(__file__).parents[2]


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sidecar]:
    """A running one; clients made in the test speak for a child."""
    with sidecar() as found:
        real, child = talking.connect, found.connector(at_terminal=False)

        def connect(environ: Mapping[str, str]) -> socket.socket:
            real(environ).close()  # what it raises where nobody listens, is wanted
            return child()

        monkeypatch.setattr(talking, "connect", connect)
        yield found.start()


def answer_next(operator: Peer, approved: bool = True, **more: Any) -> None:
    while not (found := operator.call("human.pending")["approvals"]):
        pass
    (waits,) = found
    params = {"request_id": waits["request_id"], "digest": waits["digest"], "approved": approved}
    operator.call("human.respond", params | more)


def beside(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_methods_give_their_types(one: Sidecar) -> None:
    """Each gives its Struct; errors are the classes of core/errors.py."""
    with Client(one.socket, name="typed") as client:
        assert isinstance(client.hello(), replies.HelloData)
        assert client.run("allowed", "typed").exit_code == 0
        written = client.write("file", "content")
        assert written.bytes == 7
        assert client.read("file").content == "content"
        assert client.edit("file", "content", "other").replacements == 1
        assert "file" in [entry.name for entry in client.entries(".").entries]
        assert client.check("ls -l").verdict.value == "allow"
        assert client.would_run("nc", "x").verdict.value == "deny"
        assert [agent.name for agent in client.agents().agents] == ["typed"]
        assert client.call("policy.check", {"shell": "ls -l"})["verdict"] == "allow"
        with pytest.raises(errors.Denied) as denied:
            client.run("nc", "x")
        assert denied.value.data["rule"] == "no netcat"
        with pytest.raises(errors.NotFound):
            client.status("nothing")
        with pytest.raises(errors.UnknownMethod):
            client.call("nothing")
        with pytest.raises(errors.InvalidParams):
            client.call("hello", {"x": 1})


def test_an_answer_and_a_refusal(one: Sidecar) -> None:
    """A yes is data, a no is Denied with the person's words."""
    operator = one.operator()
    with Client(one.socket) as client:
        thread = beside(lambda: answer_next(operator, comment="go"))
        assert client.ask("may I?").comment == "go"
        thread.join()
        thread = beside(lambda: answer_next(operator, approved=False, comment="not now"))
        with pytest.raises(errors.Denied, match="not now"):
            client.ask("may I?")
        thread.join()


def test_a_question_survives_the_sidecar(one: Sidecar) -> None:
    """Killed and started again, the same question waits once, and its answer arrives."""

    def restart_and_answer() -> None:
        operator = one.operator()
        while not operator.call("human.pending")["approvals"]:
            pass
        one.kill()
        one.start()
        answer_next(one.operator())

    with Client(one.socket, patience=PATIENCE) as client:
        thread = beside(restart_and_answer)
        assert client.ask("still there?").approved
        thread.join()
    assert [record["type"] for record in one.records()].count("approval.opened") == 1


def test_a_stop_leaves_questions_to_the_next(one: Sidecar) -> None:
    """Stopped in order, too: nothing is withdrawn, and the client goes on waiting."""

    def restart_and_answer() -> None:
        operator = one.operator()
        while not operator.call("human.pending")["approvals"]:
            pass
        one.stop()
        one.start()
        answer_next(one.operator())

    async def asks() -> replies.AnswerData:
        async with AsyncClient(one.socket, patience=PATIENCE) as client:
            return await client.ask("still there?")

    thread = beside(restart_and_answer)
    assert asyncio.run(asks()).approved
    thread.join()


def test_patience_ends(one: Sidecar) -> None:
    """A sidecar that stays away is Unavailable, at once or after `patience`, with what was tried."""
    with Client(one.socket, patience=0.2) as client:
        client.hello()
        one.kill()
        with pytest.raises(errors.Unavailable, match=r"no sidecar answers|has gone"):
            client.hello()

    async def waits() -> None:
        async with AsyncClient(one.socket, patience=0) as client:
            await client.hello()

    with pytest.raises(errors.Unavailable, match="sidecar start"):
        asyncio.run(waits())


def test_what_may_not_be_done_twice_is_not_sent_twice(tmp_path: Path) -> None:
    """Where the connection ends before the answer, a method without a key says so instead of trying again."""
    path = tmp_path / "s"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    lines: list[bytes] = []

    def serve() -> None:
        peer, _ = listener.accept()
        lines.append(peer.recv(1 << 16))
        peer.close()

    with listener, Client(path, patience=5) as client:
        thread = beside(serve)
        with pytest.raises(errors.Unavailable, match="look whether it was done"):
            client.plan("p", ["one"])
        thread.join()
    assert len(lines) == 1


def test_events_go_on_after_a_restart(one: Sidecar) -> None:
    """What happened meanwhile is told once, in order; both clients."""
    with Client(one.socket) as client:
        begun = client.call("events.subscribe")["seq"]
        events = client.events("approval.opened", since=begun)
        client.ask_async("first")
        first = next(events)
        one.kill()
        one.start()
        client.ask_async("second")
        second = next(events)
    assert [event.data["action"]["prompt"] for event in (first, second)] == ["first", "second"]

    async def again() -> list[replies.EventData]:
        async with AsyncClient(one.socket) as other:
            found = other.events("approval.opened", since=begun)
            return [event async for event in first_of(found, 2)]

    assert asyncio.run(again()) == [first, second]


async def first_of(events: AsyncIterator[replies.EventData], count: int) -> AsyncIterator[replies.EventData]:
    async for event in events:
        yield event
        count -= 1
        if not count:
            return


def test_many_at_once_and_one_cancelled(one: Sidecar) -> None:
    """One asyncio connection carries any number; a cancelled wait withdraws its question and nothing else."""

    async def run() -> None:
        async with AsyncClient(one.socket) as client:
            asked = asyncio.ensure_future(client.ask("cancelled"))
            found = await asyncio.gather(*(client.check("ls -l") for _ in range(500)))
            assert {one.verdict.value for one in found} == {"allow"}
            while not (await client.call("human.pending"))["approvals"]:
                pass
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            while (await client.call("human.pending"))["approvals"]:
                pass

    asyncio.run(run())


def test_where_the_client_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment's socket, then the pointer in the state folder; one that was named, and no other."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "socket").write_text("/elsewhere/s\n")
    environ = {"XDG_RUNTIME_DIR": str(tmp_path), "TMUX_AGENT_STATE_DIR": str(state), "HOME": "/"}
    assert list(talking.sockets(environ)) == [tmp_path / "tmux-agent.sock", Path("/elsewhere/s")]
    assert list(talking.sockets(environ | {"TMUX_AGENT_SOCKET": "/named"})) == [Path("/named")]


def test_types_for_programs() -> None:
    """mypy --strict agrees with what the sample says of every type, and objects to what is wrong in it."""
    argv = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "tests/typing/sample_client.py"]
    found = subprocess.run(
        argv, capture_output=True, text=True, cwd=ROOT, env={"MYPYPATH": "sidecar", "PATH": "/usr/bin"}
    )
    assert found.returncode == 0, found.stdout + found.stderr
