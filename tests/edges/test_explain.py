"""`agent.explain`: the sentence that it gives, and who is told what stands on a screen."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from tmux_agent.core import chain, errors, markers, readings
from tmux_agent.core import protocol as p
from tmux_agent.core import replies as r
from tmux_agent.core.model import Agent, AgentState, Event, Origin, Role
from tmux_agent.core.screen_reading import Dialog, Seen
from tmux_agent.edges.explain import explain
from tmux_agent.services.agents import Told
from tmux_agent.services.ledger import Heard
from tmux_agent.services.tmux import snapshot

NOW = datetime(2026, 11, 20, tzinfo=UTC)
ROW = "%7\t@1\t$1\t1\t0\t99\t1\t0\t0\t0\t0\t0\t80\t24\t0\t/dev/pts/9\tmain\tshop\ttitle"
PERSON = Origin(role=Role.OPERATOR, why="", uid=0, pid=1, session="1:1")
OTHER = Origin(role=Role.AGENT, why="", uid=0, pid=2, session="2:1", server="/t", pane="%8")
AGENT = Agent(
    session="s", kind="claude", state=AgentState.WAITING, since=NOW, server="/t", pane="%7",
    why="hook PermissionRequest", waiting_on="rm x",
)  # fmt: skip
DIALOG = Seen(
    state="waiting",
    rule="dialog",
    dialog=Dialog(question="rm the\x1b secret?", text="", choices=(), rows=(0, 0), about=""),
)


def asked(
    origin: Origin,
    agents: tuple[Agent, ...] = (),
    programs: Any = (),
    seen: Seen | None = None,
    how: str = "",
    audit: Path = Path("/nonexistent"),
) -> r.ExplainData:
    """What is told of pane %7."""
    (pane,) = snapshot.panes([ROW])
    server = SimpleNamespace(socket="/t", pane=lambda _: pane)
    decision = {"verdict": "ask", "rule": "unmatched", "reason": "no rule"}
    heard = Heard(1, "t", Event(type="decision", origin=replace(OTHER, session="s"), data=decision))

    async def view(_: Any) -> Any:
        return SimpleNamespace(seen=seen, agent="claude") if seen else None

    system: Any = SimpleNamespace(
        servers=SimpleNamespace(choose=lambda *_: server),
        screens=SimpleNamespace(view=view),
        agents=SimpleNamespace(list=lambda: agents, told=lambda _: (Told(NOW, "hook Stop", "done"),)),
        identity=SimpleNamespace(programs=lambda _: programs),
        approvals=SimpleNamespace(pending=tuple),
        recent=deque([heard]),
        watch=SimpleNamespace(
            how=lambda *_: how,
            invalid=lambda *_: (markers.Invalid("### SENTRY {\x1b", "no JSON"),),
            reading=lambda *_: readings.UNKNOWN,
        ),
        journal=SimpleNamespace(audit=audit),
    )
    return asyncio.run(explain(system, p.AgentExplain(pane_id="%7"), origin))


def test_an_agent_with_what_told_of_it() -> None:
    """State, the last that told, the question, the policy's word, the rule of the screen with the text it found."""
    found = asked(PERSON, (AGENT,), (("sh(1)", None), ("claude(2)", "claude")), DIALOG)
    assert found.because == "claude is waiting and has an open question; the last to tell was: hook PermissionRequest"
    assert found.programs == ("sh(1)", "claude(2)")
    assert found.told == (r.Told(at=NOW, what="hook Stop", state="done"),)
    assert found.screen == r.ExplainedScreen(
        agent="claude", state="waiting", rule="dialog", text="rm the⟨U+001B⟩ secret?"
    )
    assert found.decision
    assert found.decision.rule == "unmatched"


@pytest.mark.parametrize(
    ("origin", "text"), [(OTHER, ""), (replace(OTHER, pane="%7"), "rm"), (replace(OTHER, pane="%7", server="/u"), "")]
)
def test_what_stands_on_a_screen_is_for_people_and_for_who_draws_it(origin: Origin, text: str) -> None:
    """Another agent is told by which rule, and not what is asked there; pane ids of two servers are not the same."""
    found = asked(origin, (AGENT,), (), DIALOG)
    assert found.screen
    assert found.screen.rule == "dialog"
    assert found.screen.text[:2] == text


@pytest.mark.parametrize(
    ("programs", "seen", "because"),
    [
        ((("zsh(1)", None), ("vim(2)", None)), None, "no known agent runs here: zsh(1), vim(2)"),
        ((), None, "no known agent runs here: no program that can be seen"),
        (
            (("node(1)", "codex"),),
            None,
            "no hook of it has told anything, and its screen fits no rule: `tmux-agent setup c",
        ),
        (
            (("node(1)", "codex"),),
            DIALOG,
            "runs here without hooks; its screen shows waiting: `tmux-agent setup codex`",
        ),
    ],
)
def test_why_a_pane_is_no_agent(programs: Any, seen: Seen | None, because: str) -> None:
    """What runs there instead; where an agent does that has told nothing, what to do."""
    found = asked(PERSON, (), programs, seen)
    assert because in found.because
    assert not found.told


def test_what_is_no_pane() -> None:
    """The id is checked before tmux is asked."""
    with pytest.raises(errors.InvalidParams, match="%7, for example"):
        asyncio.run(explain(SimpleNamespace(), p.AgentExplain(pane_id="main:1;kill-server"), PERSON))  # type: ignore[arg-type]


def log(path: Path) -> Path:
    """Markers of two panes, and a broken one."""
    said = [("%7", "marker", {"kind": "STATUS", "stage": "test\u202e", "ok": True}), ("%8", "marker", {"kind": "DONE"}),
            ("%7", "marker.invalid", {"why": "no JSON", "text": "{"})]  # fmt: skip
    prev = chain.Head().hash
    with path.open("wb") as file:
        for seq, (pane, type_, data) in enumerate(said, 1):
            event = Event(type=type_, origin=replace(OTHER, pane=pane), data=data)
            line = chain.seal(seq, "2026-11-20T12:00:00.000000Z", event, prev)
            file.write(line)
            prev = json.loads(line)["hash"]
    return path


def test_a_watched_pane_says_how_and_what_it_printed(tmp_path: Path) -> None:
    """Its own markers alone, and what began as one; nothing in them acts in a terminal."""
    found = asked(PERSON, how="its output", audit=log(tmp_path / "log")).watched
    assert found.how == "its output"
    (said,) = found.markers
    assert said.endswith("STATUS · test⟨U+202E⟩ · ok")
    assert found.invalid == ("no JSON: ### SENTRY {⟨U+001B⟩",)


def test_what_a_pane_printed_is_for_people_and_for_who_runs_there(tmp_path: Path) -> None:
    """Another agent is told how it is watched, and nothing of what it printed; else nothing is looked up."""
    path = log(tmp_path / "log")
    assert asked(OTHER, how="its output", audit=path).watched == r.ExplainedWatch(how="its output", withheld=True)
    assert asked(replace(OTHER, pane="%7"), how="its output", audit=path).watched.markers
    assert asked(PERSON, audit=path).watched == r.ExplainedWatch()
