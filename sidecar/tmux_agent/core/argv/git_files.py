"""Which files git names, one a line: of the index, of commits, changed and untracked ones.

Owns the forms that are known, option by option. Must not own which of these files may be read (reach.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from . import git
from .options import Fed, mentions

UNKNOWN = Fed(unknown=True)
_LISTED = frozenset(("-c", "--cached", "-z", "-m", "--modified", "--", "--deduplicate"))
_OTHERS = frozenset(("-o", "--others", "--exclude-standard", "-z", "--", "-c", "--cached", "-m", "--modified"))
_OF_INDEX = frozenset(["--name-only", "-z", "--relative"])  # git diff with these names files of the index
_OF_COMMITS = re.compile(
    r"--name-only|-z|--relative|--(format|pretty)=(format:|tformat:)?|-r|--no-commit-id|--root|--diff-filter=[A-Za-z]+|-[0-9]+"
    r"|-n[0-9]*|--max-count=[0-9]+|--since=[\w .-]+|--all|--no-merges|--first-parent|--author=.*|--no-renames|-M"
    r"|--reverse|--"
)
_EMPTY = re.compile(r"--(format|pretty)=(format:|tformat:)?")
_STATUS = re.compile(
    r"--porcelain(=v1)?|-s|--short|-u(no|all|normal)?|--untracked-files(=(no|all|normal))?|--no-renames"
    r"|--ignore-submodules(=all)?|--ignored=no|--no-column|--no-ahead-behind"
)


def printed(words: Sequence[str], folder: str) -> tuple[Fed, bool]:
    """What this git command prints, if it prints names of files and nothing else, and whether they end in NUL."""
    command, rest = (words[0], words[1:]) if words else ("", ())
    zero = "-z" in rest
    options = [word for word in rest if word.startswith("-")]
    plain = [word for word in rest if not word.startswith("-")]
    if command == "status":
        return _status(options, folder), False
    if command == "ls-files" and {"-o", "--others"} & set(options):
        ignores = "--exclude-standard" in options
        names = Fed((folder,), dashed=True, split=not zero, ignores=ignores, indexed=True)
        return (names, zero) if set(options) <= _OTHERS else (UNKNOWN, False)
    if command == "ls-files":
        allowed = set(options) <= _LISTED
    elif command == "diff":
        allowed = "--name-only" in rest and all(
            w in ("--name-only", "--cached", "--staged", "-z", "--relative", "--") or w.startswith("--diff-filter=")
            for w in options
        )
        plain = []
    elif command == "grep":
        allowed = _lists_matches(rest)
        zero = zero or "--null" in rest or any(re.fullmatch(r"-[a-zA-Z]*z[a-zA-Z]*", word) for word in rest)
        plain = []
    elif command in ("show", "log", "diff-tree"):
        allowed = _of_commits(command, options) and _are_commits(command, plain)
        plain = []
    else:
        allowed = command == "ls-tree" and _of_tree(options) and not any(":" in word for word in plain)
        plain = []
    if not allowed:
        return UNKNOWN, False
    return _tracked(command, rest, plain, folder, zero=zero), zero


def _tracked(command: str, rest: Sequence[str], plain: list[str], folder: str, *, zero: bool) -> Fed:
    globs = [word for word in plain if git.is_wide(word)]
    from_top = command in ("diff", "show", "log", "diff-tree") and "--relative" not in rest
    committed = command in ("show", "log", "diff-tree", "ls-tree") or (
        command == "diff" and any(word != "--" and word not in _OF_INDEX for word in rest)
    )
    names = Fed((folder,), dashed=True, split=not zero, tracked=True, from_top=from_top, committed=committed)
    if globs and len(globs) == len(plain) and not any(word.startswith(":") for word in globs):
        return msgspec.structs.replace(names, names=tuple(glob.rpartition("/")[2] or "*" for glob in globs))
    return names


def _lists_matches(rest: Sequence[str]) -> bool:
    listing = bool({"-l", "--files-with-matches", "--name-only"} & set(rest)) or any(
        re.fullmatch(r"-[niIwEFPzq]*l[niIwEFPzq]*", word) for word in rest
    )
    return listing and not mentions(rest, ("--untracked", "--no-index", "--full-name", "--recurse-submodules"))


def _of_commits(command: str, options: Sequence[str]) -> bool:
    """Only names: of commits themselves nothing is shown."""
    silent = command == "diff-tree" or any(_EMPTY.fullmatch(word) for word in options)
    quiet = command != "diff-tree" or "--no-commit-id" in options
    return silent and quiet and "--name-only" in options and all(_OF_COMMITS.fullmatch(word) for word in options)


def _are_commits(command: str, words: Sequence[str]) -> bool:
    """Of files, trees and tags git shows other things than names."""
    if command == "show":
        return all(re.fullmatch(r"(HEAD|@)[~^0-9]*", word) for word in words)
    return not any(":" in word for word in words)


def _of_tree(options: Sequence[str]) -> bool:
    return {"--name-only", "-r"} <= set(options) <= {"--name-only", "-r", "-z", "--"}


def _status(options: Sequence[str], folder: str) -> Fed:
    """Changed and untracked files, from the top of the repository; quoted where they have blanks."""
    short = any(word in ("-s", "--short") or word.startswith("--porcelain") for word in options)
    if not short or not all(_STATUS.fullmatch(word) for word in options):
        return UNKNOWN
    return Fed((folder,), dashed=True, split=True, status=True, from_top=True, ignores=True, indexed=True)
