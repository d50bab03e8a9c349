"""What a process has used of the machine, read from /proc.

Whether it started others is told by its children: those it has now, and the page faults of those it has waited for
(`cminflt`, proc_pid_stat(5)), which no program can start without. The kernel's own count of new processes
(`processes` in /proc/stat) would be everybody's on the machine.
"""

from __future__ import annotations

import time
from pathlib import Path

from msgspec import Struct

_CMINFLT = 8  # of the fields after the program's name


class Use(Struct, frozen=True):
    """Of one process, at one moment."""

    at: float
    cpu: float  # seconds, of all its threads
    children: frozenset[int]
    children_faults: int
    rss: int  # bytes

    def started(self, since: Use) -> bool:
        """Whether it started a process since then."""
        return bool(self.children - since.children) or self.children_faults != since.children_faults


def of(pid: int) -> Use:
    place = Path(f"/proc/{pid}")
    fields = (place / "stat").read_text().rpartition(")")[2].split()
    threads = list((place / "task").iterdir())
    cpu = sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    children = {int(child) for thread in threads for child in (thread / "children").read_text().split()}
    rss = next(line for line in (place / "status").read_text().splitlines() if line.startswith("VmRSS"))
    return Use(time.perf_counter(), cpu, frozenset(children), int(fields[_CMINFLT]), int(rss.split()[1]) << 10)
