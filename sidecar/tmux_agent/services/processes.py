"""What the kernel says of processes: /proc on Linux, psutil elsewhere.

Owns every read of /proc/PID. Must not own: what psutil tells (psutil_processes.py), what a fact means for a role
(identity.py, terminals.py). All reads are bounded, take microseconds and never raise: what is gone or hidden is None,
"" or (). Format: proc_pid_stat(5), proc_pid_fdinfo(5).
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from functools import cache
from typing import Protocol

from msgspec import Struct

from tmux_agent.services import unix_peers

_LIMIT = 131_072  # bytes of arguments that are looked at
_ENVIRON_LIMIT = 8 << 20  # above what execve takes, so that a mark cannot be pushed out of sight
_DEPTH = 64  # ancestors looked at; deeper is not a chain that people make
TICKS = os.sysconf("SC_CLK_TCK")  # clock ticks a second: the unit of start times
_PTS_MAJOR, _PTS_MAJORS = 136, 8  # Unix98 pseudo-terminals, linux/major.h


class Process(Struct, frozen=True):
    """One process at one moment. `started`: clock ticks since boot; with `pid` it names the process for good."""

    pid: int
    ppid: int
    started: int
    name: str  # at most 15 bytes, chosen by the process itself
    sid: int = 0
    tty: str | None = None  # path of the controlling terminal
    ended: bool = False  # a zombie
    group: int = 0  # its process group
    stopped: bool = False  # by a signal, or a debugger


class Ancestry(Struct, frozen=True):
    """A process and its ancestors, nearest first. `broken` says why the chain is not to be trusted; "" where it is."""

    chain: tuple[Process, ...]
    broken: str = ""

    def words(self) -> tuple[str, ...]:
        """The chain for people and the audit record: "name(pid)" upwards."""
        return tuple(f"{process.name}({process.pid})" for process in self.chain)


class Processes(Protocol):
    """The questions that identity asks; a test answers them from a table."""

    def read(self, pid: int) -> Process | None: ...
    def exe(self, pid: int) -> str: ...
    def argv(self, pid: int) -> tuple[str, ...]: ...
    def environ(self, pid: int) -> dict[str, str] | None: ...  # None: gone, or not ours to read
    def real_uid(self, pid: int) -> int | None: ...
    def cwd(self, pid: int) -> str: ...  # "": cannot be known, or has been deleted
    def pids(self) -> Iterator[int]: ...
    def holds_terminal(self, pid: int, tty: str) -> bool | None: ...  # has the master side open; None: cannot be known
    def listens(self, pid: int) -> frozenset[str]: ...  # paths of the Unix sockets that it has open by name
    def connected(self, pid: int, other: int) -> bool | None: ...  # by a Unix socket; None: cannot be known
    def foreground(self, pid: int) -> int: ...  # process group in front of its terminal; 0: cannot be known
    def children(self, pid: int) -> tuple[int, ...]: ...
    def sleeps_in(self, pid: int) -> str: ...  # function of the kernel, "running", or "": cannot be known
    def typed(self, tty: str) -> float | None: ...  # time.time() of the last key, to 8 s; None: cannot be known
    def image(self, pid: int) -> str: ...  # another one after each exec, without blanks; "": cannot be known
    def exit_code(self, pid: int) -> int | None: ...  # of one that has ended and is not reaped yet; None: not known
    def now(self) -> int: ...  # in the unit of Process.started


class LinuxProcesses:
    """Reads /proc."""

    def read(self, pid: int) -> Process | None:
        data = _bytes(f"/proc/{pid}/stat", 4096)
        if not data:
            return None
        begin, end = data.find(b"("), data.rfind(b")")  # the name may hold spaces and brackets
        fields = data[end + 2 :].split()
        if begin < 0 or len(fields) < 20:
            return None
        return Process(
            pid,
            int(fields[1]),
            int(fields[19]),
            _text(data[begin + 1 : end]),
            int(fields[3]),
            _tty_path(int(fields[4])),
            fields[0] in (b"Z", b"X", b"x"),
            int(fields[2]),
            fields[0] in (b"T", b"t"),
        )

    def exe(self, pid: int) -> str:
        return _link(f"/proc/{pid}/exe")

    def argv(self, pid: int) -> tuple[str, ...]:
        data = _bytes(f"/proc/{pid}/cmdline", _LIMIT) or b""
        return tuple(_text(word) for word in data.split(b"\0")[:-1])

    def environ(self, pid: int) -> dict[str, str] | None:
        data = _bytes(f"/proc/{pid}/environ", _ENVIRON_LIMIT)
        if data is None:
            return None
        pairs = (item.partition(b"=") for item in data.split(b"\0") if item)
        return {_text(name): _text(value) for name, _, value in pairs}

    def real_uid(self, pid: int) -> int | None:
        for line in (_bytes(f"/proc/{pid}/status", 4096) or b"").splitlines():
            if line.startswith(b"Uid:"):
                return int(line.split()[1])
        return None

    def cwd(self, pid: int) -> str:
        found = _link(f"/proc/{pid}/cwd")
        return "" if found.endswith(" (deleted)") and not _is_named(f"/proc/{pid}/cwd", found) else found

    def pids(self) -> Iterator[int]:
        return (int(name) for name in os.listdir("/proc") if name.isdigit())

    def holds_terminal(self, pid: int, tty: str) -> bool | None:
        """Linux names the pair of an open /dev/ptmx as `tty-index` in fdinfo (since 4.14)."""
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            return None
        seen = False
        for descriptor in descriptors:
            if not _link(f"/proc/{pid}/fd/{descriptor}").endswith("/ptmx"):
                continue
            for line in (_bytes(f"/proc/{pid}/fdinfo/{descriptor}", 4096) or b"").splitlines():
                if line.startswith(b"tty-index:"):
                    seen = True
                    if f"/dev/pts/{int(line.split()[1])}" == tty:
                        return True
        return False if seen else None

    def listens(self, pid: int) -> frozenset[str]:
        """By inode, through /proc/net/unix (proc_net(5)): a kilobyte for every ten sockets of the machine."""
        inodes = {str(inode).encode() for inode in sockets(pid)}
        rows = (row.split(None, 7) for row in (_bytes("/proc/net/unix", _ENVIRON_LIMIT) or b"").splitlines()[1:])
        return frozenset(_text(row[7]) for row in rows if len(row) == 8 and row[6] in inodes)

    def connected(self, pid: int, other: int) -> bool | None:
        """By the sockets that both hold; a process whose sockets cannot be read, or that has none, tells nothing."""
        theirs, others = unix_peers.peers(sockets(pid)), sockets(other)
        return not theirs.isdisjoint(others) if theirs and others else None

    def foreground(self, pid: int) -> int:
        data = _bytes(f"/proc/{pid}/stat", 4096) or b""
        fields = data[data.rfind(b")") + 2 :].split()
        return max(0, int(fields[5])) if len(fields) > 5 else 0

    def children(self, pid: int) -> tuple[int, ...]:
        """Of its first thread, where the kernel lists them (CONFIG_PROC_CHILDREN)."""
        data = _bytes(f"/proc/{pid}/task/{pid}/children", 1 << 16) or b""
        return tuple(map(int, data.split()))

    def sleeps_in(self, pid: int) -> str:
        where = _text(_bytes(f"/proc/{pid}/wchan", 256) or b"")
        if where not in ("", "0"):
            return where
        data = _bytes(f"/proc/{pid}/stat", 4096) or b""
        return "running" if data[data.rfind(b")") + 2 :][:1] == b"R" else ""

    def typed(self, tty: str) -> float | None:
        """Linux notes on a terminal when its program last read from it, in steps of 8 s (tty_update_time)."""
        try:
            return os.stat(tty).st_atime if _notes_reads() else None
        except OSError:
            return None

    def image(self, pid: int) -> str:
        """Each exec lays the stack elsewhere (proc_pid_stat(5), startstack)."""
        data = _bytes(f"/proc/{pid}/stat", 4096) or b""
        fields = data[data.rfind(b")") + 2 :].split()
        return str(int(fields[25])) if len(fields) > 25 else ""

    def exit_code(self, pid: int) -> int | None:
        data = _bytes(f"/proc/{pid}/stat", 4096) or b""
        fields = data[data.rfind(b")") + 2 :].split()
        if len(fields) < 50 or fields[0] != b"Z" or int(fields[49]) & 0x7F:
            return None
        return int(fields[49]) >> 8

    def now(self) -> int:
        # The clock of stat's start times.
        return int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS)


def processes_here() -> Processes:
    """The reader for this machine."""
    if os.path.exists("/proc/self/stat"):
        return LinuxProcesses()
    from .psutil_processes import PsutilProcesses  # which needs the types above

    return PsutilProcesses()


def ancestry(table: Processes, pid: int) -> Ancestry:
    """The chain from `pid` upwards. Parents may end while it is read, so a broken chain is read once more."""
    found = _walk(table, pid)
    return _walk(table, pid) if found.broken and found.chain else found


def still_there(pidfd: int) -> bool:
    """True while the process of a pidfd (SO_PEERPIDFD) has not ended: what was read of its pid was read of it."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return not poll.poll(0)


def _walk(table: Processes, pid: int) -> Ancestry:
    chain: list[Process] = []
    while pid > 0:
        if len(chain) == _DEPTH:
            return Ancestry(tuple(chain), f"its ancestry is deeper than {_DEPTH} processes")
        process = table.read(pid)
        if process is None:
            return Ancestry(tuple(chain), f"process {pid} ended while its ancestry was read")
        if chain and process.started > chain[-1].started:
            return Ancestry(tuple(chain), f"process {pid} is younger than its child: its number was reused")
        chain.append(process)
        pid = process.ppid
    again = table.read(chain[0].pid) if chain else None
    if again is None or (again.started, again.ppid) != (chain[0].started, chain[0].ppid):
        return Ancestry(tuple(chain), "it ended or changed parents while its ancestry was read")
    return Ancestry(tuple(chain))


def _bytes(path: str, limit: int) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # One read of /proc gives at most a page or so: go on until the end or the limit.
        parts: list[bytes] = []
        size = 0
        while size < limit and (part := os.read(descriptor, limit - size)):
            parts.append(part)
            size += len(part)
        return b"".join(parts)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _is_named(link: str, path: str) -> bool:
    """Whether what a link of the kernel leads to is called so."""
    try:
        return os.path.samestat(os.stat(link), os.stat(path))
    except OSError:
        return False


@cache
def _notes_reads() -> bool:
    """Whether this kernel does: other implementations of Linux need not. Tried out once."""
    ours, theirs = os.openpty()
    try:
        os.utime(theirs, (0, 0))
        os.write(ours, b"\n")
        os.read(theirs, 1)
        return os.fstat(theirs).st_atime > 0
    except OSError:
        return False
    finally:
        os.close(ours)
        os.close(theirs)


def sockets(pid: int) -> frozenset[int]:
    """Inodes of the sockets that a process has open; none where that may not be read."""
    try:
        links = {_link(f"/proc/{pid}/fd/{descriptor}") for descriptor in os.listdir(f"/proc/{pid}/fd")}
    except OSError:
        return frozenset()
    return frozenset(int(link[8:-1]) for link in links if link.startswith("socket:["))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _tty_path(device: int) -> str | None:
    if device == 0:
        return None
    major, minor = os.major(device), os.minor(device)
    if _PTS_MAJOR <= major < _PTS_MAJOR + _PTS_MAJORS:
        return f"/dev/pts/{(major - _PTS_MAJOR) * 256 + minor}"
    if major == 4:
        return f"/dev/tty{minor}" if minor < 64 else f"/dev/ttyS{minor - 64}"
    return f"tty {major}:{minor}"
