"""One pane that executions are typed into: whose turn it is, what runs there, and how its end is noticed.

Owns the listening to the pane's output (as a tap of tmux/watch.py) and the end of what runs: by its mark, by the shell
prompting again without one, by the shell having replaced itself, by the pane's end. Must not own: what is run and
when (executions.py), marks (core/execution.py).

A shell drops the rest of a line, and with it the mark, after Ctrl-C and some errors. So once the pane has been silent
for a moment, it is looked whether the shell prompts again. dash and fish prompt within a command by the same means
(`read`): of them that is believed only after a Ctrl-C.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from ..core import execution as marks
from ..core.pipeline_run import Place
from . import shell_prompt
from .one_at_a_time import OneAtATime
from .processes import Processes
from .shell_prompt import Shell
from .tmux.control import TmuxServer
from .tmux.snapshot import Pane

WAITING = 64  # callers that may wait for their turn at one terminal
QUIET_SECONDS = 0.25  # without output, after which it is looked whether the shell prompts again; twice
SETTLE_SECONDS = 0.1  # after an end: what is printed later than that is no prompt, but what somebody types
CUT_SECONDS, DROP_SECONDS = 0.03, 0.3  # for the answer to C-u, and to Ctrl-C; some shells give none at an empty prompt
ESCAPE_SECONDS = 0.15  # until fish takes an Escape for that, and not for the beginning of a key
STILL_SECONDS, MOST_SECONDS = 0.01, 1.0  # without output, after which a new prompt is whole; for that at the most
UNHEARD_SECONDS = 1.0  # the same where only the screen is looked at: its marks come later than the prompt
TAKEN_SECONDS = 2.0  # after which a line that was typed at a prompt has begun, if it ever does
INTERRUPTED = 130  # what shells say of a command that Ctrl-C ended


class Execution:
    """One text that was typed. `done` is set at its end; `seen`: its marks are lines on the screen."""

    __slots__ = (
        "asked", "before", "code", "command", "done", "exact", "id", "interrupted", "kept", "nonce", "note", "owner",
        "place", "reader", "seen", "session", "shell", "started", "status", "took",
    )  # fmt: skip

    def __init__(
        self, id_: str, place: Place, session: str, command: str, shell: Shell, nonce: str, owner: str, asked: str,
        limit: int, *, seen: bool, started: float,
    ) -> None:  # fmt: skip
        self.id, self.place, self.session, self.command, self.shell = id_, place, session, command, shell
        self.nonce, self.owner, self.asked, self.seen, self.started = nonce, owner, asked, seen, started
        self.reader = marks.Reader(nonce, limit)
        self.exact = not seen
        self.kept: marks.Output | None = None  # what it printed, where that is no longer read
        self.before: str | None = None  # what it had printed when this sidecar began, where it is an earlier one's
        self.done = asyncio.Event()
        self.status, self.note = "running", ""
        self.code: int | None = None
        self.interrupted = False
        self.took = 0.0  # seconds, once it has ended

    def output(self) -> marks.Output:
        """What it has printed until now."""
        found = self.kept or self.reader.output()
        if self.before is not None and self.kept is None:
            return msgspec.structs.replace(found, text=self.before + found.text, exact=False)
        return found


class Terminal:
    """Made by Executions. `ended` is told of each execution's end, in the loop."""

    def __init__(
        self, server: TmuxServer, place: Place, table: Processes, limit: int,
        ended: Callable[[Terminal, Execution], None],
    ) -> None:  # fmt: skip
        self.server, self.place = server, place
        self.turns = OneAtATime(WAITING)
        self.running: Execution | None = None
        self.exact = False  # the pane's raw output is heard
        self.heard = asyncio.Event()  # set by whatever is printed
        self._touched = True  # something may stand at the prompt
        self._settled = 0.0  # in the loop's time: by then the prompt after the last end is there
        self._table = table
        self._limit = limit
        self._told = ended
        self._typed = 0.0  # in the loop's time: when what runs was typed
        self._timer: asyncio.TimerHandle | None = None
        self._prompted = False  # the look before found the shell at its prompt
        self._ending: tuple[int | None, str] | None = None  # it has ended; its last output may still come

    # --- what the pane prints (tmux.watch.Tap) ---

    @property
    def touched(self) -> bool:
        """Whether somebody may have begun to type at its prompt since the last text ended there."""
        return self._touched or not self.exact

    def cut(self) -> None:
        """Some output went by unheard, perhaps the mark."""
        self._touched = True
        if self.running is not None:
            self.running.exact = False

    def ended(self, why: str) -> None:  # noqa: ARG002 - the look at the screen, or at the pane, says it
        """No raw output from here on."""
        self.exact = False

    def came(self, data: bytes) -> None:
        """Raw output."""
        self.heard.set()
        one = self.running
        if one is None:
            # A line that was begun before that has ended in a line end, which only prompts of two lines have as well.
            self._touched |= b"\n" in data or asyncio.get_running_loop().time() > self._settled
            return
        one.reader.feed(data)
        if b"^C" in data and one.reader.began:
            one.interrupted = True  # the terminal's echo of the key, whoever pressed it
        self._touched |= b"^[" in data  # Escape, typed ahead: another mode of the editor, where C-u does not cut all
        if one.reader.ended:
            self.finish(code=one.reader.code)
        elif self._ending is None:
            self.look_soon()

    def drew(self, lines: list[str]) -> None:
        """The screen, where there is no raw output."""
        self.heard.set()
        one = self.running
        if one is None or (self.exact and not one.seen):
            return
        found = marks.seen(lines, one.nonce, self._limit)
        one.kept, one.exact = found.output, False
        if found.ended:
            self.finish(code=found.code)
        else:
            self.look_soon()

    # --- before one ---

    async def untype(self, pane: Pane, kind: str) -> None:
        """Drop what has been begun at the prompt, also lines above it (`for …`, an open quote), in which a text would
        mean something else than it was judged to. Ctrl-C does so in every shell and every mode of its editor; C-u
        before it does not, but what that cuts out can be had back. Raises Failed, Unavailable."""
        if pane.in_mode:
            await self.server.command("copy-mode", "-q", "-t", pane.id)
        await self._press(pane, "C-u", CUT_SECONDS)
        if kind == "fish":  # whose editor leaves some of its vi modes by nothing else
            await self._press(pane, "Escape", 0)
            await asyncio.sleep(ESCAPE_SECONDS)
        await self._press(pane, "C-c", DROP_SECONDS)
        late = asyncio.get_running_loop().time() + MOST_SECONDS
        while await self._hears(STILL_SECONDS) and asyncio.get_running_loop().time() < late:
            self.heard.clear()
        self._touched = False

    async def _press(self, pane: Pane, key: str, seconds: float) -> None:
        """Press a key, and wait so long for an answer."""
        self.heard.clear()
        await self.server.command("send-keys", "-t", pane.id, key)
        await self._hears(seconds)

    async def _hears(self, seconds: float) -> bool:
        """Whether the pane prints something within a time."""
        try:
            async with asyncio.timeout(seconds):
                await self.heard.wait()
        except TimeoutError:
            return False
        return True

    def begins(self, one: Execution) -> None:
        """It is being typed."""
        self.running, self._typed = one, asyncio.get_running_loop().time()
        self.look_soon()

    # --- the end ---

    def ends(self, code: int | None, note: str) -> None:
        """What runs has ended with its shell; what it printed last is still waited for."""
        if self.running is None:
            return
        if self._ending is not None:
            code = self._ending[0] if code is None else code
        elif self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._ending = (code, note)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._over)

    def _over(self) -> None:
        if self._ending is not None:
            code, note = self._ending
            # tmux may not hear of the end of the pane's program for long (3.3a): the kernel has its exit code.
            self.finish(code=self._table.exit_code(self.place.pane_pid) if code is None else code, note=note)

    def finish(self, *, code: int | None = None, status: str = "done", note: str = "") -> None:
        """What runs has ended; the next has its turn."""
        one, self.running, self._ending = self.running, None, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if one is None:
            return
        one.code, one.status, one.note = code, status, note
        one.kept = one.output()
        one.took = max(0.0, time.time() - one.started)
        # Only the mark itself says that the line was run to its end. What dash was given ahead it does not show again.
        self._touched |= code is None or bool(note) or one.shell.kind == "dash" or b"\n" in one.reader.rest
        self._settled = asyncio.get_running_loop().time() + SETTLE_SECONDS
        one.done.set()
        self.turns.leave(one.id)
        self._told(self, one)

    def look_soon(self) -> None:
        """Look whether the shell prompts again once nothing has come for a moment."""
        self._prompted = False
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._quiet, self._look)

    @property
    def _quiet(self) -> float:
        return QUIET_SECONDS if self.exact else UNHEARD_SECONDS

    def _look(self) -> None:
        self._timer = None
        one, pane = self.running, self.pane()
        if one is None or pane is None:
            return
        now = shell_prompt.in_front(self._table, pane)
        if now is None or now.pid != one.shell.pid or not shell_prompt.prompts(self._table, pane, now):
            return
        if self.exact and not one.reader.began and not one.interrupted:
            if asyncio.get_running_loop().time() - self._typed < TAKEN_SECONDS:
                self.look_soon()
            else:  # what of it may stand at the prompt is dropped before the next
                self.finish(note="the shell did not take the line (a mode of its editor?): nothing of it was heard")
            return
        replaced = bool(one.shell.image) and now.image != one.shell.image
        if not (replaced or one.interrupted or one.before is not None or now.kind in ("bash", "zsh")):
            return
        if not self._prompted:  # once more: a prompt that is just being left
            self._prompted = True
            self._timer = asyncio.get_running_loop().call_later(self._quiet, self._look)
            return
        one.exact = False  # its prompt is among it
        self.finish(code=INTERRUPTED if one.interrupted and not replaced else None, note=_why(one, now, replaced))

    def pane(self) -> Pane | None:
        """The pane as tmux showed it last, if it is still the same."""
        found = next((pane for pane in self.server.panes if pane.id == self.place.pane), None)
        # Of a pane that has ended and stays, tmux forgets the pid.
        same = found is not None and (found.pid == self.place.pane_pid or found.dead)
        return found if same and self.server.pid == self.place.server_pid else None


def _why(one: Execution, now: Shell, replaced: bool) -> str:
    if replaced:
        return f"the shell replaced itself (exec {now.kind}): it told no exit code"
    if one.interrupted:
        return "interrupted (Ctrl-C)"
    if one.before is not None:
        return "it ended while no sidecar ran: its exit code was not seen"
    return "the shell gave up the whole line (an error such as ${x?}): it told no exit code"
