"""A private tmux server, a real client on a pty whose screen can be read, and a socket that serves popups.

`capture-pane` does not show popups; what the client writes to its terminal does.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import shlex
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyte
from tests.edges.ui.scripted import NOW, ScriptedDesk
from tests.patience import PATIENCE

from tmux_agent.core.menus import Page
from tmux_agent.edges.ui import relay
from tmux_agent.edges.ui.serving import serve
from tmux_agent.edges.ui.wire import Attach

INTERPRETER = os.path.realpath(sys.executable)


class Screen(pyte.Screen):
    """pyte knows no dim; blink, which we never send, stands for it."""

    def select_graphic_rendition(self, *attrs: int, private: bool = False) -> None:
        swapped = [{2: 5, 22: 25}.get(attr, attr) for attr in attrs]
        if 22 in attrs:
            swapped.append(22)
        super().select_graphic_rendition(*swapped)


class Sidecar:
    """Answers `popup.attach` with a popup on `desk`, or with `refusal`."""

    def __init__(self, folder: str, desk: ScriptedDesk, refusal: str = "", page: Page | None = None) -> None:
        self.path = str(Path(folder) / "s")
        self.desk = desk
        self.page = page
        self.refusal = refusal
        self.attached: list[dict[str, Any]] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.hold: asyncio.Event | None = None  # set: a popup waits for it before it paints
        self.came = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = json.loads(await reader.readline())
        self.attached.append(request)
        self.writers.append(writer)
        self.came.set()
        if self.hold:
            await self.hold.wait()
        if self.refusal:
            error = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32004, "message": self.refusal}}
            writer.write(json.dumps(error, separators=(",", ":")).encode() + b"\n")
            writer.close()
            return
        params = {key: value for key, value in request["params"].items() if key != "nonce"}
        attach = Attach(**{**params, "utf8": True}, page=self.page)
        await serve(reader, writer, attach, self.desk, lambda: NOW)

    async def __aenter__(self) -> Sidecar:
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self.writers:
            writer.close()


class Tmux:
    """A server of its own on a socket in `folder`."""

    def __init__(self, folder: str) -> None:
        self.socket = str(Path(folder) / "t")
        self.environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm-256color", "HOME": folder}

    def argv(self, *command: str) -> list[str]:
        return ["tmux", "-f", "/dev/null", "-S", self.socket, *command]

    async def run(self, *command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *self.argv(*command), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return (await process.communicate())[0].decode()

    async def __aenter__(self) -> Tmux:
        await self.run(
            "set", "-g", "status", "off", ";", "new-session", "-d", "-s", "main", "-x", "100", "-y", "24", "cat"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.run("kill-server")


class Client:
    """`tmux attach` on a pty of the given size."""

    def __init__(self, tmux: Tmux, columns: int, rows: int) -> None:
        self.tmux = tmux
        self.columns, self.rows = columns, rows
        self.screen = Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.popups: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Client:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))
        self._process = await asyncio.create_subprocess_exec(
            *self.tmux.argv("attach", "-t", "main"), stdin=slave, stdout=slave, stderr=slave, env=self.tmux.environment,
            preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)),  # type: ignore[arg-type, return-value]
        )  # fmt: skip
        os.close(slave)
        self._reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        file = os.fdopen(self.master, "rb", 0)
        self._transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(self._reader), file)
        await self.read()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._process.terminate()
        await self._process.wait()
        self._transport.close()
        for popup in self.popups:
            await popup.wait()

    async def read(self) -> bytes:
        data = await asyncio.wait_for(self._reader.read(65536), PATIENCE)
        self._stream.feed(data)
        return data

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    async def until(self, holds: Callable[[str], bool] | str) -> str:
        check = (lambda text: holds in text) if isinstance(holds, str) else holds
        while not check(self.text()):
            try:
                if not await self.read():
                    raise AssertionError(f"the client ended; its screen was:\n{self.text()}")
            except TimeoutError:
                raise AssertionError(f"waited for {holds!r}; the screen is:\n{self.text()}") from None
        return self.text()

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process.send_signal(28)

    async def popup(self, sidecar: Sidecar, *options: str) -> asyncio.subprocess.Process:
        """Opens the popup as the sidecar does: borderless, over the whole client."""
        names = (await self.tmux.run("list-clients", "-F", "#{client_name}")).split()
        relayed = shlex.join([INTERPRETER, "-I", "-S", relay.__file__, sidecar.path, "0123456789abcdef"])
        signal = shlex.join(self.tmux.argv("wait-for", "-S", "relay-done"))
        command = f"{relayed}; status=$?; {signal}; exit $status"
        given = options or ("-B", "-w", "100%", "-h", "100%")
        argv = self.tmux.argv("display-popup", "-c", names[0], *given, "-EE", command)
        process = await asyncio.create_subprocess_exec(*argv, env=self.tmux.environment)
        self.popups.append(process)
        return process
