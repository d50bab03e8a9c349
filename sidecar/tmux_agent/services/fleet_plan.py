"""What a wish for an agent comes to: its repository, names, folder, branch, command and task. Nothing is done here.

Owns the defaults and what is refused before anything is begun. Must not own: doing it (fleet_spawn.py).
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Collection
from datetime import UTC, datetime

from msgspec import Struct

from ..core import errors, fleet_file, programs
from ..core import fleet as f
from ..core.config import nearest
from ..core.fleet import FleetAgent, SpawnSpec, TaskState
from ..core.fleet_file import FleetFile
from ..core.model import Fleet as Action
from . import fleet_commands, worktrees
from .fleet_files import FleetFiles
from .fleet_spawn import Extras
from .ids import new_id
from .tmux.control import TmuxServer

KNOWN = ("claude", "codex", "gemini", "opencode", "cursor")  # told where an agent is not known
PROJECT = 64  # characters, as `wrap` takes them


class Planned(Struct, frozen=True, kw_only=True):
    """The row that would be kept, and what comes with it."""

    agent: FleetAgent
    extras: Extras = Extras()
    bare: bool = False
    does: tuple[str, ...] = ()

    @property
    def action(self) -> Action:
        """As it is judged and shown."""
        one = self.agent
        return Action(
            verb="spawn", branch=one.branch, repository=one.repository, agent=one.agent, base=one.base,
            template=one.template, text=one.task, tier=one.tier, worktree=one.worktree, does=self.does,
        )  # fmt: skip


async def plan(
    spec: SpawnSpec, server: TmuxServer, files: FleetFiles, agents: Collection[FleetAgent], home: str
) -> Planned:
    """`agents`: those there are. Raises InvalidParams, NotFound, Conflict, LimitExceeded, Failed,
    Unavailable."""
    repository = await worktrees.repository(spec.repository)
    top = repository.top
    file = files.read(top, plain=spec.plain)
    await worktrees.check_branch(top, spec.branch)
    in_use = next((tree for tree in repository.worktrees if tree.branch == spec.branch), None)
    if in_use is not None:
        there = next((one.name for one in agents if one.worktree == in_use.path), "")
        do = f"`tmux-agent attach {there}` or `resume` goes there" if there else "choose another branch"
        raise errors.Conflict(f"the branch {spec.branch} is checked out in {in_use.path}: {do}")
    base, commit, made = await _base(repository, spec.base or file.base or "", spec.branch)
    kind, argv = command_of(spec, file)
    taken = {one.name for one in agents} | {session.name for session in server.sessions}
    name = f.unique(f.slug(spec.branch), taken)
    folder = _folder(file.worktree or f.WORKTREES, top, name, spec.branch, home)
    template = spec.template or file.template or ""
    sandbox = spec.sandbox if spec.sandbox is not None else bool(file.sandbox)
    extras = Extras(
        copy=file.copy or (), link=file.link or (), submodules=bool(file.submodules), setup=file.setup or (),
        setup_timeout=file.setup_timeout or 600.0,
    )  # fmt: skip
    task = _task(files, top, template, spec, base=base, name=name)
    one = FleetAgent(
        name=name, fleet_id=new_id(), repository=top, worktree=folder, branch=spec.branch, base=base,
        base_commit=commit, server=server.socket, session=name, agent=kind, created=datetime.now(UTC),
        template=template, task=task, task_state=TaskState.WAITING if task else TaskState.NONE,
        tier="sandbox" if sandbox else "baseline", project=(spec.project or name)[:PROJECT], argv=argv,
        ends=bool(spec.argv) and not task,
        env=file.env | spec.env, made_branch=made, made_above=_makes_above(folder, agents),
        continues=_continues(kind, argv, file), teardown=file.teardown or (),
        teardown_timeout=file.teardown_timeout or 60.0, windows=file.windows or (), record=_record(spec, file),
    )  # fmt: skip
    return Planned(agent=one, extras=extras, bare=repository.bare, does=_does(one, extras))


def _record(spec: SpawnSpec, file: FleetFile) -> str:
    wanted = spec.record or file.record or "no"
    return "" if wanted == "no" else wanted


def _makes_above(folder: str, agents: Collection[FleetAgent]) -> bool:
    """Whether the folder above is there only because of the fleet: the last one takes it away."""
    above = os.path.dirname(folder)
    ours = any(one.made_above and os.path.dirname(one.worktree) == above for one in agents)
    return ours or not os.path.lexists(above)


def _does(one: FleetAgent, extras: Extras) -> tuple[str, ...]:
    """All that is done besides what the action says by itself, for people."""
    starts = (f"start {shlex.join(one.argv)}",) if one.argv != f.command(one.agent) else ()
    later = (f"run {fleet_commands.shown(line)} before it is removed" for line in one.teardown)
    with_env = (f"set {name}" for name in one.env)  # not its value, which may be a secret
    opens = (f"open {window.name}: {pane or 'a shell'}" for window in one.windows for pane in window.panes)
    makes = (f"make the branch {one.branch} at {one.base} ({one.base_commit[:12]})",) if one.made_branch else ()
    records = ("record its pane" + (", without secrets" if one.record == "masked" else ""),) if one.record else ()
    return (*makes, *with_env, *extras.lines(), *starts, *records, *opens, *later)


async def _base(repository: worktrees.Repository, wanted: str, branch: str) -> tuple[str, str, bool]:
    """What the branch begins at, its commit, and whether the branch has to be made. Raises InvalidParams."""
    top = repository.top
    base = wanted or await worktrees.current_branch(repository)
    there, commit = await asyncio.gather(worktrees.branch_commit(top, branch), worktrees.base_commit(top, base))
    if not commit and not wanted:
        raise errors.InvalidParams(f"params.repository: {top} has no commit yet that a branch could begin at: make one")
    if not commit:
        raise errors.InvalidParams(f"params.base: {base!r} names no commit of {top}")
    return base, there or commit, not there


def command_of(spec: SpawnSpec, file: FleetFile) -> tuple[str, tuple[str, ...]]:
    """The agent's kind, and what starts it. Raises InvalidParams."""
    kind = spec.agent or file.agent or "claude"
    declared = file.agents.get(kind)
    if not (spec.argv or declared or programs.known(kind)):
        near = nearest(kind, (*file.agents, *programs.names())) or f": there are {', '.join((*file.agents, *KNOWN))}"
        raise errors.InvalidParams(f"params.agent: no agent called {kind!r} is known{near}")
    return kind, spec.argv or f.command(kind, declared.command if declared else ())


def _continues(kind: str, argv: tuple[str, ...], file: FleetFile) -> tuple[str, ...]:
    declared = file.agents.get(kind)
    return f.continued(kind, argv, declared.continues if declared else None)


def _folder(pattern: str, top: str, name: str, branch: str, home: str) -> str:
    """Raises InvalidParams, Conflict."""
    try:
        folder = f.worktree_folder(pattern, top, name, branch, home)
    except ValueError as why:
        raise errors.InvalidParams(f"worktree: the pattern {pattern!r} {why}") from None
    if os.path.lexists(folder):
        raise errors.Conflict(f"there is something at {folder} already: move it away")
    return folder


def _task(files: FleetFiles, top: str, template: str, spec: SpawnSpec, *, base: str, name: str) -> str:
    """What is typed at its prompt. Raises NotFound, Conflict, LimitExceeded."""
    text = spec.task.strip()
    if template:
        repo = os.path.basename(top.rstrip("/"))
        values = {"task": text, "branch": spec.branch, "base": base, "name": name, "repo": repo}
        text = fleet_file.prompt(files.template(top, template), values)
    if len(text) > f.TASK:
        raise errors.LimitExceeded(f"its task has more than {f.TASK} characters: put it into a file of the repository")
    return text
