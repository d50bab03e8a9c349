"""What the policy may ask of the world, and the answers: one frozen key type and one frozen value type per question.

Owns these types and the rule that an unknown fact is never a good one. Must not own how an answer is found
(services/observe.py) or what it is worth (policy.py).
A decision is made by a mapping of facts, each of which is looked up when it comes to that (`Lookup`). Where they come
from is the mapping's: the world is looked at then and there (services/observe.py), tests and examples of rules make
theirs up. So the policy stays pure, and the facts that were used are exactly the ones that must still hold when an
approved action is run: `pin` keeps them as far as they say what is run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct


class PathKey(Struct, frozen=True, gc=False, tag="path"):
    """Where does this path lead? `path` is absolute and as the kernel would be asked: `..` and links are
    still in it."""

    path: str


class PathFact(Struct, frozen=True, gc=False):
    """`real` is the path with every link followed; what is missing at its end stays as written.

    `parent` is the real folder that holds the entry itself and `link` says that the entry is a symbolic link. `kind`
    is of what the link leads to. `magic`: the way went through /proc or /dev, where names mean other things to other
    processes; or it could not be told (too many links, no permission). `tells`: it is a file of git's settings that
    holds a password or token.
    """

    real: str
    kind: Literal["file", "folder", "missing", "other"]
    parent: str = ""
    link: bool = False
    links: int = 1  # hard links of a regular file
    magic: bool = False
    tells: bool = False


class GlobKey(Struct, frozen=True, gc=False, tag="glob"):
    """Which names does this pattern match? Shell rules: `*` does not match a leading dot; `**` is taken as
    any depth."""

    folder: str
    pattern: str


class GlobFact(Struct, frozen=True, gc=False):
    matches: tuple[str, ...] = ()  # as the shell would put them into the command
    complete: bool = True  # False: more than the limit, or a folder could not be read


class ProgramKey(Struct, frozen=True, gc=False, tag="program"):
    """Which file runs for a bare name (no slash)?"""

    name: str


class ProgramFact(Struct, frozen=True, gc=False):
    """`path` is where PATH finds it ("" for nowhere), `real` with links followed. `why`: the reason not to
    trust the way."""

    path: str = ""
    real: str = ""
    why: str = ""


class RepoKey(Struct, frozen=True, gc=False, tag="repo"):
    """Which repository would git use in this folder, and can its own configuration run something?"""

    folder: str


class RepoFact(Struct, frozen=True, gc=False):
    """`top` is "" outside any repository. `hostile`: phrases, each a way in which the repository makes git
    run or reach something."""

    top: str = ""
    common: str = ""  # real path of the folder with config and objects
    own: bool = True  # the repository lies in `top`, or names this very worktree as its own
    hostile: tuple[str, ...] = ()
    tells: bool = False  # its or the person's git configuration holds a password or token that a listing would show
    # Of the files that git tracks, relative to `top`; ("*",) where it cannot be told:
    tracked: tuple[str, ...] = ()  # those with secret names
    links: tuple[str, ...] = ()  # symbolic links
    odd: tuple[str, ...] = ()  # names that fall apart on the way through xargs
    hooks: str = ""  # real path of the folder that its core.hooksPath names


class TreeKey(Struct, frozen=True, gc=False, tag="tree"):
    """What lies beneath this folder that a recursive reader must not get?"""

    path: str


class Danger(Struct, frozen=True, gc=False):
    """One entry beneath a folder. `path` is relative to it (an odd folder ends in /); `target` is where a
    link leads."""

    kind: Literal["secret", "link", "shared", "odd"]
    path: str
    target: str = ""
    shown: bool = False  # an ignore file may bring it back although its name begins with a dot
    ignored: bool = False  # .gitignore names it, and nothing un-ignores it


class TreeFact(Struct, frozen=True, gc=False):
    dangers: tuple[Danger, ...] = ()
    complete: bool = True
    files: int = 0
    bytes: int = 0


class HashKey(Struct, frozen=True, gc=False, tag="hash"):
    """What is in a file that would be run, or read for what to do."""

    path: str


class HashFact(Struct, frozen=True, gc=False):
    sha256: str = ""  # "": missing, no regular file, or too large
    stamp: tuple[int, ...] = ()  # of what is too large: changes with whatever is done to it


class PackageKey(Struct, frozen=True, gc=False, tag="package"):
    """The script of this name in the package.json that npm and its kin would use in this folder."""

    folder: str
    script: str


class PackageFact(Struct, frozen=True, gc=False):
    path: str = ""  # of the package.json; "" for none
    sha256: str = ""  # of the script with its pre and post scripts; "" where there is no such script


class AboveKey(Struct, frozen=True, gc=False, tag="above"):
    """Is there a file of one of these names in this folder or in one above it?"""

    folder: str
    names: tuple[str, ...]


class AboveFact(Struct, frozen=True, gc=False):
    found: tuple[str, ...] = ()


class HistoryKey(Struct, frozen=True, gc=False, tag="history"):
    """What lies in the history of the repository with this top level: all that references and reflogs lead to?"""

    top: str


WHOLE = 1 << 30  # more commits than there are


class HistoryFact(Struct, frozen=True, gc=False):
    """`secrets`: paths relative to the top that some commit holds under a secret name, ("*",) for too many. `clean`: so
    many commits back from HEAD, one parent each, none of these is held or changed; WHOLE where no commit that HEAD
    leads to holds one."""

    known: bool = False  # False: it has not been looked through, or cannot be
    reading: bool = False  # it is being looked through now, by a thread
    secrets: tuple[str, ...] = ()
    clean: int = 0


class ObjectKey(Struct, frozen=True, gc=False, tag="object"):
    """Which objects of the repository with this top level does a hexadecimal name, or its beginning, mean?"""

    top: str
    name: str


class ObjectFact(Struct, frozen=True, gc=False):
    """`commit`: a commit of the history; `reached`: something else in it; `loose`: something that no reference leads
    to, or it cannot be told."""

    kind: Literal["missing", "commit", "reached", "loose"] = "loose"


class DetourKey(Struct, frozen=True, gc=False, tag="detour"):
    """Which folders of tracked files are symbolic links by now?"""

    top: str


class DetourFact(Struct, frozen=True, gc=False):
    folders: tuple[str, ...] = ()  # relative to the top; ("*",) where it cannot be told


class TrackedKey(Struct, frozen=True, gc=False, tag="tracked"):
    """Does git track a file of this name, or files in a folder of it? `path` is relative to the top level."""

    top: str
    path: str


class TrackedFact(Struct, frozen=True, gc=False):
    tracked: bool = True  # also where it cannot be told


class SwapKey(Struct, frozen=True, gc=False, tag="swap"):
    """Does the repository give commits or files other contents than their names say (git-replace(1), grafts)?"""

    top: str


class SwapFact(Struct, frozen=True, gc=False):
    swapped: bool = True


class RefsKey(Struct, frozen=True, gc=False, tag="refs"):
    """Which references of the repository with this top level could be taken for something else than a name?"""

    top: str


class RefsFact(Struct, frozen=True, gc=False):
    """`odd`: such as begin with a dash, or have quotes, blanks and the like; ("*",) where it cannot be told."""

    odd: tuple[str, ...] = ("*",)


Key = (
    PathKey
    | GlobKey
    | ProgramKey
    | RepoKey
    | TreeKey
    | HashKey
    | PackageKey
    | AboveKey
    | HistoryKey
    | ObjectKey
    | DetourKey
    | SwapKey
    | TrackedKey
    | RefsKey
)
Fact = (
    PathFact
    | GlobFact
    | ProgramFact
    | RepoFact
    | TreeFact
    | HashFact
    | PackageFact
    | AboveFact
    | HistoryFact
    | ObjectFact
    | DetourFact
    | SwapFact
    | TrackedFact
    | RefsFact
)
Facts = Mapping[Key, Fact]

Pins = Mapping[str, str]  # key as JSON → seal of its fact: small enough to be kept with a question


def pin(facts: Facts) -> dict[str, str]:
    """What must be the same again when what was judged by these facts is run (`key_of`, `seal`)."""
    return {_text(key): seal(fact) for key, fact in facts.items()}


def key_of(text: str) -> Key:
    """The key of a pin."""
    key: Key = msgspec.convert(json.loads(text), Key)
    return key


def seal(fact: Fact) -> str:
    """Names what of a fact decides which thing an action touches or runs; the same for all facts that do not differ
    in that. A plain file may come, grow and go; a link, another hard link, a folder or a secret in its place may not.
    """
    match fact:
        case PathFact():
            kind = "file" if fact.kind == "missing" else fact.kind
            links = fact.links if fact.kind == "file" else 1  # of a folder it counts the folders in it
            parent = fact.parent if fact.link else ""  # else it is that of `real`, or was missing, too
            fact = msgspec.structs.replace(fact, kind=kind, links=links, parent=parent)
        case HistoryFact() | ObjectFact():  # of what would be shown; nothing is run by it
            fact = HistoryFact()
        case TreeFact():  # where not all was seen, it was not judged by what was
            fact = TreeFact(fact.dangers if fact.complete else (), fact.complete)
    return hashlib.sha256(_text(fact).encode()).hexdigest()[:32]


def _text(value: Key | Fact) -> str:
    """JSON of ASCII, for paths may be anything but text."""
    return json.dumps(msgspec.to_builtins(value), separators=(",", ":"))


class Lookup:
    """The facts that one decision rests on, by what they are about. What is not known is the worst that it may be."""

    __slots__ = ("_get", "_paths", "_programs")

    def __init__(self, known: Facts) -> None:
        self._get = known.get
        # Asked for again and again, so by their names alone.
        self._paths: dict[str, PathFact] = {}
        self._programs: dict[str, ProgramFact] = {}

    def path(self, path: str) -> PathFact:
        known = self._paths.get(path)
        if known is None:
            fact = self._get(PathKey(path))
            known = fact if isinstance(fact, PathFact) else PathFact(path, "missing", magic=True)
            self._paths[path] = known
        return known

    def glob(self, folder: str, pattern: str) -> GlobFact:
        fact = self._get(GlobKey(folder, pattern))
        return fact if isinstance(fact, GlobFact) else GlobFact(complete=False)

    def program(self, name: str) -> ProgramFact:
        known = self._programs.get(name)
        if known is None:
            fact = self._get(ProgramKey(name))
            known = fact if isinstance(fact, ProgramFact) else ProgramFact(why=_UNKNOWN)
            self._programs[name] = known
        return known

    def repo(self, folder: str) -> RepoFact:
        fact = self._get(RepoKey(folder))
        return fact if isinstance(fact, RepoFact) else _UNKNOWN_REPO

    def tree(self, path: str) -> TreeFact:
        fact = self._get(TreeKey(path))
        return fact if isinstance(fact, TreeFact) else TreeFact(complete=False)

    def hash(self, path: str) -> HashFact:
        fact = self._get(HashKey(path))
        return fact if isinstance(fact, HashFact) else HashFact()

    def package(self, folder: str, script: str) -> PackageFact:
        fact = self._get(PackageKey(folder, script))
        return fact if isinstance(fact, PackageFact) else PackageFact()

    def above(self, folder: str, names: tuple[str, ...]) -> AboveFact:
        fact = self._get(AboveKey(folder, names))
        return fact if isinstance(fact, AboveFact) else AboveFact(names)

    def history(self, top: str) -> HistoryFact:
        fact = self._get(HistoryKey(top))
        return fact if isinstance(fact, HistoryFact) else HistoryFact()

    def object(self, top: str, name: str) -> ObjectFact:
        fact = self._get(ObjectKey(top, name))
        return fact if isinstance(fact, ObjectFact) else ObjectFact()

    def detours(self, top: str) -> DetourFact:
        fact = self._get(DetourKey(top))
        return fact if isinstance(fact, DetourFact) else DetourFact(("*",))

    def swaps(self, top: str) -> SwapFact:
        fact = self._get(SwapKey(top))
        return fact if isinstance(fact, SwapFact) else SwapFact()

    def refs(self, top: str) -> RefsFact:
        fact = self._get(RefsKey(top))
        return fact if isinstance(fact, RefsFact) else RefsFact()

    def tracked(self, top: str, path: str) -> TrackedFact:
        fact = self._get(TrackedKey(top, path))
        return fact if isinstance(fact, TrackedFact) else TrackedFact()


_UNKNOWN = "of which nothing is known"
_UNKNOWN_REPO = RepoFact(own=False, hostile=(_UNKNOWN,), tells=True, tracked=("*",), links=("*",), odd=("*",))
