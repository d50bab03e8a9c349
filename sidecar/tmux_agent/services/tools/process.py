"""One process of ours from its start to its end: fed, read with a bound, and ended with everything it started.

Owns: the process group, its input (a file in memory: nothing to feed, nothing to wait for), its output, the signals.
Must not own: which program, in what environment (commands.py, environment.py).

The process leads its own session and group. It is reaped only after the last signal to its group, so that no signal
can reach a stranger who got the number. What left the group (setsid) is found by a variable in its environment and
signalled through a pidfd. A process that both leaves the group and wipes its environment gets away: only a sandbox
holds that. Where the program ends by itself, a child that it leaves running with its output elsewhere is let be.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from ...core.bounded import Bounded

_PIECE = 1 << 16


class Ended(Struct, frozen=True):
    """How it ended. `returncode` as in subprocess (negative: the signal); None: not even SIGKILL ended it in time."""

    returncode: int | None
    stdout: Bounded
    stderr: Bounded
    timed_out: bool
    left_behind: bool  # it ended, but something it had started held its output open and was ended for that


class Plan(Struct, frozen=True, kw_only=True):
    """What to start and within which bounds; seconds and bytes."""

    program: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    stdin: bytes | None
    timeout: float
    grace: float
    output_bytes: int
    mark: str  # "NAME=value" in `env`, by which strays are known


async def run(plan: Plan) -> Ended:
    """Starts it and waits for its end. Cancelled, it ends the process first, with everything it started.

    Raises OSError where it cannot be started, ValueError for a NUL in an argument.
    """
    running = _Running(plan)
    try:
        return await running.until_end()
    except asyncio.CancelledError:
        await _even_if_cancelled(running.stop())
        raise
    finally:
        running.close()


async def _even_if_cancelled(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue  # bounded by the grace periods inside


@contextmanager
def _input(content: bytes | None) -> Iterator[int]:
    if content is None:
        yield subprocess.DEVNULL
        return
    with open(os.memfd_create("input"), "w+b", buffering=0) as file:
        file.write(content)
        file.seek(0)
        yield file.fileno()


class _Running:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        with _input(plan.stdin) as stdin:
            self._process = subprocess.Popen(
                plan.argv,
                executable=plan.program,
                env=plan.env,
                cwd=plan.cwd,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )
        self._out, self._err = Bounded(plan.output_bytes), Bounded(plan.output_bytes)
        self._transports: list[asyncio.ReadTransport] = []
        self._exited = self._loop.create_future()
        threading.Thread(target=self._watch, name=f"wait-{self._process.pid}", daemon=True).start()

    async def until_end(self) -> Ended:
        reading = asyncio.ensure_future(self._read_all())
        try:
            timed_out = not await self._wait({self._exited}, self._plan.timeout)
            left_behind = False
            if timed_out:
                await self.stop()
            elif not await self._wait({reading}, self._plan.grace):
                left_behind = True
                self._signal(signal.SIGKILL)
            await self._wait({reading}, self._plan.grace)
            return Ended(self._reap(), self._out, self._err, timed_out, left_behind)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def stop(self) -> None:
        """SIGTERM to all of it, SIGKILL to what is left after the grace; back after at most twice that."""
        self._signal(signal.SIGTERM)
        await self._wait({self._exited}, self._plan.grace)
        self._signal(signal.SIGKILL)
        await self._wait({self._exited}, self._plan.grace)

    def close(self) -> None:
        for transport in self._transports:
            transport.close()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._reap()

    async def _wait(self, what: set[asyncio.Future[Any]], seconds: float) -> bool:
        done, _ = await asyncio.wait(what, timeout=seconds)
        return bool(done)

    def _watch(self) -> None:
        """Waits for the end without reaping: the number stays taken until the group has had its last signal."""
        try:
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            pass  # reaped already: it has ended
        try:
            self._loop.call_soon_threadsafe(self._exited.set_result, None)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more

    def _reap(self) -> int | None:
        return self._process.wait() if self._exited.done() else None

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                pass  # the group is empty
            except PermissionError:
                pass  # a set-uid program below is not ours to end
        for pid in _marked(self._plan.mark):
            _signal_stray(pid, self._plan.mark, number)

    async def _read_all(self) -> None:
        await asyncio.gather(self._read(self._process.stdout, self._out), self._read(self._process.stderr, self._err))

    async def _read(self, pipe: Any, into: Bounded) -> None:
        reader = asyncio.StreamReader(limit=_PIECE, loop=self._loop)
        transport, _ = await self._loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        self._transports.append(transport)
        while piece := await reader.read(_PIECE):
            into.add(piece)


def end_marked(mark: str) -> None:
    """Kill what was started with this mark and left running, but not ourselves. Blocking."""
    for pid in set(_marked(mark)) - {os.getpid(), os.getppid()}:
        _signal_stray(pid, mark, signal.SIGKILL)


def _marked(mark: str) -> list[int]:
    """Processes whose environment at their start held `mark`. Looks through /proc, so only when something is ended."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _has_mark(int(name), mark)]


def _has_mark(pid: int, mark: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark.encode() in file.read(1 << 20).split(b"\0")
    except OSError:
        return False  # ended, or another user's


def _signal_stray(pid: int, mark: str, number: signal.Signals) -> None:
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return  # ended by now, or a kernel before 5.3: then only the group is signalled
    try:
        if _has_mark(pid, mark):  # asked again with the pidfd in hand: it is the same process for sure
            signal.pidfd_send_signal(fd, number)
    except OSError:
        pass  # ended by now
    finally:
        os.close(fd)
