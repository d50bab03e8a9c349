"""Tells people elsewhere of new approvals: apprise URLs and a command of theirs. Sent from a thread, retried.

It is never in the way: nothing waits for a message, and one channel's retries hold up no other. Owns apprise
(imported only here, and only where a URL is set) and what is on its way. What is sent is redacted and made safe by
core/display.py. Must not own: who is asked, or what the answer is.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from ..core import display, redact, settings
from ..core.model import Action, Approval, Event
from ..core.words import one_line
from .journal import Journal

log = logging.getLogger(__name__)

SENDING = 500  # messages on their way at once; more are dropped, and that is said
COMMAND_SECONDS = 30.0
LINE = 4000  # characters of an action that a message looks at


class Notify:
    """Built by the daemon; `told` is called for every approval that opens. `wanted` may change at any time."""

    def __init__(self, journal: Journal, wanted: settings.Notify) -> None:
        self._journal = journal
        self.wanted = wanted
        self._sending: set[asyncio.Task[None]] = set()
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
            task = asyncio.get_running_loop().create_task(self._deliver(name, send, approval))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def _channels(self, approval: Approval) -> list[tuple[str, Any]]:
        channels: list[tuple[str, Any]] = []
        if self.wanted.urls:
            channels.append(("apprise", lambda: asyncio.to_thread(_apprise, self.wanted.urls, approval)))
        if self.wanted.command:
            channels.append((self.wanted.command[0], lambda: _command(self.wanted.command, approval)))
        return channels

    async def _deliver(self, name: str, send: Any, approval: Approval) -> None:
        await asyncio.sleep(self.wanted.after)
        why = ""
        for attempt in range(self.wanted.retries + 1):
            if attempt:
                await asyncio.sleep(min(2.0**attempt, 60.0))
            try:
                why = await send()
            except Exception as error:  # noqa: BLE001 - other people's code: whatever it raises is the message
                why = f"{type(error).__name__}: {error}"
            if not why:
                self.status = "ok"
                return
        self.status = f"{name}: {why}"
        log.warning("notification of %s failed: %s", approval.request_id, self.status)
        data = {"channel": name, "error": why}
        await self._journal.publish(Event(type="notify.failed", request_id=approval.request_id, data=data))


def headline(action: Action) -> str:
    """One safe line that says what is asked."""
    return display.middle(display.safe(redact.redact(one_line(action)[:LINE])), 300)


def _apprise(urls: tuple[str, ...], approval: Approval) -> str:
    import apprise

    target = apprise.Apprise()
    bad = [redact.redact(url) for url in urls if not target.add(url)]
    if bad:
        return f"apprise does not understand {', '.join(bad)}"
    who = display.safe(approval.origin.agent or approval.origin.exe or f"pid {approval.origin.pid}")
    body = f"{headline(approval.action)}\n{display.safe(approval.reason)}"
    title = f"{who} asks ({approval.risk.value})"
    return "" if target.notify(title=title, body=body) else "sending failed; the sidecar's log says more"


async def _command(argv: tuple[str, ...], approval: Approval) -> str:
    text = msgspec.json.encode(redact.redact(msgspec.to_builtins(approval)))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=asyncio.subprocess.DEVNULL, stderr=pipe)
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            _, complaint = await process.communicate(text)
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"it ran for over {COMMAND_SECONDS:g} s and was ended"
    if process.returncode:
        return f"exit code {process.returncode}: {complaint.decode(errors='replace')[-300:].strip()}"
    return ""
