"""The rule files about screens: those that come with tmux-agent, and the person's own.

Owns reading them and which file is about which program. A file of the person's stands in place of ours of the same
name. What cannot be read keeps its last good rules. Must not own: what a file may say (core/screen_rules.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ..core.config import ConfigError
from ..core.screen_rules import Rules, load

SHIPPED = Path(__file__).parents[1] / "defaults" / "screens"
FILES = 200  # of one folder


class ScreenFiles:
    """`folder`: the person's, which need not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._good: dict[str, Rules] = {}  # by file name
        self.errors: tuple[ConfigError, ...] = ()

    def load(self) -> tuple[ConfigError, ...]:
        """Read all files anew; what is wrong with them."""
        own = _files(self._folder)
        found: dict[str, Rules] = {}
        wrong: list[ConfigError] = []
        for name, path in {**_files(SHIPPED), **own}.items():
            try:
                rules, problems = load(path.read_text(), str(path))
            except (OSError, UnicodeDecodeError) as why:
                rules, problems = None, (ConfigError(str(path), 0, "", f"cannot be read: {why}"),)
            wrong += problems
            rules = rules or self._good.get(name)
            if rules is not None:
                found[name] = rules
        # The person's first: a file of theirs may be about a program that one of ours is about, too.
        self._good = {name: found[name] for name in sorted(found, key=lambda name: (name not in own, name))}
        self.errors = tuple(wrong)
        return self.errors

    def of(self, names: Sequence[str], *, script: bool = False) -> Rules | None:
        """The rules for a program of these names (of the agent that it is, of the program, of its script).

        `script`: an interpreter runs it, so that the rules for scripts fit where no others do.
        """
        for rules in self._good.values():
            if any(fnmatchcase(name, pattern) for pattern in rules.process for name in names if name):
                return rules
        return next((rules for rules in self._good.values() if rules.scripts), None) if script else None


def _files(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(folder.glob("*.yaml"))[:FILES]}
