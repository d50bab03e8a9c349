"""Whether a file of git's settings holds a password or token, so that who reads it would be shown one.

Owns which files are looked into, and what in them tells. Must not own names that are secret whatever is in the file
(core/paths.py). Sources: gitrepository-layout(5), git-config(1), gitcredentials(7); hgrc(5) for Mercurial's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

_LIMIT = 1 << 20
_NAMES = re.compile(r"config|fetch_head|hgrc", re.IGNORECASE)
_ANYWHERE = re.compile(r"\.?git-?(config|modules)|\.?hgrc", re.IGNORECASE)
_URL = re.compile(
    r"://[^/\s:@]{0,200}:[^\s@]{1,500}@|://(gh[pousr]_|github_pat_|glpat-|x-access-token|[\w.%+~-]{20})[^/\s@]{0,500}@",
    re.IGNORECASE,
)
_KEY = re.compile(r"password|passwd|secret|token|extraheader|smtppass|apikey|authorization", re.IGNORECASE)
_SETTING = re.compile(rf"({_KEY.pattern})[\w.-]*[\"']?[ \t]*[=:][ \t]*\S", re.IGNORECASE)


def tells(key: str, value: str) -> bool:
    """Whether one setting holds a password or token."""
    return bool((_KEY.search(key) and value) or _URL.search(value) or _URL.search(key) or _SETTING.search(value))


def may_tell(path: str, exists: Callable[[str], bool] = os.path.lexists) -> bool:
    """Whether this is a file of settings by its name: of a repository (also of its worktrees and submodules, of a bare
    one, and copies of them), or of a person."""
    folder, _, name = path.rpartition("/")
    if _ANYWHERE.match(name) or (name.casefold().startswith("config") and folder.endswith("/git")):
        return True
    if not _NAMES.search(name):
        return False
    if any(part.casefold().endswith((".git", ".hg")) for part in folder.split("/")):
        return True
    return exists(f"{folder}/HEAD") and exists(f"{folder}/objects")


def holds_secrets(path: str) -> bool:
    """Whether what is in the file now tells; one that cannot be read counts as if it did."""
    from .observe import read_regular

    data = read_regular(path, _LIMIT)
    if data is None:
        return True
    text = data.decode("utf-8", "replace").replace("\\\n", "")
    return bool(_URL.search(text) or _SETTING.search(text))
