"""Where git keeps what belongs to a work tree, for one whose .git observe_git.py has judged already.

Owns reading the two small files that lead there (gitrepository-layout(5)). Must not own whether they may be followed.
"""

from __future__ import annotations

import os
from contextlib import suppress

_LIMIT = 4096


def own(git: str) -> str:
    """The folder behind this .git: itself, or what it names where it is a file (linked work trees, submodules)."""
    if os.path.isdir(git):
        return git
    named = _line(git).removeprefix("gitdir: ")
    return os.path.realpath(os.path.join(os.path.dirname(git), named)) if named else git


def common(git: str) -> str:
    """The folder that all work trees of the repository share: references, objects, configuration."""
    folder = own(git)
    named = _line(f"{folder}/commondir")
    return os.path.realpath(os.path.join(folder, named)) if named else folder


def _line(path: str) -> str:
    with suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
        return file.read(_LIMIT).strip("\r\n")
    return ""
