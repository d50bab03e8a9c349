"""What git would use in a folder, and whether the repository's own files can make it run or reach anything.

Owns finding a repository the way git does, reading its configuration and index. git itself is never run. Must not own
what follows from it (core/rules.py). Sources: gitrepository-layout(5), git-config(1), gitformat-index(5), 2.39 to 2.47.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections import OrderedDict

from ..core.facts import RepoFact
from ..core.paths import Secrets, inside
from .git_config import Settings, parse
from .git_index import gitlinks, tracked
from .moment import Moment, Stamp, is_settled, stamp
from .observe_settings import tells

_CONFIG_LIMIT = 1 << 20
_CACHED = 256
_MODULES = 500
_INCLUDED = 30  # files of the person's settings

# Hooks that commands run which only read: git refreshes the index as it goes, and moves references when it fetches.
_READ_HOOKS = frozenset(("post-index-change", "reference-transaction", "fsmonitor-watchman", "query-watchman"))
_HEAD = re.compile(rb"ref:\s*refs/|[0-9a-f]{40}")
_HOOK_FOLDERS = re.compile(r"(\./)?(\.husky(/_)?|\.githooks|\.git-hooks|\.hooks)/?")
_FALSE = frozenset(("false", "no", "off", "0", ""))
_LFS = frozenset(
    (
        "git-lfs clean -- %f",
        "git-lfs smudge -- %f",
        "git-lfs smudge --skip -- %f",
        "git-lfs filter-process",
        "git-lfs filter-process --skip",
    )
)
_RUNS = re.compile(
    r"diff\..*\.(command|textconv)|diff\.external|filter\..*\.(clean|smudge|process)|merge\..*\.driver"
    r"|(diff|merge)tool\..*\.(cmd|path)|gpg\.(.*\.)?program|sequence\.editor|interactive\.difffilter"
    r"|core\.(sshcommand|editor|askpass|alternaterefscommand|gitproxy)|uploadpack\.packobjectshook"
    r"|remote\..*\.(uploadpack|receivepack|vcs)|trailer\..*\.(command|cmd)|protocol\.(.*\.)?allow|hook\..*\.command"
    r"|browser\..*\.(cmd|path)|man\..*\.(cmd|path)|web\.browser"
)
# These run a program only with a value that says so.
_MAY_RUN = re.compile(r"credential\.(.*\.)?helper|submodule\..*\.update")
_SAYS_SO = re.compile(r"\s*[!/~.]")
_REACHES = re.compile(r"(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))")
# Files that git reads, and of which its messages show lines.
_NAMES_FILE = re.compile(
    r"blame\.ignorerevsfile|core\.(excludesfile|attributesfile)|mailmap\.file|diff\.orderfile|(.*\.)?fsck\.skiplist"
)
_SIGNED = re.compile(r"%G|%\(\*?signature")


class Repositories:
    """Facts about repositories, kept as long as every file that they rest on is unchanged."""

    def __init__(self, secrets: Secrets, home: str) -> None:
        self._secrets = secrets
        self._home = home
        self._cache: OrderedDict[str, tuple[_Reading, RepoFact]] = OrderedDict()

    def look(self, folder: str, moment: Moment) -> RepoFact:
        """The repository that git would use in `folder`, a real path."""
        found = _find(folder, moment)
        if found is None:
            return RepoFact()
        top, git = found
        known = self._cache.pop(git, None)
        if known is None or not known[0].still(moment):
            moment.blind = True
            reading = _Reading(top, git, self._secrets, self._home)
            known = (reading, reading.run())
            if not reading.settled():
                return known[1]
        self._cache[git] = known
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return known[1]


def _find(folder: str, moment: Moment) -> tuple[str, str] | None:
    """(top level, path of .git or of the bare repository) as git's discovery goes upwards; None outside any."""
    place = folder
    while True:
        git = f"{place.rstrip('/')}/.git"
        if moment.exists(git):
            return place, git
        if _is_bare(place, moment):
            return place, place
        if place in ("/", ""):
            return None
        place = os.path.dirname(place)


def _is_bare(folder: str, moment: Moment) -> bool:
    has = {name for name in ("HEAD", "objects", "refs", "commondir") if moment.exists(f"{folder}/{name}")}
    return "HEAD" in has and ("commondir" in has or {"objects", "refs"} <= has)


class _Reading:
    """One look at one repository, and what its result rests on: files and folders, and where paths led."""

    def __init__(self, top: str, git: str, secrets: Secrets, home: str) -> None:
        self._top = top
        self._git = git
        self._secrets = secrets
        self._home = home
        self._hostile: list[str] = []
        self._tells = False
        self._hooks_at = ""
        self._hash_bytes = 20
        self._inner: list[str] = []  # secrets that submodules track
        self._index: bytes | None = None
        self._stamps: dict[str, Stamp] = {}  # from before each was read
        self._led: dict[str, str] = {}

    def still(self, moment: Moment) -> bool:
        """Whether all that it rests on is as it was."""
        from .observe import follow

        return moment.still(self._stamps.items()) and all(
            follow(path, moment).real == real for path, real in self._led.items()
        )

    def settled(self) -> bool:
        """Whether nothing changed while it was read, and every change from now on will show."""
        now = time.time_ns()
        return all(is_settled(seen, now) for seen in self._stamps.values()) and self.still(Moment())

    def run(self) -> RepoFact:
        self._rests_on(self._git)
        if self._git == self._top:
            return RepoFact(self._top, self._top, True, ("a bare repository in place of a work tree",))
        if os.path.isdir(self._git) and not self._is_repository():
            why = "its .git is no repository, so that git would take another one further up"
            return RepoFact(self._top, "", False, (why,))
        folder, own = self._folder()
        if not folder:
            return RepoFact(self._top, "", False, tuple(self._hostile) or ("its .git leads nowhere",))
        common = self._common(folder)
        self._configuration(common, f"{common}/config", f"{folder}/config.worktree")
        hooks = self._hooks_at  # not those of submodules
        self._hooks(f"{common}/hooks")
        self._links(common, folder)
        self._alternates(common)
        self._person()
        self._index = self._read(f"{folder}/index", 64 << 20)
        self._submodules(common)
        files = tracked(self._index, self._secrets, self._top, self._hash_bytes)
        hostile = tuple(self._hostile)
        secrets = (*files.secrets, *self._inner)
        told = (secrets, files.links, files.odd, hooks)
        return RepoFact(self._top, common, own, hostile, self._tells, *told)

    def _is_repository(self) -> bool:
        """Whether git takes this .git folder for one; if not, it goes on upwards."""
        head = self._read(f"{self._git}/HEAD", 4096) or b""
        return _is_bare(self._git, Moment()) and _HEAD.match(head) is not None

    def _rests_on(self, path: str) -> None:
        if path not in self._stamps:
            self._stamps[path] = stamp(path)

    def _real(self, path: str) -> str:
        from .observe import follow

        self._led[path] = follow(path).real
        return os.path.realpath(path)

    def _read(self, path: str, limit: int) -> bytes | None:
        """The bytes of a regular file, b"" for one that is missing, None for one that cannot be read as one."""
        from .observe import read_regular

        self._rests_on(path)
        if not os.path.lexists(path):
            return b""
        return read_regular(path, limit)

    def _listed(self, folder: str) -> list[str]:
        """The names in a folder; none where there is no folder. What is in one that cannot be read can be run and
        opened by its name all the same."""
        self._rests_on(folder)
        try:
            return os.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError:
            self._hostile.append(f"{folder} cannot be looked into")
            return []

    def _folder(self) -> tuple[str, bool]:
        """The folder that .git is or names, and whether it is this worktree's own."""
        info = os.lstat(self._git)
        if stat.S_ISDIR(info.st_mode):
            return self._git, True
        if stat.S_ISLNK(info.st_mode):
            self._hostile.append("its .git is a symbolic link")
            return "", False
        text = (self._read(self._git, 4096) or b"").decode("utf-8", "replace")
        if not text.startswith("gitdir: "):
            self._hostile.append("its .git file is not understood")
            return "", False
        folder = self._real(os.path.join(self._top, text[len("gitdir: ") :].strip("\r\n")))
        # A submodule's repository lies in the .git of the work tree around it; a worktree's names it in return.
        if not os.path.isdir(folder):
            return "", False
        back = (self._read(f"{folder}/gitdir", 4096) or b"").decode("utf-8", "replace").strip("\r\n")
        if back and self._real(os.path.join(folder, back)) == self._real(self._git):
            return folder, True
        if self._is_submodule(folder):
            return folder, True
        self._hostile.append("its .git file names a repository that does not name it in return")
        return folder, False

    def _is_submodule(self, folder: str) -> bool:
        data = self._read(f"{folder}/config", _CONFIG_LIMIT)
        settings = parse(data) if data else None
        tree = settings.last("core.worktree") if settings else None
        around = folder.partition("/.git/modules/")[0]
        names_it = tree is not None and self._real(os.path.join(folder, tree)) == self._top
        return names_it and "/.git/modules/" in folder and inside(self._top, (around,))

    def _common(self, folder: str) -> str:
        text = (self._read(f"{folder}/commondir", 4096) or b"").decode("utf-8", "replace").strip("\r\n")
        return self._real(os.path.join(folder, text)) if text else folder

    def _links(self, *folders: str) -> None:
        """Files in .git that git prints (a rebase's steps, a bisection's log) must not be links to something else."""
        for folder in dict.fromkeys(folders):
            for place in (
                "",
                "/info",
                "/logs",
                "/logs/refs",
                "/objects/info",
                "/rebase-merge",
                "/rebase-apply",
                "/sequencer",
            ):
                here = folder + place
                found = [name for name in self._listed(here) if os.path.islink(f"{here}/{name}")]
                self._hostile += [f"its .git{place}/{name} is a symbolic link" for name in found[:1]]

    def _alternates(self, common: str) -> None:
        """Objects that it takes from other repositories."""
        text = (self._read(f"{common}/objects/info/alternates", _CONFIG_LIMIT) or b"").decode("utf-8", "replace")
        for line in text.splitlines():
            place = self._real(os.path.join(common, "objects", line))
            if line and not line.startswith("#") and not inside(place, (self._top, common)):
                self._hostile.append(f"it takes objects from {place}")

    # --- configuration ---

    def _configuration(self, common: str, *files: str) -> None:
        for file in files:
            data = self._read(file, _CONFIG_LIMIT)
            settings = parse(data) if data is not None else None
            if settings is None:
                self._hostile.append(f"its {os.path.basename(file)} cannot be read")
                continue
            if (settings.last("extensions.objectformat") or "").lower() == "sha256":
                self._hash_bytes = 32
            for key, value in settings.pairs:
                why = self._runs(key, value, common)
                if why:
                    self._hostile.append(why)
            self._note_telling(settings)

    def _note_telling(self, settings: Settings) -> None:
        self._tells = self._tells or any(tells(key, value) for key, value in settings.pairs)

    def _runs(self, key: str, value: str, common: str) -> str:
        """A phrase where this setting makes git run or reach something, else ""."""
        if key.startswith(("include.", "includeif.")):
            return f"{key} reads settings from another file"
        if key.startswith("filter.") and value.strip() in _LFS:
            return ""
        if _RUNS.fullmatch(key) or (_MAY_RUN.fullmatch(key) and _SAYS_SO.match(value)):
            return f"{key} runs a program"
        if _REACHES.fullmatch(key) and value.lower() not in _FALSE:
            return f"{key} lets git fetch what is missing from the network"
        if _NAMES_FILE.fullmatch(key) and value and not self._is_own_file(value, common):
            return f"{key} names a file outside the repository, or one with secrets"
        if _SIGNED.search(value) and (key == "format.pretty" or key.startswith("pretty.")):
            return f"{key} checks signatures with a program"
        if key == "log.showsignature" and value.lower() not in _FALSE:
            return f"{key} checks signatures with a program"
        if key in ("tag.sort", "branch.sort") and "signature" in value.lower():
            return f"{key} checks signatures with a program"
        if key == "core.fsmonitor" and value.lower() not in _FALSE | {"true", "yes", "on", "1"}:
            return "core.fsmonitor runs a program"
        if key == "core.hookspath":
            return self._hooks_path(value)
        if key == "core.worktree" and not self._is_own_tree(value, common):
            return "core.worktree names another folder"
        if (key == "core.pager" or key.startswith("pager.")) and value.lower() not in _FALSE | {"cat", "true", "less"}:
            return f"{key} runs a program"
        if key.startswith("alias.") and value.lstrip().startswith("!"):
            return f"{key} runs a program"
        return ""

    def _is_own_file(self, value: str, common: str) -> bool:
        path = os.path.join(self._top, re.sub(r"\A~(?=/)", self._home, value))
        real = self._real(path)
        return inside(real, (self._top, common)) and real not in self._secrets and path not in self._secrets

    def _is_own_tree(self, value: str, common: str) -> bool:
        tree = self._real(os.path.join(common, value))
        return tree == self._top or (
            "/.git/modules/" in common and inside(tree, (common.partition("/.git/modules/")[0],))
        )

    def _hooks_path(self, value: str) -> str:
        """Hooks of usual tools in the worktree are the person's own habit, unless a reading command would run one."""
        real = self._hooks_at = self._real(os.path.join(self._top, re.sub(r"\A~(?=/)", self._home, value)))
        if _HOOK_FOLDERS.fullmatch(value) and inside(real, (self._top,)) and os.path.isdir(real):
            self._hooks(real)
            return ""
        return "core.hooksPath names a folder of hooks"

    def _hooks(self, folder: str) -> None:
        for name in sorted(_READ_HOOKS & set(self._listed(folder))):
            self._hostile.append(f"the hook {name} runs whenever git looks")

    def _person(self) -> None:
        """The person's and the machine's settings may run what they like; only whether a listing would show a password
        counts, also in files that they include."""
        pending = [f"{self._home}/.gitconfig", f"{self._home}/.config/git/config", "/etc/gitconfig"]
        for path in pending:
            data = self._read(path, _CONFIG_LIMIT)
            settings = parse(data) if data else None
            if settings is not None:
                self._note_telling(settings)
                pending += self._included(path, settings)
            elif data != b"" or len(pending) > _INCLUDED:
                self._tells = True  # nobody knows what it holds
            if len(pending) > _INCLUDED:
                break

    def _included(self, path: str, settings: Settings) -> list[str]:
        named = [value for key, value in settings.pairs if re.fullmatch(r"include(if\..*)?\.path", key, re.DOTALL)]
        folder = os.path.dirname(path)
        return [os.path.join(folder, re.sub(r"\A~(?=/)", self._home, value)) for value in named]

    # --- submodules and index ---

    def _submodules(self, common: str) -> None:
        """git status and diff look into submodules with their own configuration."""
        try:
            links = gitlinks(self._index, self._hash_bytes)
        except ValueError as why:
            links = ()
            self._hostile.append(f"its index cannot be read: {why}")
        for path in links:
            git = f"{self._top}/{path}/.git"
            self._rests_on(git)
            self._inner_secrets(path, git)
            if os.path.isdir(git) and not os.path.islink(git):
                self._configuration(git, f"{git}/config", f"{git}/config.worktree")
                self._hooks(f"{git}/hooks")
            elif os.path.lexists(git) and not self._names_module(git, common):
                self._hostile.append(f"the submodule {path} is somewhere else")
        for module in self._modules(f"{common}/modules"):
            self._configuration(module, f"{module}/config", f"{module}/config.worktree")
            self._hooks(f"{module}/hooks")

    def _inner_secrets(self, path: str, git: str) -> None:
        """Secrets that a submodule tracks: patches and searches may go into it."""
        folder = git
        if os.path.isfile(git):
            text = (self._read(git, 4096) or b"").decode("utf-8", "replace").removeprefix("gitdir: ").strip("\r\n")
            folder = self._real(os.path.join(os.path.dirname(git), text))
        index = self._read(f"{folder}/index", 64 << 20)
        inner = tracked(index, self._secrets, f"{self._top}/{path}", self._hash_bytes)
        self._inner += [name if name == "*" else f"{path}/{name}" for name in inner.secrets]

    def _names_module(self, git: str, common: str) -> bool:
        text = (self._read(git, 4096) or b"").decode("utf-8", "replace")
        target = self._real(os.path.join(os.path.dirname(git), text.removeprefix("gitdir: ").strip("\r\n")))
        return text.startswith("gitdir: ") and inside(target, (f"{common}/modules",))

    def _modules(self, folder: str) -> list[str]:
        found: list[str] = []
        pending = [folder]
        while pending:
            place = pending.pop()
            names = self._listed(place)
            if "HEAD" in names and "objects" in names:
                found.append(place)
                names = ["modules"] if "modules" in names else []
            for name in names:
                path = f"{place}/{name}"
                if os.path.isdir(path) and not os.path.islink(path):
                    pending.append(path)
            if len(found) > _MODULES:
                self._hostile.append("it has more submodules than are looked at")
                break
        return found
