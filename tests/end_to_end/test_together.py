"""Claude Code, Codex, Gemini and opencode, the real ones, in windows of one tmux server: one popup, policy and log."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.end_to_end import real_claude, real_codex, real_gemini, real_opencode
from tests.end_to_end.real_codex import CodexWorld
from tests.end_to_end.real_gemini import GeminiWorld
from tests.end_to_end.real_opencode import OpencodeWorld
from tests.end_to_end.whole import WAIT, Whole

PROGRAMS = {
    "claude": real_claude.PROGRAM,
    "codex": real_codex.PROGRAM,
    "gemini": real_gemini.PROGRAM,
    "opencode": real_opencode.PROGRAM,
}
AGENTS = tuple(PROGRAMS)
MISSING = [agent for agent, program in PROGRAMS.items() if program is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not here (npm is missing?), scripts/test installs them: {MISSING}"),
    pytest.mark.timeout(600),
]


def edit_by(agent: str) -> list[dict[str, Any]]:
    """The edit of its own prices.txt, as each one's model would call for it."""
    path = f"{agent}/prices.txt"
    if agent == "codex":
        patch = f"*** Begin Patch\n*** Update File: {path}\n@@\n-apples 3\n+apples 4\n*** End Patch\n"
        return [{"tool": {"name": "apply_patch", "args": {"input": patch}}}]
    change = {"old_string": "apples 3", "new_string": "apples 4"}
    if agent == "gemini":
        return [{"tool": {"name": "replace", "args": {"file_path": path, "instruction": "raise it", **change}}}]
    before = [{"read": path}] if agent == "claude" else []  # Claude edits only what it has read
    return [*before, {"edit": {"path": path, "old": "apples 3", "new": "apples 4"}}]


def turns(agent: str) -> dict[str, Any]:
    calls = {
        "run": [{"shell": f"touch made-{agent}"}],
        "refuse": [{"shell": f"touch no-{agent}"}],
        "edit": edit_by(agent),
        "again": [{"shell": f"touch again-{agent}"}],
    }
    return {f"{word}-{agent}": [*steps, {"text": f"The {word} turn is over."}] for word, steps in calls.items()}


SCRIPT: dict[str, Any] = {name: steps for agent in AGENTS for name, steps in turns(agent).items()}


class Together(CodexWorld, GeminiWorld, OpencodeWorld):
    """All four in one tmux server. `at` says whose pane is meant from then on."""

    def _environ(self, url: str) -> dict[str, str]:
        folders = dict.fromkeys(os.path.dirname(program) for program in PROGRAMS.values() if program)
        return super()._environ(url) | {"PATH": ":".join((*folders, os.environ["PATH"]))}

    def _write_files(self) -> None:
        super()._write_files()
        for agent in AGENTS:
            (self.project / agent).mkdir()
            (self.project / agent / "prices.txt").write_text("apples 3\n")

    def start(self, *arguments: str) -> None:
        """As a newcomer: the plugin, the hooks of each, then each in a window."""
        self.load()
        self.panes: dict[str, str] = {}
        for agent in AGENTS:
            self.set_up(agent, *(("--popup-only",) if agent == "gemini" else ()))
            program = PROGRAMS[agent]
            assert program
            more = ("-m", "gemini-2.5-flash") if agent == "gemini" else ()
            self.panes[agent] = self.open_window(program, *more, name=agent)
        for agent, ready in (
            ("claude", "? for shortcuts"),
            ("codex", real_codex.READY),
            ("gemini", real_gemini.PROMPT),
            ("opencode", real_opencode.READY),
        ):
            self.at(agent)
            assert self._soon(lambda ready=ready: ready in self._screen(), 2 * WAIT), f"{agent}:\n{self._screen()}"

    def at(self, agent: str) -> None:
        self.agent, self.pane = agent, self.panes[agent]

    def say(self, prompt: str) -> None:
        """As each one takes it."""
        how: dict[str, Callable[[Any, str], None]] = {
            "claude": Whole.say, "codex": CodexWorld.say, "gemini": GeminiWorld.say, "opencode": OpencodeWorld.say,
        }  # fmt: skip
        how[self.agent](self, prompt)

    def asks(self, word: str) -> dict[str, Any]:
        """Have it ask for something: the open approval."""
        before = len(self.records("approval.opened"))
        self.say(f"please {word}-{self.agent}")
        self.until(lambda: len(self.records("approval.opened")) > before, "the question")
        (opened,) = self.records("approval.opened")[before:]
        return opened

    def over(self, word: str) -> None:
        self.draws(f"The {word} turn is over.")


@pytest.fixture(scope="module")
def world() -> Iterator[Together]:
    made = Together(SCRIPT)
    try:
        made.start()
        yield made
    finally:
        made.close()


def checked(world: Together, opened: dict[str, Any]) -> None:
    """The log names the agent, its session and pane, and the person who answered just this."""
    origin = opened["origin"]
    assert (origin["agent"], origin["pane"], origin["door"]) == (world.agent, world.pane, "hook")
    assert origin["session"]
    answered = world.records("approval.answered")[-1]
    assert answered["request_id"] == opened["request_id"]
    assert answered["data"]["digest"] == opened["data"]["digest"]
    assert answered["origin"]["client"] == world.person.tty


@pytest.mark.parametrize("agent", AGENTS)
def test_a_command_is_approved(world: Together, agent: str) -> None:
    """It runs after the yes in the popup, not before."""
    world.at(agent)
    opened = world.asks("run")
    assert not (world.project / f"made-{agent}").exists()
    world.popup(f"touch made-{agent}")
    world.answer("a", "approved")
    world.leave_popup()
    world.over("run")
    assert (world.project / f"made-{agent}").exists()
    checked(world, opened)


@pytest.mark.parametrize("agent", AGENTS)
def test_a_denial_carries_its_reason(world: Together, agent: str) -> None:
    """Nothing runs, and the model reads what the person typed."""
    world.at(agent)
    opened = world.asks("refuse")
    world.popup(f"touch no-{agent}")
    world.answer("d", "The reason goes to the agent")
    world.person.press(*f"not today, {agent}", "\r")
    world.shows("denied")
    world.leave_popup()
    world.over("refuse")
    assert f"not today, {agent}" in world.results()
    assert not (world.project / f"no-{agent}").exists()
    checked(world, opened)


@pytest.mark.parametrize("agent", AGENTS)
def test_an_edit_is_approved(world: Together, agent: str) -> None:
    """The popup shows what changes; then it changes."""
    world.at(agent)
    opened = world.asks("edit")
    world.popup("apples 4")
    world.answer("a", "approved")
    world.leave_popup()
    world.over("edit")
    assert (world.project / agent / "prices.txt").read_text() == "apples 4\n"
    checked(world, opened)


def test_two_wait_in_one_popup(world: Together) -> None:
    """Agents of different kinds stand below each other, the oldest first, and are answered in turn."""
    both = ("claude", "opencode")
    for agent in both:
        world.at(agent)
        world.asks("again")
    screen = world.popup("touch again-claude", waiting=2)
    assert screen.index("claude ") < screen.index("opencode "), screen
    world.answer("a", "approved")
    world.shows("1 waiting")
    world.answer("a", "Nothing")
    world.leave_popup()
    for agent in both:
        world.at(agent)
        world.over("again")
        assert (world.project / f"again-{agent}").exists()


def test_the_log_holds(world: Together) -> None:
    """All of it is in one chain, whoever asked."""
    done = world.run("audit", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {one["origin"]["agent"] for one in world.records("approval.opened")} == set(AGENTS)
