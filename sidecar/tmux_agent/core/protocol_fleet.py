"""Params of the methods `fleet.*`: agents with a worktree and a session of their own. Must not own: what they do."""

from __future__ import annotations

from typing import Literal

from .params import Params


class FleetSpawn(Params, frozen=True):
    """Start an agent on a branch, in a worktree and a session of its own. An agent's call is judged, as the next five
    are.

    `repository`: any folder in it; the caller's own where it is empty. `plain`: nothing of what the repository's own
    .tmuxagent/fleet.toml says. `record`: its pane, from its first byte until it ends, `masked` without
    secrets; where it is empty, as fleet.toml says. With `dry_run` nothing is done, and what would be is said.
    """

    branch: str
    repository: str = ""
    agent: str = ""
    template: str = ""
    task: str = ""
    base: str = ""
    sandbox: bool | None = None
    project: str = ""
    server: str | None = None
    plain: bool = False
    record: Literal["", "plain", "masked", "no"] = ""
    dry_run: bool = False


class FleetList(Params, frozen=True):
    """The agents of the fleet, oldest first; with `finished` also those whose worktree is gone."""

    finished: bool = False


class FleetGet(Params, frozen=True):
    """One agent of the fleet, with how its branch differs from where it began."""

    name: str


class FleetRead(Params, frozen=True):
    """The last lines of an agent's pane. An agent's call is judged as tmux.read is."""

    name: str
    last_n_lines: int | None = None
    from_history: bool = False


class FleetSend(Params, frozen=True):
    """Type text at an agent's prompt, and press Enter: as soon as the prompt is free."""

    name: str
    text: str
    enter: bool = True


class FleetKill(Params, frozen=True):
    """End an agent's session and all that runs in it. Its worktree and its branch stay."""

    name: str


class FleetTemplates(Params, frozen=True):
    """Templates of a repository (any folder in it; the caller's own where it is empty) and the person's own."""

    repository: str = ""


class FleetPause(Params, frozen=True):
    """Have all processes below an agent's pane stand still (SIGSTOP). `name`: of the fleet, or a pane (%7)."""

    name: str
    server: str | None = None  # of a pane


class FleetResume(Params, frozen=True):
    """Have an agent go on: what stands still; or, where its session is gone, in a new one, with what was said before
    (`fresh`: without). `name`: of the fleet, or a pane (%7) that stands still."""

    name: str
    server: str | None = None
    fresh: bool = False


class FleetFinish(Params, frozen=True):
    """End an agent's session and remove its worktree. Refused, with a list, where something is not committed; where its
    branch was made for it, also what is neither merged nor pushed, unless it is merged now (`merge`, into its base or
    `into`) or kept (`keep_branch`). `discard` throws all of it away.
    """

    name: str
    merge: bool = False
    into: str = ""
    keep_branch: bool = False
    discard: bool = False


METHODS: dict[str, type[Params]] = {
    "fleet.spawn": FleetSpawn,
    "fleet.list": FleetList,
    "fleet.get": FleetGet,
    "fleet.read": FleetRead,
    "fleet.send": FleetSend,
    "fleet.kill": FleetKill,
    "fleet.pause": FleetPause,
    "fleet.resume": FleetResume,
    "fleet.finish": FleetFinish,
    "fleet.templates": FleetTemplates,
}
# Nobody can tell by the request whether it was done: a client does not send these again by itself.
ONCE: frozenset[type[Params]] = frozenset({FleetSpawn, FleetSend, FleetKill, FleetPause, FleetResume, FleetFinish})
