"""Which files a run of a program takes its orders from: the program itself where it is named by a path, the script of
an interpreter, the recipes of make, the hooks of git.

Owns finding their names in the arguments, generously: one name too many costs a person a second look, one too few lets
what they approved be swapped. Must not own looking at them (services/observe.py), what a change means (facts.seal).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .argv.options import Arg
from .calls import Invocation
from .facts import Lookup
from .paths import absolute

_LONGEST = 4096  # PATH_MAX: what is longer is code or text
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
_FLAGS = re.compile(r"-[euxlvinsSuBOEIqdb]+|--(no-?profile|norc|posix|login|verbose)")  # take no value anywhere
_SYSTEM = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/")  # not ours to change
# What git runs by itself in a repository of a person's (githooks(5)).
_HOOKS = (
    *("applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg"),
    *("commit-msg", "post-commit", "pre-rebase", "post-checkout", "post-merge", "pre-push", "reference-transaction"),
    *("pre-auto-gc", "post-rewrite", "post-index-change"),
)


def of(call: Invocation, look: Lookup) -> tuple[str, ...]:
    """Absolute paths, whether there is something or not."""
    named = dict.fromkeys(absolute(call.folder, word) for word in _named(call) if len(word) <= _LONGEST)
    return (*named, *_hooks(call, look))


def _hooks(call: Invocation, look: Lookup) -> Iterator[str]:
    repo = look.repo(call.folder) if call.program == "git" else None
    if repo is not None and repo.common:
        yield from (f"{repo.common}/hooks/{name}" for name in _HOOKS)


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


__all__ = ["MOST", "of"]
