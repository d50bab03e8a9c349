"""A popup on an accepted relay, from its first frame to its last byte.

Owns: the relay's frames until the popup closes, and the sentence that a failed popup ends with. Must not own: who may
have a popup (the server calls `serve` after it has checked the relay's nonce and identity), keys, drawing (popup.py).
A popup's failure is logged here and never reaches the sidecar's loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from tmux_agent.core.errors import Conflict
from tmux_agent.edges.ui.desk import Desk
from tmux_agent.edges.ui.popup import Popup, now_utc
from tmux_agent.edges.ui.wire import BYE, Attach, Lost, clamp, read_frame

log = logging.getLogger("tmux_agent.popup")

MESSAGE_S = 30.0  # how long the message of a failed popup waits for a key
UNDO = "\x1b[0m\x1b[?25h\x1b[?1049l"


async def _frames(popup: Popup, reader: asyncio.StreamReader) -> None:
    """Until the relay ends."""
    while frame := await read_frame(reader):
        kind, data = frame
        if kind == b"d":
            popup.guarded(lambda data=data: popup.feed(data))  # type: ignore[misc]
        elif len(data) == 4:
            popup.resize(clamp(int.from_bytes(data[:2], "big"), int.from_bytes(data[2:], "big")))


async def _events(popup: Popup) -> None:
    async for _ in popup.desk.subscribe():
        popup.refresh()


async def _run(popup: Popup, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the person closes it, the relay ends, or it fails."""
    loop = asyncio.get_running_loop()
    frames = loop.create_task(_frames(popup, reader))
    events = loop.create_task(_events(popup))  # hears before the next paint looks, so that it misses nothing
    main = popup.start()
    popup.connect(writer)
    try:
        await asyncio.wait({main, frames, events}, return_when=asyncio.FIRST_COMPLETED)
        popup.close()
        await main
    finally:
        for task in (main, frames, events):
            task.cancel()
        _, *results = await asyncio.gather(main, frames, events, return_exceptions=True)
        await popup.settle()
        popup.drain.open()  # where it failed before it painted
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, (Lost, Conflict)):
            popup.fail(result)


async def serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    attach: Attach,
    desk: Desk,
    clock: Callable[[], datetime] = now_utc,
    ahead: Popup | None = None,
) -> str:
    """Runs a popup on an accepted relay until it is closed. Writes the accepting `K`; closes the writer. Never raises
    but for cancellation. `ahead`: one that was made of the same and has begun to paint.

    Returns what was typed after the key that closed it: tmux gives the popup all keys for some milliseconds more.
    """
    typed = ""
    try:
        failure, typed = await _attempt(reader, writer, lambda: ahead or Popup(desk, attach, clock))
        if failure is not None:
            log.error("popup failed", exc_info=failure)
            await _say_failed(reader, writer, failure)
        writer.write(BYE)
        async with asyncio.timeout(1):
            await writer.drain()
            while frame := await read_frame(reader):
                typed += frame[1].decode("utf-8", "replace") if frame[0] == b"d" else ""
    except (OSError, TimeoutError, Lost):
        pass  # the relay is gone, which is what we wanted
    finally:
        writer.close()
    return typed


async def _attempt(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, make: Callable[[], Popup]
) -> tuple[BaseException | None, str]:
    """Runs the popup; what went wrong with it, if something did, and what was typed after its end."""
    popup = make()
    try:
        await _run(popup, reader, writer)
    except Exception as error:  # noqa: BLE001 - a popup's defect is the popup's alone
        return error, ""
    return popup.failure, popup.typed.after()


async def _say_failed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, failure: BaseException) -> None:
    """A sentence, until a key."""
    kind = type(failure).__name__
    text = f"\r\ntmux-agent: the popup failed ({kind}) and answered nothing more. The log says where. Press a key."
    writer.write((UNDO + text).encode())
    try:
        async with asyncio.timeout(MESSAGE_S):
            await read_frame(reader)
    except (Lost, TimeoutError):
        pass  # nobody reads it
