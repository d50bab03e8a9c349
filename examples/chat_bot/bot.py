#!/usr/bin/env python3
"""A bot that relays a chat to tmux-agent: connects to a server that speaks lines, and answers there.

The server sends `SENDER: TEXT` and takes whatever the bot says, a line each, as every simple chat can be made to do. In
a text of several lines their ends are written as \\n, and a backslash as \\\\. The server vouches for the senders: what
stands before the colon is taken for who said it.

    TMUX_AGENT_CHAT_TOKEN=… PYTHONPATH=…/sidecar python3 bot.py 127.0.0.1 7000 '#ops'
"""

from __future__ import annotations

import asyncio
import os
import sys

from tmux_agent.client import AsyncClient
from tmux_agent.core.errors import TmuxAgentError

WAIT = 3600.0  # seconds that one question for what came of something waits


class Bot:
    def __init__(self, client: AsyncClient, server: asyncio.StreamWriter, channel: str) -> None:
        self._client = client
        self._server = server
        self._said = {"channel": channel, "token": os.environ.get("TMUX_AGENT_CHAT_TOKEN", "")}
        self._tasks: set[asyncio.Task[None]] = set()

    def heard(self, line: str) -> None:
        """One line of the server's. Each is answered by itself: nobody waits for somebody else's command."""
        sender, colon, text = line.partition(": ")
        if colon:
            task = asyncio.create_task(self._answer(sender, unescaped(text)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, sender: str, text: str) -> None:
        try:
            answer = await self._client.call("chat.say", {"text": text, "sender": sender, **self._said})
            self._say(sender, answer["text"])
            while follow_up := answer.get("follow_up"):
                asked = {"follow_up": follow_up, "sender": sender, "wait_secs": WAIT, **self._said}
                before, answer = answer, await self._client.call("chat.follow", asked)
                if answer != before:
                    self._say(sender, answer["text"])
        except TmuxAgentError as why:
            self._say(sender, f"{why.message}")

    def _say(self, to: str, text: str) -> None:
        self._server.write(f"{to}: {escaped(text)}\n".encode())


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def unescaped(text: str) -> str:
    return text.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")


async def next_line(lines: asyncio.StreamReader) -> bytes:
    """b"" at the end. One that is too long is left out to its very end: what stands in the middle of it could look like
    somebody else's line."""
    whole = True
    while True:
        try:
            line = await lines.readuntil(b"\n")
        except asyncio.LimitOverrunError as why:
            await lines.readexactly(why.consumed)
            whole = False
        except asyncio.IncompleteReadError as why:
            return why.partial if whole else b""
        else:
            if whole:
                return line
            whole = True


async def main(host: str, port: int, channel: str) -> None:
    lines, server = await asyncio.open_connection(host, port, limit=1 << 20)
    async with AsyncClient(name="chat bot") as client:
        bot = Bot(client, server, channel)
        while line := await next_line(lines):
            bot.heard(line.decode(errors="replace").rstrip("\r\n"))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""))
