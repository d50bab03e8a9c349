"""git's own command line: global options in front of the sub-command, revisions and pathspecs among operands.

Owns what git's arguments mean. Must not own which sub-commands are allowed (the policy file). Source: git(1),
gitrevisions(7), gitglossary(7) "pathspec", 2.39 to 2.47.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from .options import Arg, Fed, Parsed

_FLAGS = frozenset(
    [
        "--no-pager",
        "-P",
        "--no-optional-locks",
        "--literal-pathspecs",
        "--glob-pathspecs",
        "--noglob-pathspecs",
        "--icase-pathspecs",
        "--no-replace-objects",
        "--no-lazy-fetch",
        "--no-advice",
    ]
)
# `-c` settings that only change colours, wording and quoting; a value never names a program.
_SETTINGS = re.compile(
    r"(color\.(ui|status|diff|branch|grep|interactive|showBranch)=(always|never|auto|true|false)"
    r"|color\.(status|diff|branch|grep)\.[a-zA-Z]+=[a-z 0-9#]*"
    r"|core\.(quotepath|abbrev|precomposeunicode|ignorecase|untrackedcache)=[a-z0-9]+"
    r"|core\.(pager|fsmonitor)=(cat|false|0|)"
    r"|(diff\.(renames|context|algorithm|mnemonicprefix|noprefix|renamelimit|wserrorhighlight|suppressblankempty|interhunkcontext)"
    r"|log\.(date|decorate|abbrevcommit|follow|showroot|showsignature)|status\.(short|branch|showuntrackedfiles|relativepaths)"
    r"|grep\.(linenumber|column|patterntype|extendedregexp|threads|fullname)|column\.ui|advice\.[a-z]+|pager\.[a-z-]+"
    r"|blame\.(date|coloring|showemail)|versionsort\.suffix|merge\.renamelimit|gc\.auto|maintenance\.auto)"
    r"=[a-zA-Z0-9_,:%.+-]*)\Z",
    re.IGNORECASE,
)
_PAGER_COMMAND = re.compile(r"pager\.[a-z-]+=(?!(false|cat|0|)\Z)", re.IGNORECASE)
_SIGNATURE = re.compile(r"log\.showsignature=(?!false\Z)", re.IGNORECASE)


class Call(Struct, frozen=True):
    """A git command line: `folders` are its -C in order, `command` the sub-command ("" for none), `rest` what follows.

    `why` is not empty where a global option does more than look.
    """

    folders: tuple[str, ...]
    command: str
    rest: tuple[Arg, ...]
    why: str = ""


def read(args: Sequence[Arg]) -> Call:
    """Split git's arguments at the sub-command."""
    folders: list[str] = []
    why = ""
    index = 0
    while index < len(args):
        word = args[index]
        if isinstance(word, Fed):
            return Call(tuple(folders), "", tuple(args[index:]), "a sub-command that is not in the text")
        if not word.startswith("-"):
            return Call(tuple(folders), word, tuple(args[index + 1 :]), why)
        index += 1
        value = args[index] if index < len(args) else ""
        if word == "-C" and isinstance(value, str):
            folders.append(value)
            index += 1
        elif word == "-c" and isinstance(value, str):
            why = why or _setting(value)
            index += 1
        elif word in (
            "--git-dir",
            "--work-tree",
            "--namespace",
            "--exec-path",
            "--config-env",
            "--super-prefix",
            "--attr-source",
        ):
            why = why or f"git {word}, which makes git use another repository or program"
            index += 1
        elif word in ("--version", "-v", "--help", "-h", "--html-path", "--man-path", "--info-path"):
            return Call(tuple(folders), word, tuple(args[index:]), why)
        elif word not in _FLAGS:
            why = why or f"git {word.partition('=')[0]}, which is not known to be harmless"
    return Call(tuple(folders), "", (), why)


def _setting(value: str) -> str:
    if _SETTINGS.match(value) and not _PAGER_COMMAND.match(value) and not _SIGNATURE.match(value):
        return ""
    return f"git -c {value.partition('=')[0]}, which can make git run a program"


# Sub-commands that print what is in files; the others here only with a patch.
_CONTENT = frozenset(
    [
        "diff",
        "show",
        "grep",
        "blame",
        "annotate",
        "cat-file",
        "diff-tree",
        "diff-index",
        "diff-files",
        "range-diff",
        "archive",
    ]
)
_PATCHES = frozenset(["log", "stash", "reflog", "whatchanged", "rev-list", "format-patch", "shortlog"])
_PATCH_OPTIONS = frozenset(
    [
        "-p",
        "-u",
        "--patch",
        "-U",
        "--unified",
        "-c",
        "--cc",
        "-m",
        "-W",
        "--function-context",
        "--word-diff",
        "--color-words",
        "-L",
        "--patch-with-stat",
        "--patch-with-raw",
        "--full-diff",
    ]
)
_NO_CONTENT = frozenset(
    [
        "--stat",
        "--shortstat",
        "--numstat",
        "--name-only",
        "--name-status",
        "--summary",
        "--dirstat",
        "--raw",
        "--quiet",
        "-s",
        "--no-patch",
        "--check",
        "-e",
        "-t",
        "--batch-check",
    ]
)


def shows_content(command: str, parsed: Parsed) -> bool:
    """True where the output may hold what is in tracked files."""
    names = parsed.names()
    if names & _PATCH_OPTIONS:
        return True
    if command in _CONTENT:
        return not names & _NO_CONTENT or command == "grep"
    return False


def range_path(value: str) -> str | None:
    """The file of `-L start,end:file` or `-L :function:file`; None where the value has none (git blame -L 1,5)."""
    return value.rpartition(":")[2] if ":" in value else None


def paths_in(revision: str) -> tuple[str, ...]:
    """What may be a path in something that may be a revision: `HEAD:src/x` names src/x, `:0:x` x, `a..b`
    only a and b."""
    if revision.startswith(":/"):
        return (revision[2:],)
    pieces = revision.split(":")
    return tuple(":".join(pieces[start:]).removeprefix("./") for start in range(1, len(pieces)))


def is_wide(pathspec: str) -> bool:
    """True where a pathspec may stand for more than the one file or folder it names."""
    return pathspec.startswith(":") or any(char in pathspec for char in "*?[\\")
