"""One channel's queue: when its next message goes out, alone or with others, and what follows where it fails.

Owns quiet hours, digest, rate, focus, retries, and the threads that hang. Each channel has one lane, and a lane sends
one message at a time: a server that hangs holds up nobody but itself. Must not own: the rows on disk (notice_rows.py),
how a channel is reached (senders.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from ..core import channels, display, redact
from ..core.channels import Channel
from ..core.errors import TmuxAgentError
from ..core.message import Message
from ..core.spans import seconds_left
from .notice_rows import Row
from .senders import Send, tried

log = logging.getLogger(__name__)

FIRST_RETRY = 2.0  # seconds; each further one waits twice as long, up to LAST_RETRY
LAST_RETRY = 300.0
LOOK_SECONDS = 300.0  # the clock may be set, a machine may sleep: what is due later is looked at again by then
FOCUS_SECONDS = 20.0  # between looks at whether somebody still looks at the pane: no event tells that they left
TOGETHER = 200  # messages in one digest
HANGING = 2  # threads of a channel that may hang at once


class World(Protocol):
    """What a lane needs of Notify."""

    wanted: channels.Notify

    def now(self) -> float: ...
    def waits(self, request_id: str) -> bool: ...
    def sender(self, channel: Channel, rows: Sequence[Row]) -> Send: ...
    def changed(self) -> None: ...
    async def looked_at(self, message: Message) -> bool: ...
    async def settle(self, rows: Sequence[Row], state: str, why: str) -> None: ...
    async def postpone(self, rows: Sequence[Row], why: str) -> None: ...


class Lane:
    """`rows` is what waits. `status` is "" while all is well."""

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.rows: list[Row] = []
        self.status = ""
        self._world = world
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._hanging = 0
        self._held = False  # quiet hours or the rate held something back: it goes out together
        self._sent: deque[float] = deque()  # when, as far as the rate counts them

    def add(self, rows: Sequence[Row]) -> None:
        """Take over rows that are on disk."""
        self.rows += rows
        self.look()

    def look(self) -> None:
        """What it waits for may be another: look now."""
        self._wake.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """What waits stays on disk; no thread is waited for."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self.rows:
            self._wake.clear()
            try:
                pause = await self._turn()
            except Exception:  # a defect of ours: the messages stay, and the next one wakes us
                log.exception("notifications by %s stand still", self.name)
                self._say("a defect of tmux-agent, the log has it")
                pause = LOOK_SECONDS
            if pause > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(pause, LOOK_SECONDS)):
                        await self._wake.wait()

    # --- one turn ---

    async def _turn(self) -> float:
        """Send what is to be sent now; the seconds after which to look again."""
        channel = channels.channel(self._world.wanted, self.name)
        if channel is None:
            await self._settle(list(self.rows), "dropped", "there is no such channel any more")
            return 0
        await self._settle([row for row in self.rows if self._is_over(row)], "dropped", "it was answered")
        if not self.rows:
            return 0
        now = self._world.now()
        due = [row for row in self.rows if row.due <= now]
        if not due:
            return min(row.due for row in self.rows) - now
        quiet = self._quiet(channel, now)
        if quiet and not (due := [row for row in due if channels.through(self._world.wanted, row.message)]):
            self._held = True
            return min([quiet, *(row.due - now for row in self.rows if row.due > now)])
        due = await self._unseen(channel, due, now)
        if not due:
            return 0
        if full := self._full(channel):
            self._held = True
            return full
        await self._send(channel, self._batch(channel, due))
        return 0

    def _is_over(self, row: Row) -> bool:
        return row.asks and not self._world.waits(row.message.request_id)

    def _quiet(self, channel: Channel, now: float) -> float:
        """Seconds until quiet hours are over; 0 outside of them."""
        spans = self._world.wanted.quiet if channel.quiet is None else channel.quiet
        return seconds_left(datetime.fromtimestamp(now).astimezone(), spans) if spans else 0.0

    async def _unseen(self, channel: Channel, due: list[Row], now: float) -> list[Row]:
        """Without what is about a pane that somebody looks at: dropped, or where an answer is waited for, put off."""
        if not channel.focus:
            return due
        seen = [row for row in due if row.message.pane and await self._world.looked_at(row.message)]
        for row in seen:
            row.due = now + FOCUS_SECONDS
        await self._settle([row for row in seen if not row.asks], "dropped", "it was on the screen")
        return [row for row in due if row.due <= now]

    def _full(self, channel: Channel) -> float:
        """Seconds until one more message is within the rate; 0 where it is already."""
        window, most = 60.0 * max(1.0, 1 / channel.per_minute), max(1, int(channel.per_minute))
        now = time.monotonic()
        while self._sent and self._sent[0] <= now - window:
            self._sent.popleft()
        return self._sent[-most] + window - now if len(self._sent) >= most else 0.0

    def _batch(self, channel: Channel, due: list[Row]) -> list[Row]:
        together = channel.digest > 0 or self._held
        self._held = together and len(due) > TOGETHER
        return due[:TOGETHER] if together else due[:1]

    # --- sending ---

    async def _send(self, channel: Channel, rows: list[Row]) -> None:
        self._sent.append(time.monotonic())
        why = await self._try(channel, rows)
        if not why:
            self._say("")
            await self._settle(rows, "sent", "")
            return
        retries = self._world.wanted.retries if channel.retries is None else channel.retries
        why = display.safe(redact.redact_text(why))[:500]
        tries = max(row.tries for row in rows) + 1
        self._say(why)
        log.warning("notification by %s failed (try %s of %s): %s", self.name, tries, retries + 1, why)
        if tries > retries:
            await self._settle(rows, "failed", why)
            return
        for row in rows:
            row.tries = tries
            row.due = self._world.now() + min(FIRST_RETRY * 2.0 ** (tries - 1), LAST_RETRY)
        await self._world.postpone(rows, why)

    async def _try(self, channel: Channel, rows: list[Row]) -> str:
        """One try; "" or why it failed."""
        if self._hanging >= HANGING:
            return f"{self._hanging} messages before this one still hang there"
        try:
            send = self._world.sender(channel, rows)
        except TmuxAgentError as error:
            return error.message
        return await self._in_thread(send, channel.timeout)

    async def _in_thread(self, send: Send, seconds: float) -> str:
        """In a thread that nothing else uses and no stop waits for: a message may hang for long."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()

        def end(result: str) -> None:
            self._hanging -= 1
            if not future.done():
                future.set_result(result)

        def run() -> None:
            result = tried(send)
            with contextlib.suppress(RuntimeError):  # the sidecar has stopped meanwhile
                loop.call_soon_threadsafe(end, result)

        self._hanging += 1
        threading.Thread(target=run, name=f"notify {self.name}"[:15], daemon=True).start()
        try:
            async with asyncio.timeout(seconds + 1):  # what has a limit of its own says more
                return await future
        except TimeoutError:
            return f"it takes over {seconds:g} s; it may arrive all the same"

    # --- what came of it ---

    async def _settle(self, rows: list[Row], state: str, why: str) -> None:
        if rows:
            gone = {row.id for row in rows}
            self.rows = [row for row in self.rows if row.id not in gone]
            await self._world.settle(rows, state, why)

    def _say(self, why: str) -> None:
        if why != self.status:
            self.status = why
            self._world.changed()
