"""What lies beneath a folder that a recursive reader must not get: secrets by name, links that lead out, shared files.

Owns the walk, its bound, and a cache that is checked folder by folder. Must not own which names are secret
(core/paths).
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections import OrderedDict
from typing import cast

from ..core.facts import Danger, TreeFact
from ..core.paths import Secrets, inside
from .gitignore import Ignores
from .moment import Moment, Stamp, is_settled, stamp
from .observe_settings import holds_secrets, may_tell

_ENTRIES = 500_000
_DANGERS = 2000
_ODD_NAMES = 200  # of more than that nothing new is learnt
_CACHED = 64
_ODD = re.compile(r"[\s'\"\\*?\[]|^-")
_STORES = ("node_modules", ".git", ".venv", "site-packages")
_PROBES = (".env", "id_rsa", "x.pem")

_Signature = list[tuple[str, Stamp]]


class Trees:
    """Looks through folders; one per policy, because the policy says what is secret."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._cache: OrderedDict[str, tuple[_Signature, TreeFact]] = OrderedDict()

    def look(self, path: str, moment: Moment) -> TreeFact:
        """The fact about one folder. A folder that cannot be read is not complete, nor one that holds more
        than the moment has to spare: then all of the work is left in it, which may be done in another thread."""
        if path in moment.walked:
            moment.blind = True
            return cast(TreeFact, moment.walked[path])
        fact = self._look(path, moment)
        if fact is None:
            moment.left.append(lambda: (path, self._look(path, Moment()) or TreeFact(complete=False)))
        return fact or TreeFact(complete=False)

    def _look(self, path: str, moment: Moment) -> TreeFact | None:
        """None: it is too large for this moment."""
        known = self._cache.get(path)
        still = _still(known[0], moment) if known is not None else False
        if known is not None and still:
            return known[1]
        moment.blind = True
        walk = _Walk(path, self._secrets)
        if still is None or not walk.run(moment):
            return None
        fact = walk.fact()
        self._cache.pop(path, None)
        if walk.settled and fact.complete:
            self._cache[path] = (walk.signature, fact)
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return fact


def _still(signature: _Signature, moment: Moment) -> bool | None:
    """Whether every folder is as it was: a new, renamed or relinked entry changes its times. None: there
    are too many for this moment."""
    return moment.still(signature) if moment.spend(len(signature)) else None


class _Walk:
    def __init__(self, start: str, secrets: Secrets) -> None:
        self._start = start
        self._secrets = secrets
        self._dangers: list[Danger] = []
        self._files = self._bytes = self._entries = 0
        self._complete = True
        self._odd = 0
        self._exempt = False  # nothing directly in the folder being read is secret (installed packages)
        self._deep = False  # the folder being read may be secret as a whole
        self.settled = True
        self.signature: _Signature = []
        self._names: dict[str, bool] = {}
        self._ignores = Ignores()
        self._settings: list[tuple[str, Stamp]] = []  # files of git's settings, from before they were read

    def run(self, moment: Moment) -> bool:
        """False where there was more than the moment has to spare."""
        pending = [""]
        now = time.time_ns()
        while pending and self._complete:
            folder = pending.pop()
            where = f"{self._start}/{folder}" if folder else self._start
            try:
                seen = stamp(where)
                self.signature.append((where, seen))
                self.settled = self.settled and is_settled(seen, now)
                self._deep = self._secrets.near(where)
                self._exempt = self._deep and not any(f"{where}/{probe}" in self._secrets for probe in _PROBES)
                with os.scandir(where) as entries:
                    for entry in entries:
                        if not moment.spend():
                            return False
                        below = self._entry(entry, f"{folder}/{entry.name}" if folder else entry.name)
                        if below:
                            pending.append(below)
            except OSError:
                self._complete = False
        self.signature += [(path, stamp(path)) for path in self._ignores.files]
        self.signature += self._settings
        self.settled = self.settled and all(is_settled(seen, now) for _, seen in self._settings)
        return True

    def fact(self) -> TreeFact:
        return TreeFact(tuple(self._dangers), self._complete, self._files, self._bytes)

    def _entry(self, entry: os.DirEntry[str], path: str) -> str:
        """Note one entry; gives its path if it is a folder to enter."""
        self._entries += 1
        if self._entries > _ENTRIES or len(self._dangers) > _DANGERS:
            self._complete = False
            return ""
        if _ODD.search(entry.name) and (self._odd < _ODD_NAMES or entry.name.startswith("-")):
            self._odd += 1
            self._dangers.append(Danger("odd", path + "/" if entry.is_dir(follow_symlinks=False) else path))
        if entry.is_symlink():
            self._link(path)
            return ""
        if entry.is_dir(follow_symlinks=False):
            return path
        self._files += 1
        if self._is_secret(path, entry.name) or self._tells(f"{self._start}/{path}"):
            whole = f"{self._start}/{path}"
            shown = "/." in f"/{path}" and self._ignores.may_show(whole)
            self._dangers.append(Danger("secret", path, ignored=self._ignores.names(whole, self._start), shown=shown))
        if not any(store in path for store in _STORES):
            info = entry.stat(follow_symlinks=False)
            self._bytes += info.st_size
            if info.st_nlink > 1 and stat.S_ISREG(info.st_mode):
                self._dangers.append(Danger("shared", path))
        return ""

    def _is_secret(self, path: str, name: str) -> bool:
        """Mostly the name says it all, and names repeat; only in some folders the whole path counts."""
        if self._exempt:
            return False
        if self._secrets.beneath(path):
            return True
        if self._deep:
            return f"{self._start}/{path}" in self._secrets
        known = self._names.get(name)
        if known is None:
            known = self._names[name] = self._secrets.by_name(name)
        return known

    def _tells(self, path: str) -> bool:
        if not may_tell(path):
            return False
        self._settings.append((path, stamp(path)))
        return holds_secrets(path)

    def _link(self, path: str) -> None:
        target = os.path.realpath(f"{self._start}/{path}")
        if (
            not inside(target, (self._start,))
            or target in self._secrets
            or self._secrets.beneath(target[len(self._start) + 1 :])
            or may_tell(target)
        ):
            self._dangers.append(Danger("link", path, target))
