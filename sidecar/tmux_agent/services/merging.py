"""Merging an agent's branch into another: tried on git's objects first, so that a conflict touches nothing.

Owns how. Where the other branch is checked out its worktree has to be clean, and moves with it. Must not own: when
(fleet_finish.py).
"""

from __future__ import annotations

import asyncio
import os

from ..core import errors
from ..core.fleet import FleetAgent
from . import worktrees


async def can(one: FleetAgent, into: str, shown: str = "") -> str:
    """The commit that would be merged; `shown`: which is meant. Raises InvalidParams, Conflict if it could not be."""
    theirs = await _commit(one, shown)
    await _result(one, into, theirs)
    return theirs


async def _commit(one: FleetAgent, shown: str) -> str:
    """What its branch is at. Raises Conflict where that is not what was shown."""
    now = await worktrees.branch_commit(one.repository, one.branch)
    if not now:
        raise errors.Conflict(f"the branch {one.branch} is gone: there is nothing to merge")
    if shown and now != shown:
        raise errors.Conflict(
            f"{one.branch} was at {shown[:12]} when its merge was asked for, and is at {now[:12]}: nothing was merged; "
            "look at it, and ask again"
        )
    return now


async def merge(one: FleetAgent, into: str, shown: str = "") -> str:
    """Merge it; how, for people. `shown`: as for `can`. Raises InvalidParams, Conflict, Failed: nothing was changed."""
    ours, theirs, tree = await _result(one, into, await _commit(one, shown))
    if not theirs:
        return f"{into} has all of {one.branch} already"
    commit = theirs
    if tree:
        message = f"Merge branch '{one.branch}' into {into}"
        commit = await worktrees.commit_tree(one.repository, tree, (ours, theirs), message)
    place = await _checked_out(one, into)
    if place:
        await worktrees.fast_forward(place, commit)
    else:
        await worktrees.move_branch(one.repository, into, commit, ours)
    return f"merged {one.branch} into {into}: {'a merge commit' if tree else 'fast-forward'}, {commit[:12]}"


async def _result(one: FleetAgent, into: str, theirs: str) -> tuple[str, str, str]:
    """Where `into` is; what it would get ("" for nothing new); the merged tree ("" for a fast-forward)."""
    ours = await worktrees.branch_commit(one.repository, into)
    if not ours:
        raise errors.InvalidParams(f"{into!r} is no branch of {one.repository}: name one to merge into (--into)")
    if into == one.branch:
        raise errors.InvalidParams(f"{into!r} is its own branch: name another to merge into (--into)")
    if await worktrees.is_ancestor(one.repository, theirs, ours):
        return ours, "", ""
    place = await _checked_out(one, into)
    if await worktrees.is_ancestor(one.repository, ours, theirs):
        await _check_room(place, into, ours, theirs)
        return ours, theirs, ""
    tree, conflicts = await worktrees.merge_tree(one.repository, ours, theirs)
    if conflicts:
        files = "".join(f"\n  {line}" for line in conflicts[:20])
        raise errors.Conflict(f"{one.branch} does not merge into {into}, so nothing was changed:{files}")
    await _check_room(place, into, ours, tree)
    return ours, theirs, tree


async def _checked_out(one: FleetAgent, into: str) -> str:
    """The worktree that is on `into`; "" for none. Raises Conflict where it is not clean."""
    for tree in await worktrees.worktrees(one.repository):
        if tree.branch == into and not tree.bare:
            changed = [line for line in await worktrees.changes(tree.path) if not line.startswith("??")]
            if changed:
                files = "".join(f"\n  {line}" for line in changed[:10])
                raise errors.Conflict(f"{into} is checked out in {tree.path}, where something is not committed:{files}")
            return tree.path
    return ""


async def _check_room(place: str, into: str, ours: str, merged: str) -> None:
    """Raises Conflict where something lies in `into`'s worktree, known to git or ignored, that the merge would write
    over."""
    names = await worktrees.added(place, ours, merged) if place else ()
    if taken := await asyncio.to_thread(lambda: [name for name in names if _is_taken(place, name)]):
        files = "".join(f"\n  {name}" for name in taken[:10])
        raise errors.Conflict(
            f"{into} is checked out in {place}, where the merge would write over these: move them away first:{files}"
        )


def _is_taken(place: str, name: str) -> bool:
    """Whether something is there, or a file where a folder has to be."""
    path, end = place, len(name.split("/"))
    for depth, part in enumerate(name.split("/"), 1):
        path = os.path.join(path, part)
        if not os.path.lexists(path):
            return False
        if depth < end and (os.path.islink(path) or not os.path.isdir(path)):
            return True
    return True
