"""An agent cannot approve itself by the obvious roads: each is walked against a real sidecar, tmux, plugin and person.

One world for all of them: an approval waits, an attacker in a pane does its worst, then the approval still waits, the
try is on record and in the badge. At the end the person approves that very request with prefix + A. docs/security.md
lists the roads; `test_the_docs_name_every_road` holds that list against the ones here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.plugin_world import PREFIX, ROOT, World, close, holds_popup, popup, press
from tests.patience import AGAIN
from tests.plugin.terminal import Terminal
from tests.sidecar import came, until

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
            ["link.show", {"request_id": self.request_id}], ["link.rotate", {}],
            ["audit.query", {}], ["audit.verify", {}], ["popup.attach", {"nonce": "0" * 32, "columns": 80, "rows": 24}],
            ["sidecar.stop", {}],
        ]  # fmt: skip

    @property
    def version(self) -> str:
        """Of this tmux; 3.6 delivers `send-keys -K` to a popup."""
        return self.server.run("display-message", "-p", "#{version}")

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
        assert [one.partition(":")[0] for one in waiting["warnings"]] == ["refused"], waiting["warnings"]
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
    assert all(origin[name] for name in ("pid", "exe", "ancestry", "why"))
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
    command = OWN_CLIENTS[road].format(
        press=f"{PY} {out} press {scene.server.socket} {keys}",
        press_q=shlex.quote(f"{PY} {out} press {scene.server.socket} {keys}"),
        press_other=f"{PY} {out} press {other} {keys}",
        attach=scene.says(scene.out(), requests=[["tmux.attach", {"socket": str(other)}]]),
        orphan=f"{PY} - orphan",
        scrub=SCRUB,
        other=other,
    )
    scene.in_pane(command)
    while road.endswith("own tmux server") and not came(lambda: len(scene.refusals()) > before, AGAIN):
        scene.in_pane(forged_press(other))  # the sidecar may not know that client yet
    screens = scene.heard(out)
    until(lambda: len(scene.refusals()) > before)
    assert scene.refusals()[before]["data"]["method"] == "popup.attach"
    assert any("may not answer" in str(screen) or "tmux-agent" in str(screen) for screen in screens)
    scene.server.run("-S", str(other), "kill-server", check=False)
    scene.holds()


def forged_press(tmux_socket: Path | str, client: str = "") -> str:
    """Shell text that tells the sidecar of a key press by the variables that the key uses."""
    tmux = f"env -u TMUX tmux -S {tmux_socket}"
    name = client or newest_client(tmux)
    wait = f'until [ -n "{name}" ] && {tmux} has-session -t =_tmux-agent; do :; done'
    say = f'{tmux} set-environment -gh TMUX_AGENT_EVENTS "press:popup:{name}"'
    forge = f"{say}; {tmux} send-keys -t =_tmux-agent: Enter"
    return f"{{ {wait}; {forge}; }}"


def newest_client(tmux: str) -> str:
    """Shell text for the name of the client with a terminal that was attached last."""
    return f"$({tmux} list-clients -F '#{{client_control_mode}} #{{client_name}}' | sed -n 's/^0 //p' | tail -n 1)"


def test_a_control_mode_client_answers_nothing(scene: Scene) -> None:
    """A client without a terminal gets no popup, whatever key press is claimed for it; what it runs is an agent's."""
    out, before = scene.out(), len(scene.refusals())
    script = scene.world.folder / "control"
    script.write_text(f"run-shell -b {shlex.quote(scene.says(out))}\n")
    claim = forged_press(scene.server.socket, "client-1")
    scene.in_pane(f"(cat {script}; read x) | env -u TMUX tmux -S {scene.server.socket} -C attach & {claim}")
    assert {one["error"]["code"] for one in scene.heard(out)} == {FORBIDDEN}
    until(lambda: len(scene.refusals()) > before)
    scene.holds()


OPENS_ONLY = {
    "tmux-agent approve in a pane": "{command} approve {id}",
    "tmux-agent deny in a pane": "{command} deny {id} --reason no",
    "send-keys of tmux-agent approve into a person's shell": "tmux send-keys -t work:0 {typed} Enter",
    "a forged key press for the person's client": "{press}",
    "popup.open": "{open}",
}


@pytest.mark.parametrize("road", OPENS_ONLY)
def test_what_opens_the_popup_answers_nothing(scene: Scene, road: str) -> None:
    """The popup comes up on the person's client and waits for the person, who closes it."""
    scene.server.run("respawn-pane", "-k", "-t", "work:0", "sh", ";", "select-window", "-t", "work:0")
    approve = f"{scene.world.command} approve {scene.request_id}"
    open_it = scene.says(scene.out(), requests=[["popup.open", {"request_id": scene.request_id}]])
    press_it = forged_press(scene.server.socket, scene.person.tty)
    words = {"command": scene.world.command, "id": scene.request_id, "typed": shlex.quote(approve)}
    scene.in_pane(OPENS_ONLY[road].format(press=press_it, open=open_it, **words))
    scene.person.wait_for("May I delete everything?")
    close(scene.person)
    scene.holds()


def test_keys_that_are_sent_to_a_pane_do_not_reach_the_popup(scene: Scene) -> None:
    """`send-keys a` while the popup is open goes to the pane beneath it."""
    popup(scene.person, "May I delete everything?")
    done = scene.out()
    scene.in_pane(f"for n in 1 2 3 4; do tmux send-keys -t work:0 a Enter; done; echo {{}} >{done}")
    scene.heard(done)
    scene.person.press("?")
    scene.person.wait_for("keys")
    scene.person.press("q")
    close(scene.person)
    scene.holds()


def test_keys_that_tmux_types_into_the_popup_answer_nothing(scene: Scene) -> None:
    """`send-keys -K` (tmux 3.4 and later; 3.6 delivers it) while the person is away: no terminal sent that key."""
    popup(scene.person, "May I delete everything?")
    os.utime(scene.person.tty, (1000, 1000))
    done, before = scene.out(), len(scene.refusals())
    keys = f"tmux send-keys -K -c {scene.person.tty} a"
    scene.in_pane(f"{keys}; {keys}; echo {{}} >{done}")
    scene.heard(done)
    seen = scene.person.wait(lambda text: "May I delete" in text)
    if scene.version >= "3.6":
        while len(scene.refusals()) == before:  # the first may have come too soon after it was painted
            scene.server.run("send-keys", "-K", "-c", scene.person.tty, "a")
            seen = scene.person.text()
        assert "no key came" in scene.refusals()[before]["data"]["why"], seen
    close(scene.person)
    scene.holds()


def test_a_guessed_nonce_opens_nothing(scene: Scene) -> None:
    """Our own relay in an agent's popup on the person's client, with a number of the agent's: refused, and says so."""
    before = len(scene.refusals())
    relay = ROOT / "sidecar/tmux_agent/edges/ui/relay.py"
    words = f"{sys.executable} -I -S {relay} {scene.socket} {'0' * 32}"
    scene.in_pane(f"tmux display-popup -c {scene.person.tty} -E {shlex.quote(words)}")
    until(lambda: len(scene.refusals()) > before)
    assert "nonce" in scene.refusals()[before]["data"]["why"]
    scene.person.wait_for("nonce")
    scene.person.press("x")
    scene.person.wait_gone("nonce")
    scene.holds()


MENUS = {
    "a forged key press for a menu": "{press}",
    "a forged choice from the person's menu": "{choose}",
    "a menu on an own client, and its choice": "{own}",
}


@pytest.mark.parametrize("road", MENUS)
def test_a_menu_answers_nothing(scene: Scene, road: str) -> None:
    """Keys of menus and choices can be forged. They lead to a menu or a popup; what a popup does, it does for the
    person in front of it alone."""
    tmux = f"env -u TMUX tmux -S {scene.server.socket}"
    out, before = scene.out(), len(scene.refusals())
    if road == "a forged key press for a menu":
        scene.in_pane(forged_press(scene.server.socket, scene.person.tty).replace("press:popup:", "press:menu:"))
        scene.person.wait_for("what waits (1)")
        scene.person.press("q")
        scene.person.wait_gone("what waits (1)")
    elif road == "a forged choice from the person's menu":
        scene.person.press_until((PREFIX, "G"), lambda text: "what waits (1)" in text)
        ours = (" ".join(words) for words in arguments() if scene.server.socket in words)
        number = next(one for text in ours for one in re.findall(r"chosen:(\w+):0", text))
        scene.person.press("q")
        scene.person.wait_gone("what waits (1)")
        say = f"{tmux} set-environment -gh TMUX_AGENT_EVENTS chosen:{number}:0"
        scene.in_pane(f"{say}; {tmux} send-keys -t =_tmux-agent: Enter")
        scene.person.wait_for("May I delete everything?")
        close(scene.person)
    else:
        keys = shlex.join(["\\x02G", "a", "a", "y"])
        scene.in_pane(f"{PY} {out} press {scene.server.socket} {keys}")
        scene.heard(out)
        until(lambda: len(scene.refusals()) > before)
        assert scene.refusals()[before]["data"]["method"] == "popup.attach"
    scene.holds()


STOLEN = {
    "a stolen nonce in a window": "tmux new-window -d 'RELAY'",
    "a stolen nonce by run-shell": "tmux run-shell -b '{pty} RELAY'",
    "a stolen nonce by an orphan": "{orphan} {pty} RELAY",
    "a stolen nonce in a popup on an own client": "{popup}",
}


@pytest.mark.parametrize("road", STOLEN)
def test_a_stolen_nonce_answers_nothing(scene: Scene, road: str) -> None:
    """Read from the popup's arguments and used, before ours or after: refused, and neither of two may answer."""
    out, again, before = scene.out(), scene.out(), len(scene.refusals())
    tmux = f"env -u TMUX tmux -S {scene.server.socket}"
    last = newest_client(tmux)
    use = STOLEN[road].format(
        orphan=f"{PY} - orphan", pty=f"{PY} - pty", popup=f"{tmux} display-popup -c {last} -E 'RELAY'"
    )
    thief = f"{PY} {out} steal {scene.socket} {shlex.quote(use)}"
    if "own client" in road:
        keys = shlex.join(["", "a", "a", "a"])
        attached = f"until [ {last} != {scene.person.tty} ]; do :; done"
        thief = f"{PY} {again} press {scene.server.socket} {keys} & {attached}; {thief}"
    scene.in_pane(f"{thief}; :")
    until(lambda: any("steal" in words for words in arguments()))
    signs = ("May I delete", "nonce")  # ours came first, or theirs
    scene.person.press_until((PREFIX, "A"), lambda text: any(sign in text for sign in signs), "the popup")
    scene.heard(out)
    until(lambda: len(scene.refusals()) > before)
    if "own client" in road:
        scene.heard(again)
    scene.person.press("q")
    scene.person.wait(lambda text: not any(sign in text for sign in signs))
    until(lambda: not holds_popup(scene.person))
    scene.holds()


def arguments() -> Iterator[list[str]]:
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            yield Path(f"/proc/{name}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue


# --- guarded tools ----------------------------------------------------------------------------------------

GUARDED = (
    "tmux-agent approve {id}", "tmux-agent deny {id} --reason x", "tmux-agent call human.respond {{}}",
    "tmux-agent grants revoke x", "tmux-agent sidecar stop", "tmux-agent policy allow x",
    "python3 -m tmux_agent approve {id}",
    "tmux send-keys -t %0 a", "tmux send -t %0 a", "tmux run-shell true", "tmux if true true", "tmux popup -E true",
    "tmux new-window true", "tmux pipe-pane true", "tmux -C attach", "tmux set-environment -g TMUX_AGENT_EVENTS x",
    "tmux bind-key A run-shell true", "tmux respawn-pane -k true", "env tmux send-keys -t %0 a",
    "timeout 3 tmux send-keys a",
    "sh -c 'tmux send-keys -t %0 a'",
)  # fmt: skip


@pytest.mark.parametrize("text", GUARDED)
def test_guarded_tools_walk_no_road(scene: Scene, text: str) -> None:
    """What a person has not to be asked about: an agent that wants its tools to answer for one is denied by name."""
    argv = shlex.split(text.format(id=scene.request_id))
    said = scene.agent.call("command.run", command=argv[0], args=argv[1:])
    assert said.get("kind") == "Denied", said
    said = scene.agent.call("policy.check", shell=text.format(id=scene.request_id), cwd=str(scene.world.project))
    assert said["data"]["verdict"] == "deny", said


def test_guarded_tools_leave_our_files_alone(scene: Scene) -> None:
    """Policy, state, audit log, configuration: an agent's file tools are denied, by any name of the file."""
    world = scene.world
    places = [world.config / name for name in ("policy.yaml", "policy.d/50-grants.yaml", "config.yaml")]
    places += [world.state / "state.db", world.state / "audit.jsonl", ROOT / "sidecar/tmux_agent/edges/ui/relay.py"]
    (world.project / "innocent").symlink_to(world.config)
    for place in (*places, world.project / "innocent" / "policy.yaml"):
        said = scene.agent.call("file.write", path=str(place), content="x", create_dirs=True)
        assert said.get("kind") == "Denied", (place, said)
    said = scene.agent.call("command.run", command="rm", args=["-rf", str(world.state)])
    assert said.get("kind") == "Denied", said
    assert json.loads(world.agent_command("audit", "verify", "--json").stdout)["ok"]


# --- people -----------------------------------------------------------------------------------------------


def at_a_terminal(scene: Scene, *requests: list[Any]) -> list[dict[str, Any]]:
    """What somebody at a terminal outside of tmux is told."""
    out = scene.out()
    with Terminal(["sh", "-c", scene.says(out, requests=list(requests)) + "; exec cat"], env=scene.world.environ):
        return scene.heard(out)


def test_an_answer_is_bound_to_what_was_shown(scene: Scene) -> None:
    """A person's answer with another request's digest, or an old one, changes nothing."""
    for digest in ("0" * 64, "", scene.digest[:-1] + ("0" if scene.digest[-1] != "0" else "1")):
        answer = {"request_id": scene.request_id, "digest": digest, "approved": True}
        (said,) = at_a_terminal(scene, ["human.respond", answer])
        assert said["error"]["data"]["kind"] == "conflict", said
    scene.holds()


def test_an_answer_outside_the_popup_is_told(scene: Scene) -> None:
    """Who answers at a terminal of their own is named on every person's client, and recorded."""
    other = scene.agent.start("human.ask", prompt="Another thing?")
    until(lambda: len(scene.world.records("approval.opened")) == 2)
    opened = scene.world.records("approval.opened")[1]
    answer = {"request_id": opened["request_id"], "digest": opened["data"]["digest"], "approved": False}
    at_a_terminal(scene, ["human.respond", answer])
    if scene.version >= "3.3":  # 3.2 cannot send a message to a client by name
        scene.person.wait_for("answered outside the popup")
    assert scene.agent.hear(other)["kind"] == "Denied"
    (record,) = scene.world.records("approval.answered")
    assert record["origin"].get("door", "socket") == "socket"
    assert record["origin"]["tty"].startswith("/dev/")


def test_the_person_still_answers(scene: Scene) -> None:
    """After all of it, prefix + A and `a` approve the request; the record says from where, by whom, behind what."""
    scene.person.wait_gone("answered outside")
    popup(scene.person, "May I delete everything?")
    press(scene.person, "a", "approved")
    assert scene.agent.hear(scene.number)["data"]["approved"] is True
    record = scene.world.records("approval.answered")[-1]
    assert record["request_id"] == scene.request_id
    origin = record["origin"]
    assert (origin["role"], origin["door"], origin["client"]) == ("operator", "popup", scene.person.tty)
    assert origin["pid"] > 0
    assert "python" in origin["exe"]
    assert origin["tty"].startswith("/dev/")
    assert any(word.startswith("client: tmux") for word in origin["ancestry"])
    close(scene.person)


def test_what_somebody_changes_behind_our_back_shows() -> None:
    """A same-uid program can write our files. The log names the record; the policy is recorded as it is loaded anew."""
    with World() as world:
        scene = Scene(world)
        loaded = len(world.records("policy.loaded"))
        scene.in_pane(f"mkdir -p {world.config}; echo 'version: 1' >{world.config}/policy.yaml")
        until(lambda: len(world.records("policy.loaded")) > loaded)
        log = world.state / "audit.jsonl"
        scene.in_pane(f"sed -i s/everything/nothing/ {log}")
        until(lambda: "May I delete nothing" in log.read_text())
        verified = world.agent_command("audit", "verify")
        assert verified.returncode != 0
        assert "audit.jsonl, line" in verified.stdout


def test_a_guarded_try_shows_in_the_badge() -> None:
    """An agent that wants its tools to answer for a person is denied, and that is a warning, too."""
    with World() as world:
        scene = Scene(world)
        scene.agent.call("command.run", command="tmux-agent", args=["approve", scene.request_id])
        scene.person.wait_for("refused")
        scene.holds()


def test_the_docs_name_every_road() -> None:
    """docs/security.md lists what is walked here, no more and no less."""
    text = (ROOT / "docs/security.md").read_text()
    table = text.partition("<!-- roads -->")[2].partition("<!-- /roads -->")[0]
    named = {line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")} - {"road", "---"}
    assert named == {*ROADS, *OWN_CLIENTS, *OPENS_ONLY, *MENUS, *STOLEN}
