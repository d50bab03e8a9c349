"""The demo's throwaway world: a folder, a small repository in it, a tmux server with the plugin, a pane with the agent.

Owns what is started and that all of it ends: every process it leads to carries the folder in its environment, and is
ended by its id. Nothing outside the folder is read or written. Must not own: what is answered, what is checked.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
MARK = "TMUX_AGENT_DEMO_FOLDER"  # in the environment of all that belongs to a demo
ENDS_WITHIN = 10.0  # seconds, before what does not end is killed

PRICES = """\
def total(items):
    total = sum(price * count for price, count in items)
    return total
"""
TMUX_CONF = """\
set -g default-shell /bin/sh
set -g default-terminal screen-256color
set -g base-index 1
set -g status 2
set -g status-style 'bg=colour236,fg=colour250'
set -g status-left ' #[bold]shop#[nobold]  '
set -g status-right '#{tmux_agent} '
set -g status-format[1] '#[align=centre,fg=colour245]an agent asks: press #[bold]C-b A#[nobold] to answer \
 (Ctrl-b, then A)    C-b d leaves the demo'
set -g @tmux-agent-command '{command}'
run-shell '{root}/tmux-agent.tmux'
"""


class Stage:
    """Use as a context: what it started is gone after it, also where something failed."""

    def __init__(self) -> None:
        # A socket's path has room for about 100 bytes, and TMPDIR may be longer than that.
        self.folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="ta-demo-", dir="/tmp")))
        self.shop = self.folder / "shop"
        self.told = self.folder / "told.jsonl"
        self._socket = self.folder / "tmux"
        self._command = self.folder / "tmux-agent"
        self.environ = self._environment()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _environment(self) -> dict[str, str]:
        """Ours, without what leads to the person's tmux, agents, settings or home folder."""
        foreign = ("TMUX", "XDG_", "GIT_", "CLAUDE", "PYTHON")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        home = self.folder / "home"
        return {
            **kept,
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_STATE_HOME": str(home / ".local/state"),
            "XDG_DATA_HOME": str(home / ".local/share"),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT / "sidecar")),
            "LC_ALL": "C.UTF-8",
            MARK: str(self.folder),
        }

    def open(self, columns: int, rows: int) -> None:
        """Everything up to the agent's first question."""
        for name in ("home", "run"):
            (self.folder / name).mkdir(mode=0o700)
        self._make_shop()
        self._command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m tmux_agent "$@"\n')
        self._command.chmod(0o755)
        conf = TMUX_CONF.replace("{command}", str(self._command)).replace("{root}", str(ROOT))
        (self.folder / "tmux.conf").write_text(conf)
        agent = (sys.executable, str(ROOT / "scripts" / "demo-agent"), str(self.told))
        size = ("-x", str(columns), "-y", str(rows))
        self.tmux("new-session", "-d", "-s", "shop", "-n", "agent", *size, "-c", str(self.shop), *agent)

    def _make_shop(self) -> None:
        self.shop.mkdir()
        (self.shop / "prices.py").write_text(PRICES)
        (self.shop / "README").write_text("A shop, for a demo.\n")
        for words in (
            ("init", "-q", "-b", "main"),
            ("config", "user.name", "shop-bot"),
            ("config", "user.email", "shop-bot@shop.example"),
            ("add", "."),
            ("commit", "-q", "-m", "A shop"),
        ):
            subprocess.run(["git", *words], cwd=self.shop, env=self.environ, check=True)

    def tmux_argv(self, *words: str) -> list[str]:
        return ["tmux", "-u", "-S", str(self._socket), "-f", str(self.folder / "tmux.conf"), *words]

    def tmux(self, *words: str, check: bool = True) -> None:
        subprocess.run(self.tmux_argv(*words), env=self.environ, check=check, stderr=None if check else subprocess.PIPE)

    def agent_command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs the demo's tmux-agent, as a person would in a shell of the demo's."""
        argv = [str(self._command), *words]
        return subprocess.run(argv, env=self.environ, capture_output=True, text=True, check=False)

    def said(self) -> str:
        """What the sidecar and its start have said, for when something is wrong."""
        logs = sorted((self.folder / "home/.local/state/tmux-agent").glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-4000:]}" for log in logs)

    def close(self) -> None:
        if self._command.exists():
            self.agent_command("sidecar", "stop")
        if self._socket.exists():
            self.tmux("kill-server", check=False)
        self._end_what_is_left()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_what_is_left(self) -> None:
        left = [process for process in psutil.process_iter() if self._is_ours(process)]
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _, alive = psutil.wait_procs(left, ENDS_WITHIN)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, ENDS_WITHIN)

    def _is_ours(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return process.environ().get(MARK) == str(self.folder)
        return False
