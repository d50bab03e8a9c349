"""How an agent of the fleet comes about, as one transaction: planned, kept, done step by step, or undone.

What has to be undone is in its row before anything is done (`FleetAgent`), and each undo looks first whether there is
something of ours: so a failure half-way and a sidecar that was killed are undone in the same way. Owns the order of the
steps. Must not own: git's words (worktrees.py), rows and states (fleet.py), whether it may be done (guard.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Coroutine
from typing import Any

from msgspec import Struct

from ..core import errors, programs, redact
from ..core.fleet import FleetAgent
from ..core.fleet_file import Line
from ..core.model import Tmux
from . import fleet_commands, fleet_ignored, worktrees
from .foreground import started
from .pausing import Pausing
from .processes import Process, Processes
from .tmux import dead, layout
from .tmux.control import TmuxServer
from .tools import panes, process

LOOK_SECONDS, START_LOOKS = 0.02, 500  # ten seconds: after that it is taken for slow
TOLD = ("claude", "codex", "gemini", "opencode")  # whom `wrap` knows how to tell of markers
MARK = "TMUX_AGENT_FLEET"  # variable of a session of ours: whose it is
# Where the sidecar is to be found from inside, whatever the tmux server's own environment says.
PASSED_ON = ("TMUX_AGENT_SOCKET", "TMUX_AGENT_STATE_DIR", "TMUX_AGENT_CONFIG_DIR", "PYTHONPATH")


class Extras(Struct, frozen=True, kw_only=True):
    """What comes with an agent besides, as fleet.toml says."""

    copy: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    submodules: bool = False
    setup: tuple[Line, ...] = ()
    setup_timeout: float = 600.0  # seconds, of each command

    def lines(self) -> tuple[str, ...]:
        """For people, a line each."""
        return (
            *(("initialise submodules",) if self.submodules else ()),
            *(f"copy {path}" for path in self.copy),
            *(f"link {path}" for path in self.link),
            *(f"run {fleet_commands.shown(line)}" for line in self.setup),
        )


class Session(Struct, frozen=True):
    """A session as it was made."""

    session: str  # "$3"
    pane: str
    pane_pid: int


async def make_branch(one: FleetAgent) -> None:
    """Where there was none. Raises Conflict where there is one by now: that is not ours."""
    if one.made_branch:
        await worktrees.make_branch(one.repository, one.branch, one.base_commit, one.base)


async def make_worktree(one: FleetAgent) -> None:
    """Raises Failed, TimedOut, Unavailable."""
    above = os.path.dirname(one.worktree)
    try:
        os.makedirs(above, exist_ok=True)
    except OSError as why:
        raise errors.Failed(f"the folder {above} cannot be made: {why.strerror}") from None
    await worktrees.add(one.repository, one.worktree, one.branch)


async def fill_worktree(one: FleetAgent, extras: Extras, *, bare: bool) -> list[str]:
    """Bring in what is not in git, and run what sets it up; remarks for people. Raises Failed, TimedOut, Conflict,
    LimitExceeded, Unavailable."""
    said: list[str] = []
    if extras.submodules:
        await worktrees.fetch_submodules(one.worktree)
    if extras.copy or extras.link:
        if bare:
            return ["nothing was copied or linked: a bare repository has no files"]
        said = await asyncio.to_thread(fleet_ignored.bring, one.repository, one.worktree, extras.copy, extras.link)
    await fleet_commands.set_up(one, extras.setup, extras.setup_timeout)
    if not os.path.isdir(one.worktree):  # tmux would start it in another folder
        raise errors.Failed(f"its set-up commands have removed its worktree {one.worktree}")
    return said


async def make_session(one: FleetAgent, server: TmuxServer, argv: tuple[str, ...]) -> Session:
    """Its session, in which the agent starts, with the windows beside it. Raises Conflict, Failed, Unavailable."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    made = Tmux(
        verb="create_session", name=one.session, server=server.socket, argv=wrapped(one, argv), cwd=one.worktree,
        options={"keep": True, "env": {**one.env, **fleet_commands.variables(one), **passed, MARK: one.fleet_id}},
    )  # fmt: skip
    found = (await panes.run(made, server)).data
    session = Session(found["session_id"], found["pane_id"], found["pane_pid"])
    if one.windows:
        try:
            await asyncio.to_thread(layout.build, server.socket, session.session, one.windows, one.worktree)
        except errors.TmuxAgentError:
            await server.command("kill-session", "-t", session.session)
            raise
    return session


async def let_start(one: FleetAgent, server: TmuxServer) -> None:
    """Its pane is recorded: its agent may start. Raises Failed, Unavailable."""
    await server.command("wait-for", "-S", _gate(one))


def _gate(one: FleetAgent) -> str:
    return f"tmux-agent-{one.fleet_id}"


def made_before(one: FleetAgent) -> Session | None:
    """Its session as an earlier sidecar has made it, the last thing before the agent starts by itself; None where there
    is none, windows beside it are missing, or it was to be recorded from its first byte. Blocking."""
    if one.record:
        return None
    panes = 1 + sum(len(window.panes) for window in one.windows)
    return next((Session(*ids) for ids in layout.marked(one.server, MARK, one.fleet_id, panes)), None)


async def until_started(one: FleetAgent, server: TmuxServer, made: Session, table: Processes) -> bool:
    """Wait until the agent's own program is in front, of which no event tells; False where it has ended well already,
    as it was to. Raises Failed, with what it said, where it ends before that."""
    for _ in range(START_LOOKS):
        is_there = started(table, made.pane_pid)
        top = table.read(made.pane_pid)  # after the other look: it may end between the two
        if top is None or top.ended:
            if await _exit_code(server, made.pane) == 0 and one.ends:
                return False
            said = await _last_words(server, made.pane)
            raise errors.Failed(f"{one.argv[0]} could not be started, or ended at once{said}")
        if is_there:
            break
        await asyncio.sleep(LOOK_SECONDS)
    if not one.ends:
        with contextlib.suppress(errors.Failed):  # somebody has closed it
            await server.command("set-option", "-p", "-u", "-t", made.pane, "remain-on-exit")
    return True


async def _exit_code(server: TmuxServer, pane: str) -> int | None:
    try:
        return await dead.exit_code(server, pane, ends=True)
    except errors.Failed:  # somebody has closed it
        return None


async def _last_words(server: TmuxServer, pane: str) -> str:
    """What a pane shows whose program has ended, without what tmux says of that."""
    try:
        # With what has scrolled away: tmux makes room for a line of its own.
        lines = await server.foreign("capture-pane", "-p", "-J", "-S", "-50", "-t", pane)
    except errors.Failed:
        return ""
    said = [line.strip() for line in lines if line.strip() and not line.startswith("Pane is dead")]
    return f": {redact.redact_text(' '.join(said[-3:]))[:500]}" if said else ""


def wrapped(one: FleetAgent, argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command of its pane: `tmux-agent wrap`, which is the one way an agent starts. Below a shell that only waits,
    since tmux lets no program of its own stand still (pausing.py)."""
    sandbox = ("--sandbox",) if one.tier == "sandbox" else ()
    plain = () if programs.agent_of("", argv[0]) in TOLD else ("--plain",)
    waits: tuple[str, ...] = ("sh", "-c", '"$@"; exit $?', "sh")
    if one.record:  # not before its pane is read
        waits = ("sh", "-c", 'tmux wait-for "$1"; shift; "$@"; exit $?', "sh", _gate(one))
    wrap = (sys.executable, "-P", "-m", "tmux_agent", "wrap", "--project", one.project, *plain, *sandbox)
    return (*waits, *wrap, "--", *argv)


# --- undoing ---


async def undo(one: FleetAgent, server: TmuxServer | None) -> list[str]:
    """Take away what there is of it; a sentence for each thing that could not be. The branch goes only where it is ours
    and nothing was committed to it."""
    left: list[str] = []
    await fleet_commands.end_left(one)
    await asyncio.to_thread(process.end_marked, f"{MARK}={one.fleet_id}")
    if server is not None:
        left += await _tried(end_session(one, server))
    else:  # it is not attached yet: this is a restart
        await asyncio.to_thread(layout.end, one.server, MARK, one.fleet_id)
    if one.teardown and os.path.isdir(one.worktree):
        left += await _tried(fleet_commands.tear_down(one))
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
    """End the sessions that are its, whatever they are called by now. Raises Unavailable, Failed."""
    await server.refresh()
    for session in await _sessions(one, server):
        await server.command("kill-session", "-t", session)


async def other_panes(one: FleetAgent, server: TmuxServer, pausing: Pausing) -> list[Process]:
    """What runs in the other panes of its session."""
    found: list[Process] = []
    ours = await _sessions(one, server)
    for pane in server.panes:
        if pane.session in ours and pane.id != one.pane and not pane.dead and (top := pausing.read(pane.pid)):
            found += await pausing.tree(top.pid, top.started)
    return found


async def _sessions(one: FleetAgent, server: TmuxServer) -> list[str]:
    """Ids of the sessions that are its, by their mark."""
    known = [session.id for session in server.sessions]
    said = await server.each([("show-environment", "-t", session, MARK) for session in known])
    return [session for session, lines in zip(known, said, strict=True) if lines == [f"{MARK}={one.fleet_id}"]]


async def _remove_worktree(one: FleetAgent) -> None:
    real = os.path.realpath(one.worktree)
    known = [tree for tree in await worktrees.worktrees(one.repository) if os.path.realpath(tree.path) == real]
    if not known:
        return
    try:
        await worktrees.remove(one.repository, one.worktree, locked=True)
    except errors.Failed:  # git does not know it again: what set it up has meddled with its .git
        try:
            await asyncio.to_thread(shutil.rmtree, one.worktree)
        except OSError as why:
            raise errors.Failed(f"{one.worktree} could not be removed: {why.strerror}") from None
        await worktrees.prune(one.repository)


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
