"""find's command line: where it starts, which names it lists, what it runs.

Owns find's expression language (it has no getopt). Refused: actions that write or delete, following links, reading the
list of folders from a file. Source: find(1) of findutils 4.9 and BSD.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from .options import Arg, Fed

_FLAGS = frozenset(
    [
        "-daystart",
        "-depth",
        "-d",
        "-mount",
        "-xdev",
        "-x",
        "-noleaf",
        "-follow",
        "-warn",
        "-nowarn",
        "-ignore_readdir_race",
        "-noignore_readdir_race",
        "-empty",
        "-executable",
        "-readable",
        "-writable",
        "-nouser",
        "-nogroup",
        "-true",
        "-false",
        "-prune",
        "-print",
        "-print0",
        "-ls",
        "-quit",
    ]
)
_WITH_TEXT = frozenset(
    [
        "-maxdepth",
        "-mindepth",
        "-name",
        "-iname",
        "-path",
        "-ipath",
        "-wholename",
        "-iwholename",
        "-regex",
        "-iregex",
        "-regextype",
        "-lname",
        "-ilname",
        "-type",
        "-xtype",
        "-size",
        "-mtime",
        "-atime",
        "-ctime",
        "-mmin",
        "-amin",
        "-cmin",
        "-perm",
        "-user",
        "-group",
        "-uid",
        "-gid",
        "-links",
        "-inum",
        "-fstype",
        "-printf",
        "-used",
        "-context",
        "-newermt",
        "-newerat",
        "-newerct",
        "-newerBt",
    ]
)
_WITH_PATH = frozenset(["-newer", "-anewer", "-cnewer", "-samefile"])
_RUNS = frozenset(["-exec", "-execdir", "-ok", "-okdir"])
_NAMES = frozenset(("-name", "-iname"))


class Search(Struct, frozen=True, gc=False):
    """A find command that was understood. `starts` as written. `names`: globs of which each listed name fits one; None:
    all. `runs`: inner argument lists, with {} in them. `zero`: it prints with NUL. `files`: only -type f.
    """

    starts: tuple[Arg, ...]
    references: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None
    runs: tuple[tuple[Arg, ...], ...] = ()
    zero: bool = False
    files: bool = False
    formatted: bool = False  # -printf or -ls: what it prints is not a list of paths
    why: str = ""  # not empty: it does more than look
    follows: bool = False  # symbolic links, also to folders


def read(args: Sequence[Arg]) -> Search:
    """What this find does. Never raises; what is not known comes back as `why`."""
    index, follows = 0, False
    while index < len(args) and args[index] in ("-P", "-H", "-L", "-O0", "-O1", "-O2", "-O3"):
        follows = follows or args[index] == "-L"
        index += 1
    starts: list[Arg] = []
    while index < len(args) and not _begins_expression(args[index]):
        starts.append(args[index])
        index += 1
    search = _Expression(args[index:], tuple(starts)).read()
    return msgspec.structs.replace(search, follows=True) if follows or "-follow" in args else search


def _begins_expression(word: Arg) -> bool:
    return isinstance(word, str) and ((word.startswith("-") and word != "-") or word in ("(", ")", "!", ","))


class _Alternative:
    """What stands between two -o. `acted`: it prints or runs by itself, so later tests no longer limit that."""

    __slots__ = ("acted", "files", "names")

    def __init__(self) -> None:
        self.names: tuple[str, ...] | None = None
        self.files = False
        self.acted = False


class _Expression:
    def __init__(self, words: Sequence[Arg], starts: tuple[Arg, ...]) -> None:
        self._words = words
        self._starts = starts
        self._at = 0
        self._references: list[str] = []
        self._runs: list[tuple[Arg, ...]] = []
        self._alternatives = [_Alternative()]
        self._zero = self._formatted = self._nested = False

    def read(self) -> Search:
        negated = False
        while self._at < len(self._words):
            word = self._words[self._at]
            self._at += 1
            if isinstance(word, Fed):
                return Search(self._starts, why="names from elsewhere among its tests")
            if word in ("!", "-not"):
                negated = not negated
                continue
            why = self._one(word, negated)
            if why:
                return Search(self._starts, runs=tuple(self._runs), why=why)
            negated = False
        names, files = self._limits()
        runs = tuple(self._runs)
        return Search(self._starts, tuple(self._references), names, runs, self._zero, files, self._formatted)

    def _limits(self) -> tuple[tuple[str, ...] | None, bool]:
        """Names that every listed path fits (None: any), and whether all are plain files."""
        # With any action of its own in it, an expression prints nothing by default.
        alternatives = [a for a in self._alternatives if a.acted] or self._alternatives
        if self._nested:
            return None, False
        files = all(a.files for a in alternatives)
        if any(a.names is None for a in alternatives):
            return None, files
        return tuple(name for a in alternatives for name in a.names or ()), files

    def _one(self, word: str, negated: bool) -> str:
        now = self._alternatives[-1]
        if word in ("-o", "-or", ","):
            self._alternatives.append(_Alternative())
        elif word == "(":
            names = () if negated else self._name_group()
            if not names:
                self._nested = True
            elif now.names is None and not now.acted:
                now.names = names
        elif word == ")":
            self._nested = True
        elif word in _FLAGS:
            self._zero = self._zero or word == "-print0"
            self._formatted = self._formatted or word == "-ls"
            now.acted = now.acted or word in ("-print", "-print0", "-ls")
        elif word in _RUNS:
            now.acted = True
            return self._run(word)
        elif word in _WITH_TEXT or word in _WITH_PATH:
            return self._valued(word, negated)
        elif word not in ("-a", "-and"):
            return f"{word}, which does more than look or is not known"
        return ""

    def _name_group(self) -> tuple[str, ...]:
        """The names of ( -name A -o -name B ), which is then stepped over; () where it is anything else."""
        words = list(self._words[self._at :])
        if ")" not in words:
            return ()
        inner = words[: words.index(")")]
        plain = len(inner) % 3 == 2 and all(test in _NAMES for test in inner[0::3])
        if not plain or not all(join in ("-o", "-or") for join in inner[2::3]):
            return ()
        self._at += len(inner) + 1
        return tuple(name for name in inner[1::3] if isinstance(name, str))

    def _valued(self, word: str, negated: bool) -> str:
        if self._at >= len(self._words):
            return f"{word} without its value"
        value = self._words[self._at]
        self._at += 1
        if isinstance(value, Fed):
            return "names from elsewhere among its tests"
        now = self._alternatives[-1]
        if word in _WITH_PATH:
            self._references.append(value)
        elif word in _NAMES and not (negated or now.acted or now.names):
            now.names = (value,)
        elif word == "-type" and value == "f" and not (negated or now.acted):
            now.files = True
        elif word == "-printf":
            now.acted = self._formatted = True
        return ""

    def _run(self, word: str) -> str:
        inner: list[Arg] = []
        while self._at < len(self._words):
            part = self._words[self._at]
            self._at += 1
            if part == ";" or (part == "+" and inner and inner[-1] == "{}"):
                break
            inner.append(part)
        else:
            self._runs.append(tuple(inner or ("",)))
            return f"{word} without an end"
        if not inner or word != "-exec":
            self._runs.append(tuple(inner or ("",)))
            return f"{word}, which runs something in other folders or asks"
        self._runs.append(tuple(inner))
        return ""
