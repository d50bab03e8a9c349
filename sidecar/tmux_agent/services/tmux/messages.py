"""Words over people's status lines, for some seconds. Owns how tmux is told; must not own what is said."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from tmux_agent.core import display, errors
from tmux_agent.services.tmux.connection import environment
from tmux_agent.services.tmux.control import TmuxServer

NAMED = (3, 3)  # first version of tmux that shows a message to the client that we name
SHOWN_MS = "8000"
CELLS = 200


async def say(server: TmuxServer, clients: Sequence[str], text: str) -> None:
    """Tells `text` (raw) on these clients; tmux before 3.3 tells it at the one that was used last."""
    message = display.for_tmux_message(f"tmux-agent: {text}", CELLS)
    if server.version >= NAMED:
        with contextlib.suppress(errors.Unavailable):  # who is not there cannot be told; the log has it
            await server.each([("display-message", "-d", SHOWN_MS, "-c", name, message) for name in clients])
    elif clients:
        nothing = asyncio.subprocess.DEVNULL
        argv = (server.tmux, "-N", "-u", "-S", server.socket, "display-message", message)
        await (
            await asyncio.create_subprocess_exec(
                *argv, stdin=nothing, stdout=nothing, stderr=nothing, env=environment()
            )
        ).wait()
