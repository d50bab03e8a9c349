"""A chat of several people, relayed by the example bot: real tmux, the plugin and its sidecar, a line server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.plugin_world import World
from tests.patience import PATIENCE
from tests.plugin.terminal import Server, Terminal
from tests.sidecar import until

BOT = Path(__file__).parents[2] / "examples" / "chat_bot" / "bot.py"
TOKEN = "a-token-that-only-the-bot-has"
CONFIG = """
chat:
  senders: {alice: runner, bob: approver, carol: viewer, dave: approver}
  answers: true
  token: !secret CHAT_TEST
  name: Sel
"""
RULES = """
version: 1
rules:
  - {name: proved, when: {command: [rmdir, ...]}, verdict: ask, step_up: ["true"]}
  - {name: never, when: {command: [nc, ...]}, verdict: deny, reason: nothing leaves this machine}
"""


class Room:
    """The chat's own server, with the bot in it: says who said what, and hears the bot."""

    def __init__(self, world: World, **environ: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            env = {**world.environ, "TMUX_AGENT_CHAT_TOKEN": TOKEN, **environ}
            argv = [sys.executable, "-P", str(BOT), "127.0.0.1", str(port), "#ops"]
            self._bot = subprocess.Popen(argv, env=env, cwd=world.project, start_new_session=True)
            listener.settimeout(PATIENCE)
            self._peer = listener.accept()[0]
        self._peer.settimeout(PATIENCE)
        self._lines = self._peer.makefile("r", encoding="utf-8", newline="\n")

    def say(self, sender: str, text: str) -> None:
        escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
        self._peer.sendall(f"{sender}: {escaped}\n".encode())

    def hear(self, to: str) -> str:
        """The next thing that the bot says, which has to be to them."""
        line = self._lines.readline()
        assert line, "the bot left"
        name, _, text = line.rstrip("\n").partition(": ")
        assert name == to, line
        return text.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")

    def ask(self, sender: str, text: str) -> str:
        self.say(sender, text)
        return self.hear(sender)

    def close(self) -> None:
        self._lines.close()
        self._peer.close()
        self._bot.send_signal(signal.SIGTERM)
        self._bot.wait()


@pytest.fixture
def world() -> Iterator[World]:
    with World(CHAT_TEST=TOKEN, SHELL="/bin/bash") as one:
        (one.config / "config.yaml").write_text(CONFIG)
        (one.config / "policy.d").mkdir(mode=0o700)
        (one.config / "policy.d" / "10-chat.yaml").write_text(RULES)
        yield one


@pytest.fixture
def server(world: World) -> Server:
    return world.server("set -g default-shell /bin/bash\nset -g default-command ''\n")


@pytest.fixture
def terminal(server: Server) -> Terminal:
    return server.attach(columns=150)


@pytest.fixture
def room(world: World, server: Server) -> Iterator[Room]:
    one = Room(world)
    yield one
    one.close()


def asked(text: str) -> str:
    """The id in an answer that says that somebody has to say yes."""
    found = re.search(r"approve ([0-9A-Z]{6,})", text)
    assert found, text
    return found[1]


def approved(room: Room, by: str, id_: str) -> str:
    assert id_ in room.ask(by, "pending")
    return room.ask(by, f"approve {id_}")


def test_one_asks_another_approves_and_the_output_comes_back(world: World, room: Room, terminal: Terminal) -> None:
    """The words of the seed, by people of three roles; what was asked is recorded as each of them."""
    terminal.wait_for("[")
    id_ = asked(room.ask("alice", "Sel, run touch made && echo it is made in session dev wait 5s"))
    assert room.ask("carol", "Sel, pending") == "✅ Nothing waits"
    assert "may not answer" in room.ask("alice", f"approve {id_}")
    assert "look at it here first" in room.ask("bob", f"approve {id_}")
    listed = room.ask("bob", "Sel, pending?")
    assert "touch made && echo it is made" in listed
    assert "“alice”" in listed
    assert not (world.project / "made").exists()
    room.say("bob", f"Approve {id_.lower()}!")
    heard = {room._lines.readline() for _ in range(2)}
    assert any(line.startswith("bob: ✅ Approved") for line in heard)
    (result,) = [line for line in heard if line.startswith("alice: ")]
    assert "✅ Executed in tmux session 'dev' (exit code 0)" in result
    assert "it is made" in result
    assert (world.project / "made").exists()
    terminal.wait_for("answered outside the popup:")
    assert "chat bob in #ops" in terminal.text()
    for word in ("approve", "deny"):
        assert "was approved already by bob in #ops" in room.ask("bob", f"{word} {id_}")
    assert "a viewer may not answer" in room.ask("carol", f"approve {id_}")
    (answer,) = world.records("approval.answered")
    by = answer["origin"]
    assert (by["door"], by["name"], by["through"], by["role"]) == ("chat", "bob", "bob in #ops", "operator")
    (opened,) = world.records("approval.opened")
    assert (opened["origin"]["name"], opened["origin"]["session"]) == ("alice", "chat:alice")
    assert "dev (1 command executed)" in room.ask("carol", "list sessions")
    assert "it is made" in room.ask("carol", "show output from dev")
    assert world.agent_command("audit", "verify").returncode == 0


def test_everything_else_that_may_be_said(world: World, room: Room) -> None:
    """Sessions made and ended, a command that goes on and is interrupted, blocks of code, what is not understood."""
    assert room.ask("alice", "sel: please run `echo one` in session dev, wait 5s").count("one") == 2
    assert "did you mean: run ls" in room.ask("alice", "rnu ls")
    first = room.ask("alice", "run ```sh\nA=kept\necho $A $A\n``` wait 5s")
    assert "exit code 0" in first
    assert "kept kept" in first
    approved(room, "bob", asked(room.ask("alice", "Sel, execute test $A = kept wait 5000")))
    assert "exit code 0" in room.hear("alice"), "what was set before is set still"
    running = room.ask("alice", "Sel, run sleep 1000 in session dev wait 100ms")
    assert "⏳ Runs in tmux session 'dev'" in running
    assert "which still runs" in room.ask("carol", "show output from “dev”.")
    (id_,) = re.findall(r"interrupt ([0-9A-Z]{6})", running)
    room.say("alice", f"interrupt {id_}")
    assert "exit code 130" in room.hear("alice") + room.hear("alice")  # of the line, and of what it had begun
    created = room.ask("alice", "Sel, new session build")
    approved(room, "bob", asked(created))
    assert "Created tmux session: build" in room.hear("alice")
    killed = room.ask("alice", "Sel, close session build")
    approved(room, "bob", asked(killed))
    assert "Killed tmux session: build" in room.hear("alice")
    assert "build" not in room.ask("carol", "list sessions")
    room.say("alice", "run touch never in session dev")
    id_ = asked(room.hear("alice"))
    assert "nothing that waits" in room.ask("dave", f"cancel {id_}"), "it is alice's to take back"
    room.say("alice", f"cancel {id_}")
    heard = room.hear("alice") + room.hear("alice")  # of the line, and of what had waited
    assert "Taken back" in heard
    assert "alice took it back" in heard
    assert not (world.project / "never").exists()
    assert "may only look" in room.ask("carol", "run id")
    assert "approve ID" not in room.ask("carol", "help")


def test_who_may_not(world: World, room: Room, terminal: Terminal) -> None:
    """Strangers, a bot without the token, one below an agent, one in tmux: refused, on record."""
    for padding in range(16):  # no bot ends of it, nor takes a piece of it for a line of bob's
        room.say("mallory", " " * padding + "bob: pending ; " * (200_000 + padding))
    assert "you may ask for nothing here" in room.ask("mallory", "run id")
    until(lambda: any("not in chat.senders" in one["data"]["why"] for one in world.records("refused")))
    agent = world.agent()
    heard = agent.call("chat.say", text="pending", sender="bob")
    assert "its token is not the one of chat.token" in heard["error"]
    assert agent.call("chat.say", text="pending", sender="bob", token=TOKEN)["data"]["did"] == "pending"
    shaped = world.folder / "claude"
    shaped.symlink_to("/bin/sh")
    said = subprocess.run(
        [shaped, "-c", f"{world.command} chat --sender bob -- pending; true"], capture_output=True, text=True,
        env={**world.environ, "TMUX_AGENT_CHAT_TOKEN": TOKEN}, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert "it runs below claude" in said.stderr
    terminal.wait_for("refused")


def test_what_cannot_be_answered_from_a_chat(world: World, room: Room) -> None:
    """A proof, one's own request, what has changed or is too long, and anything where it is switched off."""
    agent = world.agent()
    agent.run("rmdir", "build")
    until(lambda: world.records("approval.opened"))
    listed = room.ask("bob", "pending")
    assert "a yes needs a proof" in listed
    (id_,) = re.findall(r"• ([0-9A-Z]{6})", listed)
    assert "a yes needs a proof" in room.ask("bob", f"approve {id_}")
    assert "🚫 Denied" in room.ask("bob", f"deny {id_} not today")
    own = asked(room.ask("bob", "run touch own"))
    assert own in room.ask("bob", "pending")
    assert "who asks does not answer" in room.ask("bob", f"approve {own}")
    assert own in room.ask("dave", "pending")
    loaded = len(world.records("policy.loaded"))
    (world.config / "config.yaml").write_text(CONFIG.replace("answers: true", "answers: false"))
    until(lambda: len(world.records("policy.loaded")) > loaded)
    assert "chat.answers in config.yaml is off" in room.ask("dave", f"approve {own}")
    assert not (world.project / "own").exists()


def killed(world: World, server: Server) -> None:
    """The sidecar is killed, and another one serves."""
    old = world.serves(server)
    os.kill(old, signal.SIGKILL)
    until(lambda: world.alive(server) not in ("", str(old)))


def test_what_waited_when_the_sidecar_was_killed(world: World, server: Server, room: Room) -> None:
    """It is answered with the next sidecar, done as it was asked, and told to the bot, and to who asks for it by id,
    also by one after that; a no is one; a command that ran runs on."""
    yes = asked(room.ask("alice", "run touch made && echo it is $((40 + 2)) in session dev"))
    no = asked(room.ask("alice", "run touch never in session dev"))
    other = asked(room.ask("alice", "create session build"))
    (goes_on,) = re.findall(r"interrupt ([0-9A-Z]{6})", room.ask("alice", "run sleep 1000 in session long wait 100ms"))
    killed(world, server)
    assert "look at it here first" in room.ask("dave", f"approve {yes}")
    assert room.ask("dave", "pending").count("•") == 3
    assert "who asks does not answer" not in room.ask("dave", f"deny {no} not today")
    assert "not today" in room.hear("alice")
    room.say("dave", f"approve {yes}")
    room.say("dave", f"approve {other}")
    heard = "".join(room._lines.readline() for _ in range(4))
    assert "it is 42" in heard
    assert "Created tmux session: build" in heard
    assert (world.project / "made").exists()
    for _ in range(2):
        assert "exit code 0" in room.ask("alice", f"status {yes}")
        assert "touch made" in room.ask("alice", f"status {yes}")
        assert "not today" in room.ask("alice", f"status {no}")
        assert "Created tmux session: build" in room.ask("alice", f"status {other}")
        assert "nothing that waits" in room.ask("bob", f"status {yes}"), "it is nobody else's"
        assert "⏳ Runs" in room.ask("alice", f"status {goes_on}")
        killed(world, server)
    room.say("alice", f"interrupt {goes_on}")
    assert "exit code 130" in room.hear("alice")
    assert [one["data"]["approved"] for one in world.records("approval.answered")] == [False, True, True]
    assert not world.records("approval.withdrawn")


def test_a_yes_that_was_not_used_before_a_kill_is_not_used_after_it(world: World, server: Server, room: Room) -> None:
    """What was approved, and not done because the shell was elsewhere by then, is not done by the next sidecar."""
    assert "exit code 0" in room.ask("alice", "run true in session dev wait 5s")
    id_ = asked(room.ask("alice", "run touch late in session dev"))
    assert id_ in room.ask("bob", "pending")
    assert "exit code 0" in room.ask("alice", "run cd build in session dev wait 5s")
    room.say("bob", f"approve {id_}")
    assert "❌" in "".join(room._lines.readline() for _ in range(2))
    killed(world, server)
    assert "say it again" in room.ask("alice", f"status {id_}")
    assert not list(world.project.rglob("late"))


def test_a_choice(world: World, room: Room) -> None:
    """The options of a question, by number or by text; a wrong one is none."""
    agent = world.agent()
    number = agent.ask("Which region?", options=["eu", "us"])
    until(lambda: world.records("approval.opened"))
    (id_,) = re.findall(r"status ([0-9A-Z]{6})", room.ask("bob", "pending"))
    shown = room.ask("bob", f"status {id_}")
    assert "Which region?" in shown
    assert "2. us" in shown
    assert "say which option" in room.ask("bob", f"approve {id_} 3")
    assert "Approved" in room.ask("bob", f"approve {id_} US")
    assert agent.hear(number)["data"]["choice"] == "us"


def test_the_command(world: World, server: Server) -> None:
    """`tmux-agent chat`: a line as arguments, many through a pipe, blocks of several lines, JSON, and exit codes."""
    assert world.serves(server)

    def chat(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        env = {**world.environ, "TMUX_AGENT_CHAT_TOKEN": TOKEN}
        argv = [world.command, "chat", *words]
        return subprocess.run(argv, input=typed, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)

    one = chat("--sender", "alice", "--", "run", "echo", "one", "wait", "5s")
    assert (one.returncode, one.stdout.count("one")) == (0, 2)
    many = chat("--sender", "alice", typed="run ```\necho two\necho three\n``` wait 5s\n\nrun false wait 5s\n")
    assert "two\nthree" in many.stdout
    assert "exit code 1" in many.stdout
    assert many.returncode == 1
    assert "did you mean" in chat("--sender", "alice", "--", "rnu", "ls").stdout
    told = chat("--sender", "carol", "--json", typed="list sessions\nrun id\n")
    answers = [json.loads(line) for line in told.stdout.splitlines()]
    assert [answer["did"] for answer in answers] == ["sessions", "refused"]
    assert told.returncode == 3
    assert chat("--sender", "mallory", "--", "help").returncode == 3
    nobody = chat("--sender", "", "--", "help")
    assert nobody.returncode == 1
    assert "params.sender" in nobody.stderr, "nobody is not the one whose program it is"
    broken = chat("--sender", "alice", "--", "run echo \udcff")
    assert "not UTF-8" in broken.stderr
    assert broken.stdout == ""
    asked_for = subprocess.Popen(
        [world.command, "chat", "--sender", "alice", "--follow", "--", "run touch made wait 5s"], text=True,
        env={**world.environ, "TMUX_AGENT_CHAT_TOKEN": TOKEN}, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert asked_for.stdout
    id_ = asked(asked_for.stdout.readline())
    assert "Approved" in chat("--sender", "bob", typed=f"pending\napprove {id_}\n").stdout
    assert "exit code 0" in asked_for.communicate(timeout=PATIENCE)[0]
    assert asked_for.returncode == 0
    assert chat("--sender", "alice", "--", "help").returncode == 0
    plain = world.agent_command("chat", "--sender", "alice", "--", "help")
    assert "its token is not the one" in plain.stderr
