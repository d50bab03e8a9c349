"""Which repository and branch a folder is in, read from its .git without running git.

Owns finding the top level and reading HEAD. Must not own: anything that trusts a repository (its configuration, hooks,
refs); a hostile one can at most name a wrong branch. Reads are bounded and never block on a FIFO or device.
Format: gitrepository-layout(5): `.git` is a folder, or a file "gitdir: PATH" (worktrees, submodules).
"""

from __future__ import annotations

import os
import stat

_DEPTH = 64
_LIMIT = 4096
_BRANCH = 256  # characters
_cache: dict[str, tuple[tuple[int, int, int], str]] = {}
_CACHED = 512


def locate(cwd: str) -> tuple[str, str]:
    """(top level, branch) of the repository around `cwd`; ("", "") for none; a detached HEAD is "@" + 12 digits."""
    folder = cwd
    for _ in range(_DEPTH):
        if not folder.startswith("/"):
            break
        git = f"{folder.rstrip('/')}/.git"
        try:
            mode = os.lstat(git).st_mode
        except OSError:
            mode = 0
        if stat.S_ISDIR(mode):
            return folder, _branch(f"{git}/HEAD")
        if stat.S_ISREG(mode) and (text := _read(git)).startswith("gitdir: "):
            target = os.path.join(folder, text[len("gitdir: ") :].strip())
            return folder, _branch(os.path.join(target, "HEAD"))
        if folder == "/":
            break
        folder = os.path.dirname(folder)
    return "", ""


def _branch(head: str) -> str:
    try:
        found = os.stat(head)
    except (OSError, ValueError):
        return ""
    key = (found.st_mtime_ns, found.st_ino, found.st_size)
    if head in _cache and _cache[head][0] == key:
        return _cache[head][1]
    branch = _name(_read(head))
    if len(_cache) >= _CACHED:
        _cache.clear()
    _cache[head] = (key, branch)
    return branch


def _name(text: str) -> str:
    line = text.partition("\n")[0].strip()
    if line.startswith("ref: refs/heads/"):
        return line[len("ref: refs/heads/") :][:_BRANCH]
    if len(line) in (40, 64) and set(line) <= set("0123456789abcdef"):
        return "@" + line[:12]
    return ""


def _read(path: str) -> str:
    """First bytes of a regular file; "" for anything else. O_NONBLOCK: a FIFO of this name must not hold us up."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError):
        return ""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return os.read(descriptor, _LIMIT).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
