"""The framing and the envelope: same lines in any chunking, one named error for each kind of garbage."""

from __future__ import annotations

import contextlib
import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core import errors, protocol, wire

ASK = b'{"jsonrpc":"2.0","id":1,"method":"human.ask","params":{"prompt":"yes?"}}'


def lines_of(chunks: list[bytes], limit: int = 1000) -> list[bytes]:
    buffer = wire.LineBuffer(limit, 2 * limit)
    found = []
    for chunk in chunks:
        buffer.feed(chunk)
        while (line := buffer.next()) is not None:
            found.append(line)
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(ends)]


@given(st.lists(st.binary(max_size=50).map(lambda b: b.replace(b"\n", b" "))), st.lists(st.integers(0, 10_000)))
def test_chunking_does_not_matter(lines: list[bytes], places: list[int]) -> None:
    """Fed whole, byte by byte or cut anywhere, the same lines come out; blank ones are dropped."""
    data = b"".join(line + b"\n" for line in lines)
    whole = [line for line in lines if line.strip()]
    assert lines_of([data]) == whole
    assert lines_of([bytes([byte]) for byte in data]) == whole
    assert lines_of(cut(data, places)) == whole


def test_a_line_over_the_limit_is_refused_before_it_is_whole() -> None:
    """The buffer never holds more than the limit, whether or not the newline has come."""
    with pytest.raises(errors.InvalidRequest, match="over 1000 bytes"):
        lines_of([b"x" * 600, b"x" * 600])
    with pytest.raises(errors.InvalidRequest, match="over 1000 bytes"):
        lines_of([b"x" * 1001 + b"\n"])


def test_hook_lines_may_be_longer_and_have_their_own_limit() -> None:
    """An agent's input is large; only lines that begin as hook.event requests get the larger limit."""
    hook = b'{"jsonrpc":"2.0","id":1,"method":"hook.event","params":{"input":"' + b"x" * 1500 + b'"}}'
    assert lines_of([hook + b"\n"]) == [hook]
    with pytest.raises(errors.InvalidRequest, match="over 2000 bytes"):
        lines_of([hook + b"x" * 1000])


def test_the_longest_input_of_a_hook_fits() -> None:
    """32 MiB, which the relay hands over, fit also where each of its characters is escaped."""
    assert len(msgspec.json.encode(chr(34) * (32 << 20))) + 4096 < protocol.HOOK_LINE_BYTES


def test_what_follows_the_last_line_is_kept_for_another_framing() -> None:
    """A popup's relay sends terminal bytes right behind its request."""
    buffer = wire.LineBuffer()
    buffer.feed(b"one\ntwo")
    assert buffer.next() == b"one"
    assert buffer.rest() == b"two"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"{", errors.ParseError),
        (b"hello", errors.ParseError),
        (b"[" * 100_000, errors.TmuxAgentError),
        (b'{"jsonrpc":"2.0","method":"hello","params":' + b"[" * 5000, errors.ParseError),
        (b"[]", errors.InvalidRequest),
        (b"[" + ASK + b"]", errors.InvalidRequest),
        (b"null", errors.InvalidRequest),
        (b'{"jsonrpc":"1.0","method":"hello","id":1}', errors.InvalidRequest),
        (b'{"jsonrpc":"2.0","method":7,"id":1}', errors.InvalidRequest),
        (b'{"jsonrpc":"2.0","method":"hello","id":1.5}', errors.InvalidRequest),
        (b'{"jsonrpc":"2.0","method":"hello","id":null}', errors.InvalidRequest),
        (b'{"jsonrpc":"2.0","method":"hello","id":true}', errors.InvalidRequest),
        (b'{"jsonrpc":"2.0","method":"hello","id":{}}', errors.InvalidRequest),
        (b'{"jsonrpc":"2.0","method":"hello","id":1,"key":"' + b"k" * 300 + b'"}', errors.InvalidRequest),
        (b'{"jsonrpc":"2.0","method":"\xff\xfe","id":1}', errors.NotText),
        (b"\xc3", errors.NotText),
        (b"\x00\x01\x02", errors.ParseError),
    ],
)
def test_garbage_gets_its_named_error(line: bytes, kind: type[Exception]) -> None:
    """Every malformed line raises one of our errors, with a message, and nothing else."""
    with pytest.raises(kind):
        wire.decode_request(line)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_our_errors(line: bytes) -> None:
    """Garbage gives a request or one of our errors; a traceback would be a defect."""
    with contextlib.suppress(errors.TmuxAgentError):
        wire.decode_params(wire.decode_request(line))


def test_unknown_methods_name_the_nearest() -> None:
    """A typo is answered with the word that was meant."""
    with pytest.raises(errors.UnknownMethod, match=r"human\.ask"):
        wire.decode_params(wire.decode_request(ASK.replace(b"human.ask", b"humna.ask")))


@pytest.mark.parametrize(
    ("params", "says"),
    [
        (b'{"prompt":1}', r"Expected `str`, got `int` - at `params\.prompt`"),
        (b'{"prompt":"a","x":1}', "unknown field `x`"),
        (b"{}", "required field `prompt`"),
        (b"[]", "Expected `object`"),
        (b'{"prompt":"a","urgency":"now"}', r"params\.urgency"),
    ],
)
def test_wrong_params_are_named_by_their_path(params: bytes, says: str) -> None:
    """The message says which member is wrong, and unknown members are errors."""
    with pytest.raises(errors.InvalidParams, match=says):
        wire.decode_params(wire.decode_request(ASK.replace(b'{"prompt":"yes?"}', params)))


def test_missing_params_are_empty_params() -> None:
    """A method without required params may be called without `params`, or with null."""
    for params in (b"", b',"params":null'):
        text = b'{"jsonrpc":"2.0","id":1,"method":"health"' + params + b"}"
        assert wire.decode_params(wire.decode_request(text)) == protocol.Health()


def test_unknown_top_level_members_are_ignored() -> None:
    """The envelope may grow."""
    assert wire.decode_request(ASK[:-1] + b',"later":1}').method == "human.ask"


def test_replies_and_errors_are_json_rpc() -> None:
    """A reply carries our request id, the time and the data; an error carries its kind."""
    reply = msgspec.json.decode(wire.reply_line(7, "01K", "2026-11-20T10:30:00.123Z", {"a": 1}))
    assert reply == {
        "jsonrpc": "2.0",
        "id": 7,
        "result": {"request_id": "01K", "timestamp": "2026-11-20T10:30:00.123Z", "data": {"a": 1}},
    }
    error = msgspec.json.decode(wire.error_line("x", errors.Denied("no", rule="r"), "01K", "t"))
    assert error["error"] == {
        "code": -32001,
        "message": "no",
        "data": {"request_id": "01K", "timestamp": "t", "kind": "denied", "rule": "r"},
    }


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        (rb"\ud800", "\ufffd"),
        (rb"\uDFFF\uD800x", "\ufffd\ufffdx"),
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\\ud800", r"\ud800"),
        (rb"\\\ud800\n", "\\\ufffd\n"),
    ],
)
def test_lone_surrogates_are_replaced_and_nothing_else(written: bytes, taken: str) -> None:
    """JavaScript writes them; pairs, escaped backslashes and other escapes keep their meaning."""
    params = wire.decode_params(wire.decode_request(ASK.replace(b"yes?", written)))
    assert isinstance(params, protocol.HumanAsk)
    assert params.prompt == taken


def test_bytes_that_are_not_utf8_can_be_told() -> None:
    """A path from the file system may hold any byte: the line is valid JSON all the same, and says which."""
    line = wire.encode({"path": b"a\xff".decode("utf-8", "surrogateescape")})
    assert msgspec.json.decode(line) == {"path": r"a\udcff"}


def test_whether_a_line_waits() -> None:
    """The connection asks before it takes its next turn."""
    buffer = wire.LineBuffer()
    buffer.feed(b"one\ntw")
    assert buffer.whole
    buffer.next()
    assert not buffer.whole
    assert buffer.next() is None
    buffer.feed(b"o\n")
    assert buffer.whole
