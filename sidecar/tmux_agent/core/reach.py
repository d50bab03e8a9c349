"""What may be read: one path, or all beneath it, against the roots, the secrets and the facts.

Owns the answer to "may this be shown without asking", and the reason where not. Must not own which program reads it
(operands.py) or looking at files (services/observe.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from . import globs, paths
from .argv.options import Fed
from .facts import Danger, Lookup, PathFact, TreeFact
from .paths import Secrets

_OF_INDEX = {"link": "links", "secret": "tracked", "odd": "odd"}
_GLOBS = re.compile(r"[*?\[]")
_PLAIN_PIECES = re.compile(r"[^\s'\"\\]+( [A-Za-z0-9_][^\s'\"\\]*)*")


class Miss(Struct, frozen=True, gc=False):
    """Why a rule does not apply. `weight`: how much a person would want to know (3 secret, 2 place, 1 form)."""

    text: str
    weight: int = 1


class Narrow(Struct, frozen=True, gc=False):
    """To which of the files beneath a folder a reader was limited. Globs, as its options give them."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    exclude_folders: tuple[str, ...] = ()
    hidden: bool = True  # entries with a leading dot are read too
    ignores: bool = False  # what .gitignore names is skipped
    follow: bool = False  # symbolic links beneath are followed
    split: bool = False  # names with blanks fall apart
    through_links: bool = False  # and their pieces could lead out through links
    tracked: bool = False  # only what git tracks
    indexed: bool = False  # with `ignores`: but not what git tracks all the same
    committed: bool = False  # or what some commit tracks
    contents: bool = True  # not only names are shown
    globbed: bool = False  # names are taken for patterns on the way
    dashed: bool = False  # names that begin with a dash are taken for options


def first(*misses: Miss | None) -> Miss | None:
    """The first that there is."""
    return next((miss for miss in misses if miss is not None), None)


class Reach:
    """Built for one decision."""

    __slots__ = ("home", "look", "roots", "secrets")

    def __init__(self, look: Lookup, roots: Sequence[str], secrets: Secrets, home: str) -> None:
        self.look = look
        self.roots = tuple(roots)
        self.secrets = secrets
        self.home = home

    # --- one path ---

    def content(self, path: str, folder: str) -> Miss | None:
        """May the content of this file be shown? A folder passes: reading it as a file shows nothing."""
        path = paths.absolute(folder, path)
        if path in paths.READABLE_DEVICES:
            return None
        fact = self.look.path(path)
        return self._secret(path, fact) or self._placed(path, fact) or self._shared(path, fact)

    def name(self, path: str, folder: str) -> Miss | None:
        """May it be shown that this exists, how large it is, what lies in it by name?"""
        path = paths.absolute(folder, path)
        if path in paths.READABLE_DEVICES:
            return None
        fact = self.look.path(path)
        if fact.link and fact.kind in ("file", "missing") and not fact.magic and paths.inside(fact.parent, self.roots):
            return None  # the link itself is inside; of its target only the size and dates show
        return self._placed(path, fact)

    def entry(self, path: str, folder: str) -> Miss | None:
        """May the entry itself be shown, as `ls -d` does, without what is in it or behind it?"""
        path = paths.absolute(folder, path).rstrip("/") or "/"
        fact = self.look.path(path)
        if fact.magic or not paths.inside(fact.parent if fact.link else fact.real, self.roots):
            return Miss(f"{path} is outside the roots", 2)
        return None

    def is_secret(self, path: str) -> bool:
        """Whether the name of the file, or of a folder between it and its root, says so. `path` is normal."""
        return path in self.secrets or self.secrets.beneath(self._in_root(path))

    def _in_root(self, path: str) -> str:
        """The path as seen from the innermost root around it; "" outside of all."""
        around = [root for root in self.roots if paths.inside(path, (root,))]
        return path[len(max(around, key=len)) :].lstrip("/") if around else ""

    def _placed(self, path: str, fact: PathFact) -> Miss | None:
        if fact.magic:
            return Miss(f"{path} leads through links or devices that mean different things to different programs", 2)
        if not paths.inside(fact.real, self.roots):
            return Miss(f"{fact.real} is outside the roots", 2)
        if fact.kind == "other":
            return Miss(f"{path} is a device, socket or pipe", 2)
        return None

    def _secret(self, path: str, fact: PathFact) -> Miss | None:
        if fact.kind == "folder":
            return None
        if fact.tells or self.is_secret(fact.real) or self.is_secret(paths.normal(path)):
            return Miss(f"{path} holds secrets", 3)
        return None

    def _shared(self, path: str, fact: PathFact) -> Miss | None:
        if fact.kind == "file" and fact.links > 1 and not _is_store(fact.real):
            return Miss(f"{path} has {fact.links} hard links: it may be another name of something private", 2)
        return None

    # --- a whole tree ---

    def tree(self, path: str, folder: str, narrow: Narrow) -> Miss | None:
        """May everything beneath (or the file itself) be shown?"""
        miss = self.content(path, folder) if narrow.contents else self.name(path, folder)
        if miss is not None:
            return miss
        whole = paths.absolute(folder, path)
        fact = self.look.path(whole) if whole not in paths.READABLE_DEVICES else None
        if fact is None or fact.kind != "folder":
            return None
        return self._beneath(fact.real, self.look.tree(fact.real), narrow)

    def _beneath(self, start: str, tree: TreeFact, narrow: Narrow) -> Miss | None:
        if narrow.split and any(danger.kind == "link" for danger in tree.dangers):
            # A piece of a name that falls apart could lead through a link.
            narrow = msgspec.structs.replace(narrow, through_links=True)
        if narrow.contents and tree.files and self.secrets.beneath(f"{self._in_root(start)}/?"):
            return Miss(f"{start} holds secrets", 3)
        for danger in tree.dangers:
            miss = self._reached(start, danger, narrow)
            if miss is not None:
                return miss
        return None if tree.complete else Miss(f"{start} holds too much to look through for secrets", 2)

    def _reached(self, start: str, danger: Danger, narrow: Narrow) -> Miss | None:
        where = f"{start}/{danger.path}"
        if danger.kind == "odd":
            bad = (narrow.split and (narrow.through_links or not self._falls_well(danger.path))) or (
                narrow.dashed and danger.path.startswith("-")
            )
            bad = bad or (narrow.globbed and _GLOBS.search(danger.path) is not None)
            bad = bad and (danger.path.endswith("/") or _is_read(danger.path, narrow))
            bad = bad and self._is_printed(where, narrow, "odd")
            return Miss(f"{where} has a name that would fall apart on the way", 2) if bad else None
        skipped = narrow.ignores and danger.ignored and not narrow.include
        if skipped and narrow.indexed:
            skipped = danger.kind != "shared" and not self._in_index(where, _OF_INDEX[danger.kind])
        if skipped or not _is_read(danger.path, narrow, shown=danger.shown):
            return None
        if danger.kind == "link":
            if not narrow.follow or not self._is_printed(where, narrow, "links"):
                return None
            safe = paths.inside(danger.target, self.roots) and not self.is_secret(danger.target)
            fact = self.look.path(danger.target) if safe else None
            safe = fact is not None and fact.kind == "file" and not (fact.magic or fact.tells)
            return None if safe else Miss(f"{where} leads to {danger.target}", 2)
        if not narrow.contents:
            return None
        if danger.kind == "shared":
            return Miss(f"{where} has several hard links: it may be another name of something private", 2)
        return Miss(f"{where} holds secrets", 3) if self._is_printed(where, narrow, "tracked") else None

    def _falls_well(self, path: str) -> bool:
        """True where the pieces of a name with blanks are plain names in the same folder again, none of them secret."""
        if not _PLAIN_PIECES.fullmatch(path) or ".." in path:
            return False
        return not any(f"/{p}" in self.secrets or self.secrets.beneath(p) for p in path.rstrip("/").split(" "))

    def _is_printed(self, where: str, narrow: Narrow, kind: str) -> bool:
        """False only where the names come from git and this one is not among those that it tracks."""
        return not narrow.tracked or (narrow.committed and kind == "links") or self._in_index(where, kind)

    def _in_index(self, where: str, kind: str) -> bool:
        """Whether git tracks this, or that cannot be told."""
        repo = self.look.repo(where.rpartition("/")[0])
        known: tuple[str, ...] = getattr(repo, kind)
        if "*" in known or any(f"{repo.top}/{path}" == where.rstrip("/") for path in known):
            return True
        if kind != "links" or not repo.top:
            return False
        # What git tracks as a file, or as a folder of files, may be a link by now.
        return self.look.tracked(repo.top, where.removeprefix(f"{repo.top}/")).tracked

    def fed(self, fed: Fed, *, contents: bool = True) -> Miss | None:
        """May all that another program names be shown? Without `contents`: its names, sizes and dates."""
        if fed.unknown or fed.partial or fed.within or not fed.starts:
            return Miss("what it reads is known only when it runs", 2)
        narrow = Narrow(
            include=fed.names or (),
            hidden=fed.hidden,
            follow=fed.links,
            split=fed.split,
            dashed=fed.dashed,
            globbed=fed.globbed,
            tracked=fed.tracked,
            committed=fed.committed,
            ignores=fed.ignores,
            indexed=fed.indexed,
            contents=contents,
        )
        if fed.from_top and self.look.repo(fed.starts[0]).top != self.look.path(fed.starts[0]).real:
            return Miss("git names files from the top of the repository, and this is another folder", 2)
        past = self._past(fed.starts[0]) if fed.committed else None
        return first(past, *(self.tree(start, "/", narrow) for start in fed.starts))

    def _past(self, folder: str) -> Miss | None:
        """A file that git no longer tracks but once did may still lie there."""
        repo = self.look.repo(folder)
        history = self.look.history(repo.top) if repo.top else None
        if history is None or not history.known:
            return Miss("git names files of a history that is not known", 2)
        return Miss(f"{history.secrets[0]} is in the history and holds secrets", 3) if history.secrets else None


def _is_read(path: str, narrow: Narrow, *, shown: bool = False) -> bool:
    *folders, name = path.split("/")
    if narrow.include:
        # Where a tool is given both, the later one wins for some and the earlier for others: no exclusion counts then.
        return any(_fits(glob, name) for glob in narrow.include)
    if not (narrow.hidden or shown) and any(part.startswith(".") for part in (*folders, name)):
        return False
    if any(globs.surely(name, glob) for glob in narrow.exclude):
        return False
    return not any(globs.surely(part, glob) for part in folders for glob in narrow.exclude_folders)


def _fits(glob: str, name: str) -> bool:
    """Whether a file of this name may be one that the glob takes; folders in front of it are taken to fit."""
    last = glob.rstrip("/").rpartition("/")[2].casefold()
    if last == "**" or glob.endswith("/") or ("]" in last and "[" not in last.partition("]")[0]):
        return True  # every name, or the slash stood within brackets
    return any(globs.perhaps(name, piece) for piece in _braces(last))


def _braces(glob: str) -> list[str]:
    """The globs that one pair of braces stands for; braces within braces are taken to fit everything."""
    before, opened, rest = glob.partition("{")
    inner, closed, after = rest.partition("}")
    if not opened:
        return [glob]
    if not closed or "{" in inner or "{" in after:
        return ["*"]
    return [glob, *(before + piece + after for piece in inner.split(","))]


def _is_store(real: str) -> bool:
    """Package managers and git link their own copies of files; nobody's secrets."""
    return "/node_modules/" in real or "/.git/" in real or "/.venv/" in real or "/site-packages/" in real
