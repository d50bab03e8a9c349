"""Which Unix socket is connected to which, as the kernel knows it (sock_diag(7), Linux).

Owns the one netlink question. Must not own: whose sockets these are (processes.py), what it means (identity.py).
Format: linux/unix_diag.h (unix_diag_req, unix_diag_msg), linux/netlink.h. A question takes some 10 µs.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable

_SOCK_DIAG, _BY_FAMILY, _REQUEST, _ERROR = 4, 20, 1, 2
_SHOW_PEER, _PEER = 4, 2  # UDIAG_SHOW_PEER; UNIX_DIAG_PEER
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ASKED = struct.Struct("=BBHIIIII")  # family, protocol, padding, states, inode, show, cookie (any: all bits)
_FOUND = 16  # bytes of unix_diag_msg, before its attributes
_ANY = 0xFFFFFFFF
_SECONDS = 1.0


def peers(inodes: Iterable[int]) -> frozenset[int] | None:
    """Inodes of the sockets at the other ends of these; unconnected ones have none. None: the kernel does not tell."""
    if not hasattr(socket, "AF_NETLINK"):
        return None
    found: set[int] = set()
    with contextlib.suppress(OSError), socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel:
        kernel.settimeout(_SECONDS)
        for inode in inodes:
            asked = _ASKED.pack(socket.AF_UNIX, 0, 0, _ANY, inode, _SHOW_PEER, _ANY, _ANY)
            kernel.send(_HEADER.pack(_HEADER.size + len(asked), _BY_FAMILY, _REQUEST, inode & _ANY, 0) + asked)
            found.update(_peer(kernel.recv(4096)))
    return frozenset(found) or None


def _peer(answer: bytes) -> Iterable[int]:
    length, kind, *_ = _HEADER.unpack_from(answer)
    at = _HEADER.size + _FOUND
    while kind != _ERROR and at + 8 <= min(length, len(answer)):
        size, name = struct.unpack_from("=HH", answer, at)
        if name == _PEER:
            yield struct.unpack_from("=I", answer, at + 4)[0]
        at += max(4, (size + 3) & ~3)
