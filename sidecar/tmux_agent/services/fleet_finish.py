"""The end of an agent's worktree: what would be lost is told, merged or kept; then it is removed.

Owns the order, and that nothing goes that is not committed, merged or pushed unless that was said. Each step may be
done again, so a sidecar that is killed in between leaves an agent that can be finished still. Must not own: git's words
(worktrees.py, merging.py), its session (fleet.py).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from msgspec import Struct

from ..core import errors
from ..core.fleet import FleetAgent
from . import fleet_commands, fleet_spawn, merging, worktrees

SHOWN = 10  # lines of each kind that an error tells


class How(Struct, frozen=True, kw_only=True):
    """What is to become of its work. Without any of these: the branch goes if all of it is merged or pushed.

    `into`: the branch that it is merged into, its base where it is empty. `commit`: what its branch was at when
    that was asked for; nothing else is merged. `discard`: nothing of it is wanted.
    """

    merge: bool = False
    into: str = ""
    commit: str = ""
    keep_branch: bool = False
    discard: bool = False

    def lines(self, one: FleetAgent) -> tuple[str, ...]:
        """For people."""
        at = f" ({self.commit[:12]})" if self.commit else ""
        merged = (f"merge {one.branch}{at} into {self.into or one.base}",) if self.merge else ()
        kept = self.keep_branch or not one.made_branch
        branch = f"keep the branch {one.branch}" if kept else f"delete the branch {one.branch}"
        lost = ("throw away what is not committed, merged or pushed",) if self.discard else ()
        return (*merged, *lost, f"remove {one.worktree}", branch)


async def check(one: FleetAgent, how: How) -> None:
    """Raises InvalidParams, Conflict with a list of what would be lost."""
    if how.discard and (how.merge or how.keep_branch):
        raise errors.InvalidParams("params.discard: throws the work away, so nothing can be merged or kept beside it")
    if how.discard:
        return
    found: list[str] = []
    there = os.path.isdir(one.worktree)
    for folder, lines in (await worktrees.all_changes(one.worktree)).items() if there else ():
        where = "" if folder == one.worktree else f" in the submodule {os.path.relpath(folder, one.worktree)}"
        found += [f"not committed{where}: {line}" for line in _few(lines)]
    if not (how.merge or how.keep_branch) and one.made_branch:
        found += [f"neither merged nor pushed: {line}" for line in _few(await worktrees.unpushed(one))]
    for folder, lines in (await worktrees.unpushed_submodules(one.worktree)).items() if there else ():
        where = os.path.relpath(folder, one.worktree)
        found += [f"not pushed in the submodule {where}: {line}" for line in _few(lines)]
    if found:
        listed = "".join(f"\n  {line}" for line in found)
        raise errors.Conflict(
            f"{one.name} was not finished: commit it and use --merge or --keep-branch; --discard throws it away{listed}"
        )


def _few(lines: tuple[str, ...]) -> tuple[str, ...]:
    more = len(lines) - SHOWN
    return (*lines[:SHOWN], f"… and {more} more") if more > 0 else lines


async def finish(one: FleetAgent, how: How, end: Callable[[], Awaitable[None]]) -> list[str]:
    """Do it; what was done, a line each. `end` ends its session. Raises Conflict, Failed, TimedOut, Unavailable."""
    await check(one, how)
    await merging.can(one, how.into or one.base, how.commit) if how.merge else None
    await end()
    did: list[str] = []
    at = await worktrees.branch_commit(one.repository, one.branch)  # what is committed from here on was not checked
    await check(one, how)  # it may have written something to its end
    if how.merge:
        did.append(await merging.merge(one, how.into or one.base, how.commit))
    if os.path.isdir(one.worktree):
        if one.teardown:
            await _torn_down(one, how, did)
        await worktrees.remove(one.repository, one.worktree, force=True)
        did.append(f"removed {one.worktree}")
    else:
        await worktrees.prune(one.repository)
    if one.made_above:
        fleet_spawn.remove_empty(os.path.dirname(one.worktree))
    did.append(await _branch(one, how, at))
    return did


async def _torn_down(one: FleetAgent, how: How, did: list[str]) -> None:
    await fleet_commands.end_left(one)
    try:
        await fleet_commands.run(one, one.teardown, one.teardown_timeout, "the tear-down command")
    except errors.TmuxAgentError as why:
        if not how.discard:
            raise
        did.append(why.message)


async def _branch(one: FleetAgent, how: How, at: str) -> str:
    if not at:
        return f"the branch {one.branch} was gone already"
    if how.keep_branch or not one.made_branch:
        return f"kept the branch {one.branch}"
    if not await worktrees.delete_branch(one.repository, one.branch, at):
        return f"kept the branch {one.branch}: it moved meanwhile"
    return f"deleted the branch {one.branch}, which was at {at[:12]}"
