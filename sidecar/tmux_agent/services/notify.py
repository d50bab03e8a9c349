"""Tells people elsewhere of new approvals: apprise URLs and a command of theirs. Sent from threads of its own, retried.

It is never in the way: nothing waits for a message, one channel's retries hold up no other, and a stop waits for none.
Owns apprise (imported only here, and only where a URL is set) and what is on its way. What is sent is redacted and made
safe by core/display.py. Must not own: who is asked, or what the answer is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable

import msgspec

from ..core import display, errors, redact, settings
from ..core.model import Action, Approval, Event
from ..core.wording import one_line
from .journal import Journal

log = logging.getLogger(__name__)

SENDING = 500  # messages on their way at once; more are dropped, and that is said
THREADS = 4  # that talk to other machines at once
COMMAND_SECONDS = 30.0
FIRST_RETRY = 2.0  # seconds; each further one waits twice as long, up to LAST_RETRY
LAST_RETRY = 60.0
LINE = 4000  # characters of an action that a message looks at, at its beginning and at its end

Send = Callable[[], Awaitable[str]]


class Notify:
    """Built by the daemon; `told` is called for every approval that opens. `wanted` may change at any time.

    `waits` says whether an approval still waits: of one that does not, nobody needs to hear.
    """

    def __init__(self, journal: Journal, wanted: settings.Notify, waits: Callable[[str], bool]) -> None:
        self._journal = journal
        self.wanted = wanted
        self._waits = waits
        self._sending: set[asyncio.Task[None]] = set()
        self._threads = asyncio.Semaphore(THREADS)
        self.status = "off"

    async def close(self) -> None:
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    def told(self, approval: Approval) -> None:
        """Start sending messages about an approval. Never waits."""
        for name, send in self._channels(approval):
            if len(self._sending) >= SENDING:
                self.status = f"over {SENDING} messages are being sent: some were dropped"
                log.warning("notifications: %s", self.status)
                return
            task = asyncio.get_running_loop().create_task(self._deliver(name, send, approval.request_id))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def _channels(self, approval: Approval) -> list[tuple[str, Send]]:
        urls, command = self.wanted.urls, self.wanted.command
        channels: list[tuple[str, Send]] = []
        if urls:
            channels.append(("apprise", lambda: self._in_thread(lambda: _apprise(urls, approval))))
        if command:
            channels.append((command[0], lambda: _command(command, approval)))
        return channels

    async def _deliver(self, name: str, send: Send, request_id: str) -> None:
        """Send one message, again where it fails, as long as the approval waits."""
        await asyncio.sleep(self.wanted.after)
        why = ""
        for attempt in range(self.wanted.retries + 1):
            if attempt:
                await asyncio.sleep(min(FIRST_RETRY * 2.0 ** (attempt - 1), LAST_RETRY))
            if not self._waits(request_id):
                return
            try:
                why = await send()
            except Exception as error:  # noqa: BLE001 - other people's code: whatever it raises is the message
                why = f"{type(error).__name__}: {error}"
            if not why:
                self.status = "ok"
                return
        self.status = f"{name}: {display.safe(why)}"
        log.warning("notification of %s failed: %s", request_id, self.status)
        with contextlib.suppress(errors.Unavailable):  # what cannot be recorded is in the log and in health
            data = {"channel": name, "error": why}
            await self._journal.publish(Event(type="notify.failed", request_id=request_id, data=data))

    async def _in_thread(self, work: Callable[[], str]) -> str:
        """In a thread that nothing else uses and no stop waits for: a message may hang for long."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()

        def end(result: str) -> None:
            if not future.done():
                future.set_result(result)

        def run() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - as in _deliver
                result = f"{type(error).__name__}: {error}"
            with contextlib.suppress(RuntimeError):  # the sidecar has stopped meanwhile
                loop.call_soon_threadsafe(end, result)

        async with self._threads:
            threading.Thread(target=run, name="notify", daemon=True).start()
            return await future


def headline(action: Action) -> str:
    """One safe line that says what is asked: all of it, or its beginning, its length and its end."""
    line = one_line(action)
    if len(line) <= LINE:
        return display.middle(display.safe(redact.redact(line)), 300)
    begin, end = (display.safe(redact.redact(part)) for part in (line[:LINE], line[-LINE:]))
    return f"{display.take(begin, 180)} ⋯{display.number(len(line))}⋯ {display.take_end(end, 100)}"


def _apprise(urls: tuple[str, ...], approval: Approval) -> str:
    import apprise

    target = apprise.Apprise()
    bad = [redact.redact(url) for url in urls if not target.add(url)]
    if bad:
        return f"apprise does not understand {', '.join(bad)}"
    who = display.safe(approval.origin.agent or approval.origin.exe or f"pid {approval.origin.pid}")
    body = f"{headline(approval.action)}\n{display.safe(redact.redact(approval.reason))}"
    title = f"{who} asks ({approval.risk.value})"
    sent = target.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT)
    return "" if sent else "sending failed; the sidecar's log says more"


async def _command(argv: tuple[str, ...], approval: Approval) -> str:
    text = msgspec.json.encode(redact.redact(msgspec.to_builtins(approval)))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=pipe, stdout=asyncio.subprocess.DEVNULL, stderr=pipe, start_new_session=True
    )
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            _, complaint = await process.communicate(text)
    except TimeoutError:
        return f"it ran for over {COMMAND_SECONDS:g} s and was ended"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        return f"exit code {process.returncode}: {complaint.decode(errors='replace')[-300:].strip()}"
    return ""
