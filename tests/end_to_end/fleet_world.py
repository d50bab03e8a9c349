"""A sidecar, a tmux server, a git repository and a scripted agent, for tests of the fleet."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from tests.plugin.terminal import Server
from tests.sidecar import Peer, Sidecar, until

# An agent of no rules: it says where it is, and keeps what it is told, a line each.
AGENT = """#!/bin/sh
echo "ready in $PWD"
while read -r line; do
    printf '%s\\n' "$line" >> "$HOME/told"
    echo "told: $line"
done
"""
GIT = ("-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")


@contextlib.contextmanager
def tmux_of(one: Sidecar, config: str = "") -> Iterator[Server]:
    """A tmux server whose panes have the sidecar's home and programs."""
    env = {name: one.environ[name] for name in ("HOME", "PATH", "PYTHONPATH")}
    with Server(config, env=env) as tmux:
        yield tmux


class World:
    """`repository`: one commit on main. Close ends the tmux server and the sidecar."""

    def __init__(self, one: Sidecar, tmux: Server, repository: str = "shop") -> None:
        self.sidecar, self.tmux = one, tmux
        self.home = one.folder / "home"
        one.program("goose", AGENT)
        self.repository = one.root / repository
        self.repository.mkdir()
        self.git("init", "-q", "-b", "main")
        self.commit("first", "prices.txt", "apples 3\n")
        tmux.run("new-session", "-d", "-s", "work", "-x", "120", "-y", "40")
        self._person: Peer | None = None

    def start(self, *, attach: bool = True) -> None:
        self.sidecar.start()
        self._person = None
        if attach:
            self.attach()

    def attach(self) -> None:
        peer = self.sidecar.agent()
        peer.call("tmux.attach", {"socket": self.tmux.socket})
        until(lambda: peer.request("tmux.panes").get("result", {}).get("data", {}).get("panes"))

    def person(self) -> Peer:
        if self._person is None:
            self._person = self.sidecar.operator()
        return self._person

    # --- git ---

    def git(self, *argv: str, cwd: Path | None = None, check: bool = True) -> str:
        done = subprocess.run(
            ["git", *GIT, *argv], cwd=cwd or self.repository, capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.rstrip("\n")

    def commit(self, message: str, name: str, text: str, cwd: Path | None = None) -> None:
        ((cwd or self.repository) / name).write_text(text)
        self.git("add", "-A", cwd=cwd)
        self.git("commit", "-q", "-m", message, cwd=cwd)

    def branches(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()

    def worktrees(self) -> list[str]:
        lines = self.git("worktree", "list", "--porcelain").splitlines()
        return [line[9:] for line in lines if line.startswith("worktree ")]

    # --- the fleet ---

    def spawn(self, branch: str, **more: Any) -> dict[str, Any]:
        params = {"branch": branch, "repository": str(self.repository), "agent": "goose", **more}
        found: dict[str, Any] = self.person().call("fleet.spawn", params)
        return found

    def agents(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.person().call("fleet.list")["agents"]
        return found

    def agent(self, name: str) -> dict[str, Any]:
        (found,) = [one for one in self.agents() if one["name"] == name]
        return found

    def sessions(self) -> list[str]:
        """Of people: without the sidecar's own."""
        names = self.tmux.run("list-sessions", "-F", "#{session_name}").splitlines()
        return sorted(name for name in names if not name.startswith(("_", "tmux-agent")))

    def screen(self, pane: str) -> str:
        return self.tmux.run("capture-pane", "-p", "-t", pane, check=False)

    def shows(self, pane: str, text: str) -> None:
        try:
            until(lambda: text in self.screen(pane))
        except AssertionError:
            raise AssertionError(f"{text!r} is not there:\n{self.screen(pane)}") from None

    def told(self) -> list[str]:
        path = self.home / "told"
        return path.read_text().splitlines() if path.exists() else []

    def processes(self) -> list[str]:
        """What runs in one of the worktrees, or was started for one."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                ours = str(self.home) == process.environ().get("HOME")
                if ours and ("-worktrees/" in process.cwd() or "TMUX_AGENT_FLEET" in process.environ()):
                    found.append(" ".join(process.cmdline()))
        return found

    # --- fleet.toml ---

    def file(self, text: str, name: str = "fleet.toml") -> Path:
        """A file of the repository's .tmuxagent."""
        path = self.repository / ".tmuxagent" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def trust(self) -> str:
        """As the person does in a terminal."""
        done = self.command("policy", "trust")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def command(self, *argv: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """The command line, by a process that is nobody's agent but has no terminal."""
        program = [sys.executable, "-P", "-m", "tmux_agent", *argv]
        return subprocess.run(
            program, cwd=cwd or self.repository, env=self.sidecar.environ, capture_output=True, text=True, check=False
        )

    def error(self, branch: str, **more: Any) -> str:
        """What a spawn that is refused says."""
        params = {"branch": branch, "repository": str(self.repository), "agent": "goose", **more}
        return str(self.person().error("fleet.spawn", params)["message"])

    def nothing_left(self) -> None:
        assert self.branches() == ["main"]
        assert self.worktrees() == [str(self.repository)]
        assert self.sessions() == ["work"]
        assert self.agents() == []
        assert self.processes() == []
        assert not list(self.repository.parent.glob("*-worktrees"))
