"""One control-mode client of tmux: a child process, lines written, answers matched to them.

Owns the process and the pairing. Must not own: what the commands mean, sessions, reconnecting (control.py).

tmux answers in the order it was asked. Of a line with several commands it answers each that ran: after one that fails
the rest are skipped and get no answer.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import secrets
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence

from tmux_agent.core import control_mode, errors

ANSWER_SECONDS = 20.0  # a tmux that takes longer for one command hangs
SAID_BYTES = control_mode.LINE_BYTES  # that a tmux process of its own may print

Argv = Sequence[str]


def environment() -> dict[str, str]:
    """Ours without what says that we are inside tmux: a client would refuse to attach from there."""
    return {name: value for name, value in os.environ.items() if name not in ("TMUX", "TMUX_PANE")}


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _die_with_us() -> None:
    """In the child: ends with the thread that started it, the event loop's.

    Its input's end does not always make it leave: while tmux has something to write that nobody reads, it stays.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Pending:
    """A line that was written: how many answers it still gets, and where they go."""

    __slots__ = ("answers", "commands", "count", "future")

    def __init__(self, commands: list[Argv], future: asyncio.Future[list[list[str]]], inner: int) -> None:
        self.commands = commands
        self.count = len(commands) + inner
        self.future = future
        self.answers: list[list[str]] = []


class Connection:
    """A control client that is attached. `notify` gets every notification, in the event loop."""

    def __init__(
        self, process: asyncio.subprocess.Process, notify: Callable[[control_mode.Notification], None]
    ) -> None:
        self._process = process
        self._notify = notify
        self._pending: deque[_Pending] = deque()
        self._reader = asyncio.get_running_loop().create_task(self._read())
        self._attached = asyncio.get_running_loop().create_future()
        self.closed = asyncio.Event()

    @classmethod
    async def open(cls, argv: Argv, notify: Callable[[control_mode.Notification], None]) -> Connection:
        """Starts `argv` (a `tmux … -C …` that attaches) and returns when tmux has attached it.

        Raises errors.Unavailable with tmux's words when it could not.
        """
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            limit=control_mode.LINE_BYTES,
            env=environment(),
            preexec_fn=_die_with_us,
        )
        connection = cls(process, notify)
        try:
            # Not wait_for: on Python 3.11 it can swallow a cancellation.
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.shield(connection._attached)
        except (errors.Unavailable, TimeoutError):
            await connection.close()
            raise errors.Unavailable(f"tmux did not attach: {connection._why()}") from None
        return connection

    def _why(self) -> str:
        done = self._attached.done() and not self._attached.cancelled()
        return str(self._attached.exception()) if done else "no answer"

    async def line(
        self, commands: Sequence[Argv], *, timeout: float | None = ANSWER_SECONDS, inner: int = 0
    ) -> list[list[str]]:
        """Runs `commands` as one line: nothing of anybody else comes between them. `inner`: how many an if-shell among
        them runs, each of which is answered, too.

        Returns the lines that each printed. Raises errors.Failed with tmux's words for the first that fails (those
        before it have run, those after it not), errors.Unavailable when the connection ends first: it may have
        run, or not.
        """
        future = self._write([list(argv) for argv in commands], inner)
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            await self.close()
            raise errors.Unavailable(f"tmux did not answer {commands[0][0]} in {timeout} s") from None

    async def lines(
        self, commands: Sequence[Argv], *, timeout: float = ANSWER_SECONDS
    ) -> list[list[str] | errors.TmuxAgentError]:
        """Runs each of `commands` as its own line, all in one write. A failure takes only its own place."""
        futures = [self._write([argv]) for argv in commands]
        try:
            async with asyncio.timeout(timeout):
                done = await asyncio.gather(*futures, return_exceptions=True)
        except TimeoutError:
            await self.close()
            return [errors.Unavailable(f"tmux did not answer {argv[0]} in {timeout} s") for argv in commands]
        return [_one(answer) for answer in done]

    async def foreign(self, *commands: Argv, inner: int = 0) -> list[list[str]]:
        """Runs commands, as one line, whose answers hold other people's text, and makes sure where it ends. `inner`: as
        in line().

        A pane may guess the guard that ends an answer and forge those that follow. What follows here is a number that
        it cannot know; where anything else comes the connection is dropped (errors.Unavailable).
        """
        seal = secrets.token_hex(16)
        answer = self._write(list(commands), inner)
        sealed = self._write([["display-message", "-p", seal]])
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                text, end = await asyncio.gather(answer, sealed, return_exceptions=True)
        except TimeoutError:
            await self.close()
            raise errors.Unavailable(f"tmux did not answer {commands[0][0]} in {ANSWER_SECONDS} s") from None
        if end != [[seal]]:
            await self.close()
            raise errors.Unavailable("a tmux answer did not end where it should have: connection dropped")
        if isinstance(text, BaseException):
            raise text
        return text

    def _write(self, commands: list[Argv], inner: int = 0) -> asyncio.Future[list[list[str]]]:
        if self.closed.is_set() or self._process.stdin is None:
            raise errors.Unavailable("the connection to tmux is closed")
        line = control_mode.line(commands)
        future: asyncio.Future[list[list[str]]] = asyncio.get_running_loop().create_future()
        # Someone may have stopped waiting; the answer still has to be taken off the queue.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._pending.append(_Pending(commands, future, inner))
        self._process.stdin.write(line)
        return future

    async def _read(self) -> None:
        decoder = control_mode.Decoder()
        try:
            assert self._process.stdout is not None
            while data := await self._process.stdout.read(1 << 16):
                for event in decoder.feed(data):
                    self._take(event)
        except errors.Unavailable:
            pass  # over a limit: the same as an end, everyone who waits is told below
        finally:
            self._end()

    def _take(self, event: control_mode.Event) -> None:
        match event:
            case control_mode.Notification():
                self._notify(event)
            case control_mode.Block(ours=True):
                self._answer(event)
            case control_mode.Block() if not self._attached.done():
                self._start(event)

    def _start(self, block: control_mode.Block) -> None:
        if block.ok:
            self._attached.set_result(None)
        else:
            self._attached.set_exception(errors.Unavailable(_text(block)))

    def _answer(self, block: control_mode.Block) -> None:
        if not self._pending:
            return
        pending = self._pending[0]
        if block.ok:
            pending.answers.append([line.decode("utf-8", "replace") for line in block.lines])
            if len(pending.answers) < pending.count:
                return
        self._pending.popleft()
        if pending.future.done():
            return
        if block.ok:
            pending.future.set_result(pending.answers)
        else:
            command = pending.commands[min(len(pending.answers), len(pending.commands) - 1)]
            pending.future.set_exception(errors.Failed(f"tmux {command[0]}: {_text(block)}"))

    def _end(self) -> None:
        self.closed.set()
        gone = errors.Unavailable("tmux closed the connection")
        if not self._attached.done():
            self._attached.set_exception(gone)
            self._attached.exception()  # read: open() may have given up already
        while self._pending:
            pending = self._pending.popleft()
            if not pending.future.done():
                pending.future.set_exception(gone)

    async def close(self) -> None:
        """Detaches: the end of its input makes the client leave, or a signal, where its server does not let it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(2):
                await self._process.wait()
        except TimeoutError:
            # Not only killed: the server holds the pipes, too, which may end no sooner than the server.
            self._process._transport.close()  # type: ignore[attr-defined]
        await self._reader


async def said(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    """What a tmux process of its own has printed once it has ended, and its complaints.

    Raises errors.Unavailable where that is more than tmux ever says: anything may listen at a socket.
    """
    out, err = bytearray(), bytearray()
    await asyncio.gather(_hear(process, process.stdout, out), _hear(process, process.stderr, err))
    await process.wait()
    if max(len(out), len(err)) > SAID_BYTES:
        raise errors.Unavailable(f"tmux printed more than {SAID_BYTES} bytes")
    return bytes(out), bytes(err)


async def _hear(process: asyncio.subprocess.Process, stream: asyncio.StreamReader | None, into: bytearray) -> None:
    while stream is not None and (piece := await stream.read(1 << 16)):
        if len(into) <= SAID_BYTES:
            into += piece
        elif process.returncode is None:
            process.kill()  # its end is waited for: what is left unread would hold it up


def _one(answer: list[list[str]] | BaseException) -> list[str] | errors.TmuxAgentError:
    if isinstance(answer, list):
        return answer[0]
    if isinstance(answer, errors.TmuxAgentError):
        return answer
    raise answer


def _text(block: control_mode.Block) -> str:
    return b" ".join(block.lines).decode("utf-8", "replace") or "failed without a word"
