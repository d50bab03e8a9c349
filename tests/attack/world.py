"""Where the attacks happen: a real sidecar, tmux and git, a person at a client, and an agent that is hostile.

Owns what is attacked (keys, sockets, processes, files), and looking at it from outside.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from tests.patience import PATIENCE
from tests.plugin.terminal import Server, Terminal
from tests.sidecar import Sidecar, came, until

ROOT = Path(__file__).parents[2]
TOKEN = "the-secret-of-a-person"
KERNEL = Path("/proc/sys/kernel/printk_ratelimit_burst")
# All that only an operator may call, but for answering, which has attacks of its own
OPERATORS: dict[str, dict[str, Any]] = {
    "policy.reload": {}, "audit.query": {}, "audit.verify": {}, "link.rotate": {}, "sidecar.stop": {},
    "grant.revoke": {"grant_id": "x"}, "link.show": {"request_id": "x"}, "agent.resume": {"target": "x"},
    "queue.log": {"task": "x"}, "popup.attach": {"nonce": "x", "columns": 80, "rows": 24},
}  # fmt: skip
NEVER = 1.5  # seconds in which what is to fail would have happened
KEY_NAME = "tmux-agent-attack"
_ADD_KEY, _KEYCTL = {"x86_64": (248, 250), "aarch64": (217, 219)}[os.uname().machine]
_LIBC = ctypes.CDLL(None, use_errno=True)


class World:
    """One agent in one pane, in the sandbox or not."""

    def __init__(self, one: Sidecar, tmux: Server, *, sandbox: bool, settings: str = "") -> None:
        self.sidecar, self.tmux, self.sandbox = one, tmux, sandbox
        (one.config / "config.yaml").write_text(settings)
        self.home = one.folder / "home"
        self.repository, self.worktree = self.home / "repository", self.home / "work"
        self.uid, self.daemon = os.getuid(), str(100_000 + os.getpid())
        self.typed, self.stuffed = self.home / "typed", self.home / "stuffed"
        self._ended = False
        self._before: bytes | None = None
        self._said: Any = None
        self._files()
        self.listeners = {"key_agent": socket.socket(socket.AF_UNIX), "abstract": socket.socket(socket.AF_UNIX)}
        self.listeners["key_agent"].bind(str(self.home / ".ssh" / "agent"))
        self.listeners["abstract"].bind(f"\0{one.folder}")
        for listener in self.listeners.values():
            listener.listen()
        secret = {**one.environ, "SECRET": TOKEN}
        with open(self.home / ".ssh" / "id_ed25519") as key:
            self.victims = [subprocess.Popen(["sleep", "1000"], env=secret, stdin=key) for _ in range(2)]
        self.keyring = self._keyring()
        self._kernel = KERNEL.read_text()
        self._start()

    def _files(self) -> None:
        """A person's home, and the repository with two worktrees."""
        for folder in (".ssh", ".claude", ".tmux/plugins/tmux-agent"):
            (self.home / folder).mkdir(parents=True)
        (self.home / ".ssh" / "id_ed25519").write_text(TOKEN)
        (self.home / ".claude" / "settings.json").write_text("{}")
        for name in (".bashrc", ".tmux.conf", ".tmux/plugins/tmux-agent/tmux-agent.tmux"):
            (self.home / name).write_text("")
        self.git("init", "-q", str(self.repository))
        self.git("-C", str(self.repository), "commit", "-q", "--allow-empty", "-m", "first")
        for name in ("work", "other"):
            self.git("-C", str(self.repository), "worktree", "add", "-q", "-b", name, str(self.home / name))

    def git(self, *words: str) -> str:
        named = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
        done = subprocess.run(["git", *named, *words], env=self.sidecar.environ, capture_output=True, check=True)
        return done.stdout.decode()

    def _keyring(self) -> int:
        """A key of the person's in the kernel. Gives the keyring's number."""
        keyring = int(_LIBC.syscall(_KEYCTL, 0, -4, 1))  # KEYCTL_GET_KEYRING_ID of the user's
        key = _LIBC.syscall(_ADD_KEY, b"user", KEY_NAME.encode(), TOKEN.encode(), len(TOKEN), keyring)
        assert key > 0, os.strerror(ctypes.get_errno())
        assert _LIBC.syscall(_KEYCTL, 5, key, 0x3F3F0000) == 0  # KEYCTL_SETPERM: all for the user
        self._key = key
        return keyring

    def _start(self) -> None:
        """The sidecar, tmux with a person's client and shell, the question, the agent."""
        self.sidecar.start()
        assert self.sidecar.process
        self.tmux.run("new-session", "-d", "-s", "main", "-x", "100", "-y", "30", "sh")
        self.pane = self.tmux.run("list-panes", "-t", "main", "-F", "#{pane_id}")
        self.person: Terminal = self.tmux.attach(columns=100, rows=30)
        self.asker = self.sidecar.agent()
        self.asker.call("tmux.attach", {"socket": self.tmux.socket})
        until(lambda: self.asker.request("tmux.panes").get("result", {}).get("data", {}).get("panes"))
        self.asker.start("human.ask", {"prompt": "May I?"})
        until(lambda: self.records("approval.opened"))
        (opened,) = self.records("approval.opened")
        os.mkfifo(self.worktree / "todo")
        names = {
            "socket": str(self.sidecar.socket), "home": str(self.home), "folder": str(self.sidecar.folder),
            "request_id": opened["request_id"], "digest": opened["data"]["digest"],
            "command": [sys.executable, "-P", "-m", "tmux_agent"], "database": str(self.sidecar.state / "state.db"),
            "tmux": self.tmux.socket, "pane": self.pane, "typed": str(self.typed), "stuffed": str(self.stuffed),
            "stolen": str(self.worktree / "stolen"), "key": str(self.home / ".ssh" / "id_ed25519"),
            "worktree": str(self.worktree), "repository": str(self.repository), "victim": self.victims[0].pid,
            "traced": self.victims[1].pid, "key_agent": str(self.home / ".ssh" / "agent"),
            "abstract": str(self.sidecar.folder), "keyring": self.keyring, "key_name": KEY_NAME, "daemon": self.daemon,
            "sidecar": self.sidecar.process.pid, "kernel": str(KERNEL), "operators": OPERATORS,
            "todo": str(self.worktree / "todo"), "results": str(self.worktree / "results"),
        }  # fmt: skip
        (self.worktree / "world.json").write_text(json.dumps(names))
        self.sidecar.program("claude", f"#!{sys.executable} -IS\n{(Path(__file__).parent / 'hostile.py').read_text()}")
        self.agent_pane = self._agent()
        self.todo = os.open(self.worktree / "todo", os.O_RDWR)

    def _agent(self) -> str:
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.sidecar.environ.items())
        flags = "--plain --sandbox" if self.sandbox else "--plain"
        wrap = f"{sys.executable} -P -m tmux_agent wrap {flags} -- {self.sidecar.bin}/claude {self.worktree}/world.json"
        command = f"cd {self.worktree}; env {words} {wrap}; exec sh"
        return self.tmux.run("new-window", "-d", "-t", "main:", "-P", "-F", "#{pane_id}", command)

    # --- the agent ---

    def attack(self, function: str, *words: str) -> Any:
        """Have it attack; what it says came of it."""
        if self._ended:
            self._ended, self.agent_pane = False, self._agent()
        results = self.worktree / "results"
        before = len(results.read_text().splitlines()) if results.exists() else 0
        os.write(self.todo, json.dumps([function, *words]).encode() + b"\n")

        def told() -> bool:
            return results.exists() and len(results.read_text().splitlines()) > before

        assert came(told, 2 * PATIENCE), self.tmux.run("capture-pane", "-p", "-t", self.agent_pane)
        self._said = json.loads(results.read_text().splitlines()[-1])
        return self._said

    def end(self) -> None:
        """The agent ends, and the shell of its pane goes on."""
        pid = int(self.tmux.run("display-message", "-p", "-t", self.agent_pane, "#{pane_pid}"))
        children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
        for child in children:
            os.kill(int(child), 15)
        until(lambda: not [child for child in children if os.path.exists(f"/proc/{child}")])
        self._ended = True

    # --- looking ---

    def remembered(self, path: str) -> str:
        """That file's path; it is as it was again after `changed`."""
        self._before = Path(path).read_bytes() if os.path.exists(path) else None
        return path

    def changed(self, path: str) -> bool:
        if not os.path.exists(path) or b"hostile-was-here" not in Path(path).read_bytes():
            return False
        if self._before is None:
            os.unlink(path)
        else:
            Path(path).write_bytes(self._before)
        return True

    def records(self, kind: str) -> list[dict[str, Any]]:
        lines = (self.sidecar.state / "audit.jsonl").read_text().splitlines()
        return [one for line in lines if line.startswith("{") for one in [json.loads(line)] if one["type"] == kind]

    def approved(self) -> bool:
        return bool(self.records("approval.answered"))

    def comes(self, path: Path) -> bool:
        return came(path.exists, NEVER if self.sandbox else PATIENCE)

    def answered(self, with_: str) -> bool:
        """Whether one of the replies that it was given holds this."""
        return any(with_ in json.loads(one) for one in self._said)

    def kernel_set(self) -> bool:
        """Whether it has changed a setting, which is as it was then."""
        now = KERNEL.read_text()
        if now != self._kernel:
            KERNEL.write_text(self._kernel)
        return now != self._kernel

    def clients(self) -> int:
        return len(self.tmux.run("list-clients", "-F", "#{client_tty}").split())

    def stolen(self) -> bool:
        """Whether it got at the secret; forgotten with that."""
        path = self.worktree / "stolen"
        found = path.exists() and TOKEN.encode() in path.read_bytes()
        path.unlink(missing_ok=True)
        return found

    def heard(self, name: str) -> bool:
        """Whether what that attack says comes; others may have looked for people's sockets there before."""
        while select.select([self.listeners[name]], [], [], NEVER if self.sandbox else PATIENCE)[0]:
            peer, _ = self.listeners[name].accept()
            with peer:
                if peer.recv(100) == b"hostile":
                    return True
        return False

    def stuffed_in(self) -> bool:
        self.end()
        return self.comes(self.stuffed)

    def serves_another(self) -> bool:
        mine = f"{self.worktree}/t"

        def served() -> bool:
            return mine in [one["socket"] for one in self.asker.call("health")["tmux"]]

        try:
            return came(served, NEVER if self.sandbox else PATIENCE)
        finally:
            subprocess.run(["tmux", "-S", mine, "kill-server"], capture_output=True, check=False)

    def sidecar_gone(self) -> bool:
        assert self.sidecar.process
        deadline = time.monotonic() + NEVER
        while time.monotonic() < deadline and self.sidecar.process.poll() is None:
            select.select([], [], [], 0.05)
        return self.sidecar.process.poll() is not None

    def close(self) -> None:
        _LIBC.syscall(_KEYCTL, 9, self._key, self.keyring)  # KEYCTL_UNLINK
        self.end()
        for left in psutil.process_iter(["cmdline"]):
            if left.info["cmdline"] == ["sleep", self.daemon]:
                left.kill()
        for victim in self.victims:
            victim.kill()
            victim.wait()
        for listener in self.listeners.values():
            listener.close()
        subprocess.run(["pkill", "-f", f"^sleep {self.daemon}$"], check=False)
        self.person.close()
        os.close(self.todo)
