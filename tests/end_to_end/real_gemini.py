"""The real Gemini CLI in such a world as whole.py makes: tmux with the plugin, the sidecar, a person at a client.

Owns Gemini's home and how it is talked to. The model is scripted, on loopback; no request leaves the machine.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.end_to_end.whole import ROOT, Whole

SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "ide": {"enabled": False, "hasSeenNudge": True},
    "ui": {"hideTips": True},
}
PROMPT = "Type your message"


def find() -> str | None:
    """The program, as scripts/test installs it: by TMUX_AGENT_TEST_GEMINI, else in the cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tmux-agent-tests"
    named = os.environ.get("TMUX_AGENT_TEST_GEMINI") or str(cache / "node_modules" / ".bin" / "gemini")
    return named if os.access(named, os.X_OK) else None


FOUND = find()  # before any test changes the environment
SKIP = "the real Gemini CLI is not here (npm is missing?): scripts/test installs it"


class GeminiWorld(Whole):
    """One such world; `say`, `popup` and the rest as of Whole. Arguments of `start` are those of the set-up."""

    def _environ(self, url: str) -> dict[str, str]:
        assert FOUND
        settings = {
            "GOOGLE_GEMINI_BASE_URL": url,
            "GEMINI_API_KEY": "dummy",
            "GEMINI_TELEMETRY_ENABLED": "false",
            "PATH": f"{os.path.dirname(FOUND)}:{os.environ['PATH']}",
        }
        return super()._environ(url) | settings

    def _write_files(self) -> None:
        super()._write_files()
        (self.home / ".gemini").mkdir()
        (self.home / ".gemini" / "settings.json").write_text(json.dumps(SETTINGS))

    def start(self, *arguments: str) -> None:
        """As a newcomer: the plugin, the hooks, then Gemini in a window."""
        self.server.run("new-session", "-d", "-s", "main", "-x", "120", "-y", "40", "-c", str(self.project))
        self.person = self.server.attach(columns=120, rows=40)
        self.server.run("run-shell", str(ROOT / "tmux-agent.tmux"))
        self.until(lambda: self.sidecar_pid() > 0, "the sidecar")
        done = self.run("setup", "gemini", "--yes", *arguments)
        assert done.returncode == 0, done.stderr
        assert FOUND
        command = ("new-window", "-t", "main:", "-P", "-F", "#{pane_id}", "-c", str(self.project))
        self.pane = self.server.run(*command, FOUND, "-m", "gemini-2.5-flash")
        self.draws(PROMPT)

    def say(self, prompt: str) -> None:
        """Type a prompt to Gemini, and Enter once it stands there, until it is taken: right after text it is none."""
        self.draws(PROMPT)
        self.server.run("send-keys", "-t", self.pane, "-l", prompt)
        self.until(lambda: prompt in self._typed(), "the prompt")
        self.until(lambda: prompt not in self._typed(), "its begin", press="Enter")

    def _typed(self) -> str:
        """What stands in the prompt; nothing where a dialog has its place."""
        _, found, below = self.server.run("capture-pane", "-p", "-t", self.pane).rpartition("\n Shift+Tab ")
        return below if found else ""

    def title(self) -> str:
        return self.server.run("display-message", "-p", "-t", self.pane, "#{pane_title}").strip()
