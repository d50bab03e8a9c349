"""Claude Code, Codex, Gemini and opencode, each real and in panes of one tmux server that one sidecar serves.

Owns how each of them is started and talked to, and reading what the sidecar says they do. The model is scripted.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.end_to_end import real_claude, real_codex, real_gemini, real_opencode
from tests.end_to_end.real_codex import CodexWorld
from tests.end_to_end.real_gemini import GeminiWorld
from tests.end_to_end.real_opencode import OpencodeWorld
from tests.end_to_end.whole import ROOT, WAIT

WATCHED = 2.5  # seconds for which a state is watched at least: what is right at first may be wrong a moment later
MISSING = not (real_claude.PROGRAM and real_codex.PROGRAM and real_gemini.PROGRAM and real_opencode.PROGRAM)
SKIP = "the real agents are not here (npm is missing?): scripts/test installs them"


@dataclass(frozen=True)
class Kind:
    """How one agent is used."""

    argv: tuple[str, ...]
    ready: tuple[str, ...]  # its prompt waits, when its screen shows one of these
    typed: str  # a prompt as it stands in its field
    dialog: str  # its own question
    yes: str  # the key that says yes to it
    clear: str  # the command for a new conversation
    resume: tuple[str, ...]  # arguments that take the last conversation up
    twice: bool = False  # an Esc wants another one
    ctrl_c: str = "idle"  # its state after Ctrl-C: opencode ends


KINDS = {
    "claude": Kind(
        argv=(str(real_claude.PROGRAM),),
        ready=("? for shortcuts",),
        typed="❯\xa0{}",
        dialog="Do you want to proceed?",
        yes="Enter",
        clear="/clear",
        resume=("--continue",),
    ),
    "codex": Kind(
        argv=(str(real_codex.PROGRAM),),
        ready=("? for shortcuts",),
        typed="› {}",
        dialog="Would you like to run",
        yes="y",
        clear="/clear",
        resume=("resume", "--last"),
    ),
    "gemini": Kind(
        argv=(str(real_gemini.PROGRAM), "-m", "gemini-2.5-flash"),
        ready=("Type your message",),
        typed=" > {}",
        dialog="Allow execution of",
        yes="Enter",
        clear="/clear",
        resume=("--resume", "latest"),
    ),
    "opencode": Kind(
        argv=(str(real_opencode.PROGRAM),),
        ready=("ctrl+p commands",),
        typed="┃  {}",
        dialog="Permission required",
        yes="Enter",
        clear="/new",
        resume=("--continue",),
        twice=True,
        ctrl_c="gone",
    ),
}


CURSOR = Kind(("cursor-agent",), ("ready",), "{}", "", "", "", ())
CURSORS = ROOT / "tests" / "corpus" / "hooks" / "cursor"


class AllAgents(GeminiWorld, CodexWorld, OpencodeWorld):
    """One such world; `open` puts an agent into a window of its own."""

    def __init__(self, script: dict[str, Any]) -> None:
        super().__init__(script)
        self.kind = KINDS["claude"]
        self.times: list[tuple[str, str, float]] = []
        self._opened: list[str] = []
        self._turn = 0
        os.mkfifo(self.project / "gate")  # what reads it runs until it is ended

    def start(self, *_: str) -> None:
        """As a newcomer: the plugin, the hooks of all."""
        self.load()
        for agent in KINDS:
            self.set_up(agent)

    def kill_sidecar(self) -> None:
        """As the first in a long while: who dies again and again is started with ever more time between."""
        (self.state / "deaths").unlink(missing_ok=True)
        super().kill_sidecar()

    # --- one agent ---

    def open(self, agent: str, *arguments: str) -> str:
        """An agent in a new window, its prompt ready; its pane."""
        self.kind = KINDS[agent]
        self.open_window(*self.kind.argv, *arguments)
        self._opened.append(self.pane)
        self.draws(*self.kind.ready)
        return self.pane

    def open_cursor(self) -> None:
        """What stands for Cursor, which cannot be had: a program of its name that runs the hooks of its hooks.json,
        each with a recorded input. `cursor` says which."""
        done = self.run("setup", "cursor", "--yes")
        assert done.returncode == 0, done.stderr
        self.kind = CURSOR
        program = self.folder / "cursor-agent"
        program.write_text(
            "#!/bin/sh\nstty -echo\nprintf 'ready\\n'\n"
            'while read -r line; do eval "$line"; printf "told\\n"; done\n'
        )
        program.chmod(0o755)
        window = ("new-window", "-t", "main:", "-P", "-F", "#{pane_id}", "-c", str(self.project))
        self.pane = self.server.run(*window, str(program))
        self._opened.append(self.pane)
        self.draws("ready")

    def cursor(self, name: str) -> None:
        """Have it run the hook that the recorded input NAME is of; does not wait for the answer. A prompt begins a
        turn, whose number the inputs carry; the command is one that a rule asks about."""
        self._turn += name == "beforeSubmitPrompt"
        given = self.folder / f"{name}.json"
        given.write_text((CURSORS / given.name).read_text().replace("gen-1", f"gen-{self._turn}"))
        given.write_text(given.read_text().replace("npm install", "mkdir made"))
        hooks = json.loads((self.home / ".cursor" / "hooks.json").read_text())["hooks"]
        (handler,) = hooks[name.partition("-")[0]]
        self.server.run("send-keys", "-t", self.pane, "-l", f"{handler['command']} <'{given}'")
        self.press("Enter")

    def leave(self) -> None:
        """Closes the windows that were opened, and waits until no agent is known."""
        for pane in self._opened:
            self.server.run("kill-pane", "-t", pane, check=False)
        self._opened.clear()
        self.until(lambda: self.agents() == [], "the end of all agents")

    def say(self, prompt: str) -> None:
        """Type a prompt, and Enter until the model is asked: right after text it may be taken for a new line."""
        self._type(prompt)
        begun = self._begun()
        self.until(lambda: self._begun() > begun, "the model's turn", press="Enter")

    def _type(self, text: str) -> None:
        """Again where it is lost: an agent draws its prompt a moment before it listens."""
        end = time.monotonic() + WAIT
        while True:
            self.press("C-u")  # after an Esc the former prompt may stand there
            self.draws(*self.kind.ready)
            self.server.run("send-keys", "-t", self.pane, "-l", text)
            if self._stands(self.kind.typed.format(text)):
                return
            assert time.monotonic() < end, f"{text!r} does not stand there:\n{self._screen()}"

    def asks(self, word: str) -> None:
        """Have it ask for something."""
        before = len(self.pending())
        self.say(f"please {word}")
        self.becomes("waiting", f"a question, {word}")
        assert len(self.pending()) >= before

    def clear(self) -> None:
        """A new conversation. (Gemini and Codex offer commands while one is typed: Enter again.)"""
        self._type(self.kind.clear)
        self.until(lambda: self.is_now() != "done", "a new conversation", press="Enter")

    def interrupts(self, key: str) -> None:
        """Presses a key until it is taken: a dialog is drawn a moment before it listens."""
        over = lambda: self.is_now() not in ("waiting", "working", "")  # noqa: E731
        if key == "Escape" and self.kind.twice:
            self.interrupt(over)
        else:
            self.until(over, "the interruption", press=key)

    def agent_pid(self) -> int:
        return int(self.server.run("display-message", "-p", "-t", self.pane, "#{pane_pid}"))

    # --- what the sidecar says ---

    def pending(self) -> set[str]:
        """Ids of the questions that the log says are open."""
        ended = ("approval.answered", "approval.withdrawn", "approval.expired")
        over = {one["request_id"] for kind in ended for one in self.records(kind)}
        return {one["request_id"] for one in self.records("approval.opened")} - over

    def agents(self) -> list[dict[str, Any]] | None:
        """What agent.list tells; None while no sidecar answers."""
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(5)
            try:
                peer.connect(str(self.folder / "s"))
                peer.sendall(b'{"jsonrpc":"2.0","id":1,"method":"agent.list","params":{}}\n')
                with peer.makefile() as lines:
                    line = lines.readline()
            except OSError:
                return None
        return json.loads(line)["result"]["data"]["agents"] if line else None

    def is_now(self, pane: str = "") -> str:
        """The state of the one agent in a pane (ours); "gone" where none is known there, "" without a sidecar."""
        agents = self.agents()
        if agents is None:
            return ""
        states = [str(one["state"]) for one in agents if one.get("pane") == (pane or self.pane)]
        return "+".join(states) or "gone"

    def badge_is_right(self) -> bool:
        """Whether the status line counts what agent.list says."""
        agents = self.agents() or []
        self.person.read(0.02)
        line = self.person.text().splitlines()[-1]
        states = ["limit" if one.get("limit") else str(one["state"]) for one in agents]
        marks = {"working": "⏵", "waiting": "⏸", "done": "✓", "error": "✗", "limit": "◷"}
        return all(
            (f"{mark}{states.count(state)}" in line) if state in states else mark not in line
            for state, mark in marks.items()
        )

    def becomes(self, state: str, after: str, do: Callable[[], object] | None = None, pane: str = "") -> float:
        """Does something, and watches the state until it is this one, and for WATCHED at least; seconds it took."""
        start, right = time.monotonic(), 0.0
        if do:
            do()
        now = ""

        def settled() -> bool:
            nonlocal right, now
            now = self.is_now(pane)
            if now != state:
                right = 0.0
            elif not right:
                right = time.monotonic()
            return bool(right) and time.monotonic() - start > WATCHED

        try:
            self.until(settled, f"{state} after {after}")
        except AssertionError as why:
            raise AssertionError(f"{now!r}, never {state!r} after {after}; agents: {self.agents()}\n{why}") from None
        self.until(self.badge_is_right, f"the badge after {after}")
        took = right - start
        self.times.append((os.path.basename(self.kind.argv[0]), after, took))
        print(f"{self.times[-1][0]:8}{after:46}{state:9}{took:6.2f} s")
        return took
