"""The file tool: what a file action would meet, what it would change, and doing it.

Owns: read, write, edit, copy, delete and list of one path beneath the roots it is given, each change whole or not at
all and backed up first. Must not own: whether it is allowed (guard.py), how a path is opened (beneath.py), looked at
(look.py) or replaced (replace.py), text (texts.py), the backups (backups.py).

A path that no root holds is refused. To do what a person approved outside the roots, the caller passes ("/",) as roots
and the facts that the person saw as `expected`: those bind the real path.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from typing import Any

from ...core import errors
from ...core.model import File, Outcome
from ...core.replies import FileContent, FileEdited, FileWritten
from ...core.settings import Files
from . import beneath, texts
from .backups import Backups
from .beneath import Place
from .listing import listing
from .look import FileFacts, changed, load, observe
from .replace import remove, replace

__all__ = ["FileFacts", "changed", "observe", "preview", "run"]

_DIFF = 64 << 10  # characters of a diff, in replies and before a person


def preview(action: File, roots: tuple[str, ...], limits: Files) -> str:
    """What a person is shown: the unified diff of a change, at most about 64 Ki characters; "" for reading.

    Never raises for what is merely not text or too large: it says so instead. Blocking.
    """
    if action.verb in ("read", "list"):
        return ""
    where = beneath.place(action.path, action.cwd, roots, follow_last=action.verb != "delete")
    try:
        before, after = _before_and_after(action, where, limits)
        if action.verb == "copy" and action.target:
            where = beneath.place(action.target, action.cwd, roots)
            after, before = before, _text_or_none(where, limits)
        return texts.diff(before, after, where.real, _DIFF)
    except errors.TmuxAgentError as error:
        return f"no diff: {error.message}\n"
    except OSError as error:
        return f"no diff: {beneath.explain(error, action.verb, action.path).message}\n"


def _before_and_after(action: File, where: Place, limits: Files) -> tuple[str | None, str | None]:
    before = _text_or_none(where, limits)
    if action.verb == "edit":
        return before, _edited(action, before or "")[0]
    return before, action.content if action.verb == "write" else None


def _text_or_none(where: Place, limits: Files) -> str | None:
    try:
        return texts.decode(load(where, limits.write_bytes)[0], where.real)
    except FileNotFoundError:
        return None


# --- doing -----------------------------------------------------------------------------------------


async def run(
    action: File,
    roots: tuple[str, ...],
    limits: Files,
    backups: Backups,
    expected: FileFacts | None = None,
    *,
    request_id: str = "",
) -> Outcome:
    """Does `action`, in a thread; cancelled, it is still done whole or not at all.

    `expected` are the facts that were judged or shown: where they hold no longer, Conflict and nothing is done.
    Raises Denied (outside the roots), InvalidParams, NotFound, Conflict, LimitExceeded, Unavailable, Failed.
    """
    start = time.monotonic()
    data, summary = await asyncio.to_thread(_run, action, roots, limits, backups, expected, request_id)
    return Outcome(ok=True, data=data, summary=summary, duration_ms=(time.monotonic() - start) * 1000)


def _run(
    action: File, roots: tuple[str, ...], limits: Files, backups: Backups, expected: FileFacts | None, request_id: str
) -> tuple[Any, str]:
    if expected is not None and (why := changed(expected, observe(action, roots, limits))):
        raise errors.Conflict(f"{why}; nothing was done")
    where = _inside(action.path, action, roots, follow_last=action.verb != "delete")
    change = _Change(action, backups, limits, request_id)
    try:
        match action.verb:
            case "read":
                return _read(action, where, limits)
            case "list":
                entries, cut = listing(where, recursive=action.recursive, limit=limits.list_entries)
                data = {"entries": entries, "truncated": cut}
                return data, f"listed {len(entries)} entries of {where.real}"
            case "write":
                return change.write(where)
            case "edit":
                return change.edit(where)
            case "copy":
                return change.copy(where, _inside(action.target or "", action, roots))
            case "delete":
                return change.delete(where)
    except OSError as error:
        raise beneath.explain(error, action.verb, action.path) from None


def _inside(path: str, action: File, roots: tuple[str, ...], *, follow_last: bool = True) -> Place:
    where = beneath.place(path, action.cwd, roots, follow_last=follow_last)
    if not where.root:
        leads = "" if where.real == path else f" (it leads to {where.real})"
        raise errors.Denied(f"{path}{leads} is outside the root folders; nothing was done", rule="roots")
    return where


def _read(action: File, where: Place, limits: Files) -> tuple[FileContent, str]:
    content, _ = load(where, limits.write_bytes)
    lines = texts.split(texts.decode(content, action.path))
    text, truncated = texts.cut(lines, action.start_line, action.end_line, limits.read_bytes)
    data = FileContent(
        content=text,
        lines=len(lines),
        sha256=hashlib.sha256(content).hexdigest(),
        truncated=truncated,
        encoding="utf-8",
    )
    return data, f"read {len(text)} characters of {where.real}"


def _edited(action: File, text: str) -> tuple[str, int]:
    if action.old_text is None or action.new_text is None:
        raise errors.InvalidParams("old_text, new_text: an edit needs both")
    return texts.edit(text, action.old_text, action.new_text, every=action.replace_all, path=action.path)


class _Change:
    """One change and what all changes share: the check of the old version, its backup, the replacement."""

    def __init__(self, action: File, backups: Backups, limits: Files, request_id: str) -> None:
        self._action, self._backups, self._limits, self._request_id = action, backups, limits, request_id

    def write(self, where: Place) -> tuple[FileWritten, str]:
        after = self._action.content or ""
        old = self._old(where)
        self._check_expected(old[0] if old else None)
        content = self._encode(after)
        backup = self._put(where, content, old)
        diff = self._diff(where, old[0] if old else None, content)
        return FileWritten(bytes=len(content), diff=diff, backup=backup), f"wrote {len(content)} bytes to {where.real}"

    def edit(self, where: Place) -> tuple[FileEdited, str]:
        old = load(where, self._limits.write_bytes)
        self._check_expected(old[0])
        before = texts.decode(old[0], self._action.path)
        after, count = _edited(self._action, before)
        backup = self._put(where, self._encode(after), old)
        diff = texts.diff(before, after, where.real, _DIFF)
        return FileEdited(edited=True, replacements=count, diff=diff, backup=backup or ""), (
            f"replaced {count} passage{'s' * (count > 1)} in {where.real}"
        )

    def copy(self, source: Place, target: Place) -> tuple[dict[str, Any], str]:
        content, found = load(source, self._limits.write_bytes)
        old = self._old(target)
        if old is not None and not self._action.overwrite:
            raise errors.Conflict(f"{target.real} exists; say overwrite to replace it (a backup is kept)")
        backup = self._put(target, content, old, mode=found.st_mode & 0o777)
        return {"bytes": len(content), "backup": backup}, f"copied {source.real} to {target.real}"

    def delete(self, where: Place) -> tuple[dict[str, Any], str]:
        with beneath.parent(where) as (folder, name):
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                content = os.fsencode(os.readlink(name, dir_fd=folder))
            else:
                content, found = load(where, self._limits.write_bytes)
            self._check_expected(content)
            backup = self._save(where, content, found)
            remove(folder, name, found)
        return {"backup": backup}, f"deleted {where.real}"

    def _old(self, where: Place) -> tuple[bytes, os.stat_result] | None:
        try:
            return load(where, self._limits.write_bytes)
        except FileNotFoundError:
            return None

    def _check_expected(self, content: bytes | None) -> None:
        expected = self._action.expected_sha256
        if expected is None:
            return
        if content is None:
            raise errors.Conflict(f"{self._action.path} is gone, though a version of it was expected; nothing was done")
        if hashlib.sha256(content).hexdigest() != expected.lower():
            raise errors.Conflict(f"{self._action.path} was changed since it was read; read it again, nothing was done")

    def _encode(self, text: str) -> bytes:
        try:
            content = text.encode("utf-8")
        except UnicodeEncodeError:
            raise errors.InvalidParams("content: has lone surrogates, which are no text") from None
        if len(content) > self._limits.write_bytes:
            raise errors.LimitExceeded(
                f"content: {len(content)} bytes are more than the {self._limits.write_bytes} that one call may write"
            )
        return content

    def _put(
        self, where: Place, content: bytes, old: tuple[bytes, os.stat_result] | None, *, mode: int | None = None
    ) -> str | None:
        if old is not None and old[1].st_nlink > 1:
            raise errors.Conflict(
                f"{where.real} has {old[1].st_nlink} names (hard links): changing it would cut it off from the others,"
                " or change them too. Nothing was done; copy it, or delete this name first"
            )
        backup = self._save(where, *old) if old else None
        try:
            with beneath.parent(where, create=self._action.create_dirs) as (folder, name):
                replace(folder, name, content, old[1] if old else None, mode=None if old else mode)
        except FileNotFoundError:
            above = where.real.rpartition("/")[0]
            raise errors.NotFound(f"there is no folder {above}; say create_dirs to make it. Nothing was done") from None
        return backup

    def _save(self, where: Place, content: bytes, found: os.stat_result) -> str:
        return self._backups.save(
            content, path=where.real, kind=beneath.kind(found.st_mode), mode=found.st_mode,
            request_id=self._request_id, verb=self._action.verb,
        ).id  # fmt: skip

    def _diff(self, where: Place, before: bytes | None, after: bytes) -> str:
        try:
            old = None if before is None else texts.decode(before, where.real)
            return texts.diff(old, texts.decode(after, where.real), where.real, _DIFF)
        except errors.InvalidParams:
            return f"binary: {len(before or b'')} bytes before, {len(after)} bytes now\n"
