"""A recording played in a popup over a person's client, with a frame of tmux's and a title that says what it is.

Our own popups have neither, so that what a recording shows does not pass for a question.

Owns that popup's process. Must not own: what is played, who may (edges/casts.py), playing (edges/player.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from .connection import environment, said
from .control import TmuxServer

log = logging.getLogger(__name__)

TITLED = (3, 3)  # first version with display-popup -T
BORDERS = 2


async def popup(server: TmuxServer, client: str, argv: Sequence[str], size: tuple[int, int], title: str) -> None:
    """Until it closes. `size`: columns and rows inside, as far as the client has them; `title` is a tmux format."""
    seen = next((one for one in server.clients if one.name == client), None)
    room = (seen.width, seen.height) if seen else (80, 24)
    columns, rows = (min(inside + BORDERS, most) for inside, most in zip(size, room, strict=True))
    named = ("-T", f" {title} ") if server.version >= TITLED else ()
    shown = ("display-popup", "-c", client, "-E", *named, "-w", str(columns), "-h", str(rows), *argv)
    process = await asyncio.create_subprocess_exec(
        server.tmux, "-N", "-u", "-S", server.socket, *shown,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )  # fmt: skip
    try:
        _, err = await said(process)
        if process.returncode:
            log.warning("no recording in a popup on %s: %s", client, err.decode("utf-8", "replace").strip())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
