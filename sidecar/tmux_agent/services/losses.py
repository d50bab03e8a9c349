"""What is in an agent's worktree, or on its branch, that would be gone with it; and whether it is its worktree still.

Owns looking for it: nothing is changed. Must not own: what is done then (fleet_finish.py), git's words otherwise
(worktrees.py).
"""

from __future__ import annotations

import os
import re

from ..core import errors
from ..core.fleet import FleetAgent
from . import worktrees
from .worktrees import Worktree, ok

SHOWN = 10  # lines of each kind that are told
UNDER_WAY = {"rebase-merge": "a rebase", "rebase-apply": "a rebase"}  # in git's own folder of a worktree


async def check_place(one: FleetAgent) -> str:
    """Git's own folder of its worktree; "" where that is gone. Raises Conflict where what is at its place is not its
    worktree, or may not be removed: whatever git said there would be about something else."""
    trees = await worktrees.worktrees(one.repository)
    real = os.path.realpath(one.worktree)
    here = next((tree for tree in trees if os.path.realpath(tree.path) == real), None)
    if here is not None and here.locked:
        raise errors.Conflict(
            f"{one.worktree} is locked: {here.locked}; `git worktree unlock` there, if it may go, and finish it again"
        )
    if not os.path.isdir(one.worktree):
        _check_moved(one, trees)
        return ""
    folder = await _git_folder(one.worktree, "--absolute-git-dir")
    common = await _git_folder(one.repository, "--git-common-dir")
    if here is None or os.path.dirname(folder) != os.path.join(common, "worktrees"):
        raise errors.Conflict(
            f"what is at {one.worktree} is no worktree of {one.repository} (any more): look what you need of it, move"
            f" or remove it, and finish {one.name} again"
        )
    return folder


def _check_moved(one: FleetAgent, trees: list[Worktree]) -> None:
    moved = next((tree.path for tree in trees if tree.branch == one.branch and os.path.isdir(tree.path)), None)
    if moved is not None:
        raise errors.Conflict(
            f"its worktree is not at {one.worktree}, and {one.branch} is checked out in {moved}: `git worktree move"
            f" {moved} {one.worktree}` brings it back, `git worktree remove {moved}` takes it away"
        )


async def _git_folder(folder: str, which: str) -> str:
    """Absolute; "" where there is no repository."""
    ended = await worktrees.git(folder, "rev-parse", which)
    said = ended.stdout.text().removesuffix("\n") if ended.returncode == 0 else ""
    return os.path.realpath(os.path.join(folder, said)) if said else ""


async def found(one: FleetAgent, *, branch_goes: bool) -> list[str]:
    """All that would be lost, a line each. Raises Conflict as `check_place`, Failed, TimedOut, Unavailable."""
    folder = await check_place(one)
    lines: list[str] = []
    modules = await submodules(one.worktree) if folder else []
    # What is in a submodule git looks at with a configuration of its own, so each is asked by itself.
    for place in (one.worktree, *modules) if folder else ():
        lines += _told("not committed", place, one.worktree, await worktrees.changes(place))
    if under_way := [what for name, what in UNDER_WAY.items() if folder and os.path.lexists(f"{folder}/{name}")]:
        lines.append(f"not committed: {under_way[0]} is under way in {one.worktree}")
    if branch_goes:
        lines += _told("neither merged nor pushed", "", "", await _commits_of_branch(one))
    if folder:
        lines += _told("on no branch", "", "", await _commits_of_head(one))
    for place in modules:
        lines += _told("not pushed", place, one.worktree, await _commits_of_submodule(place))
    return lines


def _told(what: str, place: str, worktree: str, lines: tuple[str, ...]) -> list[str]:
    where = "" if place == worktree else f" in the submodule {os.path.relpath(place, worktree)}"
    more = [f"{what}{where}: … and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return [*(f"{what}{where}: {line}" for line in lines[:SHOWN]), *more]


async def submodules(folder: str, depth: int = 4) -> list[str]:
    """Submodules that are there, with those in them. Raises Failed where the index cannot be read to its end."""
    listed: list[str] = []
    ended = await worktrees.git(folder, "ls-files", "-s", "-z", output=worktrees.PATHS)
    if ended.returncode != 0 or ended.stdout.left_out:
        said = " ".join(ended.stderr.text().split())[:500] or "it is too large"
        raise errors.Failed(f"the index of {folder} could not be looked through for submodules: {said}")
    for line in ended.stdout.text().split("\0"):
        if line.startswith("160000 "):
            path = os.path.join(folder, line.partition("\t")[2])
            if os.path.lexists(os.path.join(path, ".git")) and not os.path.islink(path):
                listed += [path, *(await submodules(path, depth - 1) if depth else [])]
    return listed


async def _commits_of_branch(one: FleetAgent) -> tuple[str, ...]:
    """Commits of its branch that no other branch and no remote has."""
    if not await worktrees.branch_commit(one.repository, one.branch):
        return ()
    others = ("--not", f"--exclude={_literal(one.branch)}", "--branches", "--remotes", "--tags")
    return await _log(one.repository, f"refs/heads/{one.branch}", *others)


async def _commits_of_head(one: FleetAgent) -> tuple[str, ...]:
    """Commits that only the worktree's own HEAD leads to: it is on no branch."""
    if not (head := await worktrees.commit_of(one.worktree, "HEAD")):
        return ()
    return await _log(one.worktree, head, "--not", "--branches", "--remotes", "--tags")


async def _commits_of_submodule(folder: str) -> tuple[str, ...]:
    """Commits of a submodule, also stashed ones, that no remote of its own has."""
    head = [commit] if (commit := await worktrees.commit_of(folder, "HEAD")) else []
    return await _log(folder, *head, "--branches", "--glob=refs/stash", "--not", "--remotes")


async def _log(folder: str, *revisions: str) -> tuple[str, ...]:
    return tuple((await ok(folder, "log", "--format=%h %s", *revisions, "--")).splitlines())


def _literal(name: str) -> str:
    """As a pattern that means just this."""
    return re.sub(r"([*?\[\\])", r"\\\1", name)
