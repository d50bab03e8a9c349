"""An agent's start inside the sandbox: looks at this machine, becomes bubblewrap, and makes sure of what it mounted.

Owns the facts that core/sandbox.py asks for, Landlock, and the check before the agent begins. Standard library only.
Must not own: what is inside (core/sandbox.py), which folder is worked in (place.py), the process above (parent.py).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ...core import sandbox, sandbox_agents, seccomp
from ...core.sandbox import Facts, Git, Refused, Wanted
from . import place

IGNORED = (
    signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip
READY, GO = 8, 9  # sandbox.SHIM's descriptors
_NAMES = "/etc/resolv.conf"  # a link to a file elsewhere where systemd-resolved or WSL writes it
_STANDARD = 2  # the last of the three that every program has
_PREFIX = ("lib/node_modules", "pyvenv.cfg")
_KEYS = ("TMUX_AGENT_SECRETS_KEY_FILE", "ENCRYPTION_KEY_FILE", "TMUX_AGENT_ENV_FILE")
# linux/landlock.h: create_ruleset, restrict_self; the version that knows scopes; abstract Unix sockets and signals
_CREATE, _RESTRICT, _SCOPES, _BOTH = 444, 446, 6, 3
_NO_NEW_PRIVS = 38  # linux/prctl.h


class Ready(NamedTuple):
    """What is known before the settings are."""

    bwrap: str
    top: str
    git: Git | None


def look(argv: Sequence[str], private: Path) -> Ready:
    """Raises Refused where there can be no sandbox here, OSError."""
    if sys.platform != "linux":
        raise Refused("there is no sandbox on this system: bubblewrap needs Linux")
    if os.uname().machine not in seccomp.MACHINES:
        known = ", ".join(seccomp.MACHINES)
        raise Refused(f"there is no filter of system calls for {os.uname().machine}, only for {known}")
    try:
        top, git = place.find(os.getcwd())
    except FileNotFoundError:
        raise Refused("the folder that you are in is gone: cd to one that is there") from None
    bwrap = bubblewrap(os.environ.get("PATH", ""), top)
    if bwrap is None:
        raise Refused("bubblewrap (bwrap) is not on your PATH: install the package bubblewrap")
    if shutil.which(argv[0]) is None:
        raise Refused(f"there is no program {argv[0]!r} on your PATH")
    if git is not None and git.mine:
        git = git._replace(packed=str(private / "packed-refs"))
        place.furnish(git)
    return Ready(bwrap, top, git)


def bubblewrap(path: str, top: str = "") -> str | None:
    """Where it is, by this PATH. It runs outside: a folder that is named from where we are, or lies in the worktree
    (`top`), may hold what an agent has put there."""
    folders = [one for one in path.split(":") if one.startswith("/")]
    trusted = [one for one in folders if not top or not f"{os.path.realpath(one)}/".startswith(f"{top}/")]
    return shutil.which("bwrap", path=":".join(trusted)) if trusted else None


def become(ready: Ready, wanted: Wanted, argv: Sequence[str], environ: Mapping[str, str], agent: str, state: str,
           shared: Sequence[str]) -> tuple[str, list[str], dict[str, str]]:  # fmt: skip
    """In the process that becomes it: the program, its arguments and environment. Raises Refused, OSError.

    Its own name is the agent's: by that tmux names the window.
    """
    _let_go()
    if not wanted.user_namespaces:
        if why := sandbox_agents.warning(agent, argv):
            os.write(2, f"tmux-agent wrap: {why}\n".encode())
        argv = sandbox_agents.started(agent, argv)
    facts = _facts(ready, wanted, argv, environ, agent, state, shared)
    found = sandbox.mounts(wanted, facts)
    for path, above in sandbox.written(found):
        if os.path.realpath(path) != os.path.realpath(above) + path[len(above) :]:
            raise Refused(f"{path} is a link, or behind one, in a folder that the agent writes: name what it leads to")
    files = {}
    for one in found:
        if one.how == "text":
            files[one.path] = _file(one.source.encode())
        elif one.how == "copy":
            files[one.path] = os.open(one.path, os.O_RDONLY)
            os.set_inheritable(files[one.path], True)
    filter_ = _file(seccomp.program(os.uname().machine))
    if wanted.network:
        _keep_in()
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    words = sandbox.argv(os.path.basename(argv[0]), wanted, facts, found, files, filter_, argv)
    return ready.bwrap, words, sandbox.environment(facts)


def _let_go() -> None:
    """Of open files that were handed to us the agent gets pipes: from a folder it could walk to any other. (Python does
    not begin where one of the first three is a folder.)"""
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # that of the list itself
            if number > _STANDARD and not stat.S_ISFIFO(os.fstat(number).st_mode):
                os.set_inheritable(number, False)


def credentials(agent: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Files of the person's that an agent renews, whether they are there or not."""
    return sandbox_agents.of(agent, _home(environ), environ, os.getcwd()).credentials


def _home(environ: Mapping[str, str]) -> str:
    return os.path.normpath(environ.get("HOME") or os.path.expanduser("~"))


def _facts(ready: Ready, wanted: Wanted, argv: Sequence[str], environ: Mapping[str, str], agent: str, state: str,
           shared: Sequence[str]) -> Facts:  # fmt: skip
    home, cwd = _home(environ), os.getcwd()
    kept = sandbox_agents.of(agent, home, environ, cwd)
    for folder in (*kept.folders, *kept.believed):
        os.makedirs(folder, mode=0o700, exist_ok=True)
    besides = (*shared, *sandbox_agents.named(agent, argv, home, environ))
    besides += (os.path.realpath(_NAMES),) if wanted.network else ()
    sockets = f"{state}/agents"
    os.makedirs(sockets, mode=0o700, exist_ok=True)
    programs, ours = _programs(argv[0], home, environ), _ours(home)
    secret = _secret(home, state, environ)
    looked = [*sandbox.candidates(wanted, home, environ, agent, cwd), *programs, *ours, *secret, *besides, ready.top]
    looked += sandbox.git_candidates(ready.git, ready.top) if ready.git else ()
    return Facts(
        home=home, cwd=cwd, top=ready.top, uid=os.getuid(), agent=agent, environ=environ, there=_there(looked),
        programs=programs, ours=ours, secret=secret, state=state, sockets=sockets, told=_told(state),
        besides=besides, git=ready.git,
    )  # fmt: skip


def _there(paths: Iterable[str]) -> dict[str, str]:
    there = {}
    for path in paths:
        with contextlib.suppress(OSError):  # it is not there
            if path in sandbox.SYSTEM and os.path.islink(path):
                there[path] = f"link:{os.readlink(path)}"
            else:
                there[path] = "folder" if stat.S_ISDIR(os.stat(path).st_mode) else "file"
    return there


def _told(state: str) -> dict[str, str]:
    """What relays read in the state folder: where the sidecar is, what to say where it is away."""
    told = {"socket": f"/run/user/{os.getuid()}/tmux-agent.sock\n"}
    with contextlib.suppress(OSError):
        told["on_unavailable"] = Path(state, "on_unavailable").read_text()
    return told


def _secret(home: str, state: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Found as services/places.py does, which takes longer to import than all of this."""
    base = environ.get("XDG_CONFIG_HOME", "")
    base = base if base.startswith("/") else f"{home}/.config"
    config = environ.get("TMUX_AGENT_CONFIG_DIR") or f"{base}/tmux-agent"
    keys = [environ.get(name, "") for name in _KEYS]
    runtime, temporary = environ.get("XDG_RUNTIME_DIR", ""), environ.get("TMUX_TMPDIR") or "/tmp"  # noqa: S108 - tmux's
    sockets = [environ.get("TMUX_AGENT_SOCKET", ""), runtime and f"{runtime}/tmux-agent.sock",
               environ.get("TMUX", "").partition(",")[0], f"{temporary}/tmux-{os.getuid()}"]  # fmt: skip
    found = [os.path.expanduser(path) for path in (state, config, *keys, *sockets) if path]
    found += [real for path in (*found, home) if (real := os.path.realpath(path)) != path]
    return tuple(found)


def _programs(program: str, home: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Folders of the agent's program, of what runs it, and those on the PATH that are the person's own."""
    found = [path for path in environ.get("PATH", "").split(":") if path.startswith("/")]
    for name in (program, "node", "tmux-agent"):
        if path := shutil.which(name):
            found += [os.path.dirname(os.path.abspath(path)), package_of(os.path.realpath(path), home)]
    return _outside(found, home)


def _ours(home: str) -> tuple[str, ...]:
    """Folders of our own program, and of the Python that runs it."""
    found = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[2]), os.path.dirname(sys.executable))
    return _outside(found, home)


def _outside(found: Iterable[str], home: str) -> tuple[str, ...]:
    real = (os.path.realpath(path) for path in found)
    outside = (path for path in real if not path.startswith(("/usr/", "/bin", "/sbin", "/opt/", "/nix/")))
    return tuple(dict.fromkeys(path for path in outside if _narrow(path, home)))


def package_of(program: str, home: str) -> str:
    """The folder of all that a program consists of: its npm packages, the PREFIX of PREFIX/bin where Node or a virtual
    environment is installed in it, else its own folder."""
    head, found, _ = program.partition("/node_modules/")
    if found:
        return f"{head}/node_modules"
    folder = os.path.dirname(program)
    above = os.path.dirname(folder)
    installed = any(os.path.exists(f"{above}/{mark}") for mark in _PREFIX)
    return above if installed and os.path.basename(folder) == "bin" and _narrow(above, home) else folder


def _narrow(path: str, home: str) -> bool:
    """Whether a folder holds programs and not a person's things."""
    return path not in ("/", "/usr", "/home", home, f"{home}/.local", f"{home}/.config", f"{home}/.local/share")


def _file(data: bytes) -> int:
    """A nameless open file with this in it, for bubblewrap to read."""
    number = os.memfd_create("tmux-agent", 0)
    os.write(number, data)
    os.lseek(number, 0, os.SEEK_SET)
    return number


def keeps_in() -> bool:
    """Whether this kernel can keep a program from abstract Unix sockets (X11's, a bus's), which no folder hides."""
    return bool(ctypes.CDLL(None, use_errno=True).syscall(_CREATE, None, 0, 1) >= _SCOPES)


def _keep_in() -> None:
    """Linux 6.12 and later: no abstract socket and no process outside can be reached from here on. Raises OSError."""
    if not keeps_in():
        os.write(2, b"tmux-agent wrap: this kernel cannot hide abstract sockets (X11): see `sandbox.network`\n")
        return
    libc = ctypes.CDLL(None, use_errno=True)
    rules = (ctypes.c_uint64 * 3)(0, 0, _BOTH)
    number = libc.syscall(_CREATE, rules, ctypes.sizeof(rules), 0)
    if number < 0 or libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(_RESTRICT, number, 0):
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    os.close(number)


class Gate:
    """Between the process above and the agent that waits inside: it begins once what is mounted is what was meant."""

    def __init__(self, ready: Ready) -> None:
        self._ready = ready
        self.opened = False
        (self._told, self._tells), (self._waits, self._lets) = os.pipe(), os.pipe()

    def inside(self) -> None:
        """In the child: only its ends stay, under the numbers that sandbox.SHIM knows."""
        above = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, GO + 1) for one in (self._tells, self._waits)]
        os.dup2(above[0], READY)
        os.dup2(above[1], GO)

    def open(self, pid: int, before: Callable[[str, Sequence[str]], None]) -> None:
        """Wait for bubblewrap (`pid`), compare, let it begin. `before` is given where the root inside can be reached,
        and which files are copies there. Raises Refused, OSError; then nothing was begun."""
        os.close(self._tells)
        os.close(self._waits)
        try:
            if not os.read(self._told, 16):
                return  # bubblewrap has said why, and ended
            before(*self._check(pid))
            self.opened = True
            with contextlib.suppress(BrokenPipeError):
                os.write(self._lets, b"go\n")
        finally:
            os.close(self._told)
            os.close(self._lets)

    def _check(self, pid: int) -> tuple[str, Sequence[str]]:
        """Somebody may have put something else under a name between our look and bubblewrap's."""
        top, git = place.find(self._ready.top)
        git = git._replace(packed=self._ready.git.packed) if git and self._ready.git else git
        if (top, git) != (self._ready.top, self._ready.git):
            raise Refused(f"{self._ready.top} is not what it was a moment ago: its .git was put in place of another")
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="surrogateescape").split("\0")
        root = f"/proc/{Path(f'/proc/{pid}/task/{pid}/children').read_text().split()[0]}/root"
        words = words[: words.index("--remount-ro")]
        for at, word in enumerate(words):
            if word in ("--bind", "--ro-bind"):
                source, path = words[at + 1], words[at + 2]
                if not os.path.samestat(os.stat(source), os.stat(f"{root}{path}")):
                    raise Refused(f"{path} is not what it was a moment ago: something was put in its place")
        return root, [words[at + 2] for at, word in enumerate(words) if word == "--file"]
