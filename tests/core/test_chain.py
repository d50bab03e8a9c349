"""Tests of core/chain.py: what is sealed verifies, and nothing else does."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core import chain
from tmux_agent.core.model import Event, Origin, Role

ORIGIN = Origin(role=Role.AGENT, why="descends from claude", uid=1000, pid=41, agent="claude")


def lines(count: int) -> list[bytes]:
    """`count` sealed lines."""
    sealed, prev = [], chain.GENESIS
    for seq in range(1, count + 1):
        event = Event(type="action.started", request_id=f"R{seq}", origin=ORIGIN, data={"n": seq, "b": "ü"})
        sealed.append(chain.seal(seq, "2026-11-20T10:30:00.000000Z", event, prev))
        prev = chain.hash_of(sealed[-1])
    return sealed


def reseal(body: bytes) -> bytes:
    """What a forger who knows the hash rule writes: any body with its right hash."""
    return body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def test_what_is_sealed_verifies() -> None:
    """In one block or line by line, and its head is the last record."""
    sealed = lines(5)
    for blocks in ([b"".join(sealed)], sealed, []):
        found = chain.verify(blocks)
        assert found.ok
        assert found.records == (5 if blocks else 0)
    assert chain.verify(sealed).head == chain.Head(5, chain.hash_of(sealed[-1]))


def test_the_hash_is_of_the_bytes_before_it() -> None:
    """Anybody can check a line with sha256sum alone."""
    line = lines(1)[0]
    before, _, rest = line.partition(b',"hash":"')
    assert hashlib.sha256(before).hexdigest().encode() == rest[:64]
    assert json.loads(line)["prev"] == chain.GENESIS


def test_it_can_start_in_the_middle() -> None:
    """From the head before, the rest verifies; from another head it does not."""
    sealed = lines(5)
    assert chain.verify(sealed[2:], chain.Head(2, chain.hash_of(sealed[1]))).ok
    assert not chain.verify(sealed[2:], chain.Head(2, chain.hash_of(sealed[0]))).ok
    assert not chain.verify(sealed[2:]).ok


@pytest.mark.parametrize(
    ("change", "first_bad", "why"),
    [
        (lambda s: s[:2] + s[3:], 3, "missing or doubled"),
        (lambda s: [*s[:2], s[1], *s[2:]], 3, "missing or doubled"),
        (lambda s: [s[0], s[2], s[1], *s[3:]], 2, "missing or doubled"),
        (lambda s: [*s[:2], s[2].replace(b'"n":3', b'"n":4'), *s[3:]], 3, "was changed"),
        (lambda s: [*s[:2], s[2].replace(b'"n":3', b'"n": 3'), *s[3:]], 3, "not written as"),
        (lambda s: [*s[:2], b"\n", *s[2:]], 3, "not a record"),
        (lambda s: [*s[:2], b"\xff\xfe\n", *s[2:]], 3, "not a record"),
        (lambda s: [*s[:2], b"[" * 100_000 + b"\n", *s[2:]], 3, "not a record"),
        (lambda s: [*s[:4], s[4][:-9]], 5, "no end"),
        (lambda s: [*s[:4], s[4][:-1]], 5, "no end"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_the_first_bad_line_is_named(change, first_bad: int, why: str, whole: bool) -> None:  # type: ignore[no-untyped-def]
    """Removed, doubled, swapped, changed, respaced, foreign, torn: the line's number, and why."""
    bad = change(lines(5))
    found = chain.verify([b"".join(bad)] if whole else bad)
    assert (found.ok, found.first_bad, found.records) == (False, first_bad, first_bad - 1)
    assert why in found.why
    assert found.bad_seq is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"data":{', b'"data":{"n":9,'),
        (b'"type":', b'"type":"x","type":'),
        (b'"n":1', b'"n":1.0e0'),
        (b'"b":', b'"\\u0062":'),
        ("ü".encode(), b"\\u00fc"),
        (b'"data"', b'"extra":1,"data"'),
    ],
)
def test_a_right_hash_does_not_excuse_another_way_of_writing(old: bytes, new: bytes) -> None:
    """A member twice, an escape, another number format: two readers could see two records."""
    body = lines(1)[0].partition(b',"hash":"')[0]
    assert old in body
    assert not chain.verify([reseal(body.replace(old, new, 1))]).ok


def test_a_replaced_record_breaks_the_next_one() -> None:
    """Who rewrites a record with a right hash must rewrite all after it."""
    sealed = lines(3)
    sealed[1] = reseal(sealed[1].partition(b',"hash":"')[0].replace(b'"n":2', b'"n":7'))
    found = chain.verify([b"".join(sealed)])
    assert (found.first_bad, found.bad_seq) == (3, 3)
    assert "replaced" in found.why


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.characters(categories=["Cs"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.lists(inner, max_size=4).map(tuple)
    | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=20), _plain, max_size=5), st.text(max_size=30))
def test_any_data_can_be_sealed(data: dict[str, object], request_id: str) -> None:
    """Lone surrogates, huge integers, infinities, any nesting: one line that verifies."""
    line = chain.seal(1, "t", Event(type="x", request_id=request_id, data=data), chain.GENESIS)
    assert line.count(b"\n") == 1
    assert chain.verify([line]).ok


@pytest.mark.parametrize(
    "data",
    [
        {"text": "x" * 1_000_000},
        {"argv": ("y" * 1_000_000,)},
        {"many": ["y" * 5000] * 200},
        {"keys": {str(n): n for n in range(50_000)}},
    ],
)
def test_a_line_is_bounded(data: dict[str, object]) -> None:
    """What is too long is cut, says so, and keeps the digest of the whole."""
    line = chain.seal(1, "t", Event(type="x", data=data), chain.GENESIS)
    assert len(line) <= chain.MAX_LINE + 200
    assert b"sha256" in line
    assert chain.verify([line]).ok
