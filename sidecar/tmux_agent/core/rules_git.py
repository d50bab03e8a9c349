"""Rules about git: which repository it would use, and what of its contents, past and present, would show.

Owns what has to hold of a repository before a git command counts as one that only looks, and which secrets its files,
its index and its history could show. Must not own git's command line (argv/git.py) or finding out (services/observe_*).
"""

from __future__ import annotations

from collections.abc import Sequence

from . import paths
from .argv import git
from .argv.options import Parsed
from .calls import Invocation
from .facts import PathFact
from .reach import Miss, Narrow, Reach, first


def repository(call: Invocation, reach: Reach, parsed: Parsed | None) -> Miss | None:
    miss = reach.name(call.folder, call.folder)
    if miss is not None:
        return miss
    repo = reach.look.repo(call.folder)
    if repo.hostile:
        return Miss(f"this repository's own files can make git run or reach something: {repo.hostile[0]}", 3)
    if not repo.top:
        return _unversioned(call, reach, parsed)
    if not paths.inside(repo.top, reach.roots):
        return Miss(f"the repository {repo.top} is outside the roots", 2)
    if not repo.own and not paths.inside(repo.common, reach.roots):
        return Miss(f"the repository's data are in {repo.common}, outside the roots", 2)
    command = str(call.args[0]) if call.args else ""
    if repo.tells and command in ("config", "remote", "var"):
        return Miss("git's configuration holds a password or token", 3)
    if parsed is None:
        return None
    shows = git.shows_content(command, call.args[1] if len(call.args) > 1 else "", parsed)
    misses = [_apart(call, reach, parsed, repo.top, repo.tracked, "repository")] if repo.tracked and shows else []
    if command == "grep" and "--cached" not in parsed.names():
        misses.append(_detours(reach, repo.top))
    if shows or command in ("show", "cat-file"):
        misses.append(_swaps(reach, repo.top))
        misses.append(_history(call, reach, parsed, repo.top, shows=shows))
    return first(*misses)


def _unversioned(call: Invocation, reach: Reach, parsed: Parsed | None) -> Miss | None:
    """Outside any repository, git diff compares what it is given, folders with all beneath."""
    if parsed is None or not call.args or call.args[0] != "diff":
        return None
    words = [word for word in parsed.operands if isinstance(word, str)]
    return first(*(reach.tree(word, call.folder, Narrow(follow=True)) for word in words if word != "-"))


def _apart(call: Invocation, reach: Reach, parsed: Parsed, top: str, secrets: Sequence[str], where: str) -> Miss | None:
    """Secrets that are in the repository show in its patches, unless paths are named and none of them leads there."""
    miss = Miss(f"{secrets[0]} is in the {where} and holds secrets", 3)
    in_front = [w for w in parsed.operands[: parsed.dashes] if isinstance(w, str)]
    if parsed.operands and len([w for w in in_front if git.is_pinned(w)]) == len(parsed.operands):
        return None  # only REV:PATH, which was judged by its path
    named = [w for w in parsed.operands[parsed.dashes :] if isinstance(w, str)]
    if ("--" not in call.args and git.takes_files(str(call.args[0]))) or call.args[0] in ("blame", "annotate"):
        named += [w for w in in_front if not git.is_pinned(w)]
    places = []
    for word in named:
        if git.is_wide(word):
            return miss
        fact = reach.look.path(paths.absolute(call.folder, word))
        if fact.kind in ("file", "folder"):
            places.append(fact.real)
    if places and "*" not in secrets and not any(paths.inside(f"{top}/{secret}", places) for secret in secrets):
        return None
    return miss


def _detours(reach: Reach, top: str) -> Miss | None:
    fact = reach.look.detours(top)
    if not fact.folders:
        return None
    return Miss(f"{fact.folders[0]} is a link in place of a folder of tracked files, and git would read through it", 2)


def _swaps(reach: Reach, top: str) -> Miss | None:
    if not reach.look.swaps(top).swapped:
        return None
    return Miss(f"{top} gives objects other contents than they have (git replace, grafts)", 2)


# --- history -----------------------------------------------------------------------------------------


def _history(call: Invocation, reach: Reach, parsed: Parsed, top: str, *, shows: bool) -> Miss | None:
    """Secrets that only commits still hold, and objects that no reference leads to."""
    command = str(call.args[0])
    words = _revisions(call, reach, parsed)
    ends = [end for word in words if not git.is_pinned(word) for end in git.ends(word)]
    if any(git.is_elsewhere(end) for end in ends):
        return Miss("where git was in the middle of something is not looked through for secrets", 2)
    names = [name for end in ends if (name := git.hexadecimal(end))] if command not in ("blame", "annotate") else []
    reads = shows and git.reads_history(command, parsed, words)
    if not reads and not names:
        return None
    if "--recurse-submodules" in parsed.names():
        return Miss("the history of submodules is not looked through for secrets", 2)
    history = reach.look.history(top)
    if not history.known:
        doing = "is being looked through for secrets; ask again" if history.reading else "cannot be looked through"
        return Miss(f"the history of {top} {doing}", 2)
    kinds = set()
    for name in names:
        kind = reach.look.object(top, name).kind
        if kind == "loose":
            return Miss(f"{name} is an object that no branch, tag or reflog leads to", 2)
        kinds.add(kind)
    if not history.secrets or not (reads or "reached" in kinds):
        return None
    if "reached" not in kinds and git.stays_within(command, parsed, words, history.clean):
        return None
    if "reached" in kinds or parsed.names() & {"--follow", "--full-diff", "-L"}:
        return Miss(f"{history.secrets[0]} is in the history and holds secrets", 3)
    return _apart(call, reach, parsed, top, history.secrets, "history")


def _revisions(call: Invocation, reach: Reach, parsed: Parsed) -> list[str]:
    """The words that git may take for revisions."""
    command = str(call.args[0])
    first = 1 if command == "grep" and not parsed.names() & {"-e", "-f"} else 0
    words = [word for word in parsed.operands[first : parsed.dashes] if isinstance(word, str)]
    if command in ("blame", "annotate") and "--" not in call.args and len(words) == 1:
        return []  # that is the file, whatever its name
    if "--" in call.args or not git.takes_files(command):
        return words
    return [word for word in words if git.is_pinned(word) or _is_missing(reach.look.path(_at(call, word)))]


def _at(call: Invocation, word: str) -> str:
    return paths.absolute(call.folder, word)


def _is_missing(fact: PathFact) -> bool:
    return fact.kind == "missing" and not fact.link
