"""Which folder an agent in the sandbox works in, and which of git's folders belong to it.

Owns the proof: a `.git` file says where git's folders are, and whoever wrote it may have lied, so that what it names
must point back, be real folders, and lead through no link. Must not own: what is mounted (core/sandbox.py).
"""

from __future__ import annotations

import contextlib
import os
import stat

from ...core.sandbox import Git, Refused

_BYTES = 4096  # of a file that holds a path


def find(cwd: str) -> tuple[str, Git | None]:
    """The top of the worktree that `cwd` is in (itself where it is in none), and its git. Raises Refused."""
    here = os.path.realpath(cwd)
    if {"HEAD", "objects", "refs"} <= set(os.listdir(here)):
        raise Refused(f"{here} is a repository's own folder: start the agent in one of its worktrees")
    top = here
    while not os.path.lexists(f"{top}/.git"):
        if top == "/":
            return here, None
        top = os.path.dirname(top)
    what = os.lstat(f"{top}/.git").st_mode
    if stat.S_ISDIR(what):
        return top, Git(f"{top}/.git")
    if not stat.S_ISREG(what):
        raise Refused(f"{top}/.git is neither a folder nor a file: git's own would be")
    return top, _linked(top)


def _linked(top: str) -> Git:
    """A worktree beside its repository. Raises Refused."""
    mine = _named(f"{top}/.git", top, "gitdir: ")
    back = _named(f"{mine}/gitdir", mine)
    common = _named(f"{mine}/commondir", mine)
    if back != f"{top}/.git" or os.path.dirname(mine) != f"{common}/worktrees":
        raise Refused(f"{top}/.git names {mine}, which is not git's folder for {top}: `git worktree repair`")
    real(common, f"{common}/objects", f"{common}/refs", mine)
    return Git(common, mine)


def real(*folders: str) -> None:
    """Make sure that these are folders, and that no link leads to them. Raises Refused."""
    for folder in folders:
        if os.path.realpath(folder) != folder or not os.path.isdir(folder):
            raise Refused(f"{folder} is no folder, or a link leads to it: git's own would be")


def _named(file: str, beside: str, prefix: str = "") -> str:
    """The path that a file of git's holds. Raises Refused."""
    try:
        text = _read(file).decode().removesuffix("\n")
    except (OSError, UnicodeDecodeError) as why:
        text = f"{file} cannot be read ({why}): is {beside} a submodule? Start at the top of its repository"
        raise Refused(text) from None
    if not text.startswith(prefix) or "\n" in text:
        raise Refused(f"{file} is not as git writes it")
    return os.path.normpath(os.path.join(beside, text.removeprefix(prefix)))


def _read(file: str, limit: int = _BYTES) -> bytes:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is no regular file")
        return opened.read(limit)


def furnish(git: Git) -> None:
    """Make what is to be mounted: the copy of packed-refs, and the worktree's own configuration, which is there from
    then on, so that it cannot be made inside. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(f"{git.mine}/config.worktree", flags, 0o644))
    copy_packed(git)


def copy_packed(git: Git) -> None:
    """Bring the sandbox's packed-refs up to date: into the same file, which is mounted there. Raises OSError."""
    text = b""
    with contextlib.suppress(FileNotFoundError):
        text = _read(f"{git.common}/packed-refs", 1 << 30)
    descriptor = os.open(git.packed, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(descriptor, text, 0)
        os.ftruncate(descriptor, len(text))
    finally:
        os.close(descriptor)
