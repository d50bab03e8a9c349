"""tasks.yaml on disk, and what its tasks mean there: defaults filled in, folders found, everything that is wrong.

Owns reading it. Must not own: what a file may say (core/queue_file.py), the list of what is trusted (trusted.py).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from ..core import config, errors
from ..core.config import ConfigError
from ..core.queue_file import TaskFile, TasksFile, filled, problems
from . import worktrees
from .config_file import own_text
from .trusted import Trusted
from .worktree import locate

Found = tuple[tuple[TaskFile, ...], tuple[ConfigError, ...]]


def read(path: Path, trusted: Trusted | None = None) -> Found:
    """The tasks of a file with its defaults, or what is wrong with its form. `trusted`: one that came with a repository
    is taken only as the person trusts it."""
    try:
        text = own_text(path)
    except OSError as why:
        return (), (ConfigError(str(path), 0, "", f"cannot be read: {why.strerror}"),)
    except UnicodeDecodeError as why:
        return (), (ConfigError(str(path), 0, "", f"is not UTF-8 at byte {why.start}"),)
    if trusted is not None and _of_repository(path) and not trusted.holds(path, text.encode()):
        said = f"is in a repository, and not trusted as it is: read it, then run `tmux-agent policy trust {path}`"
        return (), (ConfigError(str(path), 0, "", said),)
    file, wrong = config.load(text, str(path), TasksFile)
    return (tuple(filled(one, file.defaults) for one in file.tasks) if file else ()), wrong


def _of_repository(path: Path) -> bool:
    """Where it is, or where a link leads."""
    return any(locate(os.path.dirname(one))[0] for one in (os.path.abspath(path), os.path.realpath(path)))


async def placed(
    tasks: Sequence[TaskFile], label: str, folder: str, known: Collection[str] = (), open_names: Collection[str] = ()
) -> Found:
    """The tasks with their repositories found, relative ones from `folder` on, or all that is wrong with them. The
    names are those of core/queue_file.problems."""
    wrong = list(problems(tasks, label, known, open_names))
    found: list[TaskFile] = []
    tops: dict[str, str] = {}
    for one in tasks:
        where = os.path.normpath(os.path.join(folder, os.path.expanduser(one.repository)))
        try:
            if where not in tops:
                tops[where] = (await worktrees.repository(where)).top
            found.append(msgspec.structs.replace(one, repository=tops[where]))
        except errors.TmuxAgentError as why:
            wrong.append(ConfigError(label, one.line, f"tasks.{one.name}.repository", why.message))
    return (tuple(found) if not wrong else ()), tuple(sorted(wrong, key=lambda error: error.line))
