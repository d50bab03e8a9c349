"""What the methods `fleet.*` give back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .model import Decision
from .reply import Data


class FleetData(Data, frozen=True):
    """An agent of the fleet. `state`: spawning, running, paused, ended (its session is gone), finished (its worktree is
    gone, too). `agent_state`, `detail` and `waiting_on` are what the agent itself tells while it runs.
    """

    name: str
    repository: str
    worktree: str
    branch: str
    base: str
    server: str
    session: str
    agent: str
    state: str
    created: datetime
    pane: str = ""
    pane_pid: int = 0
    template: str = ""
    task: str = ""
    task_state: str = "none"  # none, waiting (for its prompt), given, failed
    tier: str = "baseline"
    project: str = ""
    note: str = ""
    record: str = ""  # plain, masked, or "" where its pane is not recorded
    cast: str = ""  # the id of its recording
    agent_state: str = ""
    since: datetime | None = None
    detail: str = ""
    waiting_on: str = ""


class FleetListed(Data, frozen=True):
    agents: tuple[FleetData, ...]


class FleetShown(Data, frozen=True):
    """`ahead`: commits that its branch has and its base has not. `files`, `added`, `removed`: of the worktree, against
    where it began. `uncommitted`: lines of git status."""

    agent: FleetData
    ahead: int = 0
    files: int = 0
    added: int = 0
    removed: int = 0
    uncommitted: tuple[str, ...] = ()


class FleetText(Data, frozen=True):
    """Lines as people see them: what tmux wrapped is joined."""

    lines: tuple[str, ...]
    truncated: bool
    alternate_screen: bool


class FleetWould(Data, frozen=True):
    """What fleet.spawn would do, and what the policy says of it for this caller."""

    name: str
    branch: str
    base: str
    repository: str
    worktree: str
    session: str
    agent: str
    argv: tuple[str, ...]
    new_branch: bool
    does: tuple[str, ...]
    task: str
    tier: str
    decision: Decision


class FleetMoved(Data, frozen=True):
    """`state`: paused or running. `processes`: how many were stopped; of fleet.resume, 0."""

    name: str
    state: str
    server: str
    pane: str
    session: str = ""
    processes: int = 0


class FleetFinished(Data, frozen=True):
    """`did`: what was done, a line each."""

    name: str
    branch: str
    did: tuple[str, ...]


class TemplateData(Data, frozen=True):
    """`own`: the person's. One of a repository that is not `trusted` cannot be used, and its first line (`about`) is
    not told."""

    name: str
    path: str
    own: bool
    trusted: bool
    about: str = ""


class TemplatesData(Data, frozen=True):
    """`wrong`: why the repository's fleet.toml cannot be used, "" where it can or there is none."""

    templates: tuple[TemplateData, ...]
    repository: str
    agents: tuple[str, ...] = ()  # that fleet.toml declares
    wrong: str = ""


REPLIES: dict[str, Any] = {
    "fleet.spawn": FleetData,
    "fleet.list": FleetListed,
    "fleet.get": FleetShown,
    "fleet.read": FleetText,
    "fleet.send": FleetData,
    "fleet.kill": FleetData,
    "fleet.pause": FleetMoved,
    "fleet.resume": FleetMoved,
    "fleet.finish": FleetFinished,
    "fleet.templates": TemplatesData,
}
