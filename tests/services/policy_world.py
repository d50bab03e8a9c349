"""A small home folder with a project, secrets and traps, and the shipped policy judging in it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tmux_agent.core.model import Action, Command, Decision, Shell
from tmux_agent.services.judgement import Judgement, worktree_of

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main")
FILES = {
    "README.md": "# hello\n",
    "package.json": '{"scripts": {"test": "jest", "build": "tsc"}}\n',
    "data.json": '{"a": {"b": 1}, "items": []}\n',
    "src/app.py": "import os\nprint('TODO')\n",
    "src/util.py": "def f():\n    return 1\n",
    "src/web/index.ts": "export const x = 1\n",
    "tests/test_app.py": "def test(): pass\n",
    "docs/guide.md": "guide\n",
    "docs/my notes.txt": "notes\n",
    "config/settings.yaml": "a: 1\n",
    "run.sh": "echo hi\n",
    "log.txt": "one\ntwo\n",
    "data.csv": "a,b\n1,2\n",
    ".gitignore": ".env\nnode_modules\n*.pem\nsecrets\n",
}


class World:
    """`home`/proj is the worktree; `outside` is not; secrets lie in both."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.home = base / "home" / "u"
        self.tree = self.home / "proj"
        self.outside = base / "elsewhere"
        for folder in (self.tree, self.outside, self.home / ".ssh", self.home / "proj-evil"):
            folder.mkdir(parents=True)
        for name, text in FILES.items():
            self._write(self.tree / name, text)
        self.git("init", "-q", ".")
        self.git("add", "-A")
        self.git("commit", "-qm", "init")
        self._write(self.tree / "src/app.py", "import os\nprint('changed')\n")
        self._secrets()
        self._traps()
        self.judgement = Judgement(
            folder=self.home / ".config/tmux-agent",
            state=self.home / ".local/state/tmux-agent",
            home=str(self.home),
            environ={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.home)},
        )
        assert self.judgement.load() == ()

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def git(self, *args: str, folder: Path | None = None) -> None:
        subprocess.run([*GIT, *args], cwd=folder or self.tree, check=True, capture_output=True)

    def _secrets(self) -> None:
        self._write(self.tree / ".env", "KEY=1\n")
        self._write(self.tree / "certs/server.pem", "KEY\n")
        self._write(self.tree / "secrets/token.txt", "KEY\n")
        self._write(self.home / ".ssh/id_rsa", "KEY\n")
        self._write(self.outside / "private.txt", "KEY\n")
        self._write(self.home / "proj-evil/x", "KEY\n")

    def _traps(self) -> None:
        (self.tree / "traps").mkdir()
        (self.tree / "traps/out").symlink_to(self.outside)
        (self.tree / "traps/key").symlink_to(self.home / ".ssh/id_rsa")
        os.link(self.outside / "private.txt", self.tree / "traps/hard")
        self._write(self.tree / "traps/-rf", "")
        hostile = self.tree / "traps/hostile"
        hostile.mkdir()
        self.git("init", "-q", ".", folder=hostile)
        self.git("config", "core.fsmonitor", "touch M; false", folder=hostile)

    def decide(self, action: Action, worktree: str = "") -> Decision:
        cwd = str(getattr(action, "cwd", "") or self.tree)
        return self.judgement.judge_at(action, worktree or worktree_of(cwd)).decision

    def shell(self, text: str, folder: str = "") -> Decision:
        return self.decide(Shell(text=text, cwd=str(self.tree / folder)), str(self.tree))

    def argv(self, *argv: str, **env: str) -> Decision:
        return self.decide(Command(argv=argv, cwd=str(self.tree), env=env), str(self.tree))
