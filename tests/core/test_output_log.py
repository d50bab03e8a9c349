"""A reader that comes again: all bytes once, however they come and however it reads; what is gone is counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core.output_log import OutputLog

CUT = [b"\x1b[3", b"1mred\x1b[0m", b"\xc3", b"\xa9", b"\r", b"\n"]
PIECES = st.lists(st.binary(max_size=30) | st.sampled_from(CUT))


@given(pieces=PIECES, reads=st.lists(st.booleans()), most=st.integers(300, 500))
def test_nothing_is_lost_and_nothing_comes_twice(pieces: list[bytes], reads: list[bool], most: int) -> None:
    log, at, got = OutputLog(1 << 20), 0, b""
    for index, piece in enumerate(pieces):
        log.add(piece)
        if index < len(reads) and reads[index]:
            data, at, lost, missed = log.read(at, most)
            got += data
            assert (lost, missed) == (0, False)
    log.add(b" end")  # whatever was held back is whole now
    while True:
        data, at, lost, _ = log.read(at, most)
        got += data
        if not data:
            break
    assert got == b"".join(pieces) + b" end"


def test_what_is_no_longer_kept_is_counted() -> None:
    log = OutputLog(100)
    for number in range(100):
        log.add(b"%09d\n" % number)
    data, at, lost, missed = log.read(0, 1 << 20)
    assert (lost, at, missed) == (900, 1000, False)
    assert data == b"".join(b"%09d\n" % number for number in range(90, 100))


def test_escapes_characters_and_line_ends_are_given_whole() -> None:
    log = OutputLog(1000)
    for begun, rest in ((b"\x1b[38;5", b";1m"), (b"\xf0\x9f", b"\x99\x82"), (b"\r", b"\n"), (b"\x1b]0;ti", b"tle\x07")):
        at = log.next
        log.add(b"x" + begun)
        data, then, _, _ = log.read(at, 1000)
        assert data == b"x"
        log.add(rest)
        assert log.read(then, 1000)[0] == begun + rest


def test_what_went_by_unheard_is_told_once() -> None:
    log = OutputLog(1000)
    log.add(b"before")
    _, at, _, missed = log.read(0, 1000)
    assert not missed
    log.gap()
    log.add(b"after")
    data, then, _, missed = log.read(at, 1000)
    assert (data, missed) == (b"after", True)
    log.add(b"more")
    assert log.read(then, 1000)[3] is False
