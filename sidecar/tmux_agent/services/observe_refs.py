"""Names of a repository's branches, tags and other references: whether each is plainly a name wherever it is put.

Owns reading them as files (gitrepository-layout(5), git-pack-refs(1)). Must not own which commands print them
(core/argv/revisions.py). git makes no branch that begins with a dash, but takes one that another program has made.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from ..core.argv import git
from ..core.facts import RefsFact
from . import git_folders
from .moment import Moment

_MOST = 5000
_BYTES = 4 << 20
_UNKNOWN = RefsFact(("*",))
_PLAIN = re.compile(r"refs(?:/(?![-.])[\w.+@#,=-]+)+")


def look(top: str, moment: Moment) -> RefsFact:
    """For the repository whose work tree begins at `top`, a real path."""
    moment.blind = True
    folder, common = git_folders.own(f"{top}/.git"), git_folders.common(f"{top}/.git")
    found: list[str] = []
    count = 0
    try:
        if os.path.lexists(f"{common}/reftable"):
            return _UNKNOWN
        for name in _names(folder, common):
            count += 1
            if count > _MOST:
                return _UNKNOWN
            if not _is_plain(name):
                found.append(name)
    except (OSError, ValueError):
        return _UNKNOWN
    return RefsFact(tuple(found[:3]))


def _is_plain(name: str) -> bool:
    pieces = name.split("/")
    ends = ("/".join(pieces[start:]) for start in range(1, len(pieces)))
    return _PLAIN.fullmatch(name) is not None and not any(map(git.is_elsewhere, ends))


def _names(folder: str, common: str) -> Iterator[str]:
    for place in dict.fromkeys((common, folder)):
        head = _text(f"{place}/HEAD")
        if head.startswith("ref:"):
            yield head[4:].strip()
        yield from _loose(f"{place}/refs", "refs")
    for line in _text(f"{common}/packed-refs").splitlines():
        if line and line[0] not in "#^":
            yield line.partition(" ")[2]


def _loose(folder: str, shown: str) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        name = f"{shown}/{entry.name}"
        if entry.is_symlink():
            yield "a link"
        elif entry.is_dir():
            yield from _loose(entry.path, name)
        else:
            yield name
            text = _text(entry.path) if entry.name == "HEAD" else ""
            if text.startswith("ref:"):
                yield text[4:].strip()


def _text(path: str) -> str:
    from .observe import read_regular

    if not os.path.lexists(path):
        return ""
    data = read_regular(path, _BYTES)
    if data is None:
        raise ValueError(f"{path} cannot be read")
    return data.decode()


__all__ = ["look"]
