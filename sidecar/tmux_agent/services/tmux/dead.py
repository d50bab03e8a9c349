"""The exit code of a pane whose program has ended, and that tmux keeps (remain-on-exit).

Owns asking for it. tmux 3.3 now and then misses that a child has ended (seen in one of a hundred that end at the same
moment): the process stays a zombie and its pane without a code until another child ends. So tmux is told once more.
Must not own: what the code means.
"""

from __future__ import annotations

import asyncio
import os
import signal

from .control import TmuxServer

LOOKS, LOOK_SECONDS = 50, 0.02
_ASKED = "#{pane_dead} #{pane_dead_status}"


async def exit_code(server: TmuxServer, pane: str, *, ends: bool = False) -> int | None:
    """None where it was ended by a signal, or runs (`ends`: it is known to have ended, and waited for). Raises Failed
    where there is no such pane, Unavailable."""
    for _ in range(LOOKS):
        dead, _, code = (await server.command("display-message", "-p", "-t", pane, _ASKED))[0].partition(" ")
        if code.strip().isdecimal():
            return int(code)
        if dead == "1":
            os.kill(server.pid, signal.SIGCHLD)  # it looks for ended children then; nothing else follows from it
        elif not ends:
            return None
        await asyncio.sleep(LOOK_SECONDS)
    return None
