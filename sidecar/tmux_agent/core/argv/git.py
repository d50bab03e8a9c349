"""git's own command line: global options in front of the sub-command, revisions and pathspecs among operands.

Owns what git's arguments mean. Must not own which sub-commands are allowed (the policy file). Source: git(1),
gitrevisions(7), gitglossary(7) "pathspec", 2.39 to 2.47.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from ..facts import WHOLE
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


class Call(Struct, frozen=True, gc=False):
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
        elif word in ("--git-dir=.git", "--work-tree=."):
            pass  # what git finds by itself, where it is there
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


# Files in .git with the names of objects, which can be used like references.
NOTES = (
    *("FETCH_HEAD", "ORIG_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "BISECT_HEAD"),
    "AUTO_MERGE",
)
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
        "--binary",
        "--check",
        "--diff-merges",
        "--submodule",
        "-S",
        "-G",
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
        "-e",
        "-t",
        "--batch-check",
    ]
)


_PATCHES = frozenset(["log", "stash", "reflog", "whatchanged", "rev-list", "shortlog"])
# These have options of the same letters that mean something else.
_ALWAYS = frozenset(("grep", "blame", "annotate"))
# Sub-commands among whose words files may be, too; git refuses a word that could be both.
_TAKES_FILES = frozenset(
    ("log", "whatchanged", "show", "diff", "diff-index", "diff-files", "diff-tree", "grep", "rev-list", "shortlog")
)
# What an unclear number of commits may come from.
_ANY_COMMIT = frozenset(
    [
        "--all",
        "--branches",
        "--tags",
        "--remotes",
        "--glob",
        "--reflog",
        "-g",
        "--walk-reflogs",
        "--not",
        "-m",
        "--diff-merges",
    ]
)
# `git log -n 3` shows the last three commits only where nothing else chooses among them.
_LOG_OPTIONS = frozenset(
    [
        "-n",
        "-NUM",
        "--max-count",
        "-p",
        "-u",
        "--patch",
        "-U",
        "--unified",
        "--stat",
        "--numstat",
        "--shortstat",
        "--oneline",
        "--color",
        "--no-color",
        "--format",
        "--pretty",
        "--date",
        "--decorate",
        "--no-decorate",
        "--graph",
        "--reverse",
        "-w",
        "-b",
        "--abbrev-commit",
        "--patch-with-stat",
        "--name-only",
        "--name-status",
        "--word-diff",
        "--color-words",
        "--binary",
    ]
)
_BACK = re.compile(r"(?:HEAD|@)((?:~\d*|\^)*)\Z")
_STEP = re.compile(r"~(\d*)|\^")
_HEXADECIMAL = re.compile(r"(?:.*-g)?([0-9a-fA-F]{4,64})\Z", re.DOTALL)
_ELSEWHERE = re.compile(r"(?:rebase-merge|rebase-apply|sequencer|worktrees|main-worktree|modules|logs|info)/")
_MAGIC = re.compile(r":[/!^(]")
_NOTE = re.compile(r"[A-Z_]{2,}")
_BRACES = re.compile(r"\{[^}]*\}")


def shows_content(command: str, sub: object, parsed: Parsed) -> bool:
    """True where the output may hold what is in tracked files. `sub`: the word behind `stash`."""
    names = parsed.names()
    if command in _ALWAYS or (command in _CONTENT | _PATCHES and names & _PATCH_OPTIONS):
        return True
    if command == "stash" and sub == "show":  # settings may make it show patches
        return not names & _NO_CONTENT
    return command in _CONTENT and not names & _NO_CONTENT


def takes_files(command: str) -> bool:
    """True where words in front of `--` may be files as well as revisions."""
    return command in _TAKES_FILES


def is_pinned(word: str) -> bool:
    """True for REV:PATH and :PATH, which name the one file that is shown. A pathspec may begin with a colon, too."""
    return not word.endswith("}") and ":" in _BRACES.sub("", word) and not _MAGIC.match(word)


def ends(word: str) -> tuple[str, ...]:
    """The single revisions that a range names; HEAD stands for an end that is left out."""
    if ".." not in _BRACES.sub("", word):
        return (word,)
    return tuple(end or "HEAD" for end in re.split(r"\.\.\.?", word))


def hexadecimal(revision: str) -> str:
    """The name of an object, or its beginning, that a single revision may be built on; "" for none."""
    found = _HEXADECIMAL.match(_base(revision))
    return found[1] if found else ""


def is_elsewhere(revision: str) -> bool:
    """True where it may be looked up among files in .git that are neither references nor NOTES."""
    base = _base(revision)
    return _ELSEWHERE.match(base) is not None or (
        _NOTE.fullmatch(base) is not None and base not in NOTES and base != "HEAD"
    )


def _base(revision: str) -> str:
    """What a single revision is built on: main of ^main~2^{tree}."""
    return re.split(r"[~^:]|@\{", revision.removeprefix("^"), maxsplit=1)[0]


def reads_history(command: str, parsed: Parsed, revisions: Sequence[str]) -> bool:
    """True where what is shown comes from commits; False where only from files, the index, or a file that is named."""
    if command in ("blame", "annotate"):
        return False
    if command in ("diff", "diff-files", "grep") and not revisions:
        return command == "diff" and bool(parsed.names() & {"--cached", "--staged", "--merge-base"})
    return command != "cat-file" and not (revisions and all(is_pinned(word) for word in revisions))


def stays_within(command: str, parsed: Parsed, revisions: Sequence[str], clean: int) -> bool:
    """True where no commit further back from HEAD than the first `clean` ones can be shown."""
    names = parsed.names()
    if names & _ANY_COMMIT or command not in (_TAKES_FILES - {"shortlog", "rev-list"}):
        return False
    depths = [_depth(end) for word in revisions if not is_pinned(word) for end in ends(word)] or [0]
    if any(depth < 0 or depth >= clean for depth in depths):
        return False
    if command not in ("log", "whatchanged") or all(".." in word for word in revisions or ("",)):
        return True
    if clean >= WHOLE:
        return True
    counted = ("-n", "-NUM", "--max-count")
    counts = [value for spec, values in parsed.options if spec.name in counted for value in values]
    if names - _LOG_OPTIONS or parsed.operands[parsed.dashes :] or len(depths) > 1:
        return False
    count = counts[0] if len(counts) == 1 else ""
    return isinstance(count, str) and count.isdigit() and depths[0] + int(count) <= clean


def _depth(revision: str) -> int:
    """How many first parents behind HEAD; -1 where that is not to be seen."""
    found = _BACK.match(revision)
    if found is None:
        return -1
    return sum(int(step[1] or 1) if step[0] != "^" else 1 for step in _STEP.finditer(found[1]))


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
