"""An agent cannot approve itself by the obvious roads: each is walked against a real sidecar, tmux, plugin and person.

One world for all of them: an approval waits, an attacker in a pane does its worst, then the approval still waits, the
try is on record and in the badge. At the end the person approves that very request with prefix + A. docs/security.md
lists the roads; `test_the_docs_name_every_road` holds that list against the ones here.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.plugin_world import PREFIX, ROOT, TOO_SOON, World, close, popup, press
from tests.plugin.terminal import Terminal
from tests.sidecar import until

ATTACK = Path(__file__).with_name("attack.py")
PY = f"{sys.executable} -I -S {ATTACK}"
SCRUB = "env -i SHELL=/bin/sh PATH=$PATH HOME=$HOME TERM=xterm LC_ALL=C.UTF-8"
FORBIDDEN = -32004


class Scene:
    """A world in which something waits for a person, and what an attacker in a pane does there."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.server = world.server()
        self.person: Terminal = self.server.attach(columns=110, rows=34)
        self.agent = world.agent_in(self.server)
        self.agent.known()
        self.socket = str(next((world.folder / "run").glob("*.sock")))
        self.number = self.agent.start("human.ask", prompt="May I delete everything?")
        until(lambda: world.records("approval.opened"))
        opened = world.records("approval.opened")[0]
        self.request_id, self.digest = opened["request_id"], opened["data"]["digest"]
        self._outs = 0

    @property
    def operators_only(self) -> list[list[Any]]:
        """Every method that an agent may not call, with params that would do something."""
        yes = {"request_id": self.request_id, "digest": self.digest, "approved": True}
        return [
            ["human.respond", yes], ["policy.reload", {}], ["grant.revoke", {"grant_id": "x"}],
            ["audit.query", {}], ["audit.verify", {}], ["popup.attach", {"nonce": "0" * 32, "columns": 80, "rows": 24}],
            ["sidecar.stop", {}],
        ]  # fmt: skip

    def out(self) -> Path:
        self._outs += 1
        return self.world.folder / f"out-{self._outs}"

    def says(self, out: Path, *, verb: str = "say", requests: list[list[Any]] | None = None) -> str:
        """The command of an attacker that calls methods and writes the replies down."""
        words = [json.dumps(one) for one in requests or self.operators_only]
        return f"{PY} {out} {verb} {self.socket} {shlex.join(words)}"

    def in_pane(self, command: str) -> str:
        """Has a shell in a pane of its own run this; the pane."""
        return self.server.run("new-window", "-d", "-P", "-F", "#{pane_id}", "-t", "work:", f"{command}; exec cat")

    def heard(self, out: Path) -> list[dict[str, Any]]:
        until(out.exists)
        return [json.loads(line) for line in out.read_text().splitlines()]

    def refusals(self) -> list[dict[str, Any]]:
        return self.world.records("refused")

    def holds(self) -> None:
        """Nothing was answered: the request waits, the sidecar runs, and it says in the badge what was tried."""
        assert not self.world.records("approval.answered"), self.world.records("approval.answered")
        waiting = json.loads(self.world.agent_command("call", "health").stdout)
        assert waiting["pending"] == 1, (self.world.records(), self.world.said())
        assert any("refused" in one for one in waiting["warnings"])
        self.person.wait_for("refused")


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with World() as world:
        yield Scene(world)


# Each: what a shell in a pane runs. {say} calls every method of an operator; {q} is that as one word of a shell.
ROADS = {
    "the socket": "{say}",
    "in the background": "{say} & wait",
    "left behind by its shell": "({say} &)",
    "setsid": "setsid {say}",
    "setsid --fork": "setsid -f {say}",
    "double fork": "{orphan} {say}",
    "double fork, own pty": "{orphan} {pty} {say}",
    "double fork, own pty, clean environment": "{scrub} {orphan} {pty} {say}",
    "own pty": "{pty} {say}",
    "TMUX_PANE spoofed": "TMUX_PANE=%77 {say}",
    "TMUX_PANE unset": "env -u TMUX_PANE -u TMUX {say}",
    "clean environment": "{scrub} {say}",
    "run-shell": "tmux run-shell -b {q}",
    "if-shell": "tmux if-shell -b {q} ''",
    "#() in a format": "tmux set -g status-right {format}",
    "pipe-pane": "tmux pipe-pane {q}; echo x",
    "new-window": "tmux new-window -d {q}",
    "split-window in the hidden session": "tmux split-window -d -t _tmux-agent: {q}",
    "display-popup on the person's client": "tmux display-popup -c {client} -E {q}",
    "a second connection of one process": "{twice}",
    "a process that the asker starts": "{asker}",
}


@pytest.mark.parametrize("road", ROADS)
def test_no_road_makes_an_operator(scene: Scene, road: str) -> None:
    """Every method of an operator, called by what an agent in a pane can start: refused, recorded, shown."""
    out, before = scene.out(), len(scene.refusals())
    say = scene.says(out)
    command = ROADS[road].format(
        say=say,
        q=shlex.quote(say),
        format=shlex.quote(f"[#{{tmux_agent}}] #({say.replace('#', '##')})"),
        twice=scene.says(out, verb="twice"),
        asker=f"sh -c {shlex.quote(say)}",
        orphan=f"{PY} - orphan",
        pty=f"{PY} - pty",
        scrub=SCRUB,
        client=scene.person.tty,
    )
    scene.in_pane(command)
    replies = scene.heard(out)
    assert [one["error"]["code"] for one in replies] == [FORBIDDEN] * len(scene.operators_only), replies
    until(lambda: len(scene.refusals()) >= before + len(scene.operators_only))
    origin = scene.refusals()[-1]["origin"]
    assert origin["role"] == "agent"
    assert origin["pid"] > 0 and origin["exe"] and origin["ancestry"] and origin["why"]
    if road.startswith("#()"):
        scene.server.run("set", "-g", "status-right", "[#{tmux_agent}]")
    scene.holds()


# --- keys, clients, popups ------------------------------------------------------------------------------

# Each: what a shell in a pane runs. {press} attaches a client on a pty of its own and presses prefix + A, then `a`.
OWN_CLIENTS = {
    "own client": "{press}",
    "own client, double fork": "{orphan} {press}",
    "own client, double fork, clean environment": "{scrub} {orphan} {press}",
    "own client in a detached tmux": "{scrub} tmux -f /dev/null -S {other} new-session -d {press_q}",
    "own client of an own tmux server": "tmux -f /dev/null -S {other} new-session -d cat; {attach}; {press_other}",
}


@pytest.mark.parametrize("road", OWN_CLIENTS)
def test_own_clients_answer_nothing(scene: Scene, road: str) -> None:
    """A client that an agent attaches itself gets the popup and no answer: who is behind it, the kernel says."""
    out, before = scene.out(), len(scene.refusals())
    other = scene.world.folder / f"{out.name}.tmux"
    keys = shlex.join(["\\x02A", "a", "a", "y"])
    press_other = f"{PY} {out} press {other} {keys}"
    if road.endswith("own tmux server"):
        press_other = f"{forged_press(other)} & {press_other}"
    command = OWN_CLIENTS[road].format(
        press=f"{PY} {out} press {scene.server.socket} {keys}",
        press_q=shlex.quote(f"{PY} {out} press {scene.server.socket} {keys}"),
        press_other=press_other,
        attach=scene.says(scene.out(), requests=[["tmux.attach", {"socket": str(other)}]]),
        orphan=f"{PY} - orphan",
        scrub=SCRUB,
        other=other,
    )
    scene.in_pane(command)
    screens = scene.heard(out)
    until(lambda: len(scene.refusals()) > before)
    assert scene.refusals()[before]["data"]["method"] == "popup.attach"
    assert any("may not answer" in str(screen) or "tmux-agent" in str(screen) for screen in screens)
    scene.server.run("-S", str(other), "kill-server", check=False)
    scene.holds()


def forged_press(tmux_socket: Path | str, client: str = "") -> str:
    """Shell text that tells the sidecar of a key press by the variables that the key uses."""
    tmux = f"tmux -S {tmux_socket}"
    name = client or f"$({tmux} list-clients -F '#{{client_control_mode}} #{{client_name}}' | sed -n 's/^0 //p' | tail -n 1)"
    channel = f"$({tmux} show-environment -gh TMUX_AGENT_CHANNEL | cut -d= -f2)"
    wait = f"until [ -n \"{name}\" ] && [ -n \"{channel}\" ]; do :; done"
    return f"{{ {wait}; {tmux} set-environment -gh TMUX_AGENT_EVENTS \"press:popup:{name}\"; {tmux} wait-for -S {channel}; }}"
