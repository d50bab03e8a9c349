"""A person's machine for tests of the plugin: a home, tmux servers with the plugin loaded, the sidecar that it starts,
and agents that ask.

Owns that everything in it is real and ends with it. Nothing here sleeps: every wait is for a screen, a line or a file,
with a bound. The sidecar is started by the plugin alone, through `@tmux-agent-command`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TextIO

import psutil
from tests.patience import PATIENCE
from tests.plugin.terminal import TMUX, Server, Terminal
from tests.sidecar import until

ROOT = Path(__file__).resolve().parents[2]
MARK = "TMUX_AGENT_TEST_WORLD"  # in the environment of all that belongs to a world
ASKS = Path(__file__).with_name("asks.py")
STATUS = "set -g status-interval 0\nset -g status-right-length 80\nset -g status-right '[#{tmux_agent}]'\n"
TOO_SOON = "new under your finger"  # the popup takes no answer to what has just moved there
PREFIX = "\x02"


class World:
    """Use as a context: what it led to is gone after it, whatever happened."""

    def __init__(self, **environ: str) -> None:
        self.folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="ta-", dir="/tmp")))
        self.home = self.folder / "home"
        self.project = self.folder / "shop"
        self.state = self.home / ".local/state/tmux-agent"
        self.config = self.home / ".config/tmux-agent"
        for made in (self.home, self.config, self.folder / "run", self.folder / "bin"):
            made.mkdir(mode=0o700, parents=True)
        self.command = self.folder / "bin" / "tmux-agent"
        self.command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m tmux_agent "$@"\n')
        self.command.chmod(0o755)
        (self.folder / "bin" / "tmux").symlink_to(shutil.which(TMUX) or TMUX)
        self.environ = self._environment(environ)
        self._agents: list[Agent] = []
        self._servers: list[Server] = []
        self.pipes: list[TextIO] = []  # to agents in panes
        self._make_project()

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        foreign = ("TMUX", "XDG_", "GIT_", "CLAUDE", "PYTHON")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {
            **kept,
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "PYTHONPATH": str(ROOT / "sidecar"),
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            MARK: str(self.folder),
            **more,
        }

    def _make_project(self) -> None:
        self.project.mkdir()
        (self.project / "prices.py").write_text("def total(items):\n    return sum(items)\n")
        (self.project / "build").mkdir()
        (self.project / "build" / "old").write_text("old\n")
        self.git("init", "-q", "-b", "feat/login")
        self.git("-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-q", "--allow-empty", "-m", "first")

    def git(self, *argv: str) -> None:
        subprocess.run(["git", *argv], cwd=self.project, env=self.environ, check=True, capture_output=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            self.agent_command("sidecar", "stop")
        for agent in self._agents:
            agent.close()
        for server in self._servers:
            server.close()
        for pipe in self.pipes:
            pipe.close()
        self._end_what_is_left()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_what_is_left(self) -> None:
        left = self.processes()
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, PATIENCE)

    def processes(self) -> list[psutil.Process]:
        """Every process that this world led to, zombies left out."""
        return [one for one in psutil.process_iter() if self._is_ours(one)]

    def _is_ours(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return process.environ().get(MARK) == str(self.folder)
        return False

    # --- tmux ---

    def server(self, config: str = "", *, load: bool = True) -> Server:
        """A tmux server of the person's, with the plugin in its configuration."""
        lines = f"{STATUS}set -g @tmux-agent-command {shlex.quote(str(self.command))}\n{config}"
        lines += f"run-shell {shlex.quote(str(ROOT / 'tmux-agent.tmux'))}\n" if load else ""
        one = Server(lines, env=self.environ)
        self._servers.append(one)
        one.run("new-session", "-d", "-s", "work", "-x", "100", "-y", "30", "-c", str(self.project))
        if load:
            self.serves(one)
        return one

    def serves(self, server: Server) -> int:
        """Waits until a sidecar serves the server; its pid."""
        try:
            until(lambda: self.alive(server))
        except AssertionError:
            raise AssertionError(f"no sidecar serves {server.socket}:\n{self.said()}") from None
        return int(self.alive(server))

    def alive(self, server: Server) -> str:
        return server.run("display-message", "-p", "#{TMUX_AGENT_ALIVE}", check=False)

    def said(self) -> str:
        """What the sidecar's log holds."""
        return "\n".join(log.read_text(errors="replace")[-6000:] for log in sorted(self.state.glob("*.log")))

    # --- agents and the command line ---

    def agent(self, *, name: str = "shop-bot", cwd: Path | None = None) -> Agent:
        """An agent outside of every pane, in a session of its own: who asks may not answer."""
        agent = Agent(self.environ, cwd or self.project, name)
        self._agents.append(agent)
        return agent

    def agent_in(self, server: Server, target: str = "work", **names: str) -> PaneAgent:
        """An agent in a new window of its own."""
        return PaneAgent(self, server, target, **names)

    def agent_command(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        env = {**self.environ, **environ}
        return subprocess.run(
            [self.command, *words], env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def records(self, type_: str = "") -> list[dict[str, Any]]:
        """The audit log, of one type of record if named."""
        lines = (self.state / "audit.jsonl").read_text().splitlines()
        return [one for one in map(json.loads, lines) if not type_ or one["type"] == type_]


class Agent:
    """A program that asks for things at once and hears the answers as they come (asks.py)."""

    def __init__(self, environ: Mapping[str, str], cwd: Path, name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(ASKS), name], env=dict(environ), cwd=cwd, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, bufsize=1, start_new_session=True,
        )  # fmt: skip
        self._number = 0
        self._heard: dict[int, dict[str, Any]] = {}

    def start(self, method: str, **params: Any) -> int:
        """Asks; the number to hear the answer by."""
        self._number += 1
        assert self._process.stdin
        self._process.stdin.write(json.dumps([self._number, method, params]) + "\n")
        return self._number

    def hear(self, number: int) -> dict[str, Any]:
        """The answer: {"data": …} or {"error": …, "kind": …}."""
        while number not in self._heard:
            assert self._process.stdout
            line = self._process.stdout.readline()
            assert line, "the agent ended"
            heard = json.loads(line)
            self._heard[heard["id"]] = heard
        return self._heard[number]

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self.hear(self.start(method, **params))

    def ask(self, prompt: str, **more: Any) -> int:
        return self.start("human.ask", prompt=prompt, **more)

    def run(self, *argv: str, **more: Any) -> int:
        return self.start("command.run", command=argv[0], args=list(argv[1:]), **more)

    def judge(self, text: str) -> int:
        return self.start("judge", action={"type": "shell", "text": text, "cwd": os.fspath(self.cwd)}, wait=True)

    @property
    def cwd(self) -> str:
        return psutil.Process(self._process.pid).cwd()

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


class PaneAgent:
    """The same program in a pane: told through one file, heard through another."""

    def __init__(self, world: World, server: Server, target: str, *, name: str = "pane-bot", window: str = "bot"):
        self._world = world
        stem = world.folder / f"pane-{len(list(world.folder.glob('pane-*.in')))}"
        self._in, self._out = stem.with_suffix(".in"), stem.with_suffix(".out")
        os.mkfifo(self._in)
        shell = f"exec {shlex.join([sys.executable, str(ASKS), name, str(self._out)])} <{shlex.quote(str(self._in))}"
        argv = ("new-window", "-d", "-P", "-F", "#{pane_id} #{window_id}", "-t", f"{target}:", "-n", window)
        argv += ("-c", str(world.project), "/bin/sh", "-c", shell)
        self.pane, self.window = server.run(*argv).split()
        self._pipe = self._in.open("w", buffering=1)
        world.pipes.append(self._pipe)
        self._number = 0

    def start(self, method: str, **params: Any) -> int:
        self._number += 1
        self._pipe.write(json.dumps([self._number, method, params]) + "\n")
        return self._number

    def hear(self, number: int) -> dict[str, Any]:
        def heard() -> list[dict[str, Any]]:
            lines = self._out.read_text().splitlines(keepends=True) if self._out.exists() else []
            return [one for one in (json.loads(line) for line in lines if line.endswith("\n")) if one["id"] == number]

        until(heard)
        return heard()[0]

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self.hear(self.start(method, **params))

    def known(self) -> None:
        """Until the sidecar knows its pane."""
        until(lambda: self.call("hello")["data"]["origin"]["pane"])


# --- the popup, as a person uses it ---


def popup(terminal: Terminal, sign: str = "tmux-agent") -> str:
    """Prefix + A until `sign` is in the popup: a press opens none before the sidecar knows this client, and before the
    former popup's process has ended; one that comes into an open popup does nothing there."""
    return terminal.press_until((PREFIX, "A"), lambda text: "┌" in text and sign in text, f"a popup with {sign!r}")


def no_popup(server: Server, terminal: Terminal) -> None:
    """Presses q until it comes to the pane: whatever lay over it, in whatever state, is gone then."""

    def typed() -> int:
        return server.run("capture-pane", "-p", "-t", "work:").count("q")

    before = typed()
    end = time.monotonic() + PATIENCE
    terminal.press("q")
    while not terminal.sees(lambda _: typed() > before, 0.5):
        assert time.monotonic() < end, f"no q came to the pane; the screen was:\n{terminal.text()}"
        terminal.press("q")


def press(terminal: Terminal, key: str, then: str) -> str:
    """Presses `key` until the popup takes it: what has just moved under the finger is not answered."""
    while True:
        terminal.press(key)
        text = terminal.wait(lambda screen: then in screen or TOO_SOON in screen, what=f"{then!r} after {key!r}")
        if then in text:
            return text
        terminal.press("\x1b[5~")  # any key takes the message away; this one moves nothing
        terminal.wait_gone(TOO_SOON)


def type_line(terminal: Terminal, text: str) -> None:
    """Types a line into the popup's field, sees it there, and presses Enter."""
    terminal.press(text)
    terminal.wait_for(text)
    terminal.press("\r")


def close(terminal: Terminal) -> None:
    """q, until the popup is gone, and the process that held it open, too: before that nothing opens another. Pressed
    again where it is still there: what is typed at a popup that has not painted yet is dropped."""
    terminal.press_until(("q",), lambda text: "┌" not in text and not holds_popup(terminal), "the end of the popup")


def holds_popup(terminal: Terminal) -> bool:
    """Whether a process holds a popup of the sidecar's open on this terminal."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it ended while it was looked at
            words = process.cmdline()
            if "display-popup" in words and terminal.tty in words:
                return True
    return False
