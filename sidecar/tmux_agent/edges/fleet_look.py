"""How agents of the fleet are shown. Must not own: what is done to one (fleet.py)."""

from __future__ import annotations

from ..core import display, errors
from ..core import replies_fleet as r
from ..core.fleet import FleetAgent
from ..core.model import Decision, Origin, Role
from ..services import worktrees
from ..services.fleet_plan import Planned
from ..services.system import System


def would(planned: Planned, decision: Decision) -> r.FleetWould:
    one = planned.agent
    return r.FleetWould(
        name=one.name, branch=one.branch, base=one.base, repository=one.repository, worktree=one.worktree,
        session=one.session, agent=one.agent, argv=one.argv, new_branch=one.made_branch, does=planned.does,
        task=one.task, tier=one.tier, decision=decision,
    )  # fmt: skip


def sees(one: FleetAgent, origin: Origin) -> bool:
    """Whether somebody may read its task and what went wrong: a person, and whoever is in its pane."""
    return origin.role is Role.OPERATOR or (origin.server, origin.pane) == (one.server, one.pane)


def shown(system: System, one: FleetAgent, *, task: bool = True) -> r.FleetData:
    """An agent, with what it tells of itself; of what it was told only where `task`."""
    where = (one.server, one.pane)
    here = [other for other in system.agents.list() if other.pane and (other.server, other.pane) == where]
    live = here[-1] if here and one.state.value in ("running", "paused") else None
    return r.FleetData(
        name=one.name, repository=one.repository, worktree=one.worktree, branch=one.branch, base=one.base,
        server=one.server, session=one.session, agent=one.agent, state=one.state.value, created=one.created,
        pane=one.pane, pane_pid=one.pane_pid, template=one.template, task=one.task if task else "",
        task_state=one.task_state.value, tier=one.tier, project=one.project, record=one.record, cast=one.cast,
        note=display.safe(one.note, newlines=True) if task else "",
        agent_state=live.state.value if live else "", since=live.since if live else None,
        detail=display.safe(live.detail) if live else "", waiting_on=live.waiting_on if live else "",
    )  # fmt: skip


def moved(one: FleetAgent, processes: int = 0) -> r.FleetMoved:
    return r.FleetMoved(
        name=one.name, state=one.state.value, server=one.server, pane=one.pane, session=one.session, processes=processes
    )


async def whole(system: System, one: FleetAgent, *, task: bool = True) -> r.FleetShown:
    look = await worktrees.difference(one)
    return r.FleetShown(
        agent=shown(system, one, task=task), ahead=look.ahead, files=look.files, added=look.added,
        removed=look.removed, uncommitted=look.uncommitted,
    )  # fmt: skip


async def templates(system: System, folder: str) -> r.TemplatesData:
    """Raises InvalidParams, Failed, Unavailable."""
    top = (await worktrees.repository(folder)).top
    files = system.fleet.files
    wrong = ""
    agents: tuple[str, ...] = ()
    try:
        agents = tuple(files.read(top, plain=False).agents)
    except errors.TmuxAgentError as why:
        wrong = why.message
    found = tuple(
        r.TemplateData(name=one.name, path=one.path, own=one.own, trusted=one.trusted, about=display.safe(one.about))
        for one in files.templates(top)
    )
    return r.TemplatesData(templates=found, repository=top, agents=agents, wrong=wrong)
