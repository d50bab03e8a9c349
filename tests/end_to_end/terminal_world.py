"""A sidecar and a tmux server whose sessions have a known shell, for tests of persistent terminals."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.plugin.terminal import Server
from tests.sidecar import Peer, Sidecar, sidecar, until

PROGRAMS = {
    "bash": "bash --norc --noprofile",
    "dash": "dash",
    "zsh": "zsh -f",
    "fish": "fish --no-config",
}


class Approver:
    """A person who says yes to everything, at a terminal of their own."""

    def __init__(self, one: Sidecar) -> None:
        self._peer, self._hand = one.operator(), one.operator()  # what is heard while it answers is not lost
        self._peer.socket.settimeout(None)
        self.asked: list[dict[str, Any]] = []
        self.grant: str | None = None  # what is allowed ahead with each yes
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._peer.call("events.subscribe", {"types": ["approval.opened"]})
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # the test is over
            while line := self._peer.line():
                if json.loads(line).get("method") == "event":
                    self._answer()

    def _answer(self) -> None:
        for one in self._hand.call("human.pending")["approvals"]:
            self.asked.append(one)
            answer = {"request_id": one["request_id"], "digest": one["digest"], "approved": True, "grant": self.grant}
            self._hand.call("human.respond", answer)


class Terminals:
    """A sidecar, a tmux server, and somebody who asks."""

    def __init__(self, one: Sidecar, tmux: Server) -> None:
        self.sidecar, self.tmux = one, tmux
        self.home = Path(one.environ["HOME"])
        self.peer: Peer
        self.approver: Approver

    def open(self, shell: str, name: str = "main") -> str:
        """A session with a shell; its pane's id."""
        program = f"env PS1='$ ' HOME={self.home} PATH={self.sidecar.environ['PATH']} {PROGRAMS[shell]}"
        made = ("new-session", "-d", "-P", "-F", "#{pane_id}", "-s", name, "-c", str(self.home))
        return self.tmux.run(*made, "-x", "100", "-y", "30", program)

    def attach(self) -> Peer:
        """Tell the sidecar of the tmux server, as the plugin does; gives somebody to ask it by."""
        self.peer = self.sidecar.agent()
        self.peer.call("tmux.attach", {"socket": self.tmux.socket})
        until(lambda: self.peer.request("tmux.panes").get("result", {}).get("data", {}).get("panes"))
        return self.peer

    def execute(self, text: str, wait_ms: int = 60_000, **more: Any) -> dict[str, Any]:
        where = {} if {"session", "pane_id"} & more.keys() else {"session": "main"}
        found: dict[str, Any] = self.peer.call("tmux.execute", {"command": text, "wait_ms": wait_ms, **where, **more})
        return found

    def told(self, id_: str, wait_ms: int = 60_000) -> dict[str, Any]:
        found: dict[str, Any] = self.peer.call("tmux.execution", {"execution_id": id_, "wait_ms": wait_ms})
        return found


@contextlib.contextmanager
def terminals(shell: str | None = "bash", *, approved: bool = True) -> Iterator[Terminals]:
    """With a session `main` of that shell, attached. `approved`: somebody says yes to whatever is asked."""
    with sidecar() as one, Server() as tmux:
        world = Terminals(one, tmux)
        if shell is not None:
            world.open(shell)
            tmux.run("set", "-g", "default-command", "")
        one.start()
        world.attach()
        if approved:
            world.approver = Approver(one)
        yield world
