"""The hook relay, as an agent runs it: a process of its own, its stdin, what it prints."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE

from tmux_agent.edges import hook_command

INPUT = b'{"tool_name":"Bash","tool_input":{"command":"ls\\n\\"x\\""}}\n'
ANSWER = {"stdout": '{"a":"\\u00fc \\"exit_code\\":2 \\n"}\n', "stderr": "w\u00f6rter\n", "exit_code": 0}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, for sockets."""
    with tempfile.TemporaryDirectory(prefix="ta-") as name:
        yield Path(name)


def start(folder: Path, event: str = "PreToolUse", agent: str = "claude", **environ: str) -> subprocess.Popen[bytes]:
    command = [hook_command.interpreter(), "-I", "-S", hook_command.relay(), agent, event]
    places = {"HOME": str(folder), "TMUX_AGENT_SOCKET": str(folder / "s")} | environ
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=places)


def relay(folder: Path, event: str = "PreToolUse", data: bytes = INPUT, **environ: str) -> tuple[int, str, str]:
    process = start(folder, event, **environ)
    out, err = process.communicate(data, timeout=PATIENCE)
    return process.returncode, out.decode(), err.decode()


def reply(data: dict[str, Any]) -> bytes:
    line = {"id": 1, "result": {"request_id": "1", "timestamp": "t", "data": data}, "jsonrpc": "2.0"}
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def error(code: int) -> bytes:
    return json.dumps({"id": None, "error": {"code": code, "message": "no"}}, separators=(",", ":")).encode() + b"\n"


class Sidecar:
    """Answers one connection after the other with what `answers` gives; b"" closes without a word."""

    def __init__(self, path: Path, *answers: bytes | Callable[[], bytes]) -> None:
        self.lines: list[bytes] = []
        self._answers = answers
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            link, _ = self._socket.accept()
            with link, link.makefile("rb") as lines:
                self.lines.append(lines.readline())
                link.sendall(answer if isinstance(answer, bytes) else answer())
        self._socket.close()

    def params(self, at: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.lines[at])["params"]
        return found


def asked(out: str) -> str:
    found: str = json.loads(out)["hookSpecificOutput"]["permissionDecision"]
    return found


def test_it_hands_over_and_gives_back(folder: Path) -> None:
    """The input arrives as it was, the answer is printed as it was sent."""
    sidecar = Sidecar(folder / "s", reply(ANSWER))
    assert relay(folder) == (0, ANSWER["stdout"], ANSWER["stderr"])
    params = sidecar.params()
    assert (params["agent"], params["event"]) == ("claude", "PreToolUse")
    assert json.loads(params["input"]) == json.loads(INPUT)
    assert len(params["relay_id"]) == 32


def test_silence_and_exit_codes(folder: Path) -> None:
    """An empty answer prints nothing; an exit code is passed on; members that are left out are empty."""
    nothing = {"stdout": "", "stderr": "", "exit_code": 0}
    Sidecar(folder / "s", reply(nothing), reply({"stderr": "no\n", "exit_code": 2}))
    assert relay(folder) == (0, "", "")
    assert relay(folder) == (2, "", "no\n")


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"TMUX_AGENT_SOCKET": "", "XDG_RUNTIME_DIR": "{}/run"}, "run/tmux-agent.sock"),
        ({"TMUX_AGENT_SOCKET": "{}/nowhere", "XDG_RUNTIME_DIR": "{}/run"}, "run/tmux-agent.sock"),
        ({"TMUX_AGENT_SOCKET": "{}/nowhere", "TMUX_AGENT_STATE_DIR": "{}/run"}, "else"),
        ({"TMUX_AGENT_SOCKET": "", "XDG_STATE_HOME": "{}/xdg"}, "else"),
        ({"TMUX_AGENT_SOCKET": "", "HOME": "{}/home"}, "else"),
        ({"TMUX_AGENT_SOCKET": "{}/" + "x" * 200, "HOME": "{}/home"}, "else"),
    ],
)
def test_where_the_sidecar_is_looked_for(folder: Path, environ: dict[str, str], place: str) -> None:
    """TMUX_AGENT_SOCKET, the runtime folder, then the pointer in the state folder, wherever that is."""
    for state in ("run", "xdg/tmux-agent", "home/.local/state/tmux-agent"):
        (folder / state).mkdir(parents=True)
        (folder / state / "socket").write_text(f"{folder}/else\n")
    Sidecar(folder / place, reply(ANSWER))
    filled = {name: value.format(folder) for name, value in environ.items()}
    assert relay(folder, **filled)[1] == ANSWER["stdout"]


@pytest.mark.parametrize("configured", [None, "ask", "deny", "allow", "\x00nonsense"])
def test_away(folder: Path, configured: str | None) -> None:
    """Nobody there: said on stderr, answered with what is configured, and never an allow."""
    if configured is not None:
        (folder / "on_unavailable").write_text(configured + "\n")
    code, out, err = relay(folder, TMUX_AGENT_STATE_DIR=str(folder))
    assert code == 0
    assert asked(out) == ("deny" if configured == "deny" else "ask")
    assert "the sidecar is away" in err


@pytest.mark.parametrize(("agent", "event", "said"), [
    ("codex", "PreToolUse", {"ask": None, "deny": "permissionDecision"}),
    ("gemini", "BeforeTool", {"ask": "decision", "deny": "decision"}),
    ("gemini", "BeforeTool:0123456789abcdef", {"ask": "decision", "deny": "decision"}),
    ("opencode", "tool.before", {"ask": None, "deny": "decision"}),
    ("gemini", "Notification", {"ask": None, "deny": None}),
    ("cursor", "preToolUse", {"ask": "permission", "deny": "permission"}),
    ("cursor", "beforeShellExecution", {"ask": "permission", "deny": "permission"}),
    ("cursor", "postToolUse", {"ask": None, "deny": None}),
])  # fmt: skip
@pytest.mark.parametrize("configured", ["ask", "deny"])
def test_each_agent_is_told_in_its_own_form(
    folder: Path, agent: str, event: str, said: dict[str, str | None], configured: str
) -> None:
    """Away, an agent that knows no "ask" hears nothing then; a deny is said to each at the hook before a tool."""
    (folder / "on_unavailable").write_text(configured + "\n")
    process = start(folder, event, agent, TMUX_AGENT_STATE_DIR=str(folder))
    out, err = process.communicate(INPUT, timeout=PATIENCE)
    assert b"the sidecar is away" in err
    member = said[configured]
    found = json.loads(out) if out else {}
    found = found.get("hookSpecificOutput", found)
    assert found.get(member) == (configured if member else None)
    assert bool(out) is (member is not None)


@pytest.mark.parametrize("event", ["PostToolUse", "Stop", "SessionEnd"])
def test_away_at_other_events(folder: Path, event: str) -> None:
    """What only tells something has nothing to answer."""
    code, out, err = relay(folder, event)
    assert (code, out) == (0, "")
    assert "away" in err


def test_a_restart_is_waited_for(folder: Path) -> None:
    """The connection ends without an answer: the same question is asked again, under the same id."""
    sidecar = Sidecar(folder / "s", b"", error(-32009), b'{"id":1,"resu', reply(ANSWER))
    assert relay(folder, "PermissionRequest")[1] == ANSWER["stdout"]
    assert len(set(sidecar.lines)) == 1
    assert len(sidecar.lines) == 4


@pytest.mark.parametrize("code", [-32700, -32600, -32602, -32603])
def test_a_refusal_is_ask(folder: Path, code: int) -> None:
    """What the sidecar cannot take is asked at once, not taken for a sidecar that is away."""
    sidecar = Sidecar(folder / "s", error(code))
    (folder / "on_unavailable").write_text("deny")
    _, out, err = relay(folder, TMUX_AGENT_STATE_DIR=str(folder))
    assert asked(out) == "ask"
    assert "did not judge" in err
    assert len(sidecar.lines) == 1


def test_large_input(folder: Path) -> None:
    """32 MiB are handed over whole."""
    sidecar = Sidecar(folder / "s", reply(ANSWER))
    data = b'{"x":"' + b"a\\n" * 11_184_807 + b'"}'
    data = data[:-2] + b"b" * ((32 << 20) - len(data)) + data[-2:]
    assert len(data) == 32 << 20
    assert relay(folder, data=data)[1] == ANSWER["stdout"]
    assert sidecar.params()["input"].encode() == data


def test_too_large_input(folder: Path) -> None:
    """One byte more is ask, whatever is configured, and the agent can write it to the end."""
    Sidecar(folder / "s", reply(ANSWER))
    code, out, err = relay(folder, data=b"x" * (40 << 20))
    assert (code, asked(out)) == (0, "ask")
    assert "32 MiB" in err


@pytest.mark.parametrize("data", [b"", b"\x00\x01\n\n\r\t\x1f", b'"}, {"x":', b"\\", b"{\n}\n"])
def test_broken_input_stays_one_line(folder: Path, data: bytes) -> None:
    """Whatever is on stdin, one well-formed request goes out and nothing breaks out of its string."""
    sidecar = Sidecar(folder / "s", reply(ANSWER))
    assert relay(folder, data=data)[1] == ANSWER["stdout"]
    assert set(sidecar.params()) == {"agent", "event", "relay_id", "input"}


def test_binary_input_is_the_sidecars_to_refuse(folder: Path) -> None:
    """Bytes that are no text are sent as they are; the framing refuses them, which is ask."""
    sidecar = Sidecar(folder / "s", error(-32600))
    assert asked(relay(folder, data=b"\xff\xfe")[1]) == "ask"
    assert b"\xff\xfe" in sidecar.lines[0]


def test_sigterm_ends_it(folder: Path) -> None:
    """The agent ends its hook: the connection closes at once, without an answer."""
    here, closed = threading.Event(), threading.Event()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "s"))
    listener.listen()

    def serve() -> None:
        link, _ = listener.accept()
        with link, link.makefile("rb") as lines:
            lines.readline()
            here.set()
            if not link.recv(1):
                closed.set()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    process = start(folder, "PermissionRequest")
    assert process.stdin
    process.stdin.write(INPUT)
    process.stdin.close()
    assert here.wait(PATIENCE)
    process.send_signal(signal.SIGTERM)
    assert closed.wait(PATIENCE)
    assert process.wait(PATIENCE) == -signal.SIGTERM
    for stream in (process.stdout, process.stderr):
        assert stream
        assert stream.read() == b""
        stream.close()
    thread.join(PATIENCE)
    listener.close()


def test_it_imports_only_what_is_compiled_in() -> None:
    """Every import costs each tool call of each agent: none may read a file, `os` and `json` included."""
    code = (
        "import sys; before = set(sys.modules); sys.argv = ['x', 'claude', 'Stop']\n"
        f"exec(compile(open({hook_command.relay()!r}).read().split('def from_state')[0], 'relay', 'exec'))\n"
        "print(sorted(set(sys.modules) - before))"
    )
    out = subprocess.run(
        [hook_command.interpreter(), "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert set(json.loads(out.stdout.replace("'", '"'))) <= {"_socket", "_json", "posix", "time"}
    assert len(Path(hook_command.relay()).read_text().splitlines()) <= 90
    assert os.path.isabs(hook_command.relay())


@pytest.mark.parametrize("answer", [b"", error(-32600), error(-32603)])
@pytest.mark.parametrize(("agent", "event", "member"), [
    ("opencode", "tool.before", "decision"), ("cursor", "preToolUse", "permission"),
])  # fmt: skip
def test_nothing_runs_that_was_not_read(folder: Path, agent: str, event: str, member: str, answer: bytes) -> None:
    """Some agents run what nobody forbids: what the sidecar had in hand, or could not take, is denied."""
    sidecar = Sidecar(folder / "s", answer, error(-32600))
    process = start(folder, event, agent, TMUX_AGENT_STATE_DIR=str(folder))
    out, _ = process.communicate(INPUT, timeout=PATIENCE)
    assert json.loads(out)[member] == "deny"
    assert sidecar.params()["agent"] == agent


def codex(folder: Path, data: bytes = INPUT) -> str:
    """What Codex is told before a tool runs: "deny", or "" for silence, which lets it run."""
    process = start(folder, "PreToolUse", "codex", TMUX_AGENT_STATE_DIR=str(folder))
    out, _ = process.communicate(data, timeout=PATIENCE)
    return asked(out.decode()) if out else ""


def test_codex_runs_nothing_that_was_not_read(folder: Path) -> None:
    """It cannot be told "ask": what is too large, refused, or lost with a sidecar that had it in hand is denied."""
    assert codex(folder, b"x" * (40 << 20)) == "deny"
    Sidecar(folder / "s", error(-32602), b"")
    assert codex(folder) == "deny"
    assert codex(folder) == "deny"


def test_codex_without_a_sidecar_is_left_to_itself(folder: Path) -> None:
    """Nobody there from the start: its own rules and its sandbox, unless a deny is configured."""
    assert codex(folder) == ""
    (folder / "on_unavailable").write_text("deny\n")
    assert codex(folder) == "deny"
