"""The attacks: what each tries, how its success is seen from outside, what comes of it without the sandbox.

In the sandbox each has to fail. The table in docs/security.md is made of this list (`python -m tests.attack.table`),
and test_attack.py holds both worlds against it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import psutil
from tests.attack.world import World

# What comes of it without the sandbox: refused and recorded; the popup opens for the person; it works, and the record
# or the chain shows it; it works
Outcome = Literal["refused", "popup", "shows", "works"]


@dataclass(frozen=True)
class Attack:
    """`does`: for people, after "an agent …". `works`: whether it did, seen from outside."""

    does: str
    function: str
    works: Callable[[World], bool]
    baseline: Outcome = "works"
    words: Callable[[World], list[str]] = lambda _: []
    last: bool = False  # leaves little of the world
    root: bool = False  # without the sandbox it works for root alone


def wrote(does: str, path: Callable[[World], str], function: str = "write", *, last: bool = False,
          baseline: Outcome = "works") -> Attack:  # fmt: skip
    def words(world: World) -> list[str]:
        return [world.remembered(path(world))]

    return Attack(does, function, lambda world: world.changed(path(world)), baseline, words, last)


def stolen(does: str, function: str) -> Attack:
    return Attack(does, function, lambda world: world.stolen())


def database(world: World) -> bool:
    with contextlib.closing(sqlite3.connect(f"file:{world.sidecar.state}/state.db?mode=ro", uri=True)) as found:
        return bool(found.execute("SELECT 1 FROM sqlite_master WHERE name = 'hostile'").fetchall())


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def daemon(world: World) -> bool:
    """Whether it is there still after its agent has ended."""
    world.end()
    return any(one.info["cmdline"] == ["sleep", world.daemon] for one in psutil.process_iter(["cmdline"]))


ATTACKS = (
    Attack("answers its own question at every socket that it finds", "answers_by_socket", World.approved, "refused"),
    Attack("… by `tmux-agent approve`", "answers_by_command", World.approved, "popup"),
    Attack("… from a process twice removed, in a session of its own", "answers_twice_removed", World.approved,
           "refused"),
    Attack("… at a terminal of its own, with an empty and a huge environment", "answers_with_another_environment",
           World.approved, "refused"),
    Attack("calls every method of operators at the socket that it is given", "calls_operators_methods",
           lambda world: world.answered("result"), "refused"),
    Attack("types into your shell with tmux", "types_by_tmux", lambda world: world.comes(world.typed)),
    Attack("attaches a tmux client of its own", "attaches_by_tmux", lambda world: world.clients() > 1),
    stolen("reads your keys", "reads_keys"),
    stolen("… through a link in its worktree", "reads_by_a_link"),
    stolen("… through `/proc`: other processes' folders, open files, environments", "reads_by_proc"),
    stolen("… with mounts in a user namespace of its own", "reads_by_mounts"),
    stolen("… in the kernel's keyring", "reads_the_keyring"),
    stolen("… in another program's memory", "reads_memory"),
    stolen("… out of another program's open files (`pidfd_getfd`)", "takes_an_open_file"),
    Attack("ends a program of yours", "stops_a_process", lambda world: gone(world.victims[0].pid)),
    Attack("traces a program of yours (`ptrace`)", "traces_a_process", lambda world: gone(world.victims[1].pid)),
    Attack("speaks to a key agent, a bus, Docker by their sockets", "speaks_to_the_key_agent",
           lambda world: world.heard("key_agent")),
    Attack("… by an abstract socket (X11, a bus)", "speaks_to_an_abstract_socket",
           lambda world: world.heard("abstract")),
    wrote("writes the policy", lambda world: f"{world.sidecar.config}/policy.yaml"),
    wrote("… the configuration of tmux-agent", lambda world: f"{world.sidecar.config}/config.yaml"),
    wrote("… a key of tmux-agent", lambda world: f"{world.sidecar.state}/secrets/links.json"),
    wrote("… the plugin's files", lambda world: f"{world.home}/.tmux/plugins/tmux-agent/tmux-agent.tmux"),
    wrote("… its own settings, with our hooks", lambda world: f"{world.home}/.claude/settings.json"),
    wrote("… another file in their place", lambda world: f"{world.home}/.claude/settings.json", "replace"),
    wrote("… hooks that your agents outside would run", lambda world: f"{world.home}/.claude/commands/hostile.md"),
    wrote("… `.tmux.conf`", lambda world: f"{world.home}/.tmux.conf"),
    wrote("… a program on your PATH", lambda world: f"{world.sidecar.bin}/hostile"),
    wrote("… the folder of the sandboxes' own socket", lambda world: f"{world.sidecar.state}/agents/hostile"),
    wrote("… memory that programs share", lambda world: f"/dev/shm/{world.sidecar.folder.name}"),
    Attack("… a setting of the kernel, as root", "sets_the_kernel", World.kernel_set, root=True),
    wrote("… `.bashrc`", lambda world: f"{world.home}/.bashrc"),
    wrote("… keys that may log in", lambda world: f"{world.home}/.ssh/authorized_keys"),
    wrote("… a service of systemd's", lambda world: f"{world.home}/.config/systemd/user/hostile.service"),
    wrote("… the repository's configuration", lambda world: f"{world.repository}/.git/config"),
    wrote("… the same by `git config`", lambda world: f"{world.repository}/.git/config", "has_git_run_hooks"),
    wrote("… a hook of the repository", lambda world: f"{world.repository}/.git/hooks/post-checkout"),
    wrote("… another common folder for the repository", lambda world: f"{world.repository}/.git/commondir"),
    wrote("… the branch of another worktree", lambda world: f"{world.repository}/.git/worktrees/other/HEAD"),
    wrote("… the configuration of its own worktree",
          lambda world: f"{world.repository}/.git/worktrees/work/config.worktree"),
    wrote("… where another worktree has git's folder",
          lambda world: f"{world.repository}/.git/worktrees/other/commondir"),
    wrote("… the submodules' own repositories", lambda world: f"{world.repository}/.git/modules/sub/config"),
    wrote("… attributes and excludes of the repository", lambda world: f"{world.repository}/.git/info/attributes"),
    wrote("… packed branches", lambda world: f"{world.repository}/.git/packed-refs"),
    wrote("… a file of another worktree", lambda world: f"{world.home}/other/file"),
    wrote("… another `.git` in its worktree", lambda world: f"{world.worktree}/.git", "swaps_git"),
    Attack("has tmux-agent run what the policy allows, outside", "has_it_run",
           lambda world: "hostile" in world.sidecar.effects(), "shows"),
    Attack("has its own tmux server served", "has_its_tmux_served", World.serves_another, "shows"),
    Attack("types into its terminal for the shell that comes after it (`TIOCSTI`)", "types_into_its_terminal",
           World.stuffed_in, last=True),
    Attack("leaves a program behind that outlives it", "leaves_a_daemon", daemon, last=True),
    Attack("changes the state database", "writes_the_database", database, last=True),
    wrote("rewrites the audit log", lambda world: f"{world.sidecar.state}/audit.jsonl", last=True, baseline="shows"),
    Attack("ends the sidecar", "stops_the_sidecar", World.sidecar_gone, last=True),
)  # fmt: skip
