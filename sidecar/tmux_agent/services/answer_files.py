"""Approval files: one for each request that waits, answered by what a person writes into it. Off unless switched on.

Owns the folder and its files: made, looked at when the kernel tells of a change, taken away when the request is
settled, made anew at a start. Must not own: what a file says and how it is read (core/answer_file.py), what follows
from an answer (answers.py). Who wrote into a file nobody can tell; who may write there is what its mode says.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ..core import answer_file, errors
from ..core.display import safe, take
from ..core.model import Approval, Ask, Origin, Role
from ..core.sheet import LIMIT, Sheet, sheet
from . import places
from .answers import Answers
from .approvals import Approvals
from .folders import Folders, Watch
from .refusals import Refused

log = logging.getLogger(__name__)

DOOR = "file"
FILE_BYTES = 4 * (2 * LIMIT + answer_file.ANSWER_CHARS)  # of one that is read; ours, every line of it marked, fit
ECHO = 200  # characters of what a person wrote that a file says back


class _File(NamedTuple):
    name: str
    digest: str  # of what it shows
    watch: Watch


class _Odd(Exception):
    """What stands under a file's name is no file of ours."""


class AnswerFiles:
    """Built by the daemon; for the event loop. `switch` it on after the approvals are recovered."""

    def __init__(
        self,
        folder: Path,
        approvals: Approvals,
        answers: Answers,
        refused: Refused,
        spawn: Callable[[Coroutine[Any, Any, Any]], object],
        home: str = "",
    ) -> None:
        self.folder = folder
        self.wrong = ""  # why there are no files though there should be
        self._approvals = approvals
        self._answers = answers
        self._refused = refused
        self._spawn = spawn
        self._home = home
        self._on = False
        self._open: int | None = None  # the folder
        self._files: dict[str, _File] = {}  # by request
        self._answering: set[str] = set()
        self._again: set[str] = set()  # changed while they were answered
        self._watched = Folders()

    # --- life ---

    def switch(self, on: bool) -> None:
        """On: a file for each request that waits, and answers that were written while no sidecar ran are read."""
        if on == self._on:
            return
        self._on = on
        if on:
            self._begin()
            return
        for one in self._files.values():
            self._remove(one.name)
        self.close()
        self.wrong = ""

    def close(self) -> None:
        """Let go; the files stay, for what waits stays pending."""
        self._watched.close()
        self._files.clear()
        if self._open is not None:
            os.close(self._open)
            self._open = None

    def _begin(self) -> None:
        self.close()
        self.wrong = ""
        try:
            self._open = _open_folder(self.folder)
        except errors.Unavailable as why:
            self.wrong = why.message
            log.warning("approval files: %s", why)
            self._watch()
            return
        waiting = {answer_file.name(one): one for one in self._approvals.pending()}
        for name in os.listdir(self._open):
            if name not in waiting and answer_file.read_name(name):
                self._remove(name)
        for approval in waiting.values():
            self._hold(approval)
        self._watch()  # before they are looked at, so that nothing is missed
        for approval in waiting.values():
            self._changed(approval.request_id)

    # --- requests come and go ---

    def opened(self, approval: Approval) -> None:
        """A new request waits."""
        if self._open is not None:
            self._hold(approval)
            self._watch()  # before the file is there: somebody may answer at once
            self._write(approval)

    def settled(self, request_id: str) -> None:
        """A request waits no more."""
        if found := self._files.pop(request_id, None):
            self._remove(found.name)
            self._watch()

    def _hold(self, approval: Approval) -> None:
        name = answer_file.name(approval)
        watch = Watch(self.folder, frozenset((name,)), partial(self._changed, approval.request_id))
        self._files[approval.request_id] = _File(name, approval.digest, watch)

    def _watch(self) -> None:
        above = Watch(self.folder.parent, frozenset((self.folder.name,)), self._folder_changed)
        self._watched.start((above, *(one.watch for one in self._files.values())))

    def _folder_changed(self) -> None:
        """Where the folder is no longer the one that we opened, begin anew."""
        with contextlib.suppress(OSError):
            if self._open is not None and os.path.samestat(self.folder.lstat(), os.fstat(self._open)):
                return
        self._begin()

    # --- answers ---

    def _changed(self, request_id: str) -> None:
        if request_id in self._answering:
            self._again.add(request_id)  # what was read may be another by now
        elif request_id in self._files:
            self._answering.add(request_id)
            self._spawn(self._look(request_id))

    async def _look(self, request_id: str) -> None:
        """Read a file that has changed, and take what is written into it for the answer."""
        text = ""
        try:
            if request_id not in self._files or not self._approvals.waits(request_id):
                return  # it was settled, or files were switched off, since the change was heard of
            text = self._read(self._files[request_id].name)
            await self._answer(self._approvals.get(request_id), text)
        except FileNotFoundError:
            self._write(self._approvals.get(request_id))  # it waits still, so its file is there
        except _Odd as why:
            self._not_taken(request_id, f"what stood here was not read: {why}", alarming=True)
        except (OSError, UnicodeDecodeError) as why:
            self._not_taken(request_id, f"this file cannot be read: {why}")
        except errors.TmuxAgentError as why:
            self._not_taken(request_id, why.message, text)
        finally:
            self._answering.discard(request_id)
            if request_id in self._again:
                self._again.discard(request_id)
                self._changed(request_id)

    async def _answer(self, approval: Approval, text: str) -> None:
        reply = answer_file.read(text, approval.action.options if isinstance(approval.action, Ask) else ())
        if reply is None:
            return
        if reply.approved and (why := self._sheet(approval).only_no):
            raise errors.Forbidden(why)
        digest = self._files[approval.request_id].digest
        by = self._origin(approval.request_id, Role.OPERATOR, "it was written into an approval file")
        await self._answers.answer(
            approval.request_id, digest, reply.approved, by, comment=reply.comment, choice=reply.choice
        )

    def _not_taken(self, request_id: str, why: str, text: str = "", *, alarming: bool = False) -> None:
        """Say so in the file, as long as it waits, and in the record."""
        by = self._origin(request_id, Role.AGENT, "nobody can tell who wrote into an approval file")
        self._refused(by, request_id, why, alarming=alarming)
        if self._approvals.waits(request_id):
            wrote = [line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")]
            said = [f"you wrote: {safe(take(line, ECHO))}" for line in wrote[:3]]
            self._write(self._approvals.get(request_id), "\n".join([safe(why), *said]))

    def _origin(self, request_id: str, role: Role, why: str) -> Origin:
        file = self._files.get(request_id)
        path = str(self.folder / file.name) if file else str(self.folder)
        return Origin(role=role, why=why, uid=os.getuid(), pid=0, door=DOOR, through=path)

    # --- files ---

    def _sheet(self, approval: Approval) -> Sheet:
        return sheet(approval, datetime.now().astimezone().tzinfo or UTC, self._home)

    def _write(self, approval: Approval, note: str = "") -> None:
        """Put a file of ours at its name, whatever stands there. Where it cannot be written, that is a warning."""
        if self._open is None or approval.request_id not in self._files:
            return
        file = self._files[approval.request_id]
        if file.digest != approval.digest:
            self._remove(file.name)
            self._hold(approval)
            self._watch()
            file = self._files[approval.request_id]
        fresh = f".{file.name}.new"
        text = answer_file.render(self._sheet(approval), note).encode(errors="replace")
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=self._open)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(fresh, flags, 0o600, dir_fd=self._open), "wb") as out:
                out.write(text)
            os.replace(fresh, file.name, src_dir_fd=self._open, dst_dir_fd=self._open)
            self.wrong = ""
        except OSError as why:
            self.wrong = f"{self.folder / file.name} cannot be written: {why.strerror}"
            log.warning("%s", self.wrong)

    def _read(self, name: str) -> str:
        """The text of a file of ours. Raises _Odd for anything else, OSError, UnicodeDecodeError."""
        assert self._open is not None
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        try:
            descriptor = os.open(name, flags, dir_fd=self._open)
        except OSError as why:
            if why.errno in (errno.ELOOP, errno.ENXIO):
                raise _Odd("it is a symbolic link" if why.errno == errno.ELOOP else "it is a socket") from None
            raise
        with open(descriptor, "rb") as opened:
            if odd := _odd(os.fstat(descriptor)):
                raise _Odd(odd)
            return opened.read(FILE_BYTES + 1).decode("utf-8-sig")

    def _remove(self, name: str) -> None:
        assert self._open is not None
        try:
            os.unlink(name, dir_fd=self._open)
        except FileNotFoundError:
            return
        except OSError as why:
            log.warning("%s cannot be removed: %s", self.folder / name, why.strerror)


def _odd(info: os.stat_result) -> str:
    """Why what is open is not read; "" for a file of ours."""
    if not stat.S_ISREG(info.st_mode):
        return "it is no regular file"
    if info.st_uid != os.getuid():
        return f"it belongs to uid {info.st_uid}"
    if info.st_nlink != 1:
        return "it has another name elsewhere (a hard link)"
    if stat.S_IMODE(info.st_mode) & 0o022:
        return f"others may write to it (mode {stat.S_IMODE(info.st_mode):o})"
    return f"it has {info.st_size} bytes" if info.st_size > FILE_BYTES else ""


def _open_folder(folder: Path) -> int:
    """A folder of ours that nobody else can look into or swap; made where it is missing. Raises Unavailable."""
    try:
        if not os.path.lexists(folder):
            places.ready_folder(folder)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as why:
        raise errors.Unavailable(f"{folder} is no folder that can be used: {why.strerror}") from None
    info, above = os.fstat(descriptor), folder.parent.stat()
    wrong = ""
    if info.st_uid != os.getuid():
        wrong = f"{folder} belongs to uid {info.st_uid}: name another folder in answers.folder"
    elif stat.S_IMODE(info.st_mode) & 0o077:
        wrong = f"others may look into {folder}: chmod 700 it"
    elif above.st_uid not in (os.getuid(), 0) or (above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX):
        wrong = f"others may replace the folder {folder}: chmod 755 {folder.parent}, or name another in answers.folder"
    if wrong:
        os.close(descriptor)
        raise errors.Unavailable(wrong)
    return descriptor
