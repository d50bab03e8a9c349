"""Facts from the world: each key that the policy asks for is looked up here, and nowhere else.

Owns looking at files, links, programs and trees without following what a hostile repository planted: no FIFO
or device is
opened, every read is bounded. Must not own what a fact is worth (core/). Repositories are in observe_git.py.
Caches are keyed by what the kernel says of a file (device, inode, size, mtime, ctime), so a changed file is never
taken for the one that was looked at; what changed within the clock's grain of being looked at is not cached.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from typing import Any

import msgspec

from ..core import facts as f
from ..core import globs
from ..core.paths import Secrets
from .moment import Moment, is_settled
from .observe_detours import Detours, swapped
from .observe_git import Repositories
from .observe_history import Histories
from .observe_refs import look as look_at_refs
from .observe_settings import holds_secrets, may_tell
from .observe_tree import Trees

_LINKS = 40  # as the kernel's ELOOP
_GLOB_LIMIT = 5000
_HASH_LIMIT = 1 << 20  # what is larger is told by its times and number
_PACKAGE_LIMIT = 4 << 20
_MAGIC = ("/proc", "/dev")


def follow(path: str, moment: Moment | None = None) -> f.PathFact:
    """Where an absolute path leads, one component at a time, as the kernel would go. Never raises."""
    moment = moment or Moment()
    real, _, name = path.rpartition("/")
    rest, links = [name], 0
    if real not in moment.folders or name in ("", ".", ".."):
        real, rest = "", _components(path)
    info: os.stat_result | None = None
    parent, is_link, magic = "/", False, False
    while rest:
        part = rest.pop()
        if part == "..":
            real = real.rpartition("/")[0]
            info = None
            continue
        here = f"{real}/{part}"
        seen = moment.look(here)
        if isinstance(seen, OSError):
            magic = magic or not isinstance(seen, (FileNotFoundError, NotADirectoryError))
            return _missing(here, rest, parent if rest else real or "/", magic)
        if isinstance(seen, ValueError):
            return f.PathFact(path, "missing", "", magic=True)
        info = seen
        if not rest and not links:
            parent = real or "/"
        if stat.S_ISLNK(info.st_mode):
            links += 1
            is_link = is_link or not rest
            try:
                target = os.readlink(here)
            except OSError:
                target = ""
            if links > _LINKS or not target:
                return f.PathFact(here, "missing", parent, is_link, magic=True)
            rest += _components(target)
            if target.startswith("/"):
                real = ""
            info = None
            continue
        real = here
        if real in _MAGIC:
            magic = True
        if not magic and stat.S_ISDIR(info.st_mode):
            moment.folders.add(real)
    if info is None:
        seen = moment.look(real or "/")
        if not isinstance(seen, os.stat_result):
            return f.PathFact(real or "/", "missing", parent, is_link, magic=magic)
        info = seen
    kind = _kind(info.st_mode)
    return f.PathFact(real or "/", kind, parent, is_link, info.st_nlink if kind == "file" else 1, magic)


def _path(path: str, moment: Moment) -> f.PathFact:
    fact = follow(path, moment)
    if fact.kind != "file" or not may_tell(fact.real, moment.exists):
        return fact
    moment.stamp(fact.real)
    return msgspec.structs.replace(fact, tells=holds_secrets(fact.real))


def _components(path: str) -> list[str]:
    """Components in reverse, without empty ones and dots."""
    return [part for part in reversed(path.split("/")) if part and part != "."]


def _missing(here: str, rest: list[str], parent: str, magic: bool) -> f.PathFact:
    """A path of which a part is not there: the rest as written, with `..` in it nothing can be told."""
    if ".." in rest:
        return f.PathFact(here, "missing", parent, magic=True)
    return f.PathFact("/".join([here, *reversed(rest)]), "missing", parent, magic=magic)


def _kind(mode: int) -> Any:
    if stat.S_ISREG(mode):
        return "file"
    return "folder" if stat.S_ISDIR(mode) else "other"


class Observer:
    """Gathers facts for one policy. `path`: the PATH that bare names are looked up in; `global_git`: the person's own
    git configuration files. `background`: histories are read by a thread, which nobody here waits for."""

    def __init__(self, secrets: Secrets, home: str, path: str = os.defpath, *, background: bool = False) -> None:
        folders = [*takewhile(lambda folder: folder.startswith("/"), dict.fromkeys(path.split(":")))]
        self._path = tuple((folder, f"{folder.rstrip('/')}/") for folder in folders)
        self._relative = len(folders) < len(set(path.split(":")))  # the next one is
        self._trees = Trees(secrets)
        self._repositories = Repositories(secrets, home)
        self._detours = Detours()
        self.histories = Histories(secrets, self._git, background=background)
        self._look: dict[type, Callable[[Any, Moment], f.Fact]] = {
            f.PathKey: lambda key, moment: _path(key.path, moment),
            f.ProgramKey: lambda key, moment: self.program(key.name, moment),
            f.RepoKey: lambda key, moment: self._repositories.look(follow(key.folder, moment).real, moment),
            f.TreeKey: lambda key, moment: self._trees.look(key.path, moment),
            f.GlobKey: lambda key, moment: glob(key.folder, key.pattern, moment),
            f.HashKey: lambda key, moment: _hash(key.path, moment),
            f.PackageKey: lambda key, moment: package(key.folder, key.script, moment),
            f.AboveKey: lambda key, moment: above(key.folder, key.names, moment),
            f.HistoryKey: lambda key, moment: self.histories.look(key.top, moment),
            f.ObjectKey: lambda key, moment: self.histories.object(key.top, key.name, moment),
            f.DetourKey: lambda key, moment: self._detours.look(key.top, moment),
            f.TrackedKey: lambda key, moment: self._detours.tracked(key.top, key.path, moment),
            f.RefsKey: lambda key, moment: look_at_refs(key.top, moment),
            f.SwapKey: lambda key, moment: f.SwapFact(swapped(key.top, moment)),
        }

    def gather(self, keys: Iterable[f.Key], moment: Moment | None = None) -> dict[f.Key, f.Fact]:
        """One fact for each key, all as of one moment. Never raises: what cannot be found out comes back as the
        worst it may be."""
        moment = moment or Moment()
        return {key: self.look(key, moment) for key in keys}

    def look(self, key: f.Key, moment: Moment) -> f.Fact:
        """The same for one."""
        return self._look[type(key)](key, moment)

    def _git(self) -> str:
        """The git to look through histories with; "" where it is not to be trusted."""
        fact = self.program("git", Moment())
        return "" if fact.why else fact.real

    def program(self, name: str, moment: Moment) -> f.ProgramFact:
        """The file that a bare name runs."""
        if not name or "/" in name:
            return f.ProgramFact(why="a path")
        if "\0" in name:
            return f.ProgramFact()
        looks, access = moment.looks, os.access  # most folders are asked in vain
        for folder, front in self._path:
            file = front + name
            looks.setdefault(file, False)
            if not access(file, os.F_OK):
                continue
            info = moment.stat(file)
            if info is None or not stat.S_ISREG(info.st_mode) or not info.st_mode & 0o111:
                continue
            return f.ProgramFact(file, follow(file, moment).real, _distrust(moment.stat(folder), info))
        return f.ProgramFact(name, "", "found through a relative folder in PATH") if self._relative else f.ProgramFact()


def _distrust(folder: os.stat_result | None, info: os.stat_result) -> str:
    """Why the file that a name leads to is not to be taken for the program of that name."""
    if info.st_mode & 0o002:
        return "which anybody may write"
    if info.st_uid not in (0, os.getuid()):
        return "which belongs to somebody else"
    if folder is None:
        return "in a folder that cannot be looked at"
    return "in a folder that anybody may write to" if folder.st_mode & 0o002 else ""


# --- patterns ----------------------------------------------------------------------------------------


def glob(folder: str, pattern: str, moment: Moment | None = None) -> f.GlobFact:
    """What a shell puts in place of `pattern`, which escapes literal characters by backslashes. At most 5000 names."""
    if moment is not None:
        moment.blind = True
    parts = [part for part in pattern.split("/") if part]
    start = "/" if pattern.startswith("/") else folder
    state = _Globbing(only_folders=pattern.endswith("/"))
    state.walk(start, "/" if pattern.startswith("/") else "", parts)
    return f.GlobFact(tuple(sorted(state.found)), state.complete)


class _Globbing:
    def __init__(self, *, only_folders: bool) -> None:
        self.found: list[str] = []
        self.complete = True
        self._only_folders = only_folders
        self._steps = 0

    def walk(self, folder: str, shown: str, parts: list[str]) -> None:
        if not parts:
            self.found.append(shown.rstrip("/") + ("/" if self._only_folders else ""))
            return
        self._steps += 1
        if len(self.found) > _GLOB_LIMIT or self._steps > _GLOB_LIMIT:
            self.complete = False
            return
        part, rest = parts[0], parts[1:]
        if not _is_special(part):
            name = re.sub(r"\\(.)", r"\1", part)
            here = os.path.join(folder, name)
            if os.path.lexists(here):
                self.walk(here, shown + name + ("/" if rest else ""), rest)
            return
        names = self._names(folder)
        if part == "**":
            self._deep(folder, shown, names, rest)
        for name in names:
            if _matches(name, part):
                here = os.path.join(folder, name)
                if not (rest or self._only_folders) or os.path.isdir(here):
                    self.walk(here, shown + name + ("/" if rest else ""), rest)

    def _deep(self, folder: str, shown: str, names: list[str], rest: list[str]) -> None:
        """`**` of a shell that has globstar: any depth, this folder included."""
        self.walk(folder, shown, rest)
        for name in names:
            here = os.path.join(folder, name)
            if not name.startswith(".") and os.path.isdir(here) and not os.path.islink(here):
                self.walk(here, f"{shown}{name}/", ["**", *rest])

    def _names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []
        except NotADirectoryError:
            return []
        except OSError:
            self.complete = False
            return []


def _is_special(part: str) -> bool:
    return re.search(r"[*?\[]", re.sub(r"\\.", "", part)) is not None


def _matches(name: str, part: str) -> bool:
    """Whether a shell in any locale may match."""
    if name.startswith(".") and not part.startswith((".", "\\.", "[")):
        return False
    return globs.perhaps(name, part)


# --- contents ----------------------------------------------------------------------------------------


def read_regular(path: str, limit: int) -> bytes | None:
    """A regular file's bytes; None for anything else, and where it is longer than `limit`. Never blocks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or info.st_size > limit:
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
        return data if len(data) <= limit else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _hash(path: str, moment: Moment) -> f.HashFact:
    real = follow(path, moment)
    if real.kind != "file":
        return f.HashFact()
    stamp = moment.stamp(real.real)
    data = read_regular(real.real, _HASH_LIMIT)
    if data is not None:
        return f.HashFact(hashlib.sha256(data).hexdigest())
    now = time.time_ns()
    return f.HashFact(stamp=stamp if is_settled(stamp, now) else (now,))  # it may be written to this very moment


def package(folder: str, script: str, moment: Moment | None = None) -> f.PackageFact:
    """The script of the nearest package.json at or above `folder`, with what npm runs before and after it."""
    moment = moment or Moment()
    place = folder
    while place.startswith("/"):
        path = f"{place.rstrip('/')}/package.json"
        if moment.exists(path):
            moment.blind = True
            return f.PackageFact(path, _script_hash(path, script))
        if place == "/":
            break
        place = os.path.dirname(place.rstrip("/")) or "/"
    return f.PackageFact()


def _script_hash(path: str, script: str) -> str:
    data = read_regular(path, _PACKAGE_LIMIT)
    try:
        scripts: Mapping[str, Any] = json.loads(data or b"{}").get("scripts", {})
        wanted = [scripts.get(f"{stage}{script}") for stage in ("pre", "", "post")]
    except (ValueError, AttributeError, RecursionError):
        return ""
    if not any(isinstance(text, str) for text in wanted):
        return ""
    return hashlib.sha256(json.dumps(wanted).encode()).hexdigest()


def above(folder: str, names: tuple[str, ...], moment: Moment) -> f.AboveFact:
    """Files of these names in `folder` or any folder above it."""
    place, found = folder, []
    while place.startswith("/"):
        found += [path for name in names if moment.exists(path := f"{place.rstrip('/')}/{name}")]
        if place == "/":
            break
        place = os.path.dirname(place.rstrip("/")) or "/"
    return f.AboveFact(tuple(found))


__all__ = ["Observer", "above", "follow", "glob", "package", "read_regular"]
