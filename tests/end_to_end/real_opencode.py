"""The real opencode in such a world as whole.py makes: tmux with the plugin, the sidecar, a person at a client.

Owns opencode's home and how it is talked to. The model is scripted, on loopback; no request leaves the machine.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.end_to_end.programs import find
from tests.end_to_end.whole import WAIT, Whole
from tests.patience import AGAIN, pause

VERSION = "1.18.33"
POLICY = """\
version: 1
rules:
  - name: folders are a person's matter
    when: {command: [mkdir, ...]}
    verdict: ask
  - name: prices are
    when: {file: [write, edit, delete], path: ["**/prices.txt"]}
    verdict: ask
"""
QUIET = ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "SHARE", "DEFAULT_PLUGINS")
READY = "Ask anything"


PROGRAM = find("opencode")
SKIP = "the real opencode is not here (npm is missing?): scripts/test installs it"


class OpencodeWorld(Whole):
    """One such world; `start`, `say`, `popup` and the rest as of Whole."""

    def _environ(self, url: str) -> dict[str, str]:
        assert PROGRAM
        self._url = url
        path = f"{self.folder}:{os.path.dirname(PROGRAM)}:{os.environ['PATH']}"
        return super()._environ(url) | {"PATH": path} | {f"OPENCODE_DISABLE_{what}": "1" for what in QUIET}

    def _write_files(self) -> None:
        super()._write_files()
        folder = self.home / ".config" / "opencode"
        folder.mkdir(parents=True)
        models = {"scripted": {"name": "Scripted", "tool_call": True, "limit": {"context": 200_000, "output": 8000}}}
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Scripted",
            "options": {"baseURL": f"{self._url}/v1", "apiKey": "dummy"},
            "models": models,
        }
        settings = {
            "model": "scripted/scripted",
            "small_model": "scripted/scripted",
            "autoupdate": False,
            "share": "disabled",
            "enabled_providers": ["scripted"],
            "provider": {"scripted": provider},
            "permission": {"bash": {"*": "allow", "touch *": "ask", "mkdir *": "ask"}, "edit": "ask"},
        }
        (folder / "opencode.jsonc").write_text("// A person's, who writes comments.\n" + json.dumps(settings))
        self._write_types(folder)
        (self.folder / "config" / "policy.d").mkdir(exist_ok=True)
        (self.folder / "config" / "policy.d" / "10-test.yaml").write_text(POLICY)

    def _write_types(self, folder: Path) -> None:
        """As if npm had fetched opencode's types: without a network its first start with a plugin waits for them."""
        needs = {"dependencies": {"@opencode-ai/plugin": VERSION}}
        lock = {"name": "opencode", "lockfileVersion": 3, "requires": True, "packages": {"": needs}}
        (folder / "node_modules").mkdir()
        (folder / "package.json").write_text(json.dumps(needs))
        (folder / "package-lock.json").write_text(json.dumps(lock))

    def start(self, *arguments: str) -> None:
        """As a newcomer: the plugin, opencode's own plugin of ours, then opencode in a window."""
        assert PROGRAM
        self.load()
        self.set_up("opencode", "--mcp")
        self.open_window(PROGRAM, *arguments)
        # A program of 185 MB that makes its database first: on a machine that does much else it takes half a minute.
        assert self._soon(lambda: READY in self._screen(), 2 * WAIT), f"it does not start:\n{self._screen()}"

    def say(self, prompt: str) -> None:
        """Type a prompt to opencode, again where it was not listening yet, and Enter until the model hears of it."""
        self.until(lambda: "esc interrupt" not in self._screen(), "the end of the turn before")
        end = time.monotonic() + WAIT
        self.server.run("send-keys", "-t", self.pane, "-l", prompt)
        while not self._stands(prompt):
            assert time.monotonic() < end, f"{prompt!r} does not stand there:\n{self._screen()}"
            self.press("C-u")
            self.server.run("send-keys", "-t", self.pane, "-l", prompt)
        heard = len(self.heard())
        self.until(lambda: len(self.heard()) > heard, f"the model to hear {prompt!r}", press="Enter")

    def heard(self) -> list[str]:
        """The model's log, a line a request."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    def interrupt(self, over: Callable[[], bool]) -> None:
        """Esc, and once more as opencode wants it, until `over`."""
        end = time.monotonic() + WAIT
        while not over():
            assert time.monotonic() < end, f"Esc interrupts nothing:\n{self._screen()}"
            self.press("Escape")
            self._soon(lambda: over() or "again to interrupt" in self._screen())
            self.press("Escape")
            self._soon(over)

    def _stands(self, prompt: str) -> bool:
        """Whether the prompt was drawn, soon: what is typed too early is lost."""
        return self._soon(lambda: prompt in self._screen())

    def _soon(self, holds: Callable[[], bool], seconds: float = AGAIN) -> bool:
        """Whether it holds by then: by default, before one would try again."""
        begun = time.monotonic()
        while not (held := holds()) and (waited := time.monotonic() - begun) < seconds:
            self.person.read_on(pause(waited))
        return held

    def _screen(self) -> str:
        return self.server.run("capture-pane", "-p", "-t", self.pane)
