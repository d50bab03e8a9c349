"""Agents that were spawned into a worktree and a tmux session of their own: what is asked and kept, and names.

Pure. Owns the names, the pattern of the worktree's folder, and the arguments an agent starts or goes on with. Must not
own: git (services/worktrees.py), the order in which an agent comes about (services/fleet_spawn.py).
"""

from __future__ import annotations

import enum
import posixpath
import re
from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec import Struct

from .fleet_file import WindowFile

NAME = 48  # characters of a name, a number behind it not counted
BRANCH = 200  # characters
TASK = 128 << 10  # characters of a task with its template: less than what is typed at once
WORKTREES = "../{repo}-worktrees/{name}"

# How an agent goes on with what was said before in the same folder, by its own --help.
CONTINUES: dict[str, tuple[str, ...]] = {
    "claude": ("--continue",),
    "codex": ("resume", "--last"),
    "gemini": ("--resume", "latest"),
    "opencode": ("--continue",),
    "cursor": ("resume",),
    "qwen": ("--continue",),
    "goose": ("session", "--resume"),
}
_PROGRAMS = {"cursor": "cursor-agent", "kiro": "kiro-cli"}  # whose program is not called as the agent is


class SpawnSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent that somebody wants. `repository`: any folder in it, absolute. What is empty is as fleet.toml
    says, or the default.

    `argv`: instead of the agent's command; never from the socket. `env`: variables of its session. `plain`: nothing of
    the repository's own fleet.toml.
    """

    repository: str
    branch: str
    agent: str = ""
    argv: tuple[str, ...] = ()
    template: str = ""
    task: str = ""
    base: str = ""
    sandbox: bool | None = None
    server: str = ""
    project: str = ""
    env: dict[str, str] = {}
    plain: bool = False
    record: str = ""  # its pane: plain, masked, or no


class FleetState(enum.Enum):
    SPAWNING = "spawning"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"  # its session is gone, its worktree is there
    FINISHED = "finished"  # its worktree is gone, too


class TaskState(enum.Enum):
    """Of what is to be typed at its prompt."""

    NONE = "none"
    WAITING = "waiting"  # for its prompt
    GIVEN = "given"
    FAILED = "failed"


class FleetAgent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One agent of the fleet, as it is kept. What it needs to be undone is known before anything is done."""

    name: str  # unique; of the branch
    fleet_id: str  # a ULID; marks its session, and makes its task the same task after a restart
    repository: str  # top level of the repository, or the bare repository itself
    worktree: str
    branch: str
    base: str  # branch (or commit) that it began at
    base_commit: str
    server: str  # tmux socket
    session: str  # name of the tmux session
    agent: str
    created: datetime
    state: FleetState = FleetState.SPAWNING
    pane: str = ""
    pane_pid: int = 0
    pane_started: int = 0
    template: str = ""
    task: str = ""  # with the template's text; typed at its prompt
    task_state: TaskState = TaskState.NONE
    tier: str = "baseline"
    project: str = ""
    argv: tuple[str, ...] = ()
    ends: bool = False  # its program is to end by itself: its pane is kept, for whoever started it to read
    continues: tuple[str, ...] = ()  # what starts it again, going on with what was said before
    env: dict[str, str] = {}
    made_branch: bool = False  # it was not there before
    made_above: bool = False  # the folder above the worktree was not there before the fleet made it
    windows: tuple[WindowFile, ...] = ()
    teardown: tuple[str | tuple[str, ...], ...] = ()
    teardown_timeout: float = 60.0  # seconds, of each command
    note: str = ""  # what went wrong, for people
    record: str = ""  # whether its pane is recorded: plain, masked, or "" for not
    cast: str = ""  # the id of its recording, the last one

    @property
    def has_session(self) -> bool:
        return self.state in (FleetState.RUNNING, FleetState.PAUSED)


def slug(branch: str) -> str:
    """A name that folders and tmux sessions may have, of letters, digits, - and _."""
    kept = "".join(letter if letter.isalnum() or letter in "_-" else "-" for letter in branch)
    parts = [part for part in kept.split("-") if part]
    return "-".join(parts)[:NAME].strip("-") or "agent"


def unique(name: str, taken: Collection[str]) -> str:
    """`name`, with a number behind it where it is taken."""
    if name not in taken:
        return name
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"


def worktree_folder(pattern: str, top: str, name: str, branch: str, home: str) -> str:
    """The absolute path that a pattern means; relative ones begin at the repository. Raises ValueError."""
    repo = posixpath.basename(top).removesuffix(".git") or "repository"
    values = {"{repo}": repo, "{name}": name, "{branch}": branch.replace("/", "-")}
    if "{" in re.sub("|".join(values), "", pattern) or "\0" in pattern:
        raise ValueError("knows {repo}, {name} and {branch} only")
    text = re.sub("|".join(values), lambda found: values[found[0]], pattern)
    if text == "~" or text.startswith("~/"):
        text = home + text[1:]
    found = posixpath.normpath(posixpath.join(top, text))
    if f"{top}/".startswith(f"{found.rstrip('/')}/"):
        raise ValueError(f"means {found}, which is the repository or above it")
    if "/.git/" in f"{found}/":
        raise ValueError(f"means {found}, inside .git")
    return found


def command(agent: str, declared: Sequence[str] = ()) -> tuple[str, ...]:
    """What starts an agent: as declared, else the program of its name."""
    return tuple(declared) or (_PROGRAMS.get(agent, agent),)


def continued(agent: str, argv: Sequence[str], declared: Sequence[str] | None = None) -> tuple[str, ...]:
    """The same, going on with what was said before where the agent knows how. Codex takes that as a sub-command, which
    stands before its options."""
    more = CONTINUES.get(agent, ()) if declared is None else tuple(declared)
    return (argv[0], *more, *argv[1:])
