"""How an agent of the fleet comes about, as one transaction: planned, kept, done step by step, or undone.

What has to be undone is in its row before anything is done (`FleetAgent`), and each undo looks first whether there is
something of ours: so a failure half-way and a sidecar that was killed are undone in the same way. Owns the order of the
steps. Must not own: git's words (worktrees.py), rows and states (fleet.py), whether it may be done (guard.py).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine
from typing import Any

from msgspec import Struct

from ..core import errors
from ..core.fleet import FleetAgent
from ..core.model import Tmux
from . import worktrees
from .tmux.control import TmuxServer
from .tools import panes

MARK = "TMUX_AGENT_FLEET"  # variable of a session of ours: whose it is
# Where the sidecar is to be found from inside, whatever the tmux server's own environment says.
PASSED_ON = ("TMUX_AGENT_SOCKET", "TMUX_AGENT_STATE_DIR", "TMUX_AGENT_CONFIG_DIR", "PYTHONPATH")


class Session(Struct, frozen=True):
    """A session as it was made."""

    pane: str
    pane_pid: int


async def make_worktree(one: FleetAgent) -> None:
    """Raises Failed, TimedOut, Unavailable."""
    above = os.path.dirname(one.worktree)
    try:
        os.makedirs(above, exist_ok=True)
    except OSError as why:
        raise errors.Failed(f"the folder {above} cannot be made: {why.strerror}") from None
    await worktrees.add(
        one.repository, one.worktree, one.branch, new_at=one.base_commit if one.made_branch else ""
    )


async def make_session(one: FleetAgent, server: TmuxServer, argv: tuple[str, ...]) -> Session:
    """Its session, in which the agent starts. Raises Conflict, Failed, Unavailable."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    made = Tmux(
        verb="create_session", name=one.session, server=server.socket, argv=wrapped(one, argv), cwd=one.worktree,
        options={"env": {**one.env, **passed, MARK: one.fleet_id}},
    )  # fmt: skip
    found = (await panes.run(made, server)).data
    return Session(found["pane_id"], found["pane_pid"])


def wrapped(one: FleetAgent, argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command of its pane: `tmux-agent wrap`, which is the one way an agent starts."""
    sandbox = ("--sandbox",) if one.tier == "sandbox" else ()
    return (sys.executable, "-P", "-m", "tmux_agent", "wrap", "--project", one.project, *sandbox, "--", *argv)


# --- undoing ---


async def undo(one: FleetAgent, server: TmuxServer | None) -> list[str]:
    """Take away what there is of it; a sentence for each thing that could not be. The branch goes only where it is ours
    and nothing was committed to it."""
    left: list[str] = []
    if server is not None:
        left += await _tried(end_session(one, server))
    left += await _tried(_remove_worktree(one))
    if one.made_branch:
        left += await _tried(_remove_branch(one))
    if one.made_above:
        remove_empty(os.path.dirname(one.worktree))
    return left


async def _tried(step: Coroutine[Any, Any, None]) -> list[str]:
    try:
        await step
    except errors.TmuxAgentError as why:
        return [why.message]
    return []


async def end_session(one: FleetAgent, server: TmuxServer) -> None:
    """End its session, if that is ours still. Raises Unavailable, Failed."""
    await server.refresh()
    for session in server.sessions:
        if session.name == one.session and await marked(server, session.id) == one.fleet_id:
            await server.command("kill-session", "-t", session.id)


async def marked(server: TmuxServer, session: str) -> str:
    """Whose a session is; "" where it is none of ours."""
    try:
        said = await server.command("show-environment", "-t", session, MARK)
    except errors.Failed:
        return ""
    return said[0].partition("=")[2] if said else ""


async def _remove_worktree(one: FleetAgent) -> None:
    real = os.path.realpath(one.worktree)
    known = [tree for tree in await worktrees.worktrees(one.repository) if os.path.realpath(tree.path) == real]
    if known:
        await worktrees.remove(one.repository, one.worktree, force=True)


async def _remove_branch(one: FleetAgent) -> None:
    now = await worktrees.branch_commit(one.repository, one.branch)
    if now and not await worktrees.delete_branch(one.repository, one.branch, one.base_commit):
        raise errors.Conflict(f"the branch {one.branch} was kept: there are commits on it")


def remove_empty(folder: str) -> None:
    """Remove a folder if nothing is in it."""
    try:
        os.rmdir(folder)
    except OSError:
        return  # not empty, or gone
