"""The server as a process: methods, roles, rates, subscriptions, where it listens, what stops and reloads it."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.sidecar import Peer, Sidecar, sidecar, until

from tmux_agent.core import protocol, replies
from tmux_agent.core.model import Origin
from tmux_agent.edges.admission import ACTS


@pytest.fixture(scope="module")
def running() -> Iterator[Sidecar]:
    """One for the module; a test that stops it uses `own`."""
    with sidecar() as one:
        yield one.start()


@pytest.fixture
def own() -> Iterator[Sidecar]:
    """One of the test's own, not started yet."""
    with sidecar() as one:
        yield one


@pytest.fixture
def agent(running: Sidecar) -> Iterator[Peer]:
    one = running.agent()
    yield one
    one.close()


def pending(peer: Peer, count: int = 1) -> list[dict[str, Any]]:
    """What waits, once so many do."""
    while len(found := peer.call("human.pending")["approvals"]) != count:
        pass
    return list(found)


def answer(operator: Peer, approval: dict[str, Any], approved: bool = True, **more: Any) -> dict[str, Any]:
    params = {"request_id": approval["request_id"], "digest": approval["digest"], "approved": approved, **more}
    return operator.request("human.respond", params)


# --- methods ---------------------------------------------------------------------------------------


def strict(method: str, data: Any, kind: Any = None) -> Any:
    """The data as its type, and nothing in it that the type does not know."""
    value = msgspec.convert(data, kind or replies.REPLIES[method], strict=False)
    assert {field.encode_name for field in msgspec.structs.fields(value)} >= set(data), "a member that is not declared"
    return value


def test_every_method_has_params_and_a_reply() -> None:
    """The tables of the protocol name the same methods."""
    assert protocol.METHODS.keys() == replies.REPLIES.keys()
    assert set(protocol.METHODS.values()) >= protocol.OPERATOR_ONLY | protocol.KEYED | protocol.ONCE
    assert not protocol.KEYED & protocol.ONCE


def test_every_method_that_hello_names_is_answered(running: Sidecar) -> None:
    """Called without params, each gives its data or a named error; none is declared and not answered. What an agent
    would be asked about first is called by a person."""
    for method in running.agent().call("hello")["methods"]:
        if method == "cancel":
            continue
        peer = running.operator() if protocol.METHODS[method] in ACTS else running.agent()
        reply = peer.request(method)
        if "error" in reply:
            kind = reply["error"]["data"]["kind"]
            assert kind in {"invalid_params", "forbidden", "unavailable", "not_found"}, reply
        else:
            strict(method, reply["result"]["data"])
        peer.close()


def test_replies_are_their_types(running: Sidecar) -> None:
    """What each method gives decodes as its Struct, with no member left over."""
    agent, operator = running.agent(), running.operator()
    path = str(running.root / "file")
    done = {
        "hello": {},
        "health": {},
        "file.write": {"path": path, "content": "one\n"},
        "file.edit": {"path": path, "old_text": "one", "new_text": "two"},
        "file.read": {"path": path},
        "file.copy": {"source": path, "destination": path + "2"},
        "file.delete": {"path": path + "2"},
        "file.list": {"path": str(running.root)},
        "command.run": {"command": "allowed", "args": ["typed"]},
        "command.allowed": {},
        "human.ask_async": {"prompt": "typed?"},
        "human.pending": {},
        "plan.create": {"name": "n", "steps": ["a", "b"]},
        "plan.list": {},
        "judge": {"action": {"type": "shell", "text": "ls -l", "cwd": ""}},
        "hook.event": {"agent": "claude", "event": "Stop", "input": "{}"},
        "policy.check": {"shell": "ls -l"},
        "grant.list": {},
        "agent.register": {"name": "typed"},
        "agent.state": {"state": "working"},
        "agent.list": {},
        "events.subscribe": {},
    }
    values = {method: strict(method, agent.call(method, params)) for method, params in done.items()}
    plan = {"plan_id": values["plan.create"].plan_id}
    for method, more in {
        "plan.update": {"step": 1, "notes": "x"},
        "plan.get": {},
        "plan.advance": {},
        "plan.abort": {},
    }.items():
        strict(method, agent.call(method, plan | more))
    strict("human.status", agent.call("human.status", {"request_id": values["human.ask_async"].request_id}))
    strict("command.run", agent.call("command.run", {"command": "ls", "dry_run": True}), replies.DryRun)
    (waits,) = pending(operator)
    strict("human.respond", answer(operator, waits)["result"]["data"])
    for method in ("policy.reload", "audit.query", "audit.verify"):
        strict(method, operator.call(method))


def test_relative_folders_are_the_callers_own(agent: Peer, running: Sidecar) -> None:
    """A relative path means the folder that the kernel names, whatever way the action is written."""
    agent.call("file.write", {"path": "relative", "content": "x"})
    assert (running.root / "relative").read_text() == "x"
    action = {"type": "file", "verb": "write", "path": "relative", "content": "y"}
    assert agent.call("policy.check", {"action": action})["verdict"] == "allow"


@pytest.mark.parametrize(
    ("method", "params", "kind"),
    [
        ("command.run", {"command": "nc", "args": ["x"]}, "denied"),
        ("command.run", {"command": "allowed", "timeout": -1}, "invalid_params"),
        ("human.status", {"request_id": "nothing"}, "not_found"),
        ("human.ask", {"prompt": "x", "timeout_secs": 0.05}, "expired"),
        ("human.ask", {"prompt": "x" * 20_000}, "invalid_params"),
        ("human.ask", {"prompt": "x", "options": ["x"] * 51}, "invalid_params"),
        ("human.ask", {"prompt": "x", "timeout_secs": 0}, "invalid_params"),
        ("file.edit", {"path": "no-such-file", "old_text": "a", "new_text": "b"}, "not_found"),
        ("tmux.sessions", {}, "unavailable"),
        ("tmux.attach", {"socket": "/no/such"}, "invalid_params"),
        ("hook.event", {"agent": "nobody", "event": "x", "input": ""}, "invalid_params"),
        ("policy.check", {}, "invalid_params"),
        ("plan.get", {"plan_id": "x"}, "not_found"),
    ],
)
def test_errors_are_of_their_kind(agent: Peer, method: str, params: dict[str, Any], kind: str) -> None:
    """Each failure has the kind that protocol.md gives it, a sentence, and our id of the request."""
    error = agent.error(method, params)
    assert error["data"]["kind"] == kind
    assert error["message"]
    assert len(error["data"]["request_id"]) == 26


# --- roles -----------------------------------------------------------------------------------------

OPERATORS = {
    "human.respond": {"request_id": "x", "digest": "x", "approved": True},
    "policy.reload": {},
    "grant.revoke": {"grant_id": "x"},
    "link.show": {"request_id": "x"},
    "link.rotate": {},
    "agent.resume": {"target": "x"},
    "audit.query": {},
    "audit.verify": {},
    "popup.attach": {"nonce": "x", "columns": 80, "rows": 24},
    "queue.log": {"task": "x"},
    "sidecar.stop": {},
}


def test_agents_cannot_do_what_operators_do(own: Sidecar) -> None:
    """Each try is refused, recorded under its method, and a warning."""
    own.start()
    agent = own.agent()
    for method, params in OPERATORS.items():
        assert agent.error(method, params)["data"]["kind"] == "forbidden", method
    until(lambda: {one["data"]["method"] for one in own.records() if one["type"] == "refused"} == set(OPERATORS))
    assert any("operator" in warning for warning in agent.call("health")["warnings"])
    assert {protocol.METHODS[name] for name in OPERATORS} == protocol.OPERATOR_ONLY


def test_who_asks_cannot_answer(running: Sidecar) -> None:
    """A terminal that has asked is an asker from then on."""
    operator = running.operator()
    assert operator.call("hello")["origin"]["role"] == "operator"
    operator.call("human.ask_async", {"prompt": "myself?"})
    (waits,) = pending(operator)
    assert answer(operator, waits)["error"]["data"]["kind"] == "forbidden"
    assert "result" in answer(running.operator(), waits)


def test_a_name_is_no_question(running: Sidecar) -> None:
    """The command line gives its name, and goes on to be a person's at a person's terminal; an agent stays one."""
    operator = running.operator()
    operator.call("agent.register", {"name": "resume"})
    assert "result" in operator.request("policy.reload")
    operator.call("human.ask_async", {"prompt": "myself?"})
    assert operator.error("policy.reload")["data"]["kind"] == "forbidden"
    agent = running.agent()
    agent.call("agent.register", {"name": "person"})
    assert agent.error("policy.reload")["data"]["kind"] == "forbidden"
    (waits,) = pending(running.operator())
    assert "result" in answer(running.operator(), waits)


def test_who_has_become_an_asker_sees_its_own(own: Sidecar) -> None:
    """What a connection was when it began does not count: a list is of what its peer may see now."""
    connect = own.start().connector(at_terminal=True)
    looks, asks = own.peer(connect()), own.peer(connect())
    own.agent().call("human.ask_async", {"prompt": "somebody else's"})
    pending(looks)
    assert "others" not in looks.call("human.pending")
    asks.call("human.ask_async", {"prompt": "mine"})
    found = looks.call("human.pending")
    assert found["others"] == 1
    assert [one["action"]["prompt"] for one in found["approvals"]] == ["mine"]


def test_an_answer_is_bound_to_what_was_shown(running: Sidecar) -> None:
    """Another digest is a conflict, a second answer too; the asker gets the first, with its comment."""
    agent, operator = running.agent(), running.operator()
    number = agent.start("human.ask", {"prompt": "which?", "options": ["a", "b"]})
    (waits,) = pending(operator)
    assert answer(operator, waits | {"digest": "0" * 64}, choice="a")["error"]["data"]["kind"] == "conflict"
    assert "result" in answer(operator, waits, choice="b", comment="because")
    assert answer(operator, waits, approved=False)["error"]["data"]["kind"] == "conflict"
    data = agent.reply_to(number)["result"]["data"]
    assert (data["approved"], data["choice"], data["comment"]) == (True, "b", "because")


def test_an_agent_sees_its_own(running: Sidecar) -> None:
    """What others wait for is counted, not shown."""
    one, other = running.agent(), running.agent()
    before = other.call("human.pending").get("others", 0)
    number = one.start("human.ask", {"prompt": "mine"})
    pending(one)
    found = other.call("human.pending")
    assert (found["approvals"], found["others"]) == ([], before + 1)
    one.send(b'{"jsonrpc":"2.0","method":"cancel","params":{"id":%d}}\n' % number)
    one.reply_to(number)


# --- limits ----------------------------------------------------------------------------------------


def test_rates(own: Sidecar) -> None:
    """Over a rate: -32007, and the connection stays; another origin has its own."""
    own.start(TMUX_AGENT_LIMITS_ASKS_BURST="2", TMUX_AGENT_LIMITS_REQUESTS_PER_SECOND="50")
    agent, other = own.agent(), own.agent()
    replies = [agent.request("human.ask_async", {"prompt": "x"}) for _ in range(3)]
    assert [reply.get("error", {}).get("code") for reply in replies] == [None, None, -32007]
    numbers = [agent.start("hello") for _ in range(200)]
    refused = [reply for reply in (agent.reply() for _ in numbers) if "error" in reply]
    assert {reply["error"]["code"] for reply in refused} == {-32007}
    assert 50 < len(refused) < 200
    assert other.call("hello")


def test_pending_of_one_origin(own: Sidecar) -> None:
    """No more questions may wait than the limit; a cancelled one makes room."""
    own.start(TMUX_AGENT_LIMITS_PENDING_PER_ORIGIN="2")
    agent = own.agent()
    numbers = [agent.start("human.ask", {"prompt": f"{n}"}) for n in range(3)]
    assert agent.reply()["error"]["data"]["kind"] == "limit"
    pending(agent, 2)
    agent.send(b'{"jsonrpc":"2.0","method":"cancel","params":{"id":%d}}\n' % numbers[0])
    agent.reply_to(numbers[0])
    assert agent.call("human.ask_async", {"prompt": "room"})


# --- subscriptions ---------------------------------------------------------------------------------


def test_events_are_told_and_told_again(running: Sidecar) -> None:
    """First the reply, then what happens; with `since`, what happened before, each with its number, none twice."""
    agent, operator = running.agent(), running.operator()
    begun = operator.call("events.subscribe", {"types": ["approval.opened", "approval.withdrawn"]})
    agent.start("human.ask", {"prompt": "told"})
    first = operator.reply()
    agent.close()
    second = operator.reply()
    assert [one["params"]["type"] for one in (first, second)] == ["approval.opened", "approval.withdrawn"]
    assert begun["seq"] < first["params"]["seq"] < second["params"]["seq"]
    for one in (first, second):
        value = msgspec.convert(one["params"], replies.EventData, strict=False)
        assert value.request_id == first["params"]["request_id"]
        assert isinstance(value.origin, Origin)
    late = running.operator()
    late.start("events.subscribe", {"since": begun["seq"], "types": ["approval.opened", "approval.withdrawn"]})
    assert "result" in late.reply()
    assert [late.reply(), late.reply()] == [first, second]


def test_events_of_others_are_not_told_to_agents(running: Sidecar) -> None:
    """An agent hears of what is its own, and of agents' states."""
    one, other = running.agent(), running.agent()
    one.call("events.subscribe")
    other.call("human.ask_async", {"prompt": "secret"})
    other.call("agent.state", {"state": "working"})
    one.start("human.ask_async", {"prompt": "mine"})
    heard: list[dict[str, Any]] = []
    while not heard or heard[-1]["type"] != "approval.opened":
        heard.append(one.reply().get("params", {"type": "reply"}))
    assert heard[-1]["data"]["action"]["prompt"] == "mine"
    assert any(event["type"] == "agent.state" for event in heard)
    assert "secret" not in json.dumps(heard)


def test_subscriptions_are_counted(running: Sidecar, agent: Peer) -> None:
    """One connection holds so many and no more."""
    found = [agent.request("events.subscribe", {"types": ["none"]}) for _ in range(17)]
    assert [("error" in reply) for reply in found] == [False] * 16 + [True]
    assert found[-1]["error"]["data"]["kind"] == "limit"


# --- where it listens ------------------------------------------------------------------------------


def test_the_socket_is_the_users_alone(running: Sidecar) -> None:
    """Mode 0600, and a state folder of 0700."""
    assert running.socket.stat().st_mode & 0o777 == 0o600
    assert running.state.stat().st_mode & 0o777 == 0o700


def test_a_second_sidecar_is_refused(running: Sidecar) -> None:
    """The state folder has one sidecar; the message says which."""
    found = subprocess.run(
        [sys.executable, "-P", "-m", "tmux_agent", "sidecar", "run"],
        env=running.environ,
        capture_output=True,
        text=True,
    )
    assert running.process is not None
    assert found.returncode == 1
    assert f"pid {running.process.pid}, socket {running.socket}" in found.stderr


def test_a_live_socket_is_never_taken(running: Sidecar, own: Sidecar) -> None:
    """A sidecar of another state folder does not steal the path, however it is told to."""
    assert own.spawn(TMUX_AGENT_SOCKET=str(running.socket)) is None
    assert "another sidecar" in own.log.read_text()
    assert running.agent().call("hello")


def test_a_stale_socket_is_taken_over(own: Sidecar) -> None:
    """What a killed sidecar left is replaced; a file that is no socket is left alone, and said."""
    own.start()
    own.kill()
    assert own.socket.is_socket()
    own.start()
    assert own.agent().call("hello")
    own.stop()
    assert not own.socket.exists()
    own.socket.write_text("mine")
    assert own.spawn() is None
    assert "no socket" in own.log.read_text()
    assert own.socket.read_text() == "mine"


def test_it_binds_again_where_its_path_has_gone(own: Sidecar) -> None:
    """The socket's path, and its whole folder, may vanish: it is there again, and open connections never noticed."""
    runtime = own.folder / "run"
    runtime.mkdir(mode=0o700)
    own.socket = runtime / "s"
    own.environ["TMUX_AGENT_SOCKET"] = str(own.socket)
    peer = own.start().connect()
    own.socket.unlink()
    until(lambda: connects(own.socket))
    own.socket.unlink()
    runtime.rmdir()
    until(lambda: connects(own.socket))
    assert peer.call("hello")


def test_the_runtime_folder_goes_and_comes_back(own: Sidecar) -> None:
    """While XDG_RUNTIME_DIR is away the spare socket serves, and the pointer says so; it goes home afterwards."""
    del own.environ["TMUX_AGENT_SOCKET"]
    runtime = own.folder / "run"
    own.environ["XDG_RUNTIME_DIR"] = str(runtime)
    own.start()
    spare, pointer = own.state / "tmux-agent.sock", own.state / "socket"
    assert connects(spare)
    assert pointer.read_text() == f"{spare}\n"
    for _ in range(2):
        runtime.mkdir(mode=0o700)
        until(lambda: connects(runtime / "tmux-agent.sock"))
        until(lambda: pointer.read_text() == f"{runtime / 'tmux-agent.sock'}\n")
        (runtime / "tmux-agent.sock").unlink()
        runtime.rmdir()
        until(lambda: connects(spare))


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as peer:
        return peer.connect_ex(str(path)) == 0


def test_bad_places_are_refused_with_a_reason(own: Sidecar) -> None:
    """A path that is too long, a symlink, a folder that others write to, no folder: each says what and what to do."""
    link, wide, file = own.folder / "link", own.folder / "wide", own.folder / "file"
    link.symlink_to(own.root)
    wide.mkdir()
    wide.chmod(0o777)
    file.write_text("")
    places = {
        own.folder / ("x" * 120) / "s": "bytes, more than",
        link / "s": "symbolic link",
        file / "s": "not a folder",
    }
    for path, says in (places | {wide / "s": "others may write", wide / "a" / "s": "others may replace"}).items():
        own.log.write_text("")
        assert own.spawn(TMUX_AGENT_SOCKET=str(path)) is None, path
        said = own.log.read_text()
        assert says in said
        assert "TMUX_AGENT_SOCKET" in said


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make folders of others")
def test_folders_of_others_are_refused(own: Sidecar) -> None:
    """XDG_RUNTIME_DIR of somebody else is not used."""
    other = own.folder / "other"
    other.mkdir(mode=0o700)
    os.chown(other, 12345, 12345)
    del own.environ["TMUX_AGENT_SOCKET"]
    assert own.spawn(XDG_RUNTIME_DIR=str(other)) is None
    assert "belongs to uid 12345" in own.log.read_text()


# --- stop, reload, trouble -------------------------------------------------------------------------


def test_sigterm_drains(own: Sidecar) -> None:
    """What runs ends and is answered; what waits for a person waits on, unanswered; the exit code is 0."""
    own.program("slow", '#!/bin/sh\necho started >> "${0%/*}/effects"\nread line < "${0%/*}/go"\necho done\n')
    os.mkfifo(own.bin / "go")
    text = (own.config / "policy.yaml").read_text().replace("[allowed, ...]", "[[allowed, slow], ...]")
    (own.config / "policy.yaml").write_text(text)
    agent = own.start().agent()
    asked = agent.start("human.ask", {"prompt": "waits"})
    runs = agent.start("command.run", {"command": "slow"})
    until(lambda: own.effects() == ["started"])
    pending(agent)
    own.signal(signal.SIGTERM)
    until(lambda: not own.socket.exists())
    with (own.bin / "go").open("w") as go:
        go.write("go\n")
    reply = agent.reply()
    assert (reply["id"], reply["result"]["data"]["stdout"]) == (runs, "done\n"), asked
    assert agent.closed
    assert own.wait() == 0
    (waits,) = pending(own.start().operator())
    assert waits["action"]["prompt"] == "waits"
    assert [one["type"] for one in own.records()].count("sidecar.stopped") == 1


def test_an_operator_may_stop_it(own: Sidecar) -> None:
    """sidecar.stop is answered, then it ends."""
    assert own.start().operator().call("sidecar.stop") == {}
    assert own.wait() == 0


def test_configuration_is_read_again(own: Sidecar) -> None:
    """Saved, or by SIGHUP; with an error the last good one stays, and health says where it is wrong."""
    own.start()
    agent = own.agent()
    check = {"action": {"type": "command", "argv": ["nc", "x"], "cwd": "/"}}
    policy = own.config / "policy.yaml"
    good = policy.read_text()
    assert agent.call("policy.check", check)["verdict"] == "deny"
    policy.write_text(good.replace("verdict: deny", "verdict: ask"))
    until(lambda: agent.call("policy.check", check)["verdict"] == "ask")
    policy.write_text(good.replace("verdict: deny", "verdict: never"))
    until(lambda: agent.call("health")["status"] == "degraded")
    assert "policy.yaml" in agent.call("health")["warnings"][0]
    assert agent.call("policy.check", check)["verdict"] == "ask"
    policy.write_text(good)
    until(lambda: agent.call("policy.check", check)["verdict"] == "deny")
    (own.config / "config.yaml").write_text("limits: {subscriptions: 0}\n")
    until(lambda: agent.request("events.subscribe").get("error", {}).get("data", {}).get("kind") == "limit")
    (own.config / "config.yaml").write_text("limits: {subscriptoins: 3}\n")
    until(lambda: any("config.yaml" in one for one in agent.call("health").get("warnings", ())))
    assert agent.error("events.subscribe")["data"]["kind"] == "limit"
    (own.config / "config.yaml").unlink()
    own.signal(signal.SIGHUP)
    until(lambda: agent.call("health")["status"] == "ok")


def test_a_full_disk_stops_actions(own: Sidecar) -> None:
    """What cannot be recorded is not done, and says so; what needs no record is answered; afterwards all goes on."""
    own.start()
    agent = own.agent()
    assert own.process is not None
    size = (own.state / "audit.jsonl").stat().st_size
    unlimited = resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    error = agent.error("command.run", {"command": "allowed", "args": ["full"]})
    assert error["data"]["kind"] == "unavailable"
    assert own.effects() == []
    assert agent.call("policy.check", {"shell": "ls -l"})["verdict"] == "allow"
    assert agent.call("health")["status"] == "degraded"
    resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE, unlimited)
    until(lambda: "result" in agent.request("command.run", {"command": "allowed", "args": ["room"]}))
    assert own.effects() == ["room"]
    assert own.operator().call("audit.verify")["ok"]
