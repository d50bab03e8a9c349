"""Whose folders are whose: an asker's worktree, and the roots that a policy's words stand for.

Owns what is too broad to be either. Must not own what may be done inside a root (core/reach.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from ..core.paths import inside
from .moment import Moment
from .observe import follow

# Folders too broad to be anybody's worktree, and the home folder besides.
_TOO_BROAD = frozenset(
    f"/{name}"
    for name in (
        "",
        "home",
        "root",
        "etc",
        "usr",
        "bin",
        "sbin",
        "lib",
        "lib64",
        "var",
        "opt",
        "srv",
        "mnt",
        "media",
        "proc",
        "sys",
        "dev",
        "run",
        "boot",
        "tmp",
        "Users",
    )
)


def whose_worktree(folder: str, home: str, moment: Moment) -> str:
    """The real path of an asker's folder; "" where it is none or too broad."""
    if not folder.startswith("/"):
        return ""
    real = follow(folder, moment).real
    return "" if real in _TOO_BROAD or inside(home, (real,)) else real


def real_roots(texts: Iterable[str], worktree: str, home: str, moment: Moment) -> tuple[str, ...]:
    """The folders that a policy's roots are, for somebody with this worktree."""
    roots: list[str] = []
    for text in texts:
        if text == "{worktree}":
            roots += [worktree] if worktree else []
        elif text.startswith(("/", "~/")):
            fact = follow(home + text[1:] if text.startswith("~/") else text, moment)
            if fact.kind == "folder" and fact.real not in _TOO_BROAD:
                roots.append(fact.real)
    return tuple(dict.fromkeys(roots))
