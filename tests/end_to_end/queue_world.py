"""The fleet's world with a queue: scripted agents that do what their task says, as shell text."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tests.end_to_end.fleet_world import World as Fleet
from tests.patience import PATIENCE
from tests.plugin.terminal import Server
from tests.sidecar import Peer, Sidecar, until

# An agent of no rules, whose task is what it does. `says` prints a marker; `keep` commits a file.
AGENT = """#!/bin/sh
says() { printf '### SENTRY %s\\n' "$1"; }
ok() { says '{"type":"DONE","message":"'"$1"'"}'; }
keep() { echo "$1" > "$1"; git add -A; git -c user.name=a -c user.email=a@b.example commit -q -m "$1"; }
echo "$TMUX_AGENT_TASK_NAME" >> "$HOME/began"
while read -r line; do
    eval "$line"
done
"""
OPEN = ("queued", "starting", "running", "waiting", "checking", "closing", "retrying")


class World(Fleet):
    """`config` is config.yaml; tasks are added with goose as their agent."""

    def __init__(self, one: Sidecar, tmux: Server, config: str = "") -> None:
        super().__init__(one, tmux)
        one.program("goose", AGENT)
        (one.config / "config.yaml").write_text(config)

    def add(self, name: str, task: str, peer: Peer | None = None, **more: Any) -> dict[str, Any]:
        params = {"tasks": [{"name": name, "task": task, "agent": "goose", **more}], "repository": str(self.repository)}
        (found,) = (peer or self.person()).call("queue.add", params)["tasks"]
        assert isinstance(found, dict)
        return found

    def task(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.person().call("queue.show", {"task": name})
        return found

    def states(self) -> dict[str, str]:
        listed = self.person().call("queue.list", {"all": True})["tasks"]
        return {one["name"]: one["state"] for one in listed}

    def until(self, **states: str) -> None:
        try:
            until(lambda: self.states().items() >= states.items())
        except AssertionError:
            tasks = [self.task(name) for name in states]
            raise AssertionError(f"{self.states()}\n{tasks}\n{self.sidecar.log.read_text()[-3000:]}") from None

    def ended(self) -> None:
        """Wait until all tasks have ended, as long as something goes on."""
        while left := {name: state for name, state in self.states().items() if state in OPEN}:
            try:
                until(lambda left=left: not left.items() <= self.states().items())
            except AssertionError:
                raise AssertionError([(self.task(name), self.shows_of(name)) for name in left][:3]) from None

    def shows_of(self, name: str) -> Any:
        """For people: what becomes of a task's agent."""
        tried = self.task(name).get("tries") or [{}]
        agents = [one for one in self.agents() if one["name"] == tried[-1].get("agent")]
        return [(one["state"], one["task_state"], one.get("note"), self.screen(one["pane"]).strip()) for one in agents]

    def began(self) -> list[str]:
        """Names of tasks, as their agents began."""
        path = self.home / "began"
        return path.read_text().split() if path.exists() else []

    def panes(self, what: str) -> list[str]:
        return self.tmux.run("list-panes", "-a", "-F", what).splitlines()

    def tmux_agent(self, *argv: str) -> str:
        """The command line, outside of tmux, in the repository."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "tmux_agent", *argv], cwd=self.repository, env=self.sidecar.environ,
            capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def log(self, name: str) -> str:
        found: str = self.person().call("queue.log", {"task": name})["text"]
        return found
