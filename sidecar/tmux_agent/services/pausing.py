"""All the processes below a pane: stopped, continued, ended.

A pane's own program cannot be stopped: tmux continues it at once (server_child_stopped of its server.c). So all below
it are, where it takes no notice: not a shell with job control, which would take the terminal. From the top down, so
that no parent below notices, either; continued from the bottom up for the same reason. Each is signalled through a
pidfd, after a second look at when it began: a number that was given to another process by then reaches nobody.
Owns the signals. Must not own: whose pane it is, whether it may be done (fleet.py).
What left the pane's tree (setsid, and its parent ended, under no wrapper) is not found: only a sandbox holds that.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import time
from collections.abc import Sequence

from ..core import errors
from .processes import Process, Processes, processes_here

ROUNDS = 8  # looks for what was started while the others were stopped
END_SECONDS = 2.0  # for what was hung up on, before it is killed


def below(table: Processes, pid: int, started: int) -> list[Process]:
    """A process and its descendants, from the top down; none where it is gone."""
    top = table.read(pid)
    if top is None or top.started != started or top.ended:
        return []
    children: dict[int, list[Process]] = {}
    for one in map(table.read, list(table.pids())):
        if one is not None and not one.ended:
            children.setdefault(one.ppid, []).append(one)
    found, at = [top], 0
    while at < len(found):
        # Whoever is older than its parent got the number of a parent that is gone.
        found += [one for one in children.get(found[at].pid, ()) if one.started >= found[at].started]
        at += 1
    return found


def _unnoticed(tree: Sequence[Process]) -> None:
    """Raises Conflict where the pane's own program would notice, or is all there is."""
    top = tree[0]
    children = [one for one in tree if one.ppid == top.pid]
    if not children:
        raise errors.Conflict(f"{top.name} was started by tmux itself, which has it go on at once")
    if any(one.group != top.group for one in children):
        raise errors.Conflict(
            f"{top.name} would notice that its job stands still and take the terminal: press Ctrl-Z there; agents that"
            " `tmux-agent spawn` started can be paused"
        )


class Pausing:
    """For the event loop: what looks through all processes is done in a thread."""

    def __init__(self, table: Processes | None = None) -> None:
        self.table = table or processes_here()

    def is_paused(self, pid: int) -> bool:
        """Whether what runs below a pane's own program is stopped: nobody but us does that there."""
        top = self.table.read(pid) if pid else None
        children = [self.table.read(child) for child in self.table.children(pid)] if top else []
        return any(one is not None and top is not None and one.stopped and one.group == top.group for one in children)

    async def pause(self, pid: int, started: int, spare: Sequence[int] = ()) -> int:
        """Stop all below a pane's own program; how many. Raises NotFound, Conflict: it would notice, or one of `spare`
        (a tmux server), or the sidecar, is among them."""
        return await asyncio.to_thread(self._pause, pid, started, {*spare, os.getpid()})

    async def resume(self, pid: int, started: int) -> int:
        """Continue all that is stopped there; how many."""
        return await asyncio.to_thread(self._resume, pid, started)

    def read(self, pid: int) -> Process | None:
        return self.table.read(pid)

    async def tree(self, pid: int, started: int) -> list[Process]:
        """What there is below a pane, to be ended after its session."""
        return await asyncio.to_thread(below, self.table, pid, started)

    async def end(self, processes: Sequence[Process]) -> int:
        """Wait for these to end; kill those that do not. How many were killed."""
        return await asyncio.to_thread(self._end, processes)

    # --- in a thread ---

    def _pause(self, pid: int, started: int, spare: set[int]) -> int:
        seen: set[tuple[int, int]] = set()
        for _ in range(ROUNDS):
            tree = below(self.table, pid, started)
            if not tree:
                raise errors.NotFound("what ran there has ended")
            if not seen:
                _unnoticed(tree)
            if spared := [one for one in tree if one.pid in spare]:
                self._resume(pid, started)
                raise errors.Conflict(f"{spared[0].name} ({spared[0].pid}) runs below it, and must not be stopped")
            fresh = [one for one in tree if (one.pid, one.started) not in seen and one.pid != pid]
            if not fresh:
                break
            for one in fresh:
                self._signal(one, signal.SIGSTOP)
                seen.add((one.pid, one.started))
        return len(seen)

    def _resume(self, pid: int, started: int) -> int:
        stopped = [one for one in below(self.table, pid, started) if one.stopped]
        return sum(self._signal(one, signal.SIGCONT) for one in reversed(stopped))

    def _end(self, processes: Sequence[Process]) -> int:
        if not hasattr(os, "pidfd_open"):
            return sum(self._signal_by_number(one, signal.SIGKILL) for one in processes)
        held = [(one, fd) for one in processes if (fd := self._opened(one)) is not None]
        try:
            left = _still(held, END_SECONDS)
            for _, fd in left:
                _send(fd, signal.SIGKILL)
            _still(left, END_SECONDS)
            return len(left)
        finally:
            for _, fd in held:
                os.close(fd)

    def _opened(self, one: Process) -> int | None:
        """A pidfd of that very process; None where it is gone."""
        try:
            fd = os.pidfd_open(one.pid)
        except OSError:
            return None
        now = self.table.read(one.pid)
        if now is not None and now.started == one.started:
            return fd
        os.close(fd)
        return None

    def _signal(self, one: Process, number: signal.Signals) -> bool:
        if not hasattr(os, "pidfd_open"):
            return self._signal_by_number(one, number)
        if (fd := self._opened(one)) is None:
            return False
        try:
            return _send(fd, number)
        finally:
            os.close(fd)

    def _signal_by_number(self, one: Process, number: signal.Signals) -> bool:
        """Where there are no pidfds (macOS): between the look and the signal the number could change hands."""
        now = self.table.read(one.pid)
        if now is None or now.started != one.started:
            return False
        try:
            os.kill(one.pid, number)
        except OSError:
            return False  # it has ended, or is not ours to signal
        return True


def _send(fd: int, number: signal.Signals) -> bool:
    try:
        signal.pidfd_send_signal(fd, number)
    except OSError:
        return False  # it has ended, or is not ours to signal
    return True


def _still(held: Sequence[tuple[Process, int]], seconds: float) -> list[tuple[Process, int]]:
    """Those that have not ended after so long."""
    poll, left = select.poll(), {fd: one for one, fd in held}
    for fd in left:
        poll.register(fd, select.POLLIN)
    late = time.monotonic() + seconds
    while left and (rest := late - time.monotonic()) > 0:
        for fd, _ in poll.poll(rest * 1000):
            poll.unregister(fd)
            del left[fd]
    return [(one, fd) for fd, one in left.items()]
