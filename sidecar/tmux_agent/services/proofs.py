"""The proof that a rule's `step_up` demands: a command that ends with 0, given what a person typed.

Owns how the command is run, what it is given, and how many wrong proofs are taken. Must not own: which answers need one
(answers.py). What was typed is handed to the command and to nothing else: not to a record, a log, or an argument.

The command reads it as a line on standard input (`sudo -k -S -v`), or asks for it at its terminal (`sudo -k -v`): that
is one of its own, with nobody behind it, where the line is typed as soon as echo is off.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import termios
import time
from collections.abc import Sequence
from typing import Any

from ..core import errors
from ..core.model import Approval, Event, Origin
from ..core.rate import Bucket
from .journal import Journal
from .refusals import Refused

PROOF_SECONDS = 30.0
LOOK_SECONDS = 0.05  # between two looks at the command's terminal: the kernel tells nobody that echo went off
AGAIN_LOOKS = 10  # that find echo off, after more words, before that is another question: a proof has been wrong then
WRONG = (5, 1 / 60)  # wrong proofs that are taken: at once, and a second
SECRET_BYTES = 1024  # a terminal's line has room for it
TERMINAL_BYTES = 1 << 16  # that a command may write to its terminal
# The first terminal that the leader of a session opens becomes its own.
_AT_TERMINAL = 'exec 3<>"$1" 3<&-; shift; exec "$@"'


class Proofs:
    """Built by the daemon; for the event loop."""

    def __init__(self, journal: Journal, refused: Refused) -> None:
        self._journal = journal
        self._refused = refused
        self._wrong: dict[tuple[str, ...], Bucket] = {}  # by command: a right one of another rule excuses no guesses

    async def take(self, approval: Approval, by: Origin, secret: str) -> None:
        """Returns where the proof is right, for this one answer; each is recorded before.

        Raises Denied for a wrong one, LimitExceeded after too many, InvalidParams, Unavailable.
        """
        typed = secret.encode(errors="replace")
        if len(typed) > SECRET_BYTES or b"\n" in typed or b"\0" in typed:
            raise errors.InvalidParams(f"a proof is one line of at most {SECRET_BYTES} bytes")
        wrong = self._wrong.setdefault(approval.step_up, Bucket(*WRONG, time.monotonic()))
        if not wrong.take(time.monotonic()):
            self._refused(by, approval.request_id, "too many proofs were wrong", alarming=True)
            raise errors.LimitExceeded("too many proofs were wrong: wait a minute, then try again")
        why = await why_not(approval.step_up, typed)
        data = {"command": list(approval.step_up), "passed": not why, "why": why}
        await self._journal.publish(Event(type="step_up", request_id=approval.request_id, origin=by, data=data))
        if why:
            self._refused(by, approval.request_id, f"the proof was not accepted: {why}")
            raise errors.Denied(f"the proof was not accepted: {approval.step_up[0]}: {why}")
        self._wrong.pop(approval.step_up, None)


async def why_not(argv: Sequence[str], secret: bytes) -> str:
    """Why the command did not end with 0 in time, in words; "" where it did. It and what it started are ended with
    whoever waits."""
    program = shutil.which(argv[0])
    if program is None:
        return "there is no such program"
    with _Terminal(secret) as terminal:
        pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", _AT_TERMINAL, "sh", terminal.name, program, *argv[1:],
            stdin=pipe, stdout=nowhere, stderr=nowhere, start_new_session=True,
        )  # fmt: skip
        ending = asyncio.ensure_future(process.communicate(secret + b"\n"))
        try:
            return await _watched(ending, terminal) or _ended(process.returncode)
        finally:
            ending.cancel()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):  # sudo is root's: its terminal goes
                    os.killpg(process.pid, signal.SIGKILL)


async def _watched(ending: asyncio.Future[Any], terminal: _Terminal) -> str:
    """Types what is asked for until the command ends; why it is not waited for any longer, "" where it ended."""
    end = time.monotonic() + PROOF_SECONDS
    while not ending.done():
        if why := terminal.look():
            return why
        if time.monotonic() > end:
            return f"it did not end in {PROOF_SECONDS:g} s"
        await asyncio.wait({ending}, timeout=LOOK_SECONDS)
    await ending
    return ""


def _ended(returncode: int | None) -> str:
    return "" if returncode == 0 else f"it ended with {returncode}"


class _Terminal:
    """A terminal for one command, with nobody behind it. What is asked for at it without echo is typed once."""

    def __init__(self, secret: bytes) -> None:
        self._line = secret + b"\n"
        self._bytes = 0
        self._silent = 0  # looks in a row that found echo off
        self._typed = self._said = False  # the line; words since it was read

    def __enter__(self) -> _Terminal:
        self._ours, self._theirs = os.openpty()
        os.set_blocking(self._ours, False)
        self.name = os.ttyname(self._theirs)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._ours)
        os.close(self._theirs)

    def look(self) -> str:
        """Type where it is asked for; why the command is not to go on, or ""."""
        printed = self._printed()
        self._bytes += len(printed)
        if self._bytes > TERMINAL_BYTES:
            return "it floods its terminal"
        self._silent = 0 if termios.tcgetattr(self._ours)[3] & termios.ECHO else self._silent + 1
        if self._typed:
            self._said = self._said or (bool(printed.strip()) and not self._unread())
            return "it asked again" if self._said and self._silent > AGAIN_LOOKS else ""
        if self._silent > 1:  # twice: the words that it asks with are out by then
            self._typed = True
            self._silent = 0
            os.write(self._ours, self._line)
        return ""

    def _printed(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(self._ours, TERMINAL_BYTES)
        return b""

    def _unread(self) -> bool:
        """Whether the line that was typed has not been read yet."""
        count = bytearray(4)
        fcntl.ioctl(self._theirs, termios.FIONREAD, count)
        return any(count)
