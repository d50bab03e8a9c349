"""All of it, real: tmux with the plugin, the sidecar that it starts, a person's client, Claude Code in a window.

Owns the folder, its processes, and waiting for what a person or the audit log sees. The model is scripted, on loopback.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from tests.end_to_end.real_claude import KEY, PROGRAM
from tests.patience import AGAIN, PATIENCE, pause
from tests.plugin.terminal import Server, Terminal

ROOT = Path(__file__).parents[2]
WAIT = PATIENCE
PREFIX, END, CLEAR_LINE, SUBMIT, PAGE_UP = "\x02", "\x05", "\x15", "\x13", "\x1b[5~"
TOO_SOON = "new under your finger"
LINES = "set -g status-right '[#{tmux_agent}]'\nset -g status-interval 0\nset -g status-right-length 60\n"


class Whole:
    """One such world. `close` ends all of it."""

    hooks = True  # whether the agent is set up: without, its screen alone tells

    def __init__(self, script: dict[str, Any]) -> None:
        # A short path, for the sockets.
        self.folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="ta-")))
        self.home, self.state = self.folder / "home", self.folder / "state"
        self.project = self.home / "shop"
        self.project.mkdir(parents=True)
        (self.folder / "config").mkdir(mode=0o700)
        self._log = self.folder / "model.jsonl"
        self._model = self._start_model(script)
        assert self._model.stdout
        url = self._model.stdout.readline().split()[-1]
        self.command = self.folder / "tmux-agent"
        self.environ = self._environ(url)
        self._write_files()
        self.server = Server(f"set -g @tmux-agent-command '{self.command}'\n{LINES}", env=self.environ)
        self.person: Terminal

    def start(self, *arguments: str) -> None:
        """As a newcomer: the plugin, the hooks, then Claude in a window that a person looks at."""
        self.load()
        self.set_up("claude")
        self.start_claude(*arguments)

    def start_claude(self, *arguments: str) -> str:
        """Claude in a new window; its pane."""
        assert PROGRAM
        self.open_window(PROGRAM, *arguments)
        self.draws("? for shortcuts", "bypass permissions on")
        return self.pane

    def start_fleet(self, agent: str, program: str) -> None:
        """A person at a shell in a repository with a commit. The fleet's agents are this program."""
        (self.folder / "config" / "fleet.toml").write_text(f"[agents.{agent}]\ncommand = {json.dumps([program])}\n")
        self.git("config", "user.name", "a")
        self.git("config", "user.email", "a@b.example")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "first")
        self.load("sh")

    def load(self, *shell: str, columns: int = 120) -> None:
        """A session, a client that a person looks at, and the plugin, which starts the sidecar."""
        size = ("-x", str(columns), "-y", "40")
        self.server.run("new-session", "-d", "-s", "main", *size, "-c", str(self.project), *shell)
        self.person = self.server.attach(columns=columns, rows=40)
        self.server.run("run-shell", str(ROOT / "tmux-agent.tmux"))
        self.until(lambda: self.sidecar_pid() > 0, "the sidecar")

    def set_up(self, agent: str, *arguments: str) -> str:
        """An agent's hooks, where they are wanted here; what was said."""
        if not self.hooks:
            return ""
        done = self.run("setup", agent, "--yes", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def open_window(self, *command: str, name: str = "") -> str:
        """A window with an agent, whose pane is looked at from now on; that pane."""
        where = ("-t", "main:", "-P", "-F", "#{pane_id}", "-c", str(self.project), *(("-n", name) if name else ()))
        self.pane = self.server.run("new-window", *where, *command)
        return self.pane

    def git(self, *argv: str) -> str:
        return subprocess.run(["git", *argv], cwd=self.project, check=True, capture_output=True, text=True).stdout

    def close(self) -> None:
        pid = self.sidecar_pid()
        if pid:
            self.run("sidecar", "stop")
        self.server.close()
        self._end_what_stays()
        self._model.terminate()
        self._model.wait()
        assert self._model.stdout
        self._model.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_what_stays(self) -> None:
        """Gemini outlives its terminal, Codex leaves a server of its own behind: whatever has this home is ended."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("HOME") == str(self.home):
                    process.kill()

    def _start_model(self, script: dict[str, Any]) -> subprocess.Popen[str]:
        program = [sys.executable, str(ROOT / "tests" / "scripted_model.py"), json.dumps(script)]
        return subprocess.Popen([*program, "--log", str(self._log)], stdout=subprocess.PIPE, text=True)

    def _environ(self, url: str) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "SHELL": "/bin/sh",
            "TMUX_AGENT_SOCKET": str(self.folder / "s"),
            "TMUX_AGENT_STATE_DIR": str(self.state),
            "TMUX_AGENT_CONFIG_DIR": str(self.folder / "config"),
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "IS_SANDBOX": "1",
        }

    def _write_files(self) -> None:
        program = f"exec {sys.executable} -P -m tmux_agent"
        self.command.write_text(f'#!/bin/sh\nexport PYTHONPATH={ROOT / "sidecar"}\n{program} "$@"\n')
        self.command.chmod(0o755)
        git = shutil.which("git")
        if git:
            subprocess.run([git, "init", "-q", str(self.project)], check=True)
        (self.project / "prices.txt").write_text("apples 3\n")
        known = {
            "numStartups": 1,
            "hasCompletedOnboarding": True,
            "lastReleaseNotesSeen": "2.1.197",
            "officialMarketplaceAutoInstallAttempted": True,
            "bypassPermissionsModeAccepted": True,
            "customApiKeyResponses": {"approved": [KEY], "rejected": []},
            "projects": {str(self.project): {"hasTrustDialogAccepted": True, "allowedTools": []}},
        }
        (self.home / ".claude.json").write_text(json.dumps(known))
        (self.home / ".claude").mkdir()
        (self.home / ".claude" / "settings.json").write_text('{"skipDangerousModePermissionPrompt": true}\n')

    # --- looking ---

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`tmux-agent WORDS` as from a shell."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TMUX")} | self.environ
        return subprocess.run([self.command, *words], env=environ, capture_output=True, text=True, timeout=WAIT)

    def sidecar_pid(self) -> int:
        said = self.server.run("show-environment", "-gh", "TMUX_AGENT_ALIVE", check=False)
        return int(said.partition("=")[2] or 0)

    def kill_sidecar(self) -> None:
        os.kill(self.sidecar_pid(), signal.SIGKILL)

    def until(self, holds: Callable[[], bool], what: str, press: str = "") -> None:
        """Reads the person's terminal meanwhile: what happens shows there, in the log, or in files. `press` is a key
        to Claude that leads to it; pressed again where nothing came of it: Claude draws a moment before it listens.
        """
        begun, again = time.monotonic(), 0.0
        while not holds():
            waited = time.monotonic() - begun
            assert waited < WAIT, f"{what} did not come in {WAIT} s; the screen was:\n{self.person.text()}"
            if press and time.monotonic() > again:
                self.press(press)
                again = time.monotonic() + AGAIN
            self.person.read_on(pause(waited))

    def draws(self, *texts: str) -> str:
        """What stands in Claude's pane, once one of these does. (pyte garbles Claude's own cursor tricks.)"""
        found = ""

        def drawn() -> bool:
            nonlocal found
            found = self.server.run("capture-pane", "-p", "-t", self.pane)
            return any(text in found for text in texts)

        self.until(drawn, f"{texts} in Claude's pane")
        return found

    def shows(self, *texts: str) -> str:
        """The person's screen, status line and popup included, once it shows one of these."""
        return self.person.wait(lambda screen: any(text in screen for text in texts), what=f"{texts}")

    def hides(self, text: str) -> str:
        return self.person.wait_gone(text)

    def records(self, kind: str) -> list[dict[str, Any]]:
        """The audit log's records of a kind."""
        lines = (self.state / "audit.jsonl").read_text().split("\n")[:-1]  # the last one may be half written
        return [record for record in map(json.loads, lines) if record["type"] == kind]

    def state_of_agent(self) -> str:
        """What the one agent in our pane is said to do; "" where none is known there."""
        done = self.run("call", "agent.list", "{}")
        agents = [one for one in json.loads(done.stdout)["agents"] if one.get("pane") == self.pane]
        return str(agents[0]["state"]) if agents else ""

    def results(self) -> str:
        """What the model was told of its tools, all of it."""
        lines = [json.loads(line) for line in self._log.read_text().split("\n")[:-1]]
        return "\n".join(str(result) for line in lines for result in line.get("results") or ())

    # --- doing ---

    def say(self, prompt: str) -> None:
        """Type a prompt to Claude, and Enter once it stands there."""
        self.press("C-u")  # after an Esc Claude offers the former prompt again
        self.server.run("send-keys", "-t", self.pane, "-l", prompt)
        self.draws(f"❯ {prompt}", f"❯\xa0{prompt}")
        self.server.run("send-keys", "-t", self.pane, "Enter")

    def press(self, *keys: str) -> None:
        """Keys to Claude itself."""
        self.server.run("send-keys", "-t", self.pane, *keys)

    def popup(self, shows: str, waiting: int = 1) -> str:
        """Prefix + A at the person's terminal; what it shows then."""
        there = lambda screen: f"{waiting} waiting" in screen and shows in screen  # noqa: E731
        return self.person.press_until((PREFIX, "A"), there, f"a popup with {shows!r}")

    def answer(self, key: str, then: str) -> None:
        """Presses `key` in the popup until it is taken: what has just moved under the finger is not answered."""
        while True:
            self.person.press(key)
            if then in self.shows(then, TOO_SOON):
                return
            self.person.press(PAGE_UP)
            self.hides(TOO_SOON)

    def leave_popup(self) -> None:
        self.shows("Nothing")
        self.person.press("q")
        self.hides("Nothing")
