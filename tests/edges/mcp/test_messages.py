"""Lines and JSON-RPC's own errors: whatever comes in, in whatever pieces."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.edges.mcp.messages import BATCH, MESSAGE_BYTES, Lines, Message, Refused, parse, parse_batch


def refused(line: bytes | None) -> tuple[int, object, str]:
    with pytest.raises(Refused) as found:
        parse(line)
    return found.value.code, found.value.id, found.value.message


@given(st.lists(st.binary(max_size=12)), st.binary(max_size=5))
def test_lines_do_not_depend_on_the_pieces(chunks: list[bytes], rest: bytes) -> None:
    """The same bytes in any pieces are the same lines, without blank ones; one over the limit is None."""
    whole = b"".join(chunks) + rest
    one, many = Lines(limit=8), Lines(limit=8)
    found = [line for chunk in [*chunks, rest] for line in many.feed(chunk)]
    assert found == one.feed(whole)
    expected = [line if len(line) <= 8 else None for line in whole.split(b"\n")[:-1]]
    assert found == [line for line in expected if line is None or line.strip()]


def test_a_message_after_one_that_was_too_long() -> None:
    """What is over the limit is dropped up to its end, and no further."""
    lines = Lines(limit=8)
    assert lines.feed(b"0123456") == []
    assert lines.feed(b"789") == []
    assert lines.feed(b"\n{}\n") == [None, b"{}"]
    assert refused(None)[:2] == (-32600, None)


def test_requests_and_notifications() -> None:
    """Ids are kept as they are; other members of the message are not minded."""
    assert parse(b'{"jsonrpc":"2.0","id":0,"method":"ping","x":[]}') == Message("ping", {}, 0)
    assert parse(b'{"jsonrpc":"2.0","id":"","method":"a","params":{"b":1}}') == Message("a", {"b": 1}, "")
    assert parse(b'{"jsonrpc":"2.0","method":"a","params":null}\r') == Message("a", {})


def test_what_javascript_sends() -> None:
    """A lone half of a surrogate pair is replaced, not refused."""
    found = parse(b'{"jsonrpc":"2.0","id":1,"method":"a","params":{"b":"\\ud83d"}}')
    assert found == Message("a", {"b": "\ufffd"}, 1)


@pytest.mark.parametrize(
    ("line", "code", "id"),
    [
        (b"\x00\xff\xfe", -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', -32700, None),
        (b"GET / HTTP/1.1", -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"a"', -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"a","params":' + b"[" * 100_000, -32700, None),
        (b"[]", -32600, None),
        (b'[{"jsonrpc":"2.0","id":1,"method":"a"}]', -32600, None),
        (b'"ping"', -32600, None),
        (b"{}", -32600, None),
        (b'{"jsonrpc":"2.0","id":7}', -32600, 7),
        (b'{"jsonrpc":"1.0","id":7,"method":"a"}', -32600, 7),
        (b'{"id":"x","method":"a"}', -32600, "x"),
        (b'{"jsonrpc":"2.0","id":7,"method":["a"]}', -32600, 7),
        (b'{"jsonrpc":"2.0","id":null,"method":"a"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"a"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":true,"method":"a"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":{},"method":"a"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":7,"method":"a","params":[1]}', -32602, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"a","params":"x"}', -32602, 7),
    ],
)
def test_what_is_no_request(line: bytes, code: int, id: object) -> None:
    """Each gets JSON-RPC's error for it, under its id where one can be read."""
    assert refused(line)[:2] == (code, id)


def test_a_message_that_is_too_long_is_refused_by_its_id() -> None:
    """Its sender would wait for ever, else."""
    line = json.dumps({"jsonrpc": "2.0", "method": "a", "params": {"b": "x" * MESSAGE_BYTES}, "id": 7}).encode()
    code, id, message = refused(line)
    assert (code, id) == (-32600, 7)
    assert str(MESSAGE_BYTES) in message


def test_nothing_is_said_to_replies_and_wrong_notifications() -> None:
    """We ask nothing, so a reply is a mistake; and a notification is never answered."""
    assert parse(b'{"jsonrpc":"2.0","id":1,"result":{}}') is None
    assert parse(b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}') is None
    assert parse(b'{"jsonrpc":"2.0","method":"a","params":[]}') is None


@given(st.binary() | st.text().map(str.encode) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["jsonrpc", "id", "method", "params"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_nothing_else_is_raised(line: bytes) -> None:
    """Any line is a message, nothing, or refused."""
    with contextlib.suppress(Refused):
        parse(line)


def test_batches_are_bounded() -> None:
    """Neither none nor too many."""
    assert parse_batch(b'[{"a": 1}, 2]') == [b'{"a": 1}', b"2"]
    for wrong in (b"[]", b"[" + b"1," * BATCH + b"1]", b"[1", b"[\xff]", b"[" * 100_000):
        with pytest.raises(Refused):
            parse_batch(wrong)
