"""Bytes on a real socket of a real sidecar: whatever comes gets an error by name or an answer, and others go on."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
from collections.abc import Iterator

import pytest
from tests.patience import PATIENCE
from tests.sidecar import Peer, Sidecar, sidecar

HELLO = b'{"jsonrpc":"2.0","id":"h","method":"hello"}\n'
LIMITS = {
    "TMUX_AGENT_LIMITS_LINE_BYTES": "100000",
    "TMUX_AGENT_LIMITS_QUEUE_BYTES": "2000000",
    "TMUX_AGENT_LIMITS_STALLED_SECONDS": "0.3",
    "TMUX_AGENT_LIMITS_IN_FLIGHT": "20",
    "TMUX_AGENT_LIMITS_CONNECTIONS": "12",
}


@pytest.fixture(scope="module")
def running() -> Iterator[Sidecar]:
    """One for the whole module, with small limits; every test must leave it well."""
    with sidecar() as one:
        yield one.start(**LIMITS)


@pytest.fixture
def peer(running: Sidecar) -> Iterator[Peer]:
    one = running.agent()
    yield one
    one.close()


def error_of(peer: Peer, data: bytes) -> tuple[int, str, object]:
    peer.send(data)
    reply = peer.reply()
    return reply["error"]["code"], reply["error"]["data"]["kind"], reply["id"]


@pytest.mark.parametrize(
    ("line", "code", "kind"),
    [
        (b"{", -32700, "parse"),
        (b"hello", -32700, "parse"),
        (b'{"jsonrpc":"2.0","id":1,"method":"hello","params":' + b"[" * 20_000, -32700, "parse"),
        (b"[" * 50_000, -32600, "invalid_request"),
        (b"\x00\x01\x02", -32700, "parse"),
        (b"[]", -32600, "invalid_request"),
        (b"[" + HELLO.strip() + b"]", -32600, "invalid_request"),
        (b"7", -32600, "invalid_request"),
        (b'{"jsonrpc":"1.0","id":1,"method":"hello"}', -32600, "invalid_request"),
        (b'{"jsonrpc":"2.0","id":null,"method":"hello"}', -32600, "invalid_request"),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"hello"}', -32600, "invalid_request"),
        (b'{"jsonrpc":"2.0","id":1,"method":"human.aks"}', -32601, "unknown_method"),
        (b'{"jsonrpc":"2.0","id":1,"method":"hello","params":{"x":1}}', -32602, "invalid_params"),
        (b'{"jsonrpc":"2.0","id":1,"method":"human.ask"}', -32602, "invalid_params"),
        (b'{"jsonrpc":"2.0","id":1,"method":"human.ask","params":[1]}', -32602, "invalid_params"),
    ],
)
def test_malformed_lines_get_their_error_and_the_connection_lives(
    peer: Peer, line: bytes, code: int, kind: str
) -> None:
    """A bad line is named by code and kind; the next line of the same client is answered."""
    assert error_of(peer, line + b"\n")[:2] == (code, kind)
    assert peer.call("hello")["server"] == "tmux-agent"


@pytest.mark.parametrize("line", [b"x" * 100_001, b'{"jsonrpc":"2.0","method":"\xff"}\n', b"x" * 100_001 + b"\n"])
def test_too_long_and_not_utf8_close_the_connection(running: Sidecar, peer: Peer, line: bytes) -> None:
    """There is no telling where the next request would begin: one error, then the end; others go on."""
    assert error_of(peer, line)[0] == -32600
    assert peer.closed
    other = running.agent()
    assert other.call("hello")
    other.close()


def test_hook_input_has_its_own_limit(peer: Peer) -> None:
    """A hook's line may be longer than other lines: it is judged, not refused."""
    params = {"agent": "claude", "event": "PreToolUse", "input": "x" * 300_000}
    assert "error" not in peer.request("hook.event", params)


def test_slow_and_split_lines(peer: Peer) -> None:
    """Byte by byte, or with the next line in the same chunk: the same requests."""
    for byte in HELLO:
        peer.send(bytes([byte]))
    peer.send(HELLO * 3 + HELLO[:10])
    peer.send(HELLO[10:])
    assert [peer.reply()["id"] for _ in range(5)] == ["h"] * 5


def test_a_lone_surrogate_is_no_reason_to_refuse(peer: Peer) -> None:
    """JavaScript sends them; the text is taken with U+FFFD in their place, pairs stay what they are."""
    text = rb'{"jsonrpc":"2.0","id":1,"method":"policy.check","params":{"shell":"ls \ud800 \ud83d\ude00 \\ud800"}}'
    peer.send(text + b"\n")
    part = peer.reply()["result"]["data"]["parts"][0]["source"]
    assert part == "ls \ufffd \U0001f600 \\ud800"


def test_notifications_are_not_answered(peer: Peer) -> None:
    """No id, no reply, not even an error; the next request is the first that is answered."""
    peer.send(b'{"jsonrpc":"2.0","method":"hello"}\n{"jsonrpc":"2.0","method":"nonsense"}\n' + HELLO)
    assert peer.reply()["id"] == "h"


def test_answers_come_as_they_are_ready(peer: Peer) -> None:
    """A question that waits holds up nothing behind it."""
    waits = peer.start("human.ask", {"prompt": "well?"})
    peer.start("command.run", {"command": "allowed", "args": ["one"]})
    quick = peer.start("hello")
    order = [peer.reply()["id"], peer.reply()["id"]]
    assert order[0] == quick
    assert waits not in order


def test_cancel_withdraws(running: Sidecar, peer: Peer) -> None:
    """A cancelled question gets one answer, `withdrawn`, and no longer waits for anybody."""
    number = peer.start("human.ask", {"prompt": "cancelled"})
    while not peer.call("human.pending")["approvals"]:
        pass
    peer.send(json.dumps({"jsonrpc": "2.0", "method": "cancel", "params": {"id": number}}).encode() + b"\n")
    assert peer.reply_to(number)["error"]["data"]["kind"] == "withdrawn"
    assert peer.call("human.pending")["approvals"] == []
    assert any(one["type"] == "approval.withdrawn" for one in running.records())


def test_cancel_before_it_has_begun(peer: Peer) -> None:
    """Request and cancel in one chunk: it is answered once, and its id may be used again."""
    ask = b'{"jsonrpc":"2.0","id":"a","method":"human.ask","params":{"prompt":"x"}}\n'
    cancel = b'{"jsonrpc":"2.0","method":"cancel","params":{"id":"a"}}\n'
    for _ in range(2):
        peer.send(ask + cancel)
        assert peer.reply()["error"]["data"]["kind"] == "withdrawn"


def test_an_id_in_flight_is_not_taken_twice(peer: Peer) -> None:
    """The second request with an id that is in flight is refused; the first goes on."""
    ask = b'{"jsonrpc":"2.0","id":"a","method":"human.ask","params":{"prompt":"x"}}\n'
    assert error_of(peer, ask + ask) == (-32600, "invalid_request", "a")
    while len(peer.call("human.pending")["approvals"]) != 1:
        pass


def test_leaving_withdraws(running: Sidecar) -> None:
    """A client that disconnects takes its questions along."""
    peer, other = running.agent(), running.operator()
    peer.start("human.ask", {"prompt": "leaving"})
    while not (found := other.call("human.pending")["approvals"]):
        pass
    peer.close()
    number = other.start("human.status", {"request_id": found[0]["request_id"], "wait_secs": 10})
    assert other.reply_to(number)["result"]["data"]["state"] == "withdrawn"


def test_half_closed_clients_get_their_answers(running: Sidecar) -> None:
    """`… | socat - UNIX-CONNECT:…`: the writing side is closed, the answers still come, then the end."""
    peer = running.agent()
    peer.send(
        b'{"jsonrpc":"2.0","id":1,"method":"command.run","params":{"command":"allowed","args":["half"]}}\n' + HELLO
    )
    peer.socket.shutdown(socket.SHUT_WR)
    assert {peer.reply()["id"], peer.reply()["id"]} == {1, "h"}
    assert peer.closed


def test_half_closed_and_then_gone(running: Sidecar) -> None:
    """A client that closed its writing side is still noticed when it goes: its question is withdrawn."""
    peer, other = running.agent(), running.operator()
    peer.start("human.ask", {"prompt": "half"})
    peer.socket.shutdown(socket.SHUT_WR)
    while not (found := other.call("human.pending")["approvals"]):
        pass
    peer.close()
    number = other.start("human.status", {"request_id": found[0]["request_id"], "wait_secs": 10})
    assert other.reply_to(number)["result"]["data"]["state"] == "withdrawn"


def test_half_a_line_at_the_end_is_said_to_be(peer: Peer) -> None:
    """A request without its newline is not done, and that is said."""
    peer.send(HELLO.strip())
    peer.socket.shutdown(socket.SHUT_WR)
    assert "newline" in peer.reply()["error"]["message"]
    assert peer.closed


def test_more_in_flight_than_allowed_waits(peer: Peer) -> None:
    """Over the limit a client is not read for a while: all is answered in the end."""
    numbers = [peer.start("command.run", {"command": "allowed", "args": [f"f{n}"]}) for n in range(60)]
    assert sorted(peer.reply()["id"] for _ in numbers) == numbers


def test_a_client_that_never_reads_is_dropped(running: Sidecar, peer: Peer) -> None:
    """It costs bounded memory and time, and the others are answered meanwhile."""
    deaf = running.agent()
    deaf.socket.setblocking(False)
    try:
        while True:
            deaf.socket.send(HELLO * 100)
            assert peer.call("hello")
    except BlockingIOError:
        pass  # it is not read any more
    except (BrokenPipeError, ConnectionResetError):
        return  # it is dropped already
    deaf.socket.settimeout(PATIENCE)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        deaf.send(HELLO * 100_000)  # blocks until we are dropped
    assert peer.call("hello")
    assert "does not read" in running.log.read_text()


def test_a_client_that_reads_late_loses_nothing(peer: Peer) -> None:
    """More replies than the queue holds, read only after a while: slower, but all of them."""
    count = 4000
    sender = os.fork()
    if sender == 0:
        peer.socket.sendall(HELLO * count)
        os._exit(0)
    for _ in range(count):
        assert peer.line()
    os.waitpid(sender, 0)


def test_a_client_that_sends_without_end_is_not_read_ahead(peer: Peer) -> None:
    """It reads its replies, so nothing else holds it up: what it has sent and we have not answered stays bounded."""
    peer.socket.setblocking(False)
    sent = answered = most = 0
    unsent = b""
    while answered < 10_000:
        _, writable, _ = select.select([], [peer.socket], [], 0)
        if writable:
            unsent = unsent or HELLO * 1000
            count = peer.socket.send(unsent)
            sent, unsent = sent + count, unsent[count:]
        if select.select([peer.socket], [], [], 0)[0]:
            answered += peer.socket.recv(1 << 20).count(b"\n")
        most = max(most, sent - answered * len(HELLO))
    assert most < 1 << 20  # the kernel's buffer, and what one read takes


def test_too_many_connections(running: Sidecar) -> None:
    """One too many is told so and closed, a person still gets in; when one has gone, the next does."""
    peers = [running.connect()]
    while "result" in (reply := json.loads(peers[-1].line_after(HELLO))):
        assert len(peers) < 50
        peers.append(running.connect())
    assert reply["error"]["data"]["kind"] == "limit"
    assert peers[-1].closed
    assert running.operator().call("health")
    for peer in peers:
        peer.close()
    again = running.agent()
    assert again.call("hello")
    again.close()


@pytest.mark.skipif(not os.path.exists("/usr/bin/socat"), reason="socat is not installed")
def test_socat(running: Sidecar) -> None:
    """What docs/protocol.md tells people to try by hand."""
    argv = ["socat", "-t5", "-", f"UNIX-CONNECT:{running.socket}"]
    found = subprocess.run(argv, input=HELLO, capture_output=True, timeout=PATIENCE, check=True)
    assert json.loads(found.stdout)["id"] == "h"
