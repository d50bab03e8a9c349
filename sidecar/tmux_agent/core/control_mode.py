"""tmux's control mode as values: bytes in, events out; commands in, one safe line out.

Owns the grammar of `tmux -C` (man tmux, CONTROL MODE) and the quoting of tmux's command language (man tmux,
PARSING SYNTAX). Must not own: processes, sockets, which command means what.

A pane's text can stand inside a block, so a block ends only at the guard with its own time, number and flags. Someone
who guesses those can still end it early: callers that fetch foreign text append a command whose answer nobody can
guess, and distrust the connection if that answer does not come next (services/tmux/connection.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from tmux_agent.core import errors

LINE_BYTES = 4 * 1024 * 1024  # one line from tmux; the longest real ones are lists of a few hundred kB
BLOCK_BYTES = 32 * 1024 * 1024  # one answer; a capture of a whole history stays below

_GUARD = re.compile(rb"%(begin|end|error) (\d+) (\d+) (\d+)")
# All but these are written as octal escapes inside double quotes, where nothing else is special.
_SPECIAL = re.compile(rb"[^a-zA-Z0-9 _+=.,:@/%\x80-\xff-]")


class Block(Struct, frozen=True):
    """The answer to one command. `ours` is true for commands that this client wrote, false for start-up and hooks."""

    number: int
    ok: bool
    ours: bool
    lines: tuple[bytes, ...]


class Notification(Struct, frozen=True):
    """A line outside every block: `%name args`. `args` is what follows the name, undecoded."""

    name: str
    args: bytes


Event = Block | Notification


class Decoder:
    """Turns the bytes of one control client into events, however they are cut.

    `feed` raises errors.Unavailable when a line or a block is over its limit; the connection is then of no more use.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._guard: tuple[bytes, bytes, bytes] | None = None
        self._lines: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that `data` completes, oldest first. What is unfinished is kept for the next call."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES:
            raise errors.Unavailable(f"tmux sent a line of more than {LINE_BYTES} bytes: connection dropped")
        for line in lines:
            event = self._line(line)
            if event is not None:
                yield event

    def _line(self, line: bytes) -> Event | None:
        guard = _GUARD.fullmatch(line)
        if self._guard is None:
            return self._outside(line, guard)
        if guard is not None and guard[1] != b"begin" and guard.groups()[1:] == self._guard:
            block = Block(int(guard[3]), guard[1] == b"end", int(guard[4]) & 1 == 1, tuple(self._lines))
            self._guard, self._lines, self._size = None, [], 0
            return block
        self._size += len(line) + 1
        if self._size > BLOCK_BYTES:
            raise errors.Unavailable(f"tmux sent an answer of more than {BLOCK_BYTES} bytes: connection dropped")
        self._lines.append(line)
        return None

    def _outside(self, line: bytes, guard: re.Match[bytes] | None) -> Event | None:
        if guard is not None and guard[1] == b"begin":
            self._guard = (guard[2], guard[3], guard[4])
            return None
        if not line.startswith(b"%"):
            return None
        name, _, args = line[1:].partition(b" ")
        return Notification(name.decode("ascii", "replace"), args)


def quote(argument: str) -> bytes:
    """`argument` as one word of tmux's command language, with no byte that tmux, or the line framing, could act on.

    Undecodable bytes (surrogate-escaped) pass unchanged. Raises errors.InvalidParams for what tmux cannot carry: NUL
    and lone surrogates.
    """
    try:
        raw = argument.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise errors.InvalidParams(f"tmux cannot take this text: {error.reason} at {error.start}") from None
    if b"\0" in raw:
        raise errors.InvalidParams("tmux cannot take a NUL character; remove it from the text")
    return b'"' + _SPECIAL.sub(lambda match: b"\\%03o" % ord(match[0]), raw) + b'"'


def line(commands: Iterable[Sequence[str]]) -> bytes:
    """One line that runs `commands` in order, stopping at the first that fails. Never empty: that would detach us."""
    words = [b" ".join(quote(argument) for argument in argv) for argv in commands]
    if not words or not all(words):
        raise ValueError("an empty command line detaches a control client")
    return b" ; ".join(words) + b"\n"
