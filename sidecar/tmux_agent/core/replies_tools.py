"""What the methods `file.*` and `command.*` give back. Owns only shapes, as replies.py, whose REPLIES names them."""

from __future__ import annotations

from typing import Any

import msgspec

from .model import Verdict
from .reply import Data


class Entry(Data, frozen=True):
    """One entry of a folder. `modified` is RFC 3339."""

    name: str
    type: str  # file, dir, symlink, fifo, socket, device
    size: int = 0
    modified: str = ""


class FileContent(Data, frozen=True):
    content: str
    lines: int
    sha256: str
    truncated: bool
    encoding: str


class FileWritten(Data, frozen=True):
    bytes: int
    diff: str
    backup: str | None = None


class FileEdited(Data, frozen=True):
    edited: bool
    replacements: int
    diff: str
    backup: str


class FileListed(Data, frozen=True):
    entries: tuple[Entry, ...]
    truncated: bool = False


class FileCopied(Data, frozen=True):
    """`backup` is of what the copy replaced."""

    bytes: int
    backup: str | None = None


class FileDeleted(Data, frozen=True):
    backup: str | None = None


class CommandData(Data, frozen=True):
    exit_code: int | None
    stdout: str = ""
    stderr: str = ""
    truncated: bool = False
    duration_ms: float = 0.0
    signal: str | None = None


class DryRun(Data, frozen=True):
    """What command.run would do."""

    would_run: tuple[str, ...]
    cwd: str
    verdict: Verdict
    rule: str
    reason: str


class AllowedRule(Data, frozen=True):
    """A rule in force: one sentence, where it stands, and its `when` as the policy file has it."""

    name: str
    verdict: Verdict
    words: str
    where: str
    when: dict[str, Any] = msgspec.field(default_factory=dict)


class AllowedData(Data, frozen=True):
    rules: tuple[AllowedRule, ...]


REPLIES: dict[str, Any] = {
    "file.read": FileContent,
    "file.write": FileWritten,
    "file.edit": FileEdited,
    "file.copy": FileCopied,
    "file.delete": FileDeleted,
    "file.list": FileListed,
    "command.run": CommandData,
    "command.allowed": AllowedData,
}
