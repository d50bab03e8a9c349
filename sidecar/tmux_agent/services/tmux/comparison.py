"""Tells when a format's value changes that depends on panes' titles.

Owns when to look: after a title changed, by tmux's hook, and at most once a second however many change. tmux has such
comparisons itself (`refresh-client -B`), but 3.2 to 3.6 crash, with everything in them, where one is due on a control
client whose session was just killed (control_check_subs_session). Must not own: what the value means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tmux_agent.services.tmux import signals

LOOK_SECONDS = 1.0

Line = Callable[[Sequence[signals.Argv]], Awaitable[list[list[str]]]]


class Comparison:
    """Of one connection: `line` runs commands on it as one line, `tell` gets each new value, in the event loop."""

    def __init__(self, line: Line, tell: Callable[[str], None]) -> None:
        self._line = line
        self._tell = tell
        self._format = ""
        self._last: str | None = None
        self._due = asyncio.Event()

    async def watch(self, format_: str) -> None:
        """Compares `format_` from now on and tells its value within a second in any case; "" ends it."""
        self._format, self._last = format_, None
        await self._line([signals.watch_titles(on=bool(format_))])
        self.look()

    def look(self) -> None:
        """The value may be another."""
        self._due.set()

    async def run(self) -> None:
        """Raises errors.Unavailable when the connection ends."""
        while True:
            await self._due.wait()
            self._due.clear()
            format_ = self._format
            if not format_:
                continue
            _, said = await self._line([signals.looked(), ("display-message", "-p", format_)])
            value = said[0] if said else ""
            if value != self._last and format_ == self._format:
                self._last = value
                self._tell(value)
            await asyncio.sleep(LOOK_SECONDS)
