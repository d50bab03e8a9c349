"""The person's pipelines on disk: pipelines/*.yaml in the configuration folder, and `pipelines` of policy.yaml.

Owns reading them. What cannot be read keeps its last good pipelines. Must not own: what a file may say
(core/pipeline_file.py), runs (pipelines.py).
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..core import config
from ..core.config import ConfigError
from ..core.errors import NotFound
from ..core.pipeline_file import Match, PipelineFile, PipelinesFile
from ..core.pipeline_problems import problems
from .config_file import own_text

FILES = 200


class PipelineFiles:
    """`folder`: the person's, which need not exist."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._good: dict[str, PipelinesFile] = {}  # by file
        self._policy: tuple[PipelineFile, ...] = ()
        self.errors: tuple[ConfigError, ...] = ()

    def load(self, of_policy: Sequence[PipelineFile], label: str) -> tuple[ConfigError, ...]:
        """Read all anew; what is wrong. `of_policy` are those of the policy file called `label`."""
        wrong = [one for each in of_policy for one in problems(each, label)]
        if not wrong:
            self._policy = tuple(of_policy)
        found: dict[str, PipelinesFile] = {}
        for path in sorted(self.folder.glob("*.yaml"))[:FILES]:
            file, bad = read(path)
            wrong += bad
            found[path.name] = file or self._good.get(path.name, PipelinesFile())
        self._good = found
        names: set[str] = set()
        for one in self._every():
            if one.name in names:
                wrong.append(ConfigError(str(self.folder), 0, one.name, "is the name of two pipelines: rename one"))
            names.add(one.name)
        self.errors = tuple(wrong)
        return self.errors

    def _every(self) -> tuple[PipelineFile, ...]:
        return (*self._policy, *(each for file in self._good.values() for each in file.pipelines))

    def watch(self) -> tuple[Match, ...]:
        """Rules for panes to watch besides."""
        return tuple(rule for file in self._good.values() for rule in file.watch)

    def all(self) -> tuple[PipelineFile, ...]:
        """Every pipeline, the first of each name."""
        found: dict[str, PipelineFile] = {}
        for one in self._every():
            found.setdefault(one.name, one)
        return tuple(found.values())

    def get(self, name: str) -> PipelineFile:
        """Raises NotFound, with the nearest name."""
        for one in self.all():
            if one.name == name:
                return one
        near = config.nearest(name, [one.name for one in self.all()])
        raise NotFound(f"there is no pipeline {name!r}{near}; `tmux-agent pipeline list` shows those there are")


def read(path: Path) -> tuple[PipelinesFile | None, tuple[ConfigError, ...]]:
    """One file, or what is wrong with it."""
    try:
        text = own_text(path)
    except OSError as why:
        return None, (ConfigError(str(path), 0, "", f"cannot be read: {why.strerror}"),)
    except UnicodeDecodeError as why:
        return None, (ConfigError(str(path), 0, "", f"is not UTF-8 at byte {why.start}"),)
    head, indent = _head(text, path.stem)
    file, wrong = config.load(head + textwrap.indent(text, indent), str(path), PipelinesFile)
    before = head.count("\n")
    wrong = tuple(msgspec.structs.replace(one, line=max(one.line - before, 0)) for one in wrong)
    if file is None:
        return None, wrong
    found = tuple(msgspec.structs.replace(one, notify=one.notify or file.notify) for one in file.pipelines)
    bad = tuple(
        msgspec.structs.replace(said, line=said.line - before) for one in found for said in problems(one, str(path))
    )
    return (None if bad else msgspec.structs.replace(file, pipelines=found)), bad


def _head(text: str, stem: str) -> tuple[str, str]:
    """What a file lacks that is a list alone, and how far it is to the right then: of pipelines, or of the stages of
    one that is called as the file."""
    if not re.search(r"\A(?:[ \t]*(?:#.*)?\n|---.*\n)*- ", text):
        return "", ""
    if re.search(r"^[ -] +stages:", text, re.M):
        return "pipelines:\n", ""
    return f"pipelines:\n- name: {json.dumps(stem)}\n  stages:\n", "  "
