"""The control-mode codec: how bytes become events, and that no value breaks out of a command line."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.patience import PATIENCE

from tmux_agent.core import control_mode, errors
from tmux_agent.core.control_mode import Block, Decoder, Notification

STREAM = (
    b"%begin 1 5 0\n%end 1 5 0\n%session-changed $3 main\n"
    b"%begin 2 6 1\nfirst\n%end 9 9 1\n%output %1 x\n\n%end 2 6 1\n"
    b"%begin 2 7 1\nparse error: unknown command: x\n%error 2 7 1\n%exit\n"
)
EVENTS = [
    Block(5, True, False, ()),
    Notification("session-changed", b"$3 main"),
    Block(6, True, True, (b"first", b"%end 9 9 1", b"%output %1 x", b"")),
    Block(7, False, True, (b"parse error: unknown command: x",)),
    Notification("exit", b""),
]


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_do_not_depend_on_how_bytes_arrive(cuts: list[int]) -> None:
    """The same stream gives the same events, wherever reads cut it; foreign guards inside a block are text."""
    edges = [0, *sorted(cuts), len(STREAM)]
    decoder = Decoder()
    got = [event for a, b in itertools.pairwise(edges) for event in decoder.feed(STREAM[a:b])]
    assert got == EVENTS


@given(st.binary(max_size=400))
def test_decoder_survives_any_bytes(data: bytes) -> None:
    """Whatever tmux, or someone in its place, sends: events or nothing, never an exception."""
    for event in Decoder().feed(data):
        assert isinstance(event, Block | Notification)


def test_line_without_end_is_bounded() -> None:
    """A line that never ends stops the connection, not the machine's memory."""
    decoder = Decoder()
    with pytest.raises(errors.Unavailable, match="dropped"):
        list(decoder.feed(b"x" * (control_mode.LINE_BYTES + 1)))


def test_block_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that never ends stops the connection as well."""
    monkeypatch.setattr(control_mode, "BLOCK_BYTES", 100)
    decoder = Decoder()
    with pytest.raises(errors.Unavailable, match="dropped"):
        list(decoder.feed(b"%begin 1 1 1\n" + b"y\n" * 60))


@pytest.mark.parametrize("bad", ["a\0b", "\ud800"])
def test_what_tmux_cannot_carry_is_refused(bad: str) -> None:
    """NUL and lone surrogates get an error that says so."""
    with pytest.raises(errors.InvalidParams):
        control_mode.quote(bad)


def test_empty_line_cannot_be_written() -> None:
    """An empty line would detach the client, so none can be made."""
    with pytest.raises(ValueError, match="detaches"):
        control_mode.line([])
    with pytest.raises(ValueError, match="detaches"):
        control_mode.line([()])


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_quoted_text_stays_on_one_line(text: str) -> None:
    """No text brings a line end or a closing quote of its own."""
    quoted = control_mode.quote(text)
    assert b"\n" not in quoted
    assert b"\r" not in quoted
    assert b'"' not in quoted[1:-1]


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Echo]:
    """A real tmux server that gives back what it understood."""
    tool = Echo(tmp_path_factory.mktemp("quote") / "s")
    yield tool
    tool.close()


class Echo:
    """Sets a variable to a value through one quoted control-mode line, and reads it back byte by byte."""

    def __init__(self, socket: Path) -> None:
        self._process = subprocess.Popen(
            ["tmux", "-u", "-S", str(socket), "-f", "/dev/null", "-C", "new-session", "-s", "q", "cat", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        self._decoder = Decoder()
        self._file = socket.with_name("buffer")

    def understood(self, value: str) -> bytes:
        # A file gets a buffer byte by byte, where a format would be read again.
        self._run(["set-buffer", "-b", "q", "--", value + "."], ["save-buffer", "-b", "q", str(self._file)])
        return self._file.read_bytes()

    def _run(self, *commands: list[str]) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(control_mode.line(commands))
        left = len(commands)
        while left:
            for event in self._decoder.feed(self._process.stdout.read(65536)):
                if isinstance(event, Block) and event.ours:
                    assert event.ok, event
                    left -= 1

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(control_mode.line([["kill-server"]]))
        self._process.communicate(timeout=PATIENCE)


AWKWARD = st.text(st.sampled_from("aZ09 ~$%#{}'\"\\;\n\r\t*[](),=:&|<>`!-é漢🙂\x1b\x7f\x01"), max_size=40)


@settings(max_examples=150)
@given(value=AWKWARD | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60))
def test_real_tmux_understands_exactly_the_value(echo: Echo, value: str) -> None:
    """A quoted value reaches tmux as it is, whatever tmux's own language would make of it."""
    assert echo.understood(value) == value.encode() + b"."
