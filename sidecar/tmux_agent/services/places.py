"""Where things are: socket, state, configuration, data. Owns the rules of docs/protocol.md for finding the socket.

Must not own: what is in the files.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import platformdirs
from msgspec import Struct

from ..core.errors import Unavailable

SOCKET_PATH_BYTES = 107  # sun_path of Linux less its NUL; 103 on BSD and macOS is checked by bind itself


class Places(Struct, frozen=True, kw_only=True):
    """Absolute paths of one sidecar. Only `find` makes them."""

    socket: Path
    state: Path  # database, audit log, lock, backups; mode 0700
    config: Path  # config.yaml, policy.yaml, policy.d
    data: Path  # the plugin's environment
    secrets_key: Path  # the key of secrets.yaml
    env_file: Path  # names and values as in .env files
    chosen: Literal["given", "runtime", "own"] = "given"  # socket: TMUX_AGENT_SOCKET, XDG_RUNTIME_DIR, or our folder

    @property
    def lock(self) -> Path:
        """flock'd by the sidecar; line 1 its pid, line 2 its socket."""
        return self.state / "lock"

    @property
    def pointer(self) -> Path:
        """The socket's path and nothing else: what relays read when they cannot find the socket."""
        return self.state / "socket"

    @property
    def served(self) -> Path:
        """The sockets of the tmux servers that are served, a line each: whoever starts a sidecar need not name them."""
        return self.state / "served"

    @property
    def spare_socket(self) -> Path:
        """Where to bind while the runtime folder is away (removed at the last logout while tmux lives on)."""
        return self.state / "tmux-agent.sock"

    @property
    def agents(self) -> Path:
        """The folder of the sandboxed agents' socket, which is bound into each sandbox: it stays over restarts."""
        return self.state / "agents"

    @property
    def on_unavailable(self) -> Path:
        """ask or deny: what a relay answers when the sidecar is away."""
        return self.state / "on_unavailable"

    @property
    def stopped(self) -> Path:
        """There while the sidecar was stopped on purpose, so that tmux does not start it again."""
        return self.state / "stopped"

    @property
    def database(self) -> Path:
        return self.state / "state.db"

    @property
    def backups(self) -> Path:
        return self.state / "backups"

    @property
    def casts(self) -> Path:
        """Recordings of panes: what they showed."""
        return self.state / "casts"

    @property
    def bus(self) -> Path:
        """Messages as lines that other programs follow."""
        return self.state / "bus"

    @property
    def secrets(self) -> Path:
        """Encrypted values by name."""
        return self.config / "secrets.yaml"

    @property
    def link_keys(self) -> Path:
        """What links are signed with."""
        return self.state / "secrets" / "links.json"

    @property
    def hidden(self) -> tuple[str, ...]:
        """Files that no agent may read, with the folder of the key where that is ours alone. The state database holds
        links on their way to a person and what signs markers; recordings and logs, what other panes showed."""
        keys = self.secrets_key if self.secrets_key.parent != self.state / "secrets" else self.secrets_key.parent
        state = (self.database, f"{self.database}-wal", self.database.with_name("state-backups"))
        shown = (self.casts, self.queue)
        return tuple(map(str, (self.secrets, keys, self.env_file, self.link_keys, *state, *shown)))

    @property
    def queue(self) -> Path:
        """What panes of the queue's tasks printed."""
        return self.state / "queue"

    @property
    def log(self) -> Path:
        return self.state / "sidecar.log"

    def approvals(self, setting: str) -> Path:
        """The folder of approval files."""
        return Path(setting).expanduser() if setting else self.state / "approvals"

    def audit(self, setting: str) -> Path:
        return Path(setting).expanduser() if setting else self.state / "audit.jsonl"


def find(environ: Mapping[str, str]) -> Places:
    """The places that this environment means. Creates nothing."""
    home = Path(environ.get("HOME") or Path.home())

    def xdg(variable: str, fallback: Path) -> Path:
        value = environ.get(variable, "")
        return (Path(value) if value.startswith("/") else fallback) / "tmux-agent"

    state = Path(environ.get("TMUX_AGENT_STATE_DIR") or xdg("XDG_STATE_HOME", home / ".local/state"))
    config = Path(environ.get("TMUX_AGENT_CONFIG_DIR") or xdg("XDG_CONFIG_HOME", home / ".config"))
    data = xdg("XDG_DATA_HOME", home / ".local/share")
    socket, chosen = _socket(environ)
    key = environ.get("TMUX_AGENT_SECRETS_KEY_FILE") or environ.get("ENCRYPTION_KEY_FILE")
    env_file = environ.get("TMUX_AGENT_ENV_FILE")
    return Places(
        socket=socket,
        state=state,
        config=config,
        data=data,
        secrets_key=_given(key, home) if key else state / "secrets" / "secrets.key",
        env_file=_given(env_file, home) if env_file else config / ".env",
        chosen=chosen,
    )


def _given(path: str, home: Path) -> Path:
    """A path as a person writes it: ~ is the home folder, even where no shell has replaced it."""
    return home / path[2:] if path.startswith("~/") else Path(path).absolute()


def _socket(environ: Mapping[str, str]) -> tuple[Path, Literal["given", "runtime", "own"]]:
    if path := environ.get("TMUX_AGENT_SOCKET"):
        return Path(path).absolute(), "given"
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        return Path(runtime) / "tmux-agent.sock", "runtime"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that XDG_RUNTIME_DIR is unset: that is why we ask it
        return platformdirs.user_runtime_path("tmux-agent") / "tmux-agent.sock", "own"


def ready_folder(path: Path) -> None:
    """Make sure `path` is a folder of ours with mode 0700. Raises Unavailable saying what is wrong with it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = path.lstat()
    except OSError as why:
        raise Unavailable(f"cannot make the folder {path}: {why.strerror}") from None
    if stat.S_ISLNK(info.st_mode):
        raise Unavailable(f"{path} is a symbolic link; it must be a folder of yours: remove the link")
    if info.st_uid != os.getuid():
        raise Unavailable(f"{path} belongs to uid {info.st_uid}, not to you: remove it, or name another folder")
    if stat.S_IMODE(info.st_mode) & 0o077:
        try:
            path.chmod(0o700)
        except OSError as why:
            raise Unavailable(f"{path} may be read by others and cannot be closed: {why.strerror}") from None


def check_socket(path: Path, chosen: str) -> None:
    """Make sure that a socket can be bound safely at `path`. Raises Unavailable saying what is wrong.

    Its folder must be ours (or root's), not a symlink, and others must not be able to write to it or to swap it. Our
    own folder gets mode 0700, and is made where it is missing, as one that was named; $XDG_RUNTIME_DIR is the system's.
    """
    size = len(os.fsencode(path))
    if size > SOCKET_PATH_BYTES:
        raise Unavailable(
            f"the socket's path has {size} bytes, more than the system's {SOCKET_PATH_BYTES}: "
            f"set TMUX_AGENT_SOCKET to a shorter one ({path})"
        )
    folder = path.parent
    if chosen == "own" or (chosen == "given" and not os.path.lexists(folder)):
        ready_folder(folder)
    try:
        info, above = folder.lstat(), folder.parent.stat()
    except OSError as why:
        raise Unavailable(f"the socket's folder {folder} cannot be used: {why.strerror}") from None
    if not stat.S_ISDIR(info.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(info.st_mode) else "not a folder"
        raise Unavailable(f"the socket's folder {folder} is {what}: remove it, or set TMUX_AGENT_SOCKET")
    if info.st_uid not in (os.getuid(), 0):
        raise Unavailable(f"the socket's folder {folder} belongs to uid {info.st_uid}: set TMUX_AGENT_SOCKET")
    if stat.S_IMODE(info.st_mode) & 0o022:
        raise Unavailable(f"others may write to the socket's folder {folder}: chmod 700 it, or set TMUX_AGENT_SOCKET")
    swappable = stat.S_IMODE(above.st_mode) & 0o022 and not above.st_mode & stat.S_ISVTX
    if above.st_uid not in (os.getuid(), 0) or swappable:
        raise Unavailable(f"others may replace the socket's folder {folder}: set TMUX_AGENT_SOCKET")


def write_whole(path: Path, text: str) -> None:
    """Replace a small file of ours, so that no reader sees half of it. Raises Unavailable."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        with open(fresh, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as out:
            out.write(os.fsencode(text))
        fresh.replace(path)
    except OSError as why:
        raise Unavailable(f"{path} cannot be written: {why.strerror}") from None
