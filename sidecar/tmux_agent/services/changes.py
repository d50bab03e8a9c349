"""Whether anything that was looked at may have changed since: the kernel keeps watch (inotify), one call asks it.

Owns one inotify queue that nobody waits for: nothing wakes up when files change, and what happened is read when
somebody asks. Must not own what is looked at, or what follows. What is written through a shared mapping is not told.
Where watching is not sure (another system, a file system that others change behind the kernel's back, no watch left),
`watch` says so and one looks.
asyncinotify (folders.py) is not used here: it takes 40 µs to add a watch, ten times what the kernel takes.
Sources: inotify(7); proc_pid_mountinfo(5) for polling mounts.
"""

from __future__ import annotations

import ctypes
import os
import select
import stat
import struct
import weakref
from collections.abc import Mapping

_MODIFY, _ATTRIB, _MOVE, _CREATE, _DELETE = 0x2, 0x4, 0xC0, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF = 0x400, 0x800
_IGNORED = 0x8000
_DONT_FOLLOW, _MASK_ADD = 0x2000000, 0x20000000
_ALWAYS = _ATTRIB | _DELETE_SELF | _MOVE_SELF | _DONT_FOLLOW | _MASK_ADD
_FILE = _ALWAYS | _MODIFY
_FOLDER = _ALWAYS | _MOVE | _CREATE | _DELETE
_EVENT = struct.Struct("iIII")
_LINKS = 40
_READ = 1 << 16
_WATCHES = 4096  # of the user's, which are 8192 at the least where they are not bounded by memory
_LOOKS = 1000
# Here a change is always made through this kernel. Not so on network file systems and on FUSE.
_LOCAL = frozenset(
    (
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "f2fs",
        "zfs",
        "bcachefs",
        "tmpfs",
        "ramfs",
        "rootfs",
        "overlay",
        "squashfs",
    )
)
_MOUNTS = "/proc/self/mountinfo"


class Unwatchable(Exception):
    """A path of which changes are not told."""


class Changes:
    """For one thread. Nothing is opened before the first `watch`."""

    def __init__(self) -> None:
        self._count = 0
        self._poll: select.epoll | None = None
        self._queue = self._mounts = -1
        self._libc: ctypes.CDLL | None = None
        self._kinds: dict[str, set[str]] | None = None  # mount point → types of file systems there
        # By watch: the names in a folder that matter; None: whatever happens there does.
        self._names: dict[int, set[bytes] | None] = {}

    def count(self) -> int:
        """As long as this number stays the same, nothing has changed at what was watched before it was asked for."""
        if self._poll is not None and (ready := self._poll.poll(0)):
            self._hear([descriptor for descriptor, _ in ready])
        return self._count

    def watch(self, looks: Mapping[str, bool]) -> bool:
        """From now on, tell of changes at these absolute paths; False where they cannot all be watched.

        A path alone means: whether it is there, what kind of thing it is and where it leads, its mode and links. True
        with it means: its contents too, which for a folder are the names in it.
        """
        if len(looks) > _LOOKS or not self._open():
            return False
        if len(self._names) > _WATCHES - _LOOKS:
            self._forget()
        try:
            for path, contents in looks.items():
                self._walk(path, contents)
        except (OSError, ValueError, Unwatchable):
            return False
        return True

    # --- hearing ---

    def _hear(self, ready: list[int]) -> None:
        if self._mounts in ready:
            self._kinds = None
            self._count += 1
        if self._queue in ready:
            self._count += self._matters(os.read(self._queue, _READ))

    def _matters(self, data: bytes) -> bool:
        """Whether any of these events is about something that was looked at."""
        at, found = 0, len(data) > _READ // 2  # so much at once: more may wait
        while at < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, at)
            name = data[at + 16 : at + 16 + length].rstrip(b"\0")
            at += 16 + length
            if watch not in self._names:
                found = found or watch == -1  # the queue was full
                continue
            names = self._names[watch]
            found = found or names is None or not name or name in names
            if mask & _IGNORED:
                del self._names[watch]
        return found

    # --- watching ---

    def _open(self) -> bool:
        if self._poll is not None:
            return True
        if self._libc is not None or not hasattr(select, "epoll"):
            return False  # it was tried
        try:
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._mounts = os.open(_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
            self._queue = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, AttributeError):
            return False
        if self._queue < 0:
            os.close(self._mounts)
            return False
        self._poll = select.epoll()
        self._poll.register(self._queue, select.EPOLLIN)
        self._poll.register(self._mounts, select.EPOLLPRI)
        weakref.finalize(self, _close, self._poll, self._queue, self._mounts)
        return True

    def _forget(self) -> None:
        """Closing the queue would do it too, and take the kernel 15 ms."""
        assert self._libc is not None
        for watch in self._names:
            self._libc.inotify_rm_watch(self._queue, watch)
        self._names.clear()
        self._count += 1

    def _walk(self, path: str, contents: bool) -> None:
        """Go where the kernel goes for `path`, and watch every name on the way and what is found in the end."""
        real, rest, links = "", _parts(path), 0
        while rest:
            part = rest.pop()
            if part == "..":
                real = real.rpartition("/")[0]
                continue
            here = f"{real}/{part}"
            self._add(real or "/", part)
            try:
                mode = os.lstat(here).st_mode
            except (FileNotFoundError, NotADirectoryError):
                return
            if not stat.S_ISLNK(mode):
                real = here
                continue
            links += 1
            if links > _LINKS:
                raise Unwatchable(path)
            target = os.readlink(here)
            real = "" if target.startswith("/") else real
            rest += _parts(target)
        self._add(real or "/", None if contents else "")

    def _add(self, path: str, name: str | None) -> None:
        """`name`: of what is in it, "" for itself alone, None for everything about it."""
        assert self._libc is not None
        self._check_kind(path)
        is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
        mask = _FOLDER if is_folder else _FILE
        watch = self._libc.inotify_add_watch(self._queue, os.fsencode(path), mask)
        if watch < 0:
            raise Unwatchable(path)
        known = self._names.setdefault(watch, set())
        if name is None or known is None or not is_folder:
            self._names[watch] = None
        elif name:
            known.add(os.fsencode(name))

    def _check_kind(self, path: str) -> None:
        if self._kinds is None:
            with open(_MOUNTS, "rb") as file:
                self._kinds = _file_systems(file.read())
        place = path
        while True:
            if not self._kinds.get(place, frozenset()) <= _LOCAL:
                raise Unwatchable(path)
            if place in ("/", ""):
                return
            place = os.path.dirname(place)


def _close(poll: select.epoll, *descriptors: int) -> None:
    poll.close()
    for descriptor in descriptors:
        os.close(descriptor)


def _parts(path: str) -> list[str]:
    return [part for part in reversed(path.split("/")) if part and part != "."]


def _file_systems(mounts: bytes) -> dict[str, set[str]]:
    """Types by mount point, of /proc/self/mountinfo. Which of them hides which is not told: a path is taken to lie in
    all that are mounted above it."""
    kinds: dict[str, set[str]] = {}
    for line in mounts.splitlines():
        before, _, after = line.partition(b" - ")
        point = before.split()[4].decode("unicode_escape").encode("latin-1")
        kinds.setdefault(os.fsdecode(point), set()).add(after.split()[0].decode())
    return kinds
