"""What connecting an agent means: files that change, and what a person is told.

Owns the shape that every agent's set-up has (claude_setup.py and its kin). Must not own: asking, showing, writing
(edges/verbs/setup.py), looking whether it works (edges/doctor.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from ..settings_file import SettingsFile


class Change(Struct, frozen=True):
    """A file of the agent's and what it is to hold: None: it is removed, as nothing but ours was in it.

    `keep`: what it holds now goes to the backup, as nothing of ours is in it yet. `shared`: another change of ours to
    this file has the backup.
    """

    file: SettingsFile
    new: str | None
    keep: bool = False
    shared: bool = False

    @property
    def needed(self) -> bool:
        return self.new != self.file.text


def _nothing(_: str | None) -> Iterable[str]:
    return ()


class Setup(Struct, frozen=True, kw_only=True):
    """How one agent is connected.

    `title` is its name in sentences; `program` what it is called on PATH, `others` what else it may be; `package`
    where npm has it; `tried` the version that it was tried with, () for none. `changes(environ, uninstall)` reads
    the agent's files: raises Failed or Unavailable where one cannot be used. `warnings(text)` looks at the new text
    of the first file. `limits` says what this agent cannot do, a line each; `afterwards` what happens next.
    `finish(environ, uninstall)` is called once all is written, and gives lines to print. `popup_only`: the set-up
    in which the agent asks nothing by itself, where there is one. `mcp(environ, uninstall)` is the entry of the
    bridge, as `changes`. `unfinished(environ)` says what `finish` has left to do, "" for nothing.
    """

    agent: str
    title: str
    program: str
    others: tuple[str, ...] = ()
    package: str
    tried: tuple[int, ...]
    changes: Callable[[Mapping[str, str], bool], Sequence[Change]]
    mcp: Callable[[Mapping[str, str], bool], Change]
    warnings: Callable[[str | None], Iterable[str]] = _nothing
    limits: tuple[str, ...] = ()
    afterwards: str
    finish: Callable[[Mapping[str, str], bool], Iterable[str]] | None = None
    unfinished: Callable[[Mapping[str, str]], str] | None = None
    popup_only: Setup | None = None

    def found(self, environ: Mapping[str, str]) -> str | None:
        """The path of its program, None where it is not installed."""
        paths = (shutil.which(name, path=environ.get("PATH")) for name in (self.program, *self.others))
        return next((path for path in paths if path), None)
