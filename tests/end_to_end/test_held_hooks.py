"""Hooks of every agent that wait for a person, with the real relay and the real sidecar, when something dies.

No agent is left waiting past its time, and nothing is let through that nobody said yes to. The input is what was
recorded of each agent; the next agent needs a line in HELD.
"""

from __future__ import annotations

import contextlib
import json
import resource
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.edges.adapters.calls import CORPUS
from tests.edges.adapters.test_every_adapter import YES
from tests.patience import PATIENCE
from tests.plugin.terminal import Server
from tests.sidecar import Peer, Sidecar, sidecar, until

from tmux_agent.core.hooks import HookReply
from tmux_agent.edges import hook_command
from tmux_agent.edges.adapters import ADAPTERS

pytestmark = pytest.mark.timeout(400)

# The hook of each that waits while a person is asked, and its recorded input.
HELD = {
    "claude": ("PermissionRequest", "PermissionRequest-Bash"),
    "codex": ("PreToolUse", "PreToolUse-Bash"),
    "gemini": ("BeforeTool:0123456789abcdef", "BeforeTool-run_shell_command"),
    "opencode": ("tool.before", "tool.before-bash"),
    "cursor": ("preToolUse", "preToolUse-Shell"),
}
EACH = pytest.mark.parametrize("agent", HELD)
RULE = """
  - name: held for a person
    when: {command: [hold, ...]}
    verdict: ask
"""


class Held(Sidecar):
    """A sidecar whose policy asks about one program, and relays as agents start them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        policy = self.config / "policy.yaml"
        policy.write_text(policy.read_text().rstrip() + RULE)
        self.program("hold", "#!/bin/sh\n")
        self.relays: list[subprocess.Popen[bytes]] = []

    def data(self, agent: str) -> bytes:
        """What the agent writes to its hook's stdin: it wants to run `hold it` here."""
        text = (CORPUS / agent / f"{HELD[agent][1]}.json").read_text().replace("/home/u/shop", str(self.root))
        said = json.loads(text)
        (said.get("tool_input") or said["args"])["command"] = "hold it"
        return json.dumps(said).encode()

    def relay(self, agent: str, data: bytes | None = None, event: str = "") -> subprocess.Popen[bytes]:
        """Its hook, begun; with another input or of another name where given."""
        event = event or HELD[agent][0]
        process = subprocess.Popen(
            shlex.split(hook_command.line(hook_command.interpreter(), hook_command.relay(), agent, event)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self.environ, cwd=self.root, start_new_session=True,
        )  # fmt: skip
        self.relays.append(process)
        assert process.stdin
        with contextlib.suppress(BrokenPipeError):  # it reads no more of what is too long
            process.stdin.write(self.data(agent) if data is None else data)
            process.stdin.close()
        process.stdin = None
        return process

    def passed(self, agent: str, process: subprocess.Popen[bytes]) -> bool:
        """Whether the agent was told to let it run; waits for the end of the hook."""
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        call = ADAPTERS[agent].parse(HELD[agent][0], self.data(agent))
        return YES[agent](call, HookReply(out.decode()))

    def close(self) -> None:
        for process in self.relays:
            process.kill()
            process.communicate()
        super().close()


@pytest.fixture
def one() -> Iterator[Held]:
    with sidecar(Held) as found:
        yield found.start()


class Person:
    """An operator."""

    def __init__(self, one: Sidecar) -> None:
        self._hears, self._asks = one.operator(), one.operator()
        self._hears.call("events.subscribe", {"types": ["approval.opened", "approval.withdrawn"]})

    def hears(self, type: str) -> Any:
        while (event := self._hears.reply()["params"])["type"] != type:
            pass
        return event

    def hears_of(self, relay: subprocess.Popen[bytes]) -> Any:
        """The one question that is open while this hook waits."""
        until(lambda: self.pending() or relay.poll() is not None)
        (approval,) = self.pending()
        return approval

    def pending(self) -> list[Any]:
        found: list[Any] = self._asks.call("human.pending")["approvals"]
        return found

    def answers(self, approval: Any, approved: bool = True) -> dict[str, Any]:
        digest = approval.get("digest") or approval["data"]["digest"]
        params = {"request_id": approval["request_id"], "digest": digest, "approved": approved}
        return self._asks.request("human.respond", params)


def test_every_agent_is_covered() -> None:
    """The next one says which hook of it waits."""
    assert set(HELD) == set(ADAPTERS)


@EACH
@pytest.mark.parametrize("approved", [True, False])
def test_a_person_answers(one: Held, agent: str, approved: bool) -> None:
    """So that all below is about something: a yes is a yes, a no is none."""
    person, relay = Person(one), one.relay(agent)
    assert "result" in person.answers(person.hears("approval.opened"), approved)
    assert one.passed(agent, relay) is approved


def test_the_sidecar_dies_and_stays_away(one: Held) -> None:
    """Every hook ends by itself, soon, and none with a yes."""
    person = Person(one)
    relays = {agent: one.relay(agent) for agent in HELD}
    for _ in relays:
        person.hears("approval.opened")
    one.kill()
    assert [agent for agent, relay in relays.items() if one.passed(agent, relay)] == []


def test_the_sidecar_dies_and_comes_back(one: Held) -> None:
    """Each hook finds its own question again, nothing is asked twice, and the answer reaches its agent."""
    person = Person(one)
    agents = [agent for agent in HELD if agent != "codex"]  # which lets a hook wait for 25 s only
    relays = {agent: one.relay(agent) for agent in agents}
    for _ in relays:
        person.hears("approval.opened")
    one.kill()
    one.start()
    person = Person(one)
    waiting = person.pending()
    assert len(waiting) == len(relays)
    no = waiting[0]["request_id"]
    for approval in waiting:
        assert "result" in person.answers(approval, approval["request_id"] != no)
    passed = [agent for agent, relay in relays.items() if one.passed(agent, relay)]
    assert len(passed) == len(relays) - 1
    assert sum(record["type"] == "approval.opened" for record in one.records()) == len(relays)


@EACH
def test_a_relay_that_is_killed(one: Held, agent: str) -> None:
    """Its question goes, and an answer that comes after is told so and lets nothing run."""
    person, relay = Person(one), one.relay(agent)
    opened = person.hears("approval.opened")
    relay.send_signal(signal.SIGKILL)
    assert person.hears("approval.withdrawn")["request_id"] == opened["request_id"]
    late = person.answers(opened)
    assert "withdrawn" in late["error"]["message"] or "not waiting" in late["error"]["message"], late
    again = one.relay(agent)
    reopened = person.hears("approval.opened")
    assert reopened["request_id"] != opened["request_id"]
    assert "result" in person.answers(reopened, False)
    assert not one.passed(agent, again)


@EACH
def test_a_hook_that_fires_twice(one: Held, agent: str) -> None:
    """Two questions; one yes lets one pass."""
    person = Person(one)
    first, second = one.relay(agent), one.relay(agent)
    questions = [person.hears("approval.opened") for _ in range(2)]
    assert "result" in person.answers(questions[0], True)
    assert "result" in person.answers(questions[1], False)
    assert sorted([one.passed(agent, first), one.passed(agent, second)]) == [False, True]


def bad(one: Held, agent: str) -> dict[str, bytes]:
    """What no hook of this agent should write, by kind."""
    good = one.data(agent)
    other = next(name for name in HELD if name != agent)
    return {
        "empty": b"",
        "truncated": good[: len(good) // 2],
        "not JSON": b"hold it",
        "of another agent": one.data(other),
        "two": good + good,
        "40 MB": good.replace(b"hold it", b"hold " + b"x" * 40_000_000),  # over what is read at all
    }


@EACH
@pytest.mark.parametrize("kind", ["empty", "truncated", "not JSON", "of another agent", "two", "40 MB"])
def test_bad_input(one: Held, agent: str, kind: str) -> None:
    """The hook ends by itself without a yes, and the sidecar goes on as before. (What another agent wrote may be read
    as what it means: then a person is asked, who says no.)"""
    person = Person(one)
    relay = one.relay(agent, bad(one, agent)[kind])
    until(lambda: relay.poll() is not None or person.pending())
    for approval in person.pending():
        assert kind == "of another agent"
        person.answers(approval, False)
    assert not one.passed(agent, relay)
    assert not any(record["type"] == "approval.answered" and record["data"]["approved"] for record in one.records())
    good = one.relay(agent)
    assert "result" in person.answers(person.hears_of(good), True)
    assert one.passed(agent, good)


@EACH
def test_ten_megabytes(one: Held, agent: str) -> None:
    """They are read, and not let through by being long: judged, or asked about and denied."""
    person = Person(one)
    relay = one.relay(agent, one.data(agent).replace(b"hold it", b"hold " + b"x" * 10_000_000))
    until(lambda: relay.poll() is not None or person.pending())
    for approval in person.pending():
        person.answers(approval, False)
    assert not one.passed(agent, relay)


@EACH
def test_a_hook_of_a_future_version(one: Held, agent: str) -> None:
    """An event that nobody knows yet, with members that nobody knows: nothing is told, and nothing is held up."""
    said = json.loads(one.data(agent)) | {"new_member": {"a": [1]}, "hook_event_name": "FutureEvent"}
    relay = one.relay(agent, json.dumps(said).encode(), "FutureEvent")
    out, _ = relay.communicate(timeout=PATIENCE)
    assert (relay.returncode, out) == (0, b"")


@EACH
def test_a_full_disk(one: Held, agent: str) -> None:
    """What cannot be recorded is no yes: neither the answer that came then, nor a hook that comes then."""
    person, waiting = Person(one), one.relay(agent)
    opened = person.hears("approval.opened")
    assert one.process
    unlimited = resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    assert "error" in person.answers(opened)
    late = one.relay(agent)
    if agent not in ("claude", "codex", "opencode"):  # these are left to their own rules and dialogs: on_unavailable
        assert not one.passed(agent, late)
    else:
        late.communicate(timeout=PATIENCE)
    assert waiting.poll() is None
    resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, unlimited)
    until(lambda: "result" in person.answers(opened, False))
    assert not one.passed(agent, waiting)


@EACH
def test_a_second_sidecar_takes_nothing_over(one: Held, agent: str) -> None:
    """It does not start beside the first one, whose hooks go on waiting."""
    person, relay = Person(one), one.relay(agent)
    opened = person.hears("approval.opened")
    first = one.process
    assert one.spawn() is None
    one.process = first
    assert "result" in person.answers(opened)
    assert one.passed(agent, relay)


@EACH
def test_tmux_and_the_agent_are_killed(one: Held, agent: str, tmp_path: Path) -> None:
    """Its pane and the agent in it are gone, its hook in a session of its own is not: the question goes, unanswered."""
    name = {"cursor": "cursor-agent"}.get(agent, agent)
    hook = hook_command.line(hook_command.interpreter(), hook_command.relay(), agent, HELD[agent][0])
    (tmp_path / "input").write_bytes(one.data(agent))
    # By its name that is the agent: a shell that starts a hook as agents do, and waits for it.
    one.program(name, f"#!/bin/sh\nsetsid {hook} <{tmp_path}/input >{tmp_path}/output 2>/dev/null &\nwait\nexec cat\n")
    person = Person(one)
    environ = one.environ | {"HOME": str(one.folder / "home")}
    with Server("", env=environ) as server:
        server.run("new-session", "-d", "-s", "main", "-c", str(one.root))
        attach(one.agent(), server)
        server.run("new-window", "-d", "-t", "main:", "-c", str(one.root), str(one.bin / name))
        opened = person.hears("approval.opened")
        assert opened["origin"]["agent"] == ADAPTERS[agent].AGENT
        server.run("kill-server", check=False)
    assert person.hears("approval.withdrawn")["request_id"] == opened["request_id"]
    assert "error" in person.answers(opened)


def attach(peer: Peer, server: Server) -> None:
    """As the plugin does: the sidecar looks at this tmux from now on."""
    peer.call("tmux.attach", {"socket": server.socket})
