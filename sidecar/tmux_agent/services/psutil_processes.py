"""What psutil says of processes: all of it where there is no /proc, and everywhere what they use of the machine.

Owns every use of psutil. Must not own: what a fact means for a role (identity.py, terminals.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from .processes import TICKS, Process


class PsutilProcesses:
    """The same through psutil, where there is no /proc (macOS, BSD). Start times are ticks since the epoch there."""

    def __init__(self) -> None:
        import psutil  # 15 ms to import, and not needed on Linux

        self._psutil = psutil

    def _ask(self, pid: int, question: str) -> Any:
        try:
            return getattr(self._psutil.Process(pid), question)()
        except (self._psutil.Error, OSError):
            return None

    def read(self, pid: int) -> Process | None:
        try:
            process = self._psutil.Process(pid)
            with process.oneshot():
                ended = process.status() == self._psutil.STATUS_ZOMBIE
                sid = 0 if ended else os.getsid(pid)
                started = int(process.create_time() * TICKS)
                group = 0 if ended else os.getpgid(pid)
                stopped = process.status() == self._psutil.STATUS_STOPPED
                return Process(
                    pid, process.ppid(), started, process.name(), sid, process.terminal(), ended, group, stopped
                )
        except (self._psutil.Error, OSError):
            return None

    def exe(self, pid: int) -> str:
        return self._ask(pid, "exe") or ""

    def argv(self, pid: int) -> tuple[str, ...]:
        return tuple(self._ask(pid, "cmdline") or ())

    def environ(self, pid: int) -> dict[str, str] | None:
        found: dict[str, str] | None = self._ask(pid, "environ")
        return found

    def real_uid(self, pid: int) -> int | None:
        uids = self._ask(pid, "uids")
        return None if uids is None else int(uids.real)

    def cwd(self, pid: int) -> str:
        return self._ask(pid, "cwd") or ""

    def pids(self) -> Iterator[int]:
        return iter(self._psutil.pids())

    def holds_terminal(self, pid: int, tty: str) -> bool | None:  # noqa: ARG002 (cannot be known here)
        return None

    def listens(self, pid: int) -> frozenset[str]:
        try:
            found = self._psutil.Process(pid).net_connections("unix")
        except (self._psutil.Error, OSError):
            return frozenset()
        return frozenset(str(connection.laddr) for connection in found if connection.laddr)

    def connected(self, pid: int, other: int) -> bool | None:  # noqa: ARG002 (cannot be known here)
        return None

    def foreground(self, pid: int) -> int:
        """Of the processes with its terminal, the group of the youngest."""
        tty = self._ask(pid, "terminal")
        try:
            found = self._psutil.process_iter(["terminal", "create_time"])
            there = [one for one in found if tty and one.info["terminal"] == tty]
            return os.getpgid(max(there, key=lambda one: one.info["create_time"]).pid) if there else 0
        except (self._psutil.Error, OSError):
            return 0

    def children(self, pid: int) -> tuple[int, ...]:
        return tuple(one.pid for one in self._ask(pid, "children") or ())

    def sleeps_in(self, pid: int) -> str:  # noqa: ARG002 (cannot be known here)
        return ""

    def typed(self, tty: str) -> float | None:  # noqa: ARG002 (not known to hold here)
        return None

    def exit_code(self, pid: int) -> int | None:  # noqa: ARG002 (only its parent can ask here)
        return None

    def image(self, pid: int) -> str:
        return self.exe(pid).replace(" ", "_")  # the same where a program starts itself anew

    def now(self) -> int:
        return int(time.time() * TICKS)


class Usage(Struct, frozen=True):
    """A process below another, with what it uses. `depth`: 0 is the root itself; times in seconds, memory in bytes."""

    pid: int
    parent: int
    depth: int
    name: str
    command: str
    state: str
    started: float  # seconds since the epoch
    cpu_percent: float  # of one core, over the moment that was measured
    cpu_seconds: float
    memory_bytes: int


def trees(roots: Sequence[int], most: int, seconds: float) -> dict[int, tuple[list[Usage], int]]:
    """The processes at and below each of `roots`, parents first, at most `most` of each, and how many more there are.

    Blocks for `seconds`, in which CPU time is measured: for a thread.
    """
    import psutil

    below: dict[int, list[int]] = {}
    for process in psutil.process_iter(["ppid"]):
        below.setdefault(process.info["ppid"], []).append(process.pid)
    found = {root: _below(below, root) for root in roots}
    wanted = {pid for members in found.values() for pid, _ in members[:most]}
    before, began = {pid: _cpu(psutil, pid) for pid in wanted}, time.monotonic()
    time.sleep(seconds)
    used = {}
    for root, members in found.items():
        looked = [_usage(psutil, pid, depth, before[pid], time.monotonic() - began) for pid, depth in members[:most]]
        used[root] = ([one for one in looked if one is not None], max(0, len(members) - most))
    return used


def _below(children: Mapping[int, list[int]], root: int) -> list[tuple[int, int]]:
    """Process and depth, parents first."""
    found, left, seen = [], [(root, 0)], {root}
    while left:
        pid, depth = left.pop()
        found.append((pid, depth))
        further = [one for one in sorted(children.get(pid, ()), reverse=True) if one not in seen]
        seen.update(further)
        left += [(one, depth + 1) for one in further]
    return found


def _cpu(psutil: Any, pid: int) -> float | None:
    try:
        times = psutil.Process(pid).cpu_times()
    except (psutil.Error, OSError):
        return None
    return float(times.user + times.system)


def _usage(psutil: Any, pid: int, depth: int, before: float | None, seconds: float) -> Usage | None:
    """None where it has ended."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times, ended = process.cpu_times(), process.status() == psutil.STATUS_ZOMBIE
            cpu = float(times.user + times.system)
            return Usage(
                pid, process.ppid(), depth, process.name(), "" if ended else " ".join(process.cmdline()),
                process.status(), process.create_time(),
                round(max(0.0, cpu - before) / seconds * 100, 1) if before is not None and seconds > 0 else 0.0,
                round(cpu, 2), 0 if ended else int(process.memory_info().rss),
            )  # fmt: skip
    except (psutil.Error, OSError):
        return None
