"""The filter of system calls that the sandbox adds, as bytes for bubblewrap's --seccomp.

Owns which calls fail, and the numbers they have: keys typed into the terminal (TIOCSTI, TIOCLINUX), the kernel's
keyrings, which no namespace divides, watching other processes by counters, sockets to the machine's host, calls by
io_uring, which no filter sees, and any call of another machine's numbering. Everything else is the namespaces'
business. Format: linux/filter.h, seccomp(2).
"""

from __future__ import annotations

import struct

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, …|JGE|K, BPF_RET|K
_NUMBER, _ARCH, _FIRST, _SECOND = 0, 4, 16, 24  # offsets in struct seccomp_data, of the arguments' lower halves
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, …_ERRNO
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_TYPED = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_VSOCK = 40  # AF_VSOCK
_X32 = 0x40000000


class Numbers:
    """Of one kind of machine."""

    def __init__(self, arch: int, ioctl: int, socket: int, never: tuple[int, ...]) -> None:
        self.arch, self.ioctl, self.socket, self.never = arch, ioctl, socket, never


# never: add_key, request_key, keyctl, perf_event_open, bpf, and these of io_uring: setup, enter, register
_RING = (425, 426, 427)
MACHINES = {
    "x86_64": Numbers(0xC000003E, 16, 41, (248, 249, 250, 298, 321, *_RING)),
    "aarch64": Numbers(0xC00000B7, 29, 198, (217, 218, 219, 241, 280, *_RING)),
}


def program(machine: str) -> bytes:
    """The filter for a machine, as `uname -m` calls it. Raises KeyError for one whose numbers are not known here."""
    of = MACHINES[machine]
    steps: list[tuple[int, int, int, int]] = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, of.arch), _fail(_ENOSYS)]
    steps += [(_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), _fail(_ENOSYS)]
    for number in of.never:
        steps += [(_EQUAL, 0, 1, number), _fail(_EPERM)]
    steps += [(_EQUAL, 0, 6, of.ioctl), (_LOAD, 0, 0, _SECOND)]
    for what in _TYPED:
        steps += [(_EQUAL, 0, 1, what), _fail(_EPERM)]
    steps += [(_RETURN, 0, 0, _ALLOW)]
    steps += [(_EQUAL, 0, 3, of.socket), (_LOAD, 0, 0, _FIRST), (_EQUAL, 0, 1, _VSOCK), _fail(_EAFNOSUPPORT)]
    steps += [(_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _fail(with_: int) -> tuple[int, int, int, int]:
    return (_RETURN, 0, 0, _FAIL | with_)
