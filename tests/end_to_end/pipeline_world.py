"""A sidecar with pipelines and a tmux server with a shell, for tests: what is typed there, what runs, what is asked."""

from __future__ import annotations

from typing import Any

from tests.plugin.terminal import Server
from tests.sidecar import Peer, Sidecar, until

MARK = "### SENTRY"
NPM = f"""#!/bin/sh
echo "npm $*" >> "${{0%/*}}/typed"
case "$*" in
    "run lint") echo "✔ 0 Problems" ;;
    test) echo '{MARK} {{"type":"STATUS","stage":"test","ok":true}}' ;;
    "run build") echo '{MARK} {{"type":"STATUS","stage":"build","ok":true}}' ;;
esac
"""


class World:
    """A sidecar, a tmux server with one window, and what is typed there."""

    def __init__(self, one: Sidecar, tmux: Server) -> None:
        self.sidecar, self.tmux = one, tmux
        self._person: Peer | None = None
        (one.config / "pipelines").mkdir()
        one.program("npm", NPM)

    def file(self, text: str) -> None:
        (self.sidecar.config / "pipelines" / "p.yaml").write_text(text)

    def window(self, name: str) -> None:
        path = f"{self.sidecar.bin}:/usr/bin:/bin"
        shell = f"env PS1='$ ' PATH={path} HOME={self.sidecar.folder} bash --norc --noprofile"
        self.tmux.run("new-session", "-d", "-s", "main", "-n", name, "-x", "100", "-y", "30", shell)

    def person(self) -> Peer:
        if self._person is None:
            self._person = self.sidecar.operator()
        return self._person

    def attach(self) -> Peer:
        """Tell the sidecar of the tmux server, as the plugin does; gives somebody to ask it by."""
        self._person = None
        peer = self.sidecar.agent()
        peer.call("tmux.attach", {"socket": self.tmux.socket})
        until(lambda: peer.request("tmux.panes").get("result", {}).get("data", {}).get("panes"))
        return peer

    def typed(self) -> list[str]:
        path = self.sidecar.bin / "typed"
        return path.read_text().splitlines() if path.exists() else []

    def runs(self, peer: Peer) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = peer.call("pipeline.runs")["runs"]
        return found

    def states(self, peer: Peer) -> dict[str, str]:
        return {one["name"]: one["state"] for one in self.runs(peer)[0]["stages"]} if self.runs(peer) else {}

    def until(self, peer: Peer, **states: str) -> None:
        until(lambda: self.states(peer).items() >= states.items())


def approve(world: World, question: dict[str, Any], **more: Any) -> None:
    person = world.person()
    answer = {"request_id": question["request_id"], "digest": question["digest"], "approved": True, **more}
    person.call("human.respond", answer)


def pending(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.person().call("human.pending")["approvals"]
    return found


def asked(world: World) -> dict[str, Any]:
    """The one question that waits, once it does."""
    until(lambda: pending(world))
    (question,) = pending(world)
    return question


SIX = """
pipelines:
  - name: six
    match: {window: w}
    stages:
"""


def six() -> str:
    stages = []
    for number in range(6):
        needs = f", needs: s{number - 1}" if number else ""
        stages.append(
            f"      - {{name: s{number}{needs}, "
            f'actions_on_start: [{{send_keys: "step {number}"}}, {{run: "allowed r{number}"}}]}}'
        )
    return SIX + "\n".join(stages) + "\n"


STEP = f"""#!/bin/sh
echo "$1" >> "${{0%/*}}/typed"
printf '%s {{"type":"STATUS","stage":"s%s","ok":true}}\\n' '{MARK}' "$1"
"""
