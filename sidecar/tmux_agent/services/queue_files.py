"""tasks.yaml on disk, and what its tasks mean there: defaults filled in, folders found, everything that is wrong.

Owns reading it, and that what a task names is there before it is in the queue. Must not own: what a file may say
(core/queue_file.py), the list of what is trusted (trusted.py).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from ..core import config, errors, marker_screen
from ..core.config import ConfigError, nearest
from ..core.fleet import SpawnSpec
from ..core.fleet_file import FleetFile
from ..core.queue_file import TaskFile, TasksFile, filled, is_typed, problems
from . import worktrees
from .config_file import own_text
from .fleet_files import FleetFiles
from .fleet_plan import command_of
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
    tasks: Sequence[TaskFile], label: str, folder: str, files: FleetFiles, known: Collection[str] = (),
    open_names: Collection[str] = (),
) -> Found:  # fmt: skip
    """The tasks with their repositories found, relative ones from `folder` on, or all that is wrong with them: what
    they name has to be there. The names are those of core/queue_file.problems."""
    wrong = [*problems(tasks, label, known, open_names), *texts(tasks, label)]
    found: list[TaskFile] = []
    places = _Places(files)
    for one in tasks:
        where = os.path.normpath(os.path.join(folder, os.path.expanduser(one.repository)))
        try:
            found.append(msgspec.structs.replace(one, repository=(await places.place(where)).top))
        except errors.TmuxAgentError as why:
            wrong.append(ConfigError(label, one.line, f"tasks.{one.name}.repository", _said(why)))
            continue
        wrong += [ConfigError(label, one.line, f"tasks.{one.name}.{key}", said) async for key, said in places.wrong(
            one, where)]  # fmt: skip
    return (tuple(found) if not wrong else ()), tuple(sorted(wrong, key=lambda error: error.line))


def texts(tasks: Sequence[TaskFile], label: str) -> list[ConfigError]:
    """Texts whose echo would be taken for what the agent says."""
    typed = ((one, marker_screen.typed(one.task)) for one in tasks if _is_typed(one))
    return [ConfigError(label, one.line, f"tasks.{one.name}.task", said) for one, said in typed if said]


def _is_typed(one: TaskFile) -> bool:
    try:
        return is_typed(one)
    except ValueError:  # its command cannot be read, which is told already
        return False


def _said(why: errors.TmuxAgentError) -> str:
    """Without the name of a parameter: the key is told."""
    return re.sub(r"\Aparams\.\w+: ", "", why.message)


class _Place(Struct, frozen=True):
    """A repository, and what counts in it."""

    top: str
    file: FleetFile


class _Places:
    """What there is in the repositories of some tasks, each asked once."""

    def __init__(self, files: FleetFiles) -> None:
        self._files = files
        self._found: dict[str, _Place | errors.TmuxAgentError] = {}
        self._bases: dict[tuple[str, str], bool] = {}

    async def place(self, folder: str) -> _Place:
        """Raises InvalidParams, Conflict (its fleet.toml is not trusted), Failed, Unavailable."""
        if folder not in self._found:
            try:
                top = (await worktrees.repository(folder)).top
                self._found[folder] = _Place(top, await asyncio.to_thread(self._files.read, top, plain=False))
            except errors.TmuxAgentError as why:
                self._found[folder] = why
        if isinstance(found := self._found[folder], errors.TmuxAgentError):
            raise found
        return found

    async def wrong(self, one: TaskFile, folder: str) -> AsyncIterator[tuple[str, str]]:
        """What a task names and is not there, by key."""
        place = await self.place(folder)
        for key, look in (("agent", self._agent), ("template", self._template), ("branch", self._branch)):
            try:
                await look(one, place)
            except errors.TmuxAgentError as why:
                yield key, _said(why)
        if one.base and not one.needs and not await self._is_commit(place.top, one.base):  # which may bring it about
            near = nearest(one.base, await worktrees.branches(place.top))
            yield "base", f"{one.base!r} names no commit of {place.top}{near}"

    async def _agent(self, one: TaskFile, place: _Place) -> None:
        if not one.command:
            command_of(SpawnSpec(repository=place.top, branch="", agent=one.agent), place.file)

    async def _template(self, one: TaskFile, place: _Place) -> None:
        if name := one.template or place.file.template:
            text = await asyncio.to_thread(self._files.template, place.top, name)
            if said := marker_screen.typed(text):
                raise errors.InvalidParams(f"{name} {said}")

    async def _branch(self, one: TaskFile, place: _Place) -> None:
        if one.branch:
            await worktrees.check_branch(place.top, one.branch)

    async def _is_commit(self, top: str, base: str) -> bool:
        if (top, base) not in self._bases:
            self._bases[top, base] = bool(await worktrees.base_commit(top, base))
        return self._bases[top, base]
