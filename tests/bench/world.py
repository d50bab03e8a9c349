"""What measurements share: a sidecar of their own, a tmux server with the plugin, an asker, rows of the table.

Owns that everything measured is real (processes, sockets, tmux clients) and ends with its `World`. Must not own: what
is measured, bounds. What asks runs in a session of its own: who asks may not answer, and the terminals are ours.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from tests.patience import PATIENCE
from tests.plugin.terminal import Server

ROOT = Path(__file__).resolve().parents[2]
CONF = (  # the sidecar is our own child, not the plugin's, so that its use of the machine can be read
    "set -g status-right-length 60\nset -g status-right '[#{tmux_agent}]'\n"
    "set -g @tmux-agent-command '/bin/true'\n"
    f"run-shell '{ROOT}/tmux-agent.tmux'\n"
)


class Row(Struct, frozen=True, kw_only=True):
    """One line of the table. `held` is None where there is no bound."""

    name: str
    floor: str = "–"
    ours: str
    ratio: str = "–"
    bound: str = "–"
    held: bool | None = None


def against(name: str, floor: float, ours: float, bound: float, unit: float = 1e3, of: str = "ms") -> Row:
    """A row whose bound is a multiple of its floor; seconds are shown times `unit`."""
    ratio = ours / floor
    return Row(
        name=name, floor=f"{floor * unit:.2f} {of}", ours=f"{ours * unit:.2f} {of}", ratio=f"{ratio:.2f}×",
        bound=f"≤ {bound:g}×", held=ratio <= bound,
    )  # fmt: skip


def middle(times: Sequence[float]) -> float:
    """The median: other programs on the machine make some rounds slow, never quick."""
    return statistics.median(times)


class World:
    """One sidecar in a folder of its own; with `tmux`, one tmux server that it serves."""

    def __init__(self, *, tmux: bool = False, settings: Mapping[str, str] | None = None) -> None:
        self.folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="ta-bench-", dir="/tmp")))
        self.socket = self.folder / "s"
        self.project = self.folder / "project"
        home = self.folder / "home"
        home.mkdir(mode=0o700)
        foreign = ("TMUX", "XDG_", "GIT_", "CLAUDE")
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
            "HOME": str(home),
            "TMUX_AGENT_SOCKET": str(self.socket),
            "TMUX_AGENT_STATE_DIR": str(self.folder / "state"),
            "LC_ALL": "C.UTF-8",
            **(settings or {}),
        }
        self._make_project()
        self.tmux = Server(CONF, env=self.environ) if tmux else None
        self.sidecar: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> World:
        # The roots of what is judged come from the asking process's own folder.
        self._before = os.getcwd()
        os.chdir(self.project)
        try:
            if self.tmux:
                self.tmux.run("new-session", "-d", "-s", "bench", "-x", "120", "-y", "40", "-c", str(self.project))
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make_project(self) -> None:
        self.project.mkdir()
        (self.project / "README").write_text("A project.\n")
        subprocess.run(["git", "init", "-q", str(self.project)], env=self.environ, check=True)

    def _start(self) -> None:
        readable, writable = os.pipe()
        argv = [sys.executable, "-P", "-m", "tmux_agent", "sidecar", "run"]
        argv += ["--tmux", self.tmux.socket] if self.tmux else []
        with (self.folder / "log").open("wb") as log:
            self.sidecar = subprocess.Popen(
                argv, env={**self.environ, "TMUX_AGENT_READY_FD": str(writable)}, pass_fds=(writable,),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
            )  # fmt: skip
        os.close(writable)
        with os.fdopen(readable, "rb", buffering=0) as pipe:
            ready = select.select([pipe], [], [], PATIENCE)[0] and pipe.read(1)
        if not ready:
            raise RuntimeError(f"the sidecar did not start:\n{(self.folder / 'log').read_text()[-4000:]}")

    @property
    def pid(self) -> int:
        """Of the sidecar."""
        assert self.sidecar
        return self.sidecar.pid

    def connect(self) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.connect(str(self.socket))
        return peer

    def asker(self) -> Asker:
        return Asker(self.environ, self.project)

    def close(self) -> None:
        os.chdir(self._before)
        if self.sidecar:
            self.sidecar.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.sidecar.wait(PATIENCE)
            if self.sidecar.poll() is None:
                self.sidecar.kill()
                self.sidecar.wait()
        if self.tmux:  # after the sidecar, which would be started again for a server that is going
            self.tmux.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Asker:
    """A process that asks a person when it is told to, and says when it asked and when it was answered (asker.py)."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        argv = [sys.executable, str(Path(__file__).with_name("asker.py"))]
        self._process = subprocess.Popen(
            argv, env=dict(environ), cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            start_new_session=True,
        )  # fmt: skip
        self._hear()

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def _tell(self, words: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(words + "\n")

    def _hear(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the asker ended")
        return line.strip()

    def put(self, prompt: str) -> None:
        """Ask and go on."""
        self._tell(f"put {prompt}")

    def ask(self, prompt: str) -> None:
        """Ask and wait for the answer."""
        self._tell(f"ask {prompt}")

    def when(self) -> float:
        """For `put`: just before it was sent. For `ask`: when the answer was there. By time.perf_counter."""
        return float(self._hear())
