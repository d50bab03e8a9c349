"""Params of the methods `file.*` and `command.*`. Must not own: what they do."""

from __future__ import annotations

import msgspec

from .params import Params


class FileRead(Params, frozen=True):
    """Read a text file, whole or lines start_line..end_line (1-based, inclusive)."""

    path: str
    start_line: int | None = None
    end_line: int | None = None


class FileWrite(Params, frozen=True):
    """Write a file whole."""

    path: str
    content: str
    create_dirs: bool = False
    expected_sha256: str | None = None


class FileEdit(Params, frozen=True):
    """Replace `old_text` by `new_text`; it must occur exactly once unless `replace_all`."""

    path: str
    old_text: str
    new_text: str
    replace_all: bool = False
    expected_sha256: str | None = None


class FileCopy(Params, frozen=True):
    """Copy a file."""

    source: str
    destination: str
    overwrite: bool = False
    create_dirs: bool = False


class FileDelete(Params, frozen=True):
    """Delete a file (a backup is kept)."""

    path: str
    expected_sha256: str | None = None


class FileList(Params, frozen=True):
    """Entries of a folder."""

    path: str
    recursive: bool = False


class CommandRun(Params, frozen=True):
    """Run one program with arguments; no shell."""

    command: str
    args: tuple[str, ...] = ()
    cwd: str | None = None
    env: dict[str, str] = msgspec.field(default_factory=dict)
    stdin: str | None = None
    timeout: float | None = None
    dry_run: bool = False


class CommandAllowed(Params, frozen=True):
    """The rules in force for commands, in words and as data."""


METHODS: dict[str, type[Params]] = {
    "file.read": FileRead,
    "file.write": FileWrite,
    "file.edit": FileEdit,
    "file.copy": FileCopy,
    "file.delete": FileDelete,
    "file.list": FileList,
    "command.run": CommandRun,
    "command.allowed": CommandAllowed,
}
# Sent again with the same `key`, these are the same request: nothing is asked or run twice.
KEYED: frozenset[type[Params]] = frozenset({CommandRun, FileRead, FileList, FileWrite, FileEdit, FileCopy, FileDelete})
