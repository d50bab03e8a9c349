"""The last lines of a pane, for people to look at. Must not own: who may look, drawing."""

from __future__ import annotations

from ..core import display
from ..services.tmux.control import TmuxServer


async def last(server: TmuxServer, pane: str, count: int) -> list[str]:
    """At most `count`, without the empty ones at the end; what tmux wrapped is joined. Raises Unavailable, Failed."""
    lines = await server.foreign("capture-pane", "-p", "-J", "-t", pane)
    while lines and not lines[-1].strip():
        lines.pop()
    return [display.blanks(line) for line in lines[-count:]]
