"""Has Codex trust our hooks, as "Trust all" at its start does: it runs none that changed since a person agreed to them.

Owns the talk with `codex app-server`: Codex itself names its hooks, computes their hashes and writes them to its
config.toml. Only setup calls this, after the person's yes. Must not own: which hooks (codex_setup.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.errors import Unavailable
from .json_hooks import RELAY

SECONDS = 30.0


def trust(program: str, hooks_file: Path, environ: Mapping[str, str]) -> int:
    """Trust what is ours in `hooks_file`; how many hooks are trusted then. Raises Unavailable where Codex does not."""
    command = [program, "app-server"]
    pipe = subprocess.PIPE
    try:
        server = subprocess.Popen(
            command, cwd=hooks_file.parent, env=dict(environ), stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )
    except OSError as why:
        raise Unavailable(f"{program} cannot be started: {why.strerror}") from None
    timer = threading.Timer(SECONDS, server.kill)  # whatever it waits for: its silence ends then
    timer.start()
    try:
        return _talk(_Link(server), hooks_file)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as why:
        raise Unavailable(f"{program} app-server was not understood: {why!r}") from None
    finally:
        timer.cancel()
        server.kill()
        server.communicate()


class _Link:
    """Requests and their replies, a line of JSON each."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        assert server.stdin
        assert server.stdout
        self._out, self._in = server.stdin, server.stdout
        self._last = 0

    def tell(self, message: dict[str, Any]) -> None:
        self._out.write(json.dumps(message).encode() + b"\n")
        self._out.flush()

    def call(self, method: str, params: dict[str, Any]) -> Any:
        self._last += 1
        self.tell({"id": self._last, "method": method, "params": params})
        for line in self._in:
            reply = json.loads(line)
            if reply.get("id") == self._last and "method" not in reply:
                return reply["result"]
        raise ValueError(f"no reply to {method}")


def _talk(link: _Link, hooks_file: Path) -> int:
    link.call("initialize", {"clientInfo": {"name": "tmux-agent", "version": "1"}, "capabilities": _CAPABLE})
    link.tell({"method": "initialized"})
    found = _ours(link, hooks_file)
    state = {one["key"]: {"trusted_hash": one["currentHash"]} for one in found if one["trustStatus"] != "trusted"}
    if state:
        edit = {"keyPath": "hooks.state", "value": state, "mergeStrategy": "upsert"}
        written = {"filePath": None, "expectedVersion": None, "reloadUserConfig": True, "edits": [edit]}
        link.call("config/batchWrite", written)
    return sum(one["trustStatus"] == "trusted" for one in _ours(link, hooks_file))


_CAPABLE = {"experimentalApi": True}


def _ours(link: _Link, hooks_file: Path) -> list[dict[str, Any]]:
    listed = link.call("hooks/list", {"cwds": [str(hooks_file.parent)]})["data"][0]["hooks"]
    file = os.path.realpath(hooks_file)
    return [one for one in listed if os.path.realpath(one["sourcePath"]) == file and RELAY in str(one.get("command"))]
