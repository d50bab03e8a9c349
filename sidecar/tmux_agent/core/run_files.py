"""Which files a run of a program takes its orders from: the program itself where it is named by a path, the script of
an interpreter, the recipes of make, the hooks of git, the scripts in a package.json, what is piped into a shell.

Owns finding their names in the arguments, generously: one name too many costs a person a second look, one too few lets
what they approved be swapped. Must not own looking at them (services/observe.py), what a change means (facts.seal).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from . import facts
from .argv.options import Arg
from .calls import Invocation
from .facts import Facts, HashKey, Lookup, PackageKey
from .paths import absolute
from .shell_parts import Part, Simple, Word

_LONGEST = 4096  # PATH_MAX: what is longer is code or text
Source = HashKey | PackageKey
MOST = 64  # files whose contents one action may rest on; more than a person oversees

_SHELLS = r"sh|bash|dash|ksh|mksh|zsh|ash|rbash|fish|source|\."
_INTERPRETERS = re.compile(
    rf"({_SHELLS}|python|pypy|perl|ruby|node|nodejs|deno|bun|php|lua|luajit|tclsh|wish|expect|Rscript|julia|tsx|ts-node"
    r"|java|groovy|guile|racket|sbcl|pwsh|osascript|uv|poetry|pipenv|npx|bunx)[0-9.]*"
)
_BY_OPTION = frozenset(("awk", "gawk", "mawk", "nawk", "sed", "gsed", "make", "gmake", "just", "task"))
_RECIPES = {
    "make": ("GNUmakefile", "makefile", "Makefile"),
    "gmake": ("GNUmakefile", "makefile", "Makefile"),
    "just": ("justfile", "Justfile", ".justfile"),
    "task": ("Taskfile.yml", "Taskfile.yaml"),
}
_PACKAGERS = frozenset(("npm", "pnpm", "yarn", "bun"))
_SCRIPTS = 4  # words that may name one
_BY_NAME = {
    **dict.fromkeys(("t", "tst"), ("test",)),
    **dict.fromkeys(("i", "ci", "install", "add", "clean-install"), ("install", "prepare")),
}
_FLAGS = re.compile(r"-[euxlvinsSuBOEIqdb]+|--(no-?profile|norc|posix|login|verbose)")  # take no value anywhere
_SYSTEM = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/")  # not ours to change
# What git runs by itself in a repository of a person's (githooks(5)).
_HOOKS = (
    *("applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg"),
    *("commit-msg", "post-commit", "pre-rebase", "post-checkout", "post-merge", "pre-push", "reference-transaction"),
    *("pre-auto-gc", "post-rewrite", "post-index-change"),
)


def of(call: Invocation, look: Lookup) -> Iterator[Source]:
    """Of absolute paths, whether there is something or not."""
    for word in _named(call):
        if len(word) <= _LONGEST:
            yield HashKey(absolute(call.folder, word))
    yield from _hooks(call, look)
    if call.program in _PACKAGERS:
        yield from _scripts_of_packages(call)


def given(parts: Sequence[Part], index: int, places: Sequence[Sequence[str | None]]) -> Iterator[Source]:
    """What a command reads its orders from: `sh < x.sh`, and where it is an interpreter `cat x.sh | sh`."""
    at: int | None = index
    part = parts[index]
    while at is not None and isinstance(part, Simple):
        words = [one.target for one in part.redirects if one.op == "<" and one.target is not None]
        words += part.words[1:] if at != index else ()
        named = [word.text for word in words if _names(word)]
        yield from (HashKey(absolute(folder or "/", name)) for name in named for folder in places[at])
        if at == index and not any(_INTERPRETERS.fullmatch(word.text.rpartition("/")[2]) for word in part.words):
            return
        at = part.piped_from
        part = parts[at or 0]


def pin(known: Facts) -> dict[str, str]:
    """What must be the same again where a yes is to this alone (facts.pin)."""
    return facts.pin({key: fact for key, fact in known.items() if isinstance(key, Source)})


def _names(word: Word) -> bool:
    return word.kind == "literal" and not word.tilde and not word.text.startswith("-") and len(word.text) <= _LONGEST


def _hooks(call: Invocation, look: Lookup) -> Iterator[Source]:
    repo = look.repo(call.folder) if call.program == "git" else None
    if repo is not None and repo.common:
        folder = repo.hooks or f"{repo.common}/hooks"
        yield from (HashKey(f"{folder}/{name}") for name in _HOOKS)
        if folder.endswith("/_"):  # husky(1)'s, each of which runs the one above it
            yield from (HashKey(f"{folder[:-2]}/{name}") for name in ("_/h", *_HOOKS))


def _scripts_of_packages(call: Invocation) -> Iterator[Source]:
    """The scripts of these names, each with what runs before and after it: `npm test`, `npm run x`, `yarn x`, `npm
    --prefix sub install`. A word that is an option's value, or an argument, may be one, too."""
    words = [word for word in call.args if isinstance(word, str) and len(word) <= _LONGEST]
    elsewhere = (absolute(call.folder, word) for word in _after(words, ("--prefix", "--dir", "--cwd", "-C")))
    folders = tuple(dict.fromkeys((call.folder, *elsewhere)))
    named = [word for word in words if not word.startswith("-")][:_SCRIPTS]
    for word in named or ("install",):
        for script in _BY_NAME.get(word, (word,)):
            yield from (PackageKey(folder, script) for folder in folders)


def _named(call: Invocation) -> Iterator[str]:
    if "/" in call.word and not call.word.startswith(_SYSTEM):
        yield call.word
    if call.program in _BY_OPTION:
        yield from _after(call.args, ("-f", "--file", "--makefile", "--justfile", "--taskfile", "-t"))
        yield from _RECIPES.get(call.program, ())
    elif _INTERPRETERS.fullmatch(call.program):
        yield from _scripts(call.args)


def _after(args: Sequence[Arg], names: Sequence[str]) -> Iterator[str]:
    """What stands behind these options, in the next word or the same."""
    words = [word for word in args if isinstance(word, str)]
    for at, word in enumerate(words):
        for name in names:
            if word == name and at + 1 < len(words):
                yield words[at + 1]
            elif word.startswith(name) and len(word) > len(name):
                yield word[len(name) :].removeprefix("=")


def _scripts(args: Sequence[Arg]) -> Iterator[str]:
    """The first operand, and where the word before it may be an option that takes it as its value, the next one too:
    `bash -o pipefail x.sh`, `node --require ./a.js b.js`, `uv run x.py`."""
    doubt = False
    for word in args:
        if not isinstance(word, str):
            return
        if word.startswith(("-", "+")) and len(word) > 1:
            value = word.partition("=")[2]
            if value:
                yield value
            doubt = word != "--" and not value and not _FLAGS.fullmatch(word)
            continue
        if word not in ("run", "exec", "test", "tool"):
            yield word
            if not doubt:
                return
        doubt = False


__all__ = ["MOST", "Source", "given", "of", "pin"]
