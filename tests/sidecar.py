"""A real sidecar for tests: a process of its own, in a folder of its own, and peers that speak to it by raw lines.

Who a peer is, the kernel says: `agent` connects from a child of this process, `operator` from one at a terminal of its
own. Either hands its connection over to the test, which then speaks for it. Nothing here sleeps: every wait is for an
event, with a bound.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.patience import PATIENCE, pause

ROOT = Path(__file__).parents[1]

POLICY = """
version: 1
roots: ["{root}"]
defaults: {{unmatched: ask, timeout: 300s, on_timeout: deny, on_unavailable: ask}}
rules:
  - name: programs of the test
    when: {{command: [allowed, ...]}}
    verdict: allow
    match: ["allowed x"]
    not_match: ["other x"]
  - name: folders
    when: {{command: [ls], options: [-l], operands: [paths]}}
    verdict: allow
    match: ["ls -l"]
    not_match: ["ls -X"]
  - name: no netcat
    when: {{command: [nc, ...]}}
    verdict: deny
    reason: nothing leaves this machine
    match: ["nc x"]
    not_match: ["ls"]
  - name: files of the test
    when: {{file: [read, list, write, edit, copy, delete], path: ["{root}/**"]}}
    verdict: allow
"""
# Appends its argument and a line end to the file `effects` in its folder.
ALLOWED = '#!/bin/sh\nprintf "%s\\n" "$1" >> "${0%/*}/effects"\n'

# argv: socket. For each byte on descriptor 3 it connects and hands the connection over; ends when 3 is closed.
CONNECTS = """
import socket, sys
with socket.socket(fileno=3) as parent:
    while parent.recv(1):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(sys.argv[1])
            socket.send_fds(parent, [b"x"], [peer.fileno()])
"""


class Peer:
    """A connection, spoken by lines."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.settimeout(PATIENCE)
        self._rest = b""
        self._number = 0

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def start(self, method: str, params: dict[str, Any] | None = None, **more: Any) -> int:
        """Send a request and give its id."""
        self._number += 1
        request = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params or {}, **more}
        self.send(json.dumps(request).encode() + b"\n")
        return self._number

    def line(self) -> bytes:
        """The next line, without its end; b"" at the end of the connection."""
        while b"\n" not in self._rest:
            try:
                chunk = self.socket.recv(1 << 20)
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                return b""
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def line_after(self, data: bytes) -> bytes:
        """The next line after sending something; also where the other end has closed already."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send(data)
        return self.line()

    def reply(self) -> dict[str, Any]:
        """The next reply, error or event."""
        line = self.line()
        assert line, "the connection was closed"
        found: dict[str, Any] = json.loads(line)
        return found

    def reply_to(self, number: int) -> dict[str, Any]:
        while (reply := self.reply()).get("id") != number:
            pass
        return reply

    def request(self, method: str, params: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """A request's whole reply."""
        return self.reply_to(self.start(method, params, **more))

    def call(self, method: str, params: dict[str, Any] | None = None, **more: Any) -> Any:
        """A request's data."""
        reply = self.request(method, params, **more)
        assert "result" in reply, reply
        return reply["result"]["data"]

    def error(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """A request's error."""
        reply = self.request(method, params)
        assert "error" in reply, reply
        found: dict[str, Any] = reply["error"]
        return found

    @property
    def closed(self) -> bool:
        """Waits for the other end to close; what comes before is dropped."""
        while self.line():
            pass
        return True

    def close(self) -> None:
        self.socket.close()


class Sidecar:
    """One sidecar and its folder. Start it, talk to it, kill it, start it again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self.root = folder / "root"
        self.config = folder / "config"
        self.state = folder / "state"
        self.bin = folder / "bin"
        for path in (self.root, self.config, self.bin):
            path.mkdir(mode=0o700)
        (self.config / "policy.yaml").write_text(POLICY.format(root=self.root))
        self.program("allowed", ALLOWED)
        self.environ = {
            "HOME": str(folder / "home"),
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "sidecar"),
            "LC_ALL": "C.UTF-8",
            "TMUX_AGENT_SOCKET": str(self.socket),
            "TMUX_AGENT_STATE_DIR": str(self.state),
            "TMUX_AGENT_CONFIG_DIR": str(self.config),
        }
        (folder / "home").mkdir()
        self.program_file: Path | None = None  # that stands in place of tmux_agent
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "log"
        self._children: list[tuple[int, socket.socket, int | None]] = []
        self._peers: list[Peer] = []

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    # --- life ---

    def start(self, **environ: str) -> Self:
        """Start it and wait until it listens."""
        process = self.spawn(**environ)
        assert process is not None, f"it did not start: {self.log.read_text()}"
        return self

    def spawn(self, **environ: str) -> subprocess.Popen[bytes] | None:
        """The process once it listens; None where it ended instead (its words are in `log`)."""
        readable, writable = os.pipe()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", *([str(self.program_file)] if self.program_file else ["-m", "tmux_agent"]),
                 "sidecar", "run"],
                env={**self.environ, **environ, "TMUX_AGENT_READY_FD": str(writable)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(writable,),
                start_new_session=True,
                cwd=self.root,
            )
        os.close(writable)
        try:
            assert select.select([readable], [], [], PATIENCE)[0], "neither ready nor ended"
            if os.read(readable, 1):
                return self.process
        finally:
            os.close(readable)
        self.process.wait(PATIENCE)
        return None

    def kill(self) -> None:
        """As a crash: SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        for peer in self._peers:
            peer.close()
        for pid, parent, terminal in self._children:
            parent.close()
            if terminal is not None:
                os.close(terminal)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # --- who speaks to it ---

    def connect(self) -> Peer:
        """This very process."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.socket))
        return self.peer(connection)

    def agent(self) -> Peer:
        """A child without a terminal: an agent of its own session."""
        return self.peer(self.connector(at_terminal=False)())

    def operator(self) -> Peer:
        """A child that leads a session at a terminal of its own, outside tmux: a person's."""
        return self.peer(self.connector(at_terminal=True)())

    def connector(self, *, at_terminal: bool) -> Callable[[], socket.socket]:
        """Another process; each call gives a connection that it has made."""
        ours, theirs = socket.socketpair()
        argv = [sys.executable, "-I", "-S", "-c", CONNECTS, str(self.socket)]
        pid, terminal = pty.fork() if at_terminal else (os.fork(), None)
        if pid == 0:
            os.dup2(theirs.fileno(), 3)
            os.closerange(4, 256)
            os.chdir(self.root)
            os.execve(argv[0], argv, self.environ)
        theirs.close()
        self._children.append((pid, ours, terminal))
        ours.settimeout(PATIENCE)

        def connect() -> socket.socket:
            ours.send(b"x")
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
            return socket.socket(fileno=descriptors[0])

        return connect

    def peer(self, connection: socket.socket) -> Peer:
        """A peer on a connection that is closed with this."""
        peer = Peer(connection)
        self._peers.append(peer)
        return peer

    # --- what it wrote ---

    def records(self) -> list[dict[str, Any]]:
        """The audit log."""
        return [json.loads(line) for line in (self.state / "audit.jsonl").read_text().splitlines()]

    def effects(self) -> list[str]:
        """What `allowed` was run with."""
        path = self.bin / "effects"
        return path.read_text().split() if path.exists() else []


S = TypeVar("S", bound=Sidecar)


@contextlib.contextmanager
def sidecar(kind: type[S] = Sidecar) -> Iterator[S]:  # type: ignore[assignment]  # the default of a type variable
    """A sidecar that is not started yet, in a folder with a path short enough for a socket."""
    folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="ta-")))
    one = kind(folder)
    try:
        yield one
    finally:
        one.close()
        shutil.rmtree(folder, ignore_errors=True)


def until(holds: Any) -> None:
    """Look again until it holds: for what happens outside of every connection (files, processes)."""
    assert came(holds, PATIENCE), "it did not happen"


def came(holds: Any, seconds: float) -> bool:
    """Whether it holds within `seconds`. Looked at ever less often: to look may cost a sidecar more than to work."""
    begun = time.monotonic()
    while not holds():
        waited = time.monotonic() - begun
        if waited > seconds:
            return False
        select.select([], [], [], pause(waited))
    return True
