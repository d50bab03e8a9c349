"""policy.d/50-grants.yaml: rules that a person allowed "always" in the popup. The file is the truth, and theirs.

Owns that file. Must not own: what a rule means (core/rules.py), when it is read (judgement.py).
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..core import config
from ..core.errors import NotFound, Unavailable
from .config_file import own_text

NAME = "50-grants.yaml"
HEAD = '# Rules that were allowed "always" in the popup. Yours to edit; `tmux-agent grants --revoke` takes one out.\n'


class _Kept(Struct, frozen=True):
    version: int = 1
    rules: tuple[dict[str, Any], ...] = ()


class KeptRules:
    """The file in the policy's folder. Small, and read only when something is listed or changed: blocking. Changes
    (`add`, `remove`) wait for the disk: for threads, of which one after the other changes it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "policy.d" / NAME
        self._changing = threading.Lock()

    def rules(self) -> tuple[dict[str, Any], ...]:
        """As they are written; none where the file is missing. Raises Unavailable where it cannot be read."""
        try:
            text = own_text(self.file)
        except FileNotFoundError:
            return ()
        except OSError as why:
            raise Unavailable(f"{self.file} cannot be read: {why.strerror}") from None
        except UnicodeDecodeError as why:
            raise Unavailable(f"{self.file} cannot be read: it is not UTF-8 at byte {why.start}") from None
        kept, problems = config.load(text, str(self.file), _Kept)
        if kept is None:
            raise Unavailable(f"{problems[0]}: mend the file first")
        return kept.rules

    def add(self, rule: dict[str, Any]) -> None:
        """Add a rule, or replace the one of its name. Raises Unavailable: then nothing changed."""
        with self._changing:
            self._write([*(one for one in self.rules() if one.get("name") != rule.get("name")), rule])

    def remove(self, name: str) -> None:
        """Raises NotFound, Unavailable."""
        with self._changing:
            rules = self.rules()
            left = [one for one in rules if one.get("name") != name]
            if len(left) == len(rules):
                raise NotFound(f"{self.file} has no rule {name!r}")
            self._write(left)

    def _write(self, rules: list[dict[str, Any]]) -> None:
        fresh = self.file.with_suffix(".new")
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.unlink(missing_ok=True)  # whatever it is
            with open(fresh, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
                out.write(HEAD + config.dump({"version": 1, "rules": rules}))
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(self.file)
        except OSError as why:
            raise Unavailable(f"{self.file} cannot be written: {why.strerror}") from None
