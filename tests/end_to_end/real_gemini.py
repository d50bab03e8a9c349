"""The real Gemini CLI in such a world as whole.py makes: tmux with the plugin, the sidecar, a person at a client.

Owns Gemini's home and how it is talked to. The model is scripted, on loopback; no request leaves the machine.
"""

from __future__ import annotations

import json
import os

from tests.end_to_end.programs import find
from tests.end_to_end.whole import Whole

SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "ide": {"enabled": False, "hasSeenNudge": True},
    "ui": {"hideTips": True},
}
PROMPT = "Type your message"


PROGRAM = find("gemini")
SKIP = "the real Gemini CLI is not here (npm is missing?): scripts/test installs it"


class GeminiWorld(Whole):
    """One such world; `say`, `popup` and the rest as of Whole. Arguments of `start` are those of the set-up."""

    def _environ(self, url: str) -> dict[str, str]:
        assert PROGRAM
        settings = {
            "GOOGLE_GEMINI_BASE_URL": url,
            "GEMINI_API_KEY": "dummy",
            "GEMINI_TELEMETRY_ENABLED": "false",
            "PATH": f"{os.path.dirname(PROGRAM)}:{os.environ['PATH']}",
        }
        return super()._environ(url) | settings

    def _write_files(self) -> None:
        super()._write_files()
        (self.home / ".gemini").mkdir()
        (self.home / ".gemini" / "settings.json").write_text(
            "// A person's, who writes comments: Gemini takes them.\n" + json.dumps(SETTINGS)
        )

    def start(self, *arguments: str) -> None:
        """As a newcomer: the plugin, the hooks, then Gemini in a window."""
        assert PROGRAM
        self.load()
        self.set_up("gemini", *arguments)
        self.open_window(PROGRAM, "-m", "gemini-2.5-flash")
        self.draws(PROMPT)

    def say(self, prompt: str) -> None:
        """Type a prompt to Gemini, and Enter until the model is asked: right after text it is taken for a new line."""
        self.draws(PROMPT)
        before = self._begun()
        self.server.run("send-keys", "-t", self.pane, "-l", prompt)
        self.draws(f" > {prompt}\n")
        self.until(lambda: self._begun() > before, "the model's turn", press="Enter")

    def _begun(self) -> int:
        """How many prompts the model has heard."""
        whole, _, _ = self._log.read_text().rpartition("\n")  # its last line may just be written
        return sum(json.loads(line).get("turn") == 0 for line in whole.splitlines())
