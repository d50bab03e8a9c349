"""The end of an agent's worktree: what would be lost is told, merged or kept; then it is removed.

Owns the order, and that nothing goes that is not committed, merged or pushed unless that was said. Each step may be
done again, so a sidecar that is killed in between leaves an agent that can be finished still. Must not own: what
would be lost (losses.py), git's words (worktrees.py, merging.py), its session (fleet.py).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from msgspec import Struct

from ..core import errors
from ..core.fleet import FleetAgent
from . import fleet_commands, fleet_spawn, losses, merging, worktrees


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
    if not os.path.isdir(one.repository):
        if how.discard:
            return
        raise errors.Conflict(
            f"its repository {one.repository} is gone, so nothing can be told of its work: look what you need of"
            f" {one.worktree}; --discard forgets {one.name}, and leaves that folder as it is"
        )
    if how.discard:
        await losses.check_place(one)
        return
    goes = one.made_branch and not (how.merge or how.keep_branch)
    if found := await losses.found(one, branch_goes=goes):
        listed = "".join(f"\n  {line}" for line in found)
        raise errors.Conflict(
            f"{one.name} was not finished: commit it, on a branch, and use --merge or --keep-branch; --discard throws"
            f" it away{listed}"
        )


async def finish(one: FleetAgent, how: How, end: Callable[[], Awaitable[None]]) -> list[str]:
    """Do it; what was done, a line each. `end` ends its session. Raises Conflict, Failed, TimedOut, Unavailable."""
    await check(one, how)
    await merging.can(one, how.into or one.base, how.commit) if how.merge else None
    await end()
    if not os.path.isdir(one.repository):
        await fleet_commands.end_left(one)
        return [f"left {one.worktree}: its repository {one.repository} is gone"]
    did: list[str] = []
    at = await worktrees.branch_commit(one.repository, one.branch)  # what is committed from here on was not checked
    await check(one, how)  # it may have written something to its end
    if how.merge:
        did.append(await merging.merge(one, how.into or one.base, how.commit))
    if os.path.isdir(one.worktree):
        await _torn_down(one, how, did)
        await worktrees.remove(one.repository, one.worktree)
        did.append(f"removed {one.worktree}")
    else:
        await fleet_commands.end_left(one)
        await worktrees.prune(one.repository)
    if one.made_above:
        fleet_spawn.remove_empty(os.path.dirname(one.worktree))
    did.append(await _branch(one, how, at))
    return did


async def _torn_down(one: FleetAgent, how: How, did: list[str]) -> None:
    try:
        await fleet_commands.tear_down(one)
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
        return f"kept the branch {one.branch}: it moved meanwhile, or is checked out elsewhere"
    return f"deleted the branch {one.branch}, which was at {at[:12]}"
