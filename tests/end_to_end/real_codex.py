"""The real Codex in such a world as whole.py makes: tmux with the plugin, the sidecar, a person at a client.

Owns Codex's home and how it is talked to. The model is scripted, on loopback.
"""

from __future__ import annotations

import os

from tests.end_to_end.programs import find
from tests.end_to_end.whole import Whole

POLICY = """\
version: 1
rules:
  - name: folders are a person's matter
    when: {command: [mkdir, ...]}
    verdict: ask
  - name: so are empty ones
    when: {command: [rmdir, ...]}
    verdict: ask
  - name: prices are
    when: {file: [write, edit, delete], path: ["**/prices.txt"]}
    verdict: ask
"""
RULES = 'prefix_rule(pattern=[["touch", "rmdir"]], decision="prompt", justification="the test asks")\n'
CONFIG = """\
model = "gpt-5.5"
model_provider = "scripted"
approval_policy = "on-request"
sandbox_mode = "workspace-write"
check_for_update_on_startup = false

[model_providers.scripted]
name = "scripted"
base_url = "{url}/v1"
wire_api = "responses"

[features]
in_app_updates = false

[analytics]
enabled = false

[feedback]
enabled = false

[notice.model_migrations]
"gpt-5.5" = "gpt-6-sol"

[projects."{project}"]
trust_level = "trusted"
"""


PROGRAM = find("codex")
SKIP = "the real Codex is not here (npm is missing?): scripts/test installs it"
READY = "? for shortcuts"


class CodexWorld(Whole):
    """One such world; `start`, `say`, `popup` and the rest as of Whole."""

    def _environ(self, url: str) -> dict[str, str]:
        assert PROGRAM
        self._url = url
        # Codex refuses to put its helpers below a temporary folder, and this home is below the usual one.
        temporary = self.folder / "tmp"
        temporary.mkdir()
        path = f"{os.path.dirname(PROGRAM)}:{os.environ['PATH']}"
        return super()._environ(url) | {"TMPDIR": str(temporary), "PATH": path}

    def _write_files(self) -> None:
        super()._write_files()
        codex = self.home / ".codex"
        (codex / "rules").mkdir(parents=True)
        (codex / "rules" / "test.rules").write_text(RULES)
        (codex / "config.toml").write_text(CONFIG.format(url=self._url, project=self.project))
        (self.folder / "config" / "policy.d").mkdir(exist_ok=True)
        (self.folder / "config" / "policy.d" / "10-test.yaml").write_text(POLICY)

    def start(self, *arguments: str) -> None:
        """As a newcomer: the plugin, the hooks with Codex's own trust in them, then Codex in a window."""
        assert PROGRAM
        self.load()
        said = self.set_up("codex")
        assert "Codex trusts these hooks now" in said or not self.hooks, said
        self.open_window(PROGRAM, *arguments)
        self.draws(READY)

    def say(self, prompt: str) -> None:
        """Type a prompt to Codex, and Enter once it stands there."""
        self.draws(READY)
        self.server.run("send-keys", "-t", self.pane, "-l", prompt)
        self.draws(f"› {prompt}")
        self.server.run("send-keys", "-t", self.pane, "Enter")
