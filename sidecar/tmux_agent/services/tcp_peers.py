"""Which processes hold the other end of a TCP connection on loopback, as /proc tells (Linux).

Owns /proc/net/tcp and tcp6 (proc_net_tcp.txt of the kernel). Must not own: whose processes these are (processes.py),
what it means (identity.py). Takes milliseconds: for a thread.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import NamedTuple

from .processes import processes_here, sockets

_TABLES = ((Path("/proc/net/tcp"), ""), (Path("/proc/net/tcp6"), "0000000000000000FFFF0000"))


class Holders(NamedTuple):
    """`known`: the kernel tells of such things here. `uid` is None where nobody holds the connection any more."""

    known: bool
    uid: int | None = None
    pids: tuple[int, ...] = ()  # none, where they are another user's


def holders(peer: tuple[str, int], ours: tuple[str, int]) -> Holders:
    """Who holds the socket at `peer` that is connected to `ours`; both are IPv4 addresses and ports."""
    if not _TABLES[0][0].exists():
        return Holders(known=False)
    for table, prefix in _TABLES:
        wanted = prefix + _hex(peer), prefix + _hex(ours)
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue  # without IPv6
        for fields in map(str.split, lines):
            if (fields[1], fields[2]) == wanted and fields[9] != "0":  # a socket that was closed has no inode any more
                return Holders(True, int(fields[7]), _with_inode(int(fields[9])))
    return Holders(known=True)


def _hex(address: tuple[str, int]) -> str:
    host = int.from_bytes(socket.inet_aton(address[0]), sys.byteorder)  # as memory has it
    return f"{host:08X}:{address[1]:04X}"


def _with_inode(inode: int) -> tuple[int, ...]:
    return tuple(pid for pid in processes_here().pids() if pid != os.getpid() and inode in sockets(pid))
