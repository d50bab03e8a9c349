"""The real Claude Code in a tmux server of its own, against the scripted model on loopback: what tests with it share.

Owns its home, its pane, and waiting for what is on its screen (a pipe-pane FIFO tells when to look). Nothing of the
person's is touched and no request leaves the machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.end_to_end.programs import find
from tests.patience import PATIENCE

from tmux_agent.edges import hook_command
from tmux_agent.edges.adapters import claude_setup, json_hooks

KEY = "sk-ant-dummy-0000"
TESTS = Path(__file__).parents[1]
WAIT = PATIENCE


PROGRAM = find("claude")
SKIP = "the real Claude Code is not here (npm is missing?): scripts/test installs it"


class Claude:
    """One session. `socket`: where its hooks look for the sidecar. Made by `start`, ended by `close`."""

    def __init__(self, home: Path, socket: Path) -> None:
        self.home = home
        self.project = home / "shop"
        self._state = home / "state"
        self._socket = socket
        self._tmux_socket = home / "tmux"
        self._log = home / "model.jsonl"
        self._drawn = asyncio.Event()
        self._fifo = -1
        self._model: subprocess.Popen[str] | None = None

    async def start(self, script: dict[str, Any], *arguments: str) -> None:
        """Write its files, start the model and the agent, wait for its prompt."""
        assert PROGRAM
        url = self._start_model(script)
        self._write_files()
        settings = {
            "HOME": self.home,
            "PATH": os.environ["PATH"],
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": 1,
            "DISABLE_AUTOUPDATER": 1,
            "DISABLE_TELEMETRY": 1,
            "DISABLE_ERROR_REPORTING": 1,
            "IS_SANDBOX": 1,
            "TMUX_AGENT_SOCKET": self._socket,
            "TMUX_AGENT_STATE_DIR": self._state,
        }
        words = [word for name, value in settings.items() for word in ("-e", f"{name}={value}")]
        size = ("-x", "120", "-y", "40")
        # The pane waits for a word, so that nothing it draws can come before the FIFO listens.
        shell = ("sh", "-c", 'read _; exec "$0" "$@"', PROGRAM, *arguments)
        self.tmux("-f", "/dev/null", "new-session", "-d", *size, "-c", str(self.project), *words, *shell)
        path = self.home / "drawn"
        os.mkfifo(path)
        self._fifo = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        asyncio.get_running_loop().add_reader(self._fifo, self._read)
        self.tmux("pipe-pane", "-O", f"exec cat > '{path}'")
        self.tmux("send-keys", "Enter")
        await self.shows("? for shortcuts", "bypass permissions on", "plan mode on")

    async def close(self) -> None:
        if self._fifo >= 0:
            asyncio.get_running_loop().remove_reader(self._fifo)
            os.close(self._fifo)
        if self._tmux_socket.exists():
            self._end_pane()
        if self._model:
            self._model.terminate()
            self._model.wait()
            if self._model.stdout:
                self._model.stdout.close()

    def _end_pane(self) -> None:
        """Ends the server and waits for the agent to be gone: it writes to its home until then."""
        pid = self.tmux("display-message", "-p", "#{pane_pid}", check=False).strip()
        try:
            pidfd = os.pidfd_open(int(pid))
        except (ValueError, OSError):
            pidfd = -1
        self.tmux("kill-server", check=False)
        if pidfd >= 0:
            select.select([pidfd], [], [], WAIT)
            os.close(pidfd)

    def _start_model(self, script: dict[str, Any]) -> str:
        program = [sys.executable, str(TESTS / "scripted_model.py"), json.dumps(script), "--log", str(self._log)]
        self._model = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        assert self._model.stdout
        return self._model.stdout.readline().split()[-1]

    def _write_files(self) -> None:
        self.project.mkdir()
        self._state.mkdir()
        git = shutil.which("git")
        if git:
            subprocess.run([git, "init", "-q", str(self.project)], check=True)
        trusted = {"hasTrustDialogAccepted": True, "allowedTools": []}
        known = {
            "numStartups": 1,
            "hasCompletedOnboarding": True,
            "lastReleaseNotesSeen": "2.1.197",
            "officialMarketplaceAutoInstallAttempted": True,
            "bypassPermissionsModeAccepted": True,
            "customApiKeyResponses": {"approved": [KEY], "rejected": []},
            "projects": {str(self.project): trusted},
        }
        (self.home / ".claude.json").write_text(json.dumps(known))
        (self.home / ".claude").mkdir()
        handlers = claude_setup.handlers(hook_command.interpreter(), hook_command.relay())
        text = json_hooks.install('{"skipDangerousModePermissionPrompt": true}\n', handlers)
        (self.home / ".claude" / "settings.json").write_text(text)

    # --- its screen ---

    def tmux(self, *words: str, check: bool = True) -> str:
        command = ["tmux", "-S", str(self._tmux_socket), *words]
        return subprocess.run(command, check=check, capture_output=True, text=True).stdout

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def title(self) -> str:
        return self.tmux("display-message", "-p", "#{pane_title}").strip()

    async def shows(self, *texts: str) -> str:
        """The screen once it shows one of these."""
        return await self._until(lambda screen: any(text in screen for text in texts), f"shows {texts}")

    async def hides(self, text: str) -> str:
        """The screen once it does not show this any more."""
        return await self._until(lambda screen: text not in screen, f"hides {text!r}")

    async def _until(self, holds: Any, what: str) -> str:
        try:
            async with asyncio.timeout(WAIT):
                while True:
                    self._drawn.clear()
                    screen = self.screen()
                    if holds(screen):
                        return screen
                    await self._drawn.wait()
        except TimeoutError:
            raise AssertionError(f"Claude's screen never {what}:\n{self.screen()}") from None

    def _read(self) -> None:
        if os.read(self._fifo, 65536):
            self._drawn.set()
        else:
            asyncio.get_running_loop().remove_reader(self._fifo)

    # --- talking to it ---

    async def say(self, prompt: str) -> None:
        """Type a prompt, and Enter once it stands there."""
        self.tmux("send-keys", "-l", prompt)
        await self.shows(prompt)
        self.tmux("send-keys", "Enter")

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    async def offers(self, tool: str) -> None:
        """Says hello until Claude offers its model this tool: its MCP servers start beside it."""
        number = 0
        while not any(tool in line.get("tools", ()) for line in self.heard()):
            number, before = number + 1, len(self.heard())
            await self.say(f"hello {number}")
            await self._until(lambda _, before=before: len(self.heard()) > before, "tells that the model was asked")

    def heard(self) -> list[dict[str, Any]]:
        """The model's log: what it was asked."""
        whole = self._log.read_text() if self._log.exists() else ""
        return [json.loads(line) for line in whole.split("\n")[:-1]]  # the last one may be half written

    def results(self) -> str:
        """What the model was told of its tools, all of it."""
        return "\n".join(str(result) for line in self.heard() for result in line.get("results") or ())
