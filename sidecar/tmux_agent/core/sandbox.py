"""What an agent in the sandbox sees, as a list of mounts, and bubblewrap's arguments for it.

Owns the wall: which folders are there, which can be written, what is hidden, what of the environment stays. Everything
that is not listed is not there. Must not own: looking at this machine (edges/wrap/sandboxed.py), what each agent
needs (sandbox_agents.py), the filter of system calls (seccomp.py). Standard library only: it is imported at the start
of every wrapped agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from . import sandbox_agents

# Its own /proc, but what belongs to the machine: where we are root these can be written without any capability
PROC = ("/proc/sys", "/proc/sysrq-trigger", "/proc/fs", "/proc/acpi", "/proc/scsi", "/proc/mtrr")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/gnu")
# Readable by their owner, which is us where we are root
HIDDEN = (
    "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_ed25519_key", "/etc/ssl/private", "/etc/krb5.keytab",
    "/etc/wireguard", "/etc/NetworkManager/system-connections",
)  # fmt: skip
# Where other programs have their sockets (tmux, X11, key agents): no folder to be worked in as a whole
SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/proc", "/sys")  # noqa: S108
READ_ONLY = ("~/.gitconfig", "~/.config/git", "~/.pyenv", "~/.nvm", "~/.volta", "~/.rustup")
# What leads to programs outside: none of their sockets is inside
_SOCKETS = (
    "TMUX TMUX_PANE SSH_AUTH_SOCK SSH_AGENT_PID GPG_AGENT_INFO GNOME_KEYRING_CONTROL DBUS_SESSION_BUS_ADDRESS"
    " DBUS_SYSTEM_BUS_ADDRESS DISPLAY WAYLAND_DISPLAY XAUTHORITY DOCKER_HOST CONTAINER_HOST KITTY_LISTEN_ON SWAYSOCK"
    " I3SOCK NVIM VSCODE_IPC_HOOK_CLI ENCRYPTION_KEY ENCRYPTION_KEY_FILE"
)
_LEADS_OUT = frozenset(_SOCKETS.split())
_OURS, _KEPT = "TMUX_AGENT_", frozenset(("TMUX_AGENT_RUN", "TMUX_AGENT_STATE_DIR"))
# The repository's configuration cannot be written, and no key for signing is there
_GIT = {"gc.auto": "0", "maintenance.auto": "false", "commit.gpgsign": "false", "tag.gpgsign": "false"}
_SHARED_OF_GIT = ("objects", "refs", "lfs")
_SHOWN_OF_GIT = ("config", "hooks", "info", "modules")
_COPIED_OF_GIT = ("HEAD", "shallow")
_OF_WORKTREE = ("commondir", "gitdir", "config.worktree")
# Ignored by bubblewrap, which would end with all that is inside; the agent has them anew
RESET = "INT,QUIT,TERM,HUP,USR1,USR2"
# Tells that all is mounted, waits for the word that it is what was to be mounted, becomes the agent
SHIM = f'echo ready >&8 && read -r _ <&9 && exec 8>&- 9<&- && exec /usr/bin/env --default-signal={RESET} "$@"'


class Refused(Exception):
    """No sandbox can be made of this; one sentence."""


class Wanted(NamedTuple):
    """The person's settings (`sandbox` in config.yaml)."""

    network: bool = True
    read_only: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    credentials: tuple[str, ...] = sandbox_agents.KINDS
    user_namespaces: bool = False


class Git(NamedTuple):
    """A linked worktree's own folder in its repository's common one; `mine` is "" for the repository's main checkout.

    `packed`: the wrapper's copy of the repository's packed-refs, where nobody inside can write.
    """

    common: str
    mine: str = ""
    packed: str = ""


class Facts(NamedTuple):
    """This machine and this start. Paths are absolute and without links, but for `home` and what is below it."""

    home: str
    cwd: str
    top: str  # of the worktree, else the working folder
    uid: int
    agent: str  # its kind; "" for one that nobody knows
    environ: Mapping[str, str]
    there: Mapping[str, str]  # what is there of `candidates`: "folder", "file", "link:TEXT"
    programs: tuple[str, ...]  # folders and files that the agent's program consists of
    ours: tuple[str, ...]  # the same of ours: outside they run as the person
    secret: tuple[str, ...]  # our state, configuration and keys, sockets of ours and of tmux
    state: str
    sockets: str  # the folder in which the sandboxed agents' socket is
    told: Mapping[str, str]  # small files of the state folder that relays read, with what they hold inside
    besides: tuple[str, ...] = ()  # read only: the folder with the agent's instruction, what /etc leads to
    git: Git | None = None


class Mount(NamedTuple):
    """`how`: ro, rw, copy (of a file, writable), text (`source` is what it holds), link (the same), tmpfs, none."""

    how: str
    path: str
    source: str = ""


def candidates(wanted: Wanted, home: str, environ: Mapping[str, str], agent: str, cwd: str) -> tuple[str, ...]:
    """Paths that are to be looked at before `mounts` can say what there is."""
    kept = sandbox_agents.of(agent, home, environ, cwd)
    own = (*READ_ONLY, *wanted.read_only, *wanted.writable, *wanted.hide)
    agents = (*kept.read_only, *kept.copied, *kept.credentials, *kept.folders, *kept.believed)
    return (*SYSTEM, *PROC, *HIDDEN, *agents, *_expanded(own, home))


def mounts(wanted: Wanted, facts: Facts) -> tuple[Mount, ...]:
    """Everything that is there inside, in the order in which it is mounted. Raises Refused."""
    for path in (facts.top, *_expanded(wanted.writable, facts.home)):
        _refuse(path, facts)
    _refuse_agents(facts)
    found = [
        *_system(facts),
        *_of_agent(wanted, facts),
        *(Mount("ro", path) for path in facts.programs if not _below(path, facts.top)),
        *(Mount("ro", path) for path in _expanded((*READ_ONLY, *wanted.read_only), facts.home)),
        *(Mount("rw", path) for path in _expanded(wanted.writable, facts.home)),
        Mount("rw", facts.top),
        *(Mount("ro", path) for path in facts.ours if path != facts.top),
        *_repository(facts),
        *(Mount("ro", path) for path in facts.besides),
        Mount("ro", f"/run/user/{facts.uid}", facts.sockets),
        *(Mount("text", f"{facts.state}/{name}", text) for name, text in facts.told.items()),
    ]
    found = [one for one in found if one.how not in ("ro", "rw", "copy") or one.source or one.path in facts.there]
    hidden = (*HIDDEN, *_expanded(wanted.hide, facts.home), *facts.secret)
    seen = [one.path for one in found if one.how in ("ro", "rw")]
    for path in hidden:
        if path in facts.there and any(_below(path, above) for above in seen):
            found.append(Mount("tmpfs" if facts.there[path] == "folder" else "none", path))
    return _ordered([*_fastened(found), *found])


def _fastened(found: Iterable[Mount]) -> Iterable[Mount]:
    """The folders between one that is written and what is mounted below it: without a mount of their own they could be
    renamed, and others put in their place."""
    mounted = {one.path: one.how for one in found}
    for path in mounted:
        *between, nearest = _up_to(path, mounted)
        if mounted.get(nearest) == "rw":
            yield from (Mount("rw", folder) for folder in between)


def _up_to(path: str, mounted: Mapping[str, str]) -> Iterable[str]:
    """The folders above a path, up to the first on which something is mounted, or the root."""
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        yield path
        if path in mounted:
            return


def written(found: Sequence[Mount]) -> Iterable[tuple[str, str]]:
    """What is mounted below a folder that an agent writes, with that folder: no link may be on the way, for an agent
    may have put it there."""
    for one in found:
        for above in found:
            if above.how == "rw" and above.path != one.path and _below(one.path, above.path):
                yield one.path, above.path


def _system(facts: Facts) -> Iterable[Mount]:
    for path in PROC:
        yield Mount("ro", path)
    for path in SYSTEM:
        kind = facts.there.get(path, "")
        yield Mount("link", path, kind.removeprefix("link:")) if kind.startswith("link:") else Mount("ro", path)
    named = facts.environ.get("TMPDIR", "").rstrip("/")
    for path in ("/tmp", "/var/tmp", facts.home, *([named] if named.startswith("/") else [])):  # noqa: S108 - its own
        if not _below(path, facts.top):
            yield Mount("tmpfs", path)


def _of_agent(wanted: Wanted, facts: Facts) -> Iterable[Mount]:
    """What its agent needs of the person's home: to read, for itself, and to share."""
    kept = sandbox_agents.of(facts.agent, facts.home, facts.environ, facts.cwd)
    for path in kept.private:
        yield Mount("tmpfs", path)
    for path in (*kept.read_only, *kept.believed):
        yield Mount("ro", path)
    for path in kept.copied:
        yield Mount("copy", path, "")
    for path in kept.credentials if facts.agent in wanted.credentials else ():
        yield Mount("copy", path)
    for path in kept.folders:
        yield Mount("rw", path)


def _repository(facts: Facts) -> Iterable[Mount]:
    """Git's folders. What runs programs when somebody works in another checkout (configuration, hooks) cannot be
    written; and names in the common folder are the sandbox's own, for git believes files that it finds there."""
    git = facts.git
    if git is None:
        return
    if not git.mine:
        yield Mount("ro", git.common)
        return
    yield Mount("tmpfs", git.common)
    # Beside it a lock can be made, which git wants for each branch that it removes; but it cannot be replaced: branches
    # that are packed in here would be gone outside.
    yield Mount("ro", f"{git.common}/packed-refs", git.packed)
    for name in _COPIED_OF_GIT:
        yield Mount("copy", f"{git.common}/{name}")
    for name in _SHOWN_OF_GIT:
        yield Mount("ro", f"{git.common}/{name}")
    for name in _SHARED_OF_GIT:
        yield Mount("rw", f"{git.common}/{name}")
    yield Mount("rw", git.mine)
    for name in _OF_WORKTREE:
        yield Mount("ro", f"{git.mine}/{name}")
    yield Mount("ro", f"{facts.top}/.git")


def git_candidates(git: Git, top: str) -> tuple[str, ...]:
    """As `candidates`, of a repository."""
    names = [f"{git.common}/{name}" for name in (*_COPIED_OF_GIT, *_SHOWN_OF_GIT, *_SHARED_OF_GIT)]
    return (git.common, git.mine, f"{top}/.git", *names, *(f"{git.mine}/{name}" for name in _OF_WORKTREE))


def _refuse(path: str, facts: Facts) -> None:
    """A folder to be written. Raises Refused."""
    if _below(facts.home, path):
        raise Refused(f"{path} is your home folder, or above it: start the agent in a project's folder")
    for shared in (*SHARED, *SYSTEM):
        if _below(shared, path):
            raise Refused(f"{path} is shared by many programs: start the agent in a folder of its own")
    for secret in facts.secret:
        if _below(secret, path):
            raise Refused(f"{path} holds {secret}, which no agent may reach: start the agent in another folder")


def _refuse_agents(facts: Facts) -> None:
    """What agents keep is no worktree: what is written there, agents outside believe. Raises Refused."""
    for kind in sandbox_agents.KINDS:
        for folder in sandbox_agents.of(kind, facts.home, facts.environ, facts.cwd).read_only:
            if _below(folder, facts.top) or _below(facts.top, folder):
                raise Refused(f"{facts.top} is where {kind} keeps its settings: start the agent in another folder")


def _ordered(found: Iterable[Mount]) -> tuple[Mount, ...]:
    """What lies above comes first. Of two for one path the later one holds."""
    last = {one.path: one for one in found}
    return tuple(sorted(last.values(), key=lambda one: one.path.rstrip("/").count("/")))


def _below(path: str, above: str) -> bool:
    return path == above or path.startswith(above.rstrip("/") + "/")


def _expanded(paths: Iterable[str], home: str) -> tuple[str, ...]:
    found = (home + path[1:] if path.startswith("~/") else path for path in paths)
    return tuple(path.rstrip("/") for path in found if path.startswith("/"))


def environment(facts: Facts) -> dict[str, str]:
    """What the agent's environment is inside."""
    kept = {
        name: value
        for name, value in facts.environ.items()
        if name not in _LEADS_OUT and (name in _KEPT or not name.startswith(_OURS))
    }
    runtime = f"/run/user/{facts.uid}"
    kept |= {"XDG_RUNTIME_DIR": runtime, "TMUX_AGENT_SOCKET": f"{runtime}/tmux-agent.sock"}
    count = int(kept["GIT_CONFIG_COUNT"]) if kept.get("GIT_CONFIG_COUNT", "").isdecimal() else 0
    for at, (name, value) in enumerate(_GIT.items(), count):
        kept |= {f"GIT_CONFIG_KEY_{at}": name, f"GIT_CONFIG_VALUE_{at}": value}
    return kept | {"GIT_CONFIG_COUNT": str(count + len(_GIT))}


def argv(
    name: str, wanted: Wanted, facts: Facts, found: Sequence[Mount], files: Mapping[str, int], filter_: int,
    agent: Sequence[str],
) -> list[str]:  # fmt: skip
    """Bubblewrap's arguments, by whichever name it is to be known.

    `files`: path of each copy and text → an open file with its content; `filter_`: that of system calls.
    """
    words = [name, "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    words += ["--cap-drop", "ALL", "--die-with-parent", "--seccomp", str(filter_)]
    words += [] if wanted.network else ["--unshare-net"]
    words += [] if wanted.user_namespaces else ["--disable-userns"]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for one in found:
        words += _words(one, files)
    return [*words, "--remount-ro", "/", "--chdir", facts.cwd, "/bin/sh", "-c", SHIM, "sh", *agent]


def _words(one: Mount, files: Mapping[str, int]) -> list[str]:
    match one.how:
        case "ro" | "rw":
            return ["--ro-bind" if one.how == "ro" else "--bind", one.source or one.path, one.path]
        case "tmpfs":
            return ["--perms", "1777" if one.path.endswith("tmp") else "0700", "--tmpfs", one.path]
        case "copy":
            return ["--perms", "0600", "--file", str(files[one.path]), one.path]
        case "text":
            return ["--perms", "0600", "--ro-bind-data", str(files[one.path]), one.path]
        case "link":
            return ["--symlink", one.source, one.path]
        case _:
            return ["--ro-bind", "/dev/null", one.path]
