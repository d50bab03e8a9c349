"""The real agents at their usage limits: noticed, shown with the time, told to go on when it has come, and they do.

The scripted model refuses as each provider does for a limit, and answers once it has ended.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end import real_claude, real_codex, real_gemini, real_opencode
from tests.end_to_end.real_codex import CodexWorld
from tests.end_to_end.real_gemini import GeminiWorld
from tests.end_to_end.real_opencode import OpencodeWorld
from tests.end_to_end.whole import ROOT, Whole

pytestmark = pytest.mark.timeout(600)

BERLIN = {"TZ": "Europe/Berlin"}  # of the agent and of the sidecar
UNIFIED = "anthropic-ratelimit-unified"
CLAUDE = {
    "error": 429, "kind": "rate_limit_error", "said": "This request would exceed your account's rate limit.",
    "headers": {
        "x-should-retry": "false", f"{UNIFIED}-status": "rejected", f"{UNIFIED}-representative-claim": "five_hour",
        f"{UNIFIED}-reset": "{resets}",
    },
}  # fmt: skip
CODEX = {
    "error": 429,
    "body": {"error": {"type": "usage_limit_reached", "message": "x", "plan_type": "plus", "resets_at": "{resets}"}},
}
HOURS = "13272s"
GEMINI = {
    "error": 429,
    "body": {"error": {
        "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota.",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": HOURS}],
    }},
}  # fmt: skip
OPENCODE = {
    "error": 429,
    "headers": {"retry-after": "13272"},
    "body": {"error": {"message": "You exceeded your quota."}},
}
ENDED = {"text": "It goes on now."}


class Limited(Whole):
    """A world whose model refuses what holds go-limit, whose sidecar has a clock that may be set ahead."""

    def _environ(self, url: str) -> dict[str, str]:
        return super()._environ(url) | BERLIN

    def _write_files(self) -> None:
        super()._write_files()
        (self.folder / "clock").write_text("0")
        text = self.command.read_text().replace("-P -m tmux_agent", str(Path(__file__).with_name("jumping_clock.py")))
        path = f"{ROOT / 'sidecar'}:{ROOT}"
        self.command.write_text(
            text.replace(f"PYTHONPATH={ROOT / 'sidecar'}", f"PYTHONPATH={path} CLOCK={self.folder}/clock")
        )
        (self.folder / "config" / "config.yaml").write_text("resume: {agents: [claude, codex, gemini], after: 1}\n")

    def ahead(self, seconds: float) -> None:
        """kill -9 of the sidecar; its successor's clock is ahead."""
        old = self.sidecar_pid()
        (self.folder / "clock").write_text(str(seconds))
        self.kill_sidecar()
        self.until(lambda: self.sidecar_pid() not in (0, old), "the next sidecar")

    def screen(self) -> str:
        return self.server.run("capture-pane", "-p", "-t", self.pane)

    def agent(self) -> dict[str, Any]:
        """The one in our pane; empty where none is known."""
        done = self.run("agents", "--json")
        found = [one for one in json.loads(done.stdout or "[]") if one.get("pane") == self.pane]
        return dict(found[0]) if found else {}

    def limited(self) -> dict[str, Any]:
        """Its limit, once it is noticed and the status line says so."""
        self.until(lambda: "limit" in self.agent(), "the limit")
        self.shows("◷1")
        found: dict[str, Any] = self.agent()["limit"]
        return found

    def finished(self) -> dict[str, Any]:
        self.until(lambda: bool(self.records("action.finished")), "that it was told to go on")
        (one,) = self.records("action.finished")
        return one

    def goes_on(self) -> None:
        """It was told to go on, and does; no limit is left, and the log has all of it."""
        assert self.finished()["data"]["outcome"]["ok"], (self.finished()["data"], self.screen())
        self.draws("It goes on now.")
        self.until(lambda: "limit" not in self.agent(), "the end of the limit")
        (decided,) = self.records("decision")
        assert decided["data"]["rule"] == "resume in config.yaml"
        assert len(self.records("agent.limited")) == 1


class Claude(Limited):
    """With the subscription's token, as limits of a session or a week are a subscription's."""

    def _environ(self, url: str) -> dict[str, str]:
        found = super()._environ(url) | {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-dummy"}
        return {name: value for name, value in found.items() if name != "ANTHROPIC_API_KEY"}


class Codex(Limited, CodexWorld):
    pass


class Gemini(Limited, GeminiWorld):
    pass


class Opencode(Limited, OpencodeWorld):
    pass


def script(turn: dict[str, Any], **more: Any) -> dict[str, Any]:
    first = {**turn, **more, "then": ENDED} if more else turn
    return {"go-limit": [first], "continue": [ENDED], "*": [{"text": "Hello."}]}


Begin = Callable[..., Any]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Starts a world; it ends with the test."""
    worlds: list[Whole] = []

    def start(kind: type[Limited], turns: dict[str, Any], *, hooks: bool = True) -> Limited:
        made = type(kind.__name__, (kind,), {"hooks": hooks})(turns)
        worlds.append(made)
        made.start()
        return made

    yield start
    for world in worlds:
        world.close()


@pytest.mark.skipif(not real_claude.PROGRAM, reason=real_claude.SKIP)
def test_claude(begin: Begin) -> None:
    """Its hook tells, its menu opens; at the full minute that it named the menu is left and Claude told to go on."""
    world = begin(Claude, script(CLAUDE, resets=10, minute=True))
    world.say("please go-limit")
    limit = world.limited()
    assert limit["words"].startswith("You've hit your session limit · resets ")
    ends = datetime.fromisoformat(limit["resets"]).timestamp()
    assert ends % 60 == 0
    assert 0 < ends - time.time() <= 71
    assert datetime.fromisoformat(limit["resumes"]).timestamp() == ends + 1
    world.draws("Stop and wait for limit to reset")
    listed = world.run("agents").stdout
    assert "usage limit until" in listed
    assert "told to go on at" in listed
    end = time.monotonic() + 75  # the rest of a minute, and of the next
    while not world.records("action.started"):
        assert time.monotonic() < end, "its time has passed, and nobody told it"
        world.person.read(0.2)
    assert time.time() >= ends
    world.goes_on()
    assert world.run("audit", "verify").returncode == 0


@pytest.mark.skipif(not real_claude.PROGRAM, reason=real_claude.SKIP)
@pytest.mark.parametrize("hooks", [True, False], ids=["hooks", "screen"])
def test_claude_over_a_restart(begin: Begin, *, hooks: bool) -> None:
    """The sidecar is killed, and its successor starts when the limit has ended: Claude is told to go on, once."""
    world = begin(Claude, script({**CLAUDE, "resets": 7800}), hooks=hooks)
    world.say("please go-limit")
    world.limited()
    world.until(lambda: bool(world.records("agent.limited")), "its record")
    world.ahead(8000)
    world.goes_on()
    world.ahead(16000)
    world.until(lambda: world.agent() != {}, "Claude, known again")
    assert "limit" not in world.agent()
    assert len(world.records("action.started")) == 1


@pytest.mark.skipif(not real_codex.PROGRAM, reason=real_codex.SKIP)
def test_codex(begin: Begin) -> None:
    """No hook tells: its screen does; `continue` is typed at its prompt."""
    world = begin(Codex, script({**CODEX, "resets": 7800}))
    world.say("please go-limit")
    limit = world.limited()
    assert limit["words"].startswith("You’ve hit your usage limit.")
    assert 7700 < datetime.fromisoformat(limit["resets"]).timestamp() - time.time() <= 7800
    world.ahead(8000)
    world.goes_on()


@pytest.mark.skipif(not real_gemini.PROGRAM, reason=real_gemini.SKIP)
def test_gemini(begin: Begin) -> None:
    """Its menu tells, while its title says that it works; it is told to keep trying there, and nothing is typed."""
    world = begin(Gemini, script(GEMINI, resets=1))
    world.say("please go-limit")
    limit = world.limited()
    assert limit["words"].startswith("Usage limit reached for gemini-2.5-flash.")
    assert 13000 < datetime.fromisoformat(limit["resets"]).timestamp() - time.time() <= 13300
    world.ahead(14000)
    world.goes_on()
    assert "pressed =1 in its menu" in world.finished()["data"]["outcome"]["summary"]


@pytest.mark.skipif(not real_opencode.PROGRAM, reason=real_opencode.SKIP)
@pytest.mark.parametrize("hooks", [True, False], ids=["hooks", "screen"])
def test_opencode(begin: Begin, *, hooks: bool) -> None:
    """It says when it tries again by itself: nothing is armed, and it cannot be told to. Esc ends it, and the limit."""
    world = begin(Opencode, script(OPENCODE), hooks=hooks)
    world.say("please go-limit")
    limit = world.limited()
    assert "You exceeded your quota." in limit["words"]
    assert limit["alone"]
    assert "resumes" not in limit
    assert 13000 < datetime.fromisoformat(limit["resets"]).timestamp() - time.time() <= 13300
    assert "it goes on by itself" in world.run("agents").stdout
    world.interrupt(lambda: "limit" not in world.agent())


@pytest.mark.skipif(not real_claude.PROGRAM, reason=real_claude.SKIP)
def test_cleared_by_the_person(begin: Begin) -> None:
    """A prompt, and /clear, end it: nothing is told to go on then."""
    world = begin(Claude, script({**CLAUDE, "resets": 7800}))
    for way in ("please go-hello", "/clear"):
        world.say("please go-limit")
        world.limited()
        world.draws("Stop and wait for limit to reset", "? for shortcuts")
        world.until(lambda: "? for shortcuts" in world.screen(), "its prompt", press="Escape")
        world.say(way)
        world.until(lambda: "limit" not in world.agent(), "the end of the limit", press="Enter")
    world.ahead(8000)
    world.until(lambda: world.agent() != {}, "Claude, known again")
    assert world.records("action.started") == []
