"""opencode's plugin, run by node with a stand-in for opencode on one side and one for the sidecar on the other."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE

from tmux_agent.edges import hook_command
from tmux_agent.edges.adapters import opencode_setup

NODE = shutil.which("node")
HOST = Path(__file__).with_name("opencode_host.mjs")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is missing (it comes with npm)")


class Relay:
    """A relay that asks. `answer` ends it; `gone`: it ended without."""

    def __init__(self, params: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.event: str = params["event"]
        self.input: dict[str, Any] = json.loads(params["input"])
        self._reader, self._writer = reader, writer

    def answer(self, said: Any = None) -> None:
        stdout = "" if said is None else said if isinstance(said, str) else json.dumps(said)
        data = {"stdout": stdout, "stderr": "", "exit_code": 0}
        line = {"id": 1, "result": {"request_id": "1", "timestamp": "", "data": data}}
        self._writer.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    async def gone(self) -> None:
        assert await self._reader.read() == b""
        self._writer.close()


class Host:
    """Both ends. `call` calls a hook; `heard` is the next relay, `posted` what opencode is told in-process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._relays: asyncio.Queue[Relay] = asyncio.Queue()
        self._posted: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._results: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = iter(range(1, 10_000))
        self._server: asyncio.Server | None = None

    async def start(self, kind: str, relay: str = "", python: str = "") -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.folder / "s", limit=64 << 20)
        plugin = self.folder / "tmux-agent.mjs"
        text = opencode_setup.plugin(python or hook_command.interpreter(), relay or hook_command.relay())
        plugin.write_text(text)
        places = {"TMUX_AGENT_SOCKET": str(self.folder / "s"), "TMUX_AGENT_STATE_DIR": str(self.folder)}
        assert NODE
        pipe = asyncio.subprocess.PIPE
        words = (NODE, str(HOST), str(plugin), kind)
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder)} | places
        self.node = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, env=environ, limit=64 << 20)
        first = await self._line()
        assert "tool.execute.before" in first["hooks"]
        self._reading = asyncio.create_task(self._read())

    async def close(self) -> None:
        assert self.node.stdin
        assert self._server
        self.node.stdin.close()
        self._reading.cancel()
        if self.node.returncode is None:
            self.node.kill()
        await self.node.wait()
        self._server.close()

    def stop_listening(self) -> None:
        assert self._server
        self._server.close()
        (self.folder / "s").unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        params = json.loads(await reader.readline())["params"]
        assert params["agent"] == "opencode"
        self._relays.put_nowait(Relay(params, reader, writer))

    async def _line(self) -> dict[str, Any]:
        assert self.node.stdout
        found: dict[str, Any] = json.loads(await self.node.stdout.readline())
        return found

    async def _read(self) -> None:
        while True:
            said = await self._line()
            assert "unhandled" not in said, said
            if "posted" in said:
                self._posted.put_nowait(said["posted"])
            else:
                self._results.pop(said["id"]).set_result(said)

    def call(self, hook: str, *given: Any) -> asyncio.Future[dict[str, Any]]:
        number = next(self._numbers)
        self._results[number] = asyncio.get_running_loop().create_future()
        line = {"id": number, "hook": hook, "input": given[0], "output": given[1] if len(given) > 1 else None}
        assert self.node.stdin
        self.node.stdin.write(json.dumps(line).encode() + b"\n")
        return self._results[number]

    def before(self, args: Any, call: str = "c1", session: str = "ses_1", tool: str = "bash") -> Any:
        return self.call("tool.execute.before", {"tool": tool, "sessionID": session, "callID": call}, {"args": args})

    async def event(self, kind: str, **properties: Any) -> None:
        await self.call("event", {"event": {"type": kind, "properties": properties}})

    async def asked(self, call: str | None = "c1", permission: str = "bash", request: str = "per_1") -> None:
        tool = {"tool": {"messageID": "msg_1", "callID": call}} if call else {}
        more = {"patterns": ["ls"], "metadata": {"command": "ls"}, "always": ["ls *"]}
        await self.event(
            "permission.asked", id=request, sessionID="ses_1", permission=permission, **more, **tool
        )  # fmt: skip

    async def heard(self, event: str) -> Relay:
        found = await asyncio.wait_for(self._relays.get(), PATIENCE)
        assert found.event == event
        return found

    def silent(self) -> bool:
        return self._relays.empty() and self._posted.empty()

    async def posted(self) -> dict[str, Any]:
        return await asyncio.wait_for(self._posted.get(), PATIENCE)


def run(
    test: Callable[[Host], Coroutine[Any, Any, None]],
    kind: str = "",
    relay: str | Callable[[Path], str] = "",
    python: str = "",
) -> None:
    async def whole() -> None:
        with tempfile.TemporaryDirectory(prefix="ta-oc-", ignore_cleanup_errors=True) as name:
            host = Host(Path(name))
            await host.start(kind, relay if isinstance(relay, str) else relay(Path(name)), python)
            try:
                await asyncio.wait_for(test(host), PATIENCE * 2)
            finally:
                await host.close()

    asyncio.run(whole())


def script(text: str) -> Callable[[Path], str]:
    """A relay that does this instead of asking."""

    def write(folder: Path) -> str:
        (folder / "hook_relay.py").write_text(text)
        return str(folder / "hook_relay.py")

    return write


# --- before a tool -----------------------------------------------------------------------------------


def test_a_deny_stops_the_tool_with_its_reason() -> None:
    """The sidecar hears which use it is, and the model what the sidecar says."""

    async def test(host: Host) -> None:
        result = host.before({"command": "ls"})
        relay = await host.heard("tool.before")
        assert relay.input == {
            "sessionID": "ses_1", "subagent": "", "directory": "/home/u/shop", "tool": "bash", "callID": "c1",
            "args": {"command": "ls"}, "servers": [],
        }  # fmt: skip
        relay.answer({"decision": "deny", "reason": "tmux-agent: not today"})
        assert (await result)["refused"] == "tmux-agent: not today"

    run(test)


@pytest.mark.parametrize("said", [None, {"decision": "ask", "reason": "x"}, {"decision": "later"}, {}])
def test_no_opinion_leaves_it_to_opencode(said: Any) -> None:
    """Silence, and what is no decision, changes nothing; opencode's own question is asked elsewhere."""

    async def test(host: Host) -> None:
        result = host.before({"command": "ls"})
        (await host.heard("tool.before")).answer(said)
        assert (await result)["output"] == {"args": {"command": "ls"}}
        await host.asked()
        assert (await host.heard("permission.asked")).input["args"] == {"command": "ls"}

    run(test)


def test_an_edit_is_handed_over_in_place() -> None:
    """opencode runs the very object that it showed the plugin: members go and come in it."""

    async def test(host: Host) -> None:
        result = host.before({"command": "ls", "workdir": "x"})
        (await host.heard("tool.before")).answer({"decision": "allow", "args": {"command": "ls -l"}})
        assert (await result)["output"] == {"args": {"command": "ls -l"}}

    run(test)


def test_one_yes_is_enough() -> None:
    """What was allowed before the tool answers opencode's questions about that use, all of them."""

    async def test(host: Host) -> None:
        result = host.before({"command": "ls"})
        (await host.heard("tool.before")).answer({"decision": "allow"})
        await result
        await host.asked()
        await host.asked(permission="external_directory", request="per_2")
        for request in ("per_1", "per_2"):
            posted = await host.posted()
            assert posted["path"] == {"requestID": request}
            assert posted["url"] == "/permission/{requestID}/reply"
            assert posted["body"] == {"reply": "once"}
        assert host.silent()

    run(test)


def test_a_yes_is_for_that_use_only() -> None:
    """Another id, no id, an id that is used twice, a use that is over: each is asked about."""

    async def test(host: Host) -> None:
        async def allowed(call: str) -> None:
            result = host.before({"command": "ls"}, call)
            (await host.heard("tool.before")).answer({"decision": "allow"})
            await result

        await allowed("c1")
        await host.asked("c2")
        assert "args" not in (await host.heard("permission.asked")).input
        await host.asked(None, "doom_loop", "per_2")
        assert (await host.heard("permission.asked")).input["permission"] == "doom_loop"
        await allowed("c3")
        await allowed("c3")
        await host.asked("c3", request="per_3")
        await host.heard("permission.asked")
        await host.call("tool.execute.after", {"tool": "bash", "sessionID": "ses_1", "callID": "c1"}, {})
        await host.asked("c1", request="per_4")
        await host.heard("permission.asked")
        assert host.silent()

    run(test)


def test_helpers_and_servers_are_named() -> None:
    """A session that another began is its helper, also where nobody told; MCP tools come with their servers."""

    async def test(host: Host) -> None:
        result = host.before({"a": 1}, session="ses_helper", tool="my_slow_wait")
        relay = await host.heard("tool.before")
        assert (relay.input["sessionID"], relay.input["subagent"]) == ("ses_1", "ses_helper")
        assert relay.input["servers"] == ["my.slow"]
        relay.answer()
        await result

    run(test)


def test_many_at_once_are_judged_one_after_the_other() -> None:
    """No use slips by where very many are asked about: the next is judged when one is answered."""

    async def test(host: Host) -> None:
        results = [host.before({"command": f"echo {n}"}, f"c{n}") for n in range(40)]
        relays = [await host.heard("tool.before") for _ in range(32)]
        assert not any(result.done() for result in results)
        for relay in relays:
            relay.answer({"decision": "deny", "reason": "no"})
        for _ in range(8):
            (await host.heard("tool.before")).answer({"decision": "deny", "reason": "no"})
        assert [await result for result in results]
        assert all(result.result()["refused"] == "tmux-agent: no" for result in results)

    run(test)


@pytest.mark.parametrize("kind", ["session.idle", "session.error"])
def test_an_interrupted_use_does_not_run(kind: str) -> None:
    """Esc while it waits: its relay ends, and the tool is refused whatever comes."""

    async def test(host: Host) -> None:
        result = host.before({"command": "ls"})
        relay = await host.heard("tool.before")
        await host.event(kind, sessionID="ses_1", error={"name": "MessageAbortedError"})
        await relay.gone()
        assert "not judged" in (await result)["refused"]

    run(test)


def test_an_interruption_before_anybody_is_asked_counts() -> None:
    """Esc at the very moment, before or after the relay has started: the tool is refused."""

    async def test(host: Host) -> None:
        result = host.before({"command": "ls"})
        await host.event("session.error", sessionID="ses_1", error={"name": "MessageAbortedError"})
        assert "interrupted" in (await result)["refused"]

    run(test)


# --- where nobody answers ----------------------------------------------------------------------------


@pytest.mark.parametrize("configured", ["ask", "deny"])
def test_a_sidecar_that_is_away(configured: str) -> None:
    """As configured: refused, or left to opencode's own permissions."""

    async def test(host: Host) -> None:
        (host.folder / "on_unavailable").write_text(configured + "\n")
        host.stop_listening()
        found = await host.before({"command": "ls"})
        assert ("away" in found.get("refused", "")) is (configured == "deny")

    run(test)


@pytest.mark.parametrize("configured", ["ask", "deny"])
@pytest.mark.parametrize(("relay", "python"), [("/nowhere/hook_relay.py", ""), ("", "/nowhere/python3")])
def test_an_installation_that_is_gone(configured: str, relay: str, python: str) -> None:
    """Our files were removed and the plugin left: the same, and what to do is said."""

    async def test(host: Host) -> None:
        (host.folder / "on_unavailable").write_text(configured + "\n")
        found = await host.before({"command": "ls"})
        assert ("tmux-agent setup opencode" in found.get("refused", "")) is (configured == "deny")
        await host.event("session.status", sessionID="ses_1", status={"type": "busy"})

    run(test, relay=relay, python=python)


@pytest.mark.parametrize("does", [
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "print('{')",
    "print('[1')",
    "print('7')",
    "raise SystemExit(1)",
    "print('{\"decision\":\"allow\"}', flush=True); raise SystemExit(3)",
    "import sys; sys.stdout.write('x' * (41 << 20))",
])  # fmt: skip
def test_a_relay_that_breaks_lets_nothing_pass(does: str) -> None:
    """Killed, half an answer, no object, too much: the tool is refused, opencode goes on."""

    async def test(host: Host) -> None:
        assert "it was not judged" in (await host.before({"command": "ls"}))["refused"]
        await host.event("session.status", sessionID="ses_1", status={"type": "busy"})

    run(test, relay=script(does))


def test_a_killed_relay_is_no_yes() -> None:
    """Somebody ends the relay while a person is asked: refused."""

    async def test(host: Host) -> None:
        result = host.before({"command": "ls"})
        pid = int((await host.heard("tool.before")).input["args"] and (host.folder / "pid").read_text())
        os.kill(pid, signal.SIGTERM)
        assert "not judged" in (await result)["refused"]

    real = Path(hook_command.relay())
    text = f"import os, runpy, sys\nopen(os.environ['HOME'] + '/pid', 'w').write(str(os.getpid()))\n" \
           f"sys.argv[0] = {str(real)!r}\nrunpy.run_path({str(real)!r}, run_name='__main__')\n"  # fmt: skip
    run(test, relay=script(text))


def test_an_input_that_is_too_large_is_refused() -> None:
    """Over 32 MiB nobody can judge it."""

    async def test(host: Host) -> None:
        assert "too large" in (await host.before({"command": "x" * (33 << 20)}))["refused"]

    run(test)


def test_a_client_of_another_form_breaks_nothing() -> None:
    """Where opencode tells nothing about itself, tools are still judged."""

    async def test(host: Host) -> None:
        result = host.before({"command": "ls"}, tool="my_slow_wait")
        relay = await host.heard("tool.before")
        assert (relay.input["sessionID"], relay.input["servers"]) == ("ses_1", [])
        relay.answer({"decision": "deny", "reason": "no"})
        assert (await result)["refused"] == "tmux-agent: no"
        await host.asked("c9")
        (await host.heard("permission.asked")).answer({"reply": "once"})

    run(test, "broken")


@pytest.mark.parametrize("properties", [{}, {"info": None}, {"sessionID": 7, "status": None}, {"tool": 3, "id": []}])
def test_events_of_another_form_break_nothing(properties: dict[str, Any]) -> None:
    """A newer opencode says something else: passed over."""

    async def test(host: Host) -> None:
        for kind in ("permission.replied", "session.status", "session.created", "session.error", "constructor", "x"):
            await host.event(kind, **properties)
        result = host.before({"command": "ls"})
        while (relay := await asyncio.wait_for(host._relays.get(), PATIENCE)).event != "tool.before":
            relay.answer()
        relay.answer()
        assert "refused" not in await result

    run(test)


# --- opencode's own dialog ---------------------------------------------------------------------------


@pytest.mark.parametrize("said", [{"reply": "once"}, {"reply": "reject", "message": "tmux-agent: no"}])
def test_an_answer_from_elsewhere_is_given_in_process(said: dict[str, str]) -> None:
    """yes and no reach opencode as its own dialog's answer would."""

    async def test(host: Host) -> None:
        await host.asked()
        (await host.heard("permission.asked")).answer(said)
        posted = await host.posted()
        assert (posted["path"], posted["body"]) == ({"requestID": "per_1"}, said)

    run(test)


def test_an_older_opencode_is_answered_as_it_takes_it() -> None:
    """The new address is not there: the public one is tried."""

    async def test(host: Host) -> None:
        await host.asked()
        (await host.heard("permission.asked")).answer({"reply": "once"})
        await host.posted()
        assert await host.posted() == {
            "path": {"id": "ses_1", "permissionID": "per_1"}, "body": {"response": "once"}
        }  # fmt: skip

    run(test, "old")


@pytest.mark.parametrize("said", [None, {"reply": "always"}, {"decision": "allow"}, "{"])
def test_silence_leaves_the_dialog(said: Any) -> None:
    """Nothing that is not exactly a yes or a no answers it."""

    async def test(host: Host) -> None:
        await host.asked()
        (await host.heard("permission.asked")).answer(said)
        await host.asked(request="per_2")
        (await host.heard("permission.asked")).answer({"reply": "once"})
        assert (await host.posted())["path"] == {"requestID": "per_2"}
        assert host.silent()

    run(test)


def test_an_answer_in_opencode_is_told_first_and_then_ends_the_relay() -> None:
    """So that the sidecar knows that it was answered, not that it was interrupted."""

    async def test(host: Host) -> None:
        await host.asked()
        waiting = await host.heard("permission.asked")
        await host.event("permission.replied", sessionID="ses_1", requestID="per_1", reply="once")
        told = await host.heard("permission.replied")
        assert told.input["callID"] == "c1"
        told.answer()
        await waiting.gone()
        assert host.silent()

    run(test)


def test_a_no_in_opencode_ends_the_turn_as_refused() -> None:
    """Its next rest is no result; the one after that is one again."""

    async def test(host: Host) -> None:
        await host.asked()
        waiting = await host.heard("permission.asked")
        await host.event("permission.replied", sessionID="ses_1", requestID="per_1", reply="reject")
        (await host.heard("permission.replied")).answer()
        await waiting.gone()
        for type_, refused in (("idle", True), ("busy", False), ("idle", False)):
            await host.event("session.status", sessionID="ses_1", status={"type": type_})
            told = await host.heard("session.status")
            assert (told.input["status"]["type"], told.input["refused"]) == (type_, refused)
            told.answer()

    run(test)


def test_a_question_is_answered() -> None:
    """The chosen option goes to the question tool."""

    async def test(host: Host) -> None:
        questions = [{"question": "Which?", "header": "W", "options": [{"label": "A", "description": ""}]}]
        await host.event("question.asked", id="que_1", sessionID="ses_1", questions=questions)
        relay = await host.heard("question.asked")
        assert relay.input["questions"] == questions
        relay.answer({"answers": [["A"]]})
        posted = await host.posted()
        assert (posted["url"], posted["body"]) == ("/question/{requestID}/reply", {"answers": [["A"]]})

    run(test)


# --- states ------------------------------------------------------------------------------------------


def test_states_are_told_once_and_in_order() -> None:
    """opencode says busy many times and idle twice; helpers' states are nobody's."""

    async def test(host: Host) -> None:
        await host.event("session.created", info={"id": "ses_1"})
        for session in ("ses_1", "ses_1", "ses_helper"):
            await host.event("session.status", sessionID=session, status={"type": "busy"})
        await host.event("session.error", sessionID="ses_1", error={"name": "APIError", "data": {"message": "m"}})
        await host.event("session.status", sessionID="ses_1", status={"type": "idle"})
        await host.event("session.idle", sessionID="ses_1")
        await host.event("session.status", sessionID="ses_1", status={"type": "busy"})
        await host.event("session.created", info={"id": "ses_2", "parentID": "ses_1"})
        await host.event("session.idle", sessionID="ses_1")
        await host.event("session.created", info={"id": "ses_3"})
        said = []
        for _ in range(7):
            relay = await asyncio.wait_for(host._relays.get(), PATIENCE)
            said.append((relay.event, relay.input.get("status", {}).get("type") or relay.input.get("name")))
            relay.answer()
        assert said == [
            ("session.created", None), ("session.status", "busy"), ("session.error", "APIError"),
            ("session.status", "busy"), ("session.status", "idle"), ("session.deleted", None),
            ("session.created", None),
        ]  # fmt: skip
        assert host.silent()

    run(test)
