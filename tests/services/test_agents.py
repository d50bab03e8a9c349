"""States of agents: what each hook tells, and that nothing stays that is gone."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.patience import PATIENCE

from tmux_agent.core.hooks import HookCall, HookKind
from tmux_agent.core.model import AgentState, Event, Origin, Role
from tmux_agent.services.agents import KEEP, Agents
from tmux_agent.services.journal import Journal

START = datetime(2026, 11, 20, tzinfo=UTC)
ORIGIN = Origin(role=Role.AGENT, why="", uid=0, pid=7, pane="%1", server="/tmp/t", place="shop:1", branch="main")
S = AgentState


class Notes:
    """Stands for the journal: keeps what was noted."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def note(self, event: Event) -> None:
        self.events.append(event)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def made() -> tuple[Agents, Notes]:
    notes = Notes()
    return Agents(notes, Clock()), notes  # type: ignore[arg-type]


def call(event: str, state: AgentState | None = None, **more: Any) -> HookCall:
    kinds = {"PreToolUse": HookKind.JUDGE, "PermissionRequest": HookKind.ASK}
    withdraw = {"Stop": "turn", "StopFailure": "turn", "UserPromptSubmit": "before", "SessionEnd": "session"}
    given: dict[str, Any] = {"session": "s", "prompt": "p1", "cwd": "/home/u/shop", "ended": event == "SessionEnd"}
    return HookCall(
        agent="claude", event=event, kind=kinds.get(event, HookKind.STATE), state=state,
        withdraw=withdraw.get(event, ""), **given | more,
    )  # fmt: skip


def state(agents: Agents) -> AgentState:
    (one,) = agents.list()
    return one.state


def test_a_turn() -> None:
    """From start to done, with place, pane and branch, and one event a change."""
    agents, notes = made()
    for event, told in [
        ("SessionStart", S.IDLE),
        ("UserPromptSubmit", S.WORKING),
        ("PreToolUse", S.WORKING),
        ("PostToolUse", S.WORKING),
        ("Stop", S.DONE),
    ]:
        assert agents.on_hook(call(event, told), ORIGIN) == "s"
        assert state(agents) is told
    (one,) = agents.list()
    assert (one.kind, one.pane, one.place, one.branch, one.cwd) == ("claude", "%1", "shop:1", "main", "/home/u/shop")
    assert one.why == "hook Stop"
    assert [event.data["agent"]["state"] for event in notes.events] == ["idle", "working", "done"]


def test_an_open_approval_is_waiting() -> None:
    """Whatever else is told, who has an open question waits; afterwards it goes on."""
    agents, _ = made()
    agents.on_hook(call("PermissionRequest", S.WAITING), ORIGIN)
    agents.waits("s", "1", "rm x")
    agents.on_hook(call("PreToolUse", S.WORKING, subagent="a"), ORIGIN)
    (one,) = agents.list()
    assert (one.state, one.waiting_on) == (S.WAITING, "rm x")
    agents.waits_no_more("s", "1", S.IDLE)
    (one,) = agents.list()
    assert (one.state, one.waiting_on) == (S.WORKING, "")


def test_an_interrupted_question_leaves_it_idle() -> None:
    """Esc ends the hook and tells nothing else."""
    agents, _ = made()
    agents.on_hook(call("PermissionRequest", S.WAITING), ORIGIN)
    agents.waits("s", "1", "rm x")
    agents.waits_no_more("s", "1", S.IDLE)
    assert state(agents) is S.IDLE


def test_late_events_of_a_turn_that_is_over() -> None:
    """State-only hooks run beside the agent: what comes late does not bring a turn back."""
    agents, _ = made()
    agents.on_hook(call("UserPromptSubmit", S.WORKING), ORIGIN)
    agents.on_hook(call("Stop", S.DONE), ORIGIN)
    for late in ("PostToolUse", "PostToolBatch", "UserPromptSubmit"):
        agents.on_hook(call(late, S.WORKING), ORIGIN)
        assert state(agents) is S.DONE
    agents.on_hook(call("PreToolUse", S.WORKING, subagent="helper"), ORIGIN)
    assert state(agents) is S.DONE
    agents.on_hook(call("Notification", S.IDLE), ORIGIN)
    assert state(agents) is S.DONE
    agents.on_hook(call("PreToolUse", S.WORKING), ORIGIN)
    assert state(agents) is S.WORKING
    agents.on_hook(call("PreToolUse", S.WORKING, prompt="p2"), ORIGIN)
    agents.on_hook(call("Stop", S.DONE, prompt="p1"), ORIGIN)
    assert state(agents) is S.WORKING


def test_a_prompt_heard_of_late_does_not_hide_a_question() -> None:
    """The new prompt's own question came first: it still waits."""
    agents, _ = made()
    agents.on_hook(call("PermissionRequest", S.WAITING, prompt="p2"), ORIGIN)
    agents.waits("s", "1", "rm x")
    agents.on_hook(call("UserPromptSubmit", S.WORKING, prompt="p2"), ORIGIN)
    assert state(agents) is S.WAITING


def test_after_a_restart_any_event_counts() -> None:
    """Nothing is known of the turn: the first event tells."""
    agents, _ = made()
    agents.on_hook(call("PostToolUse", S.WORKING), ORIGIN)
    assert state(agents) is S.WORKING
    agents.on_hook(call("Stop", S.DONE), ORIGIN)
    assert state(agents) is S.DONE


def test_idle_does_not_hide_an_error() -> None:
    """The reminder after a minute says less than the error before it."""
    agents, _ = made()
    agents.on_hook(call("StopFailure", S.ERROR), ORIGIN)
    agents.on_hook(call("Notification", S.IDLE, prompt=""), ORIGIN)
    assert state(agents) is S.ERROR


def test_the_end_of_a_session() -> None:
    """SessionEnd, the pane's end and the server's end each take it away, and say so."""
    for end in (
        lambda agents: agents.on_hook(call("SessionEnd"), ORIGIN),
        lambda agents: agents.pane_gone("/tmp/t", "%1"),
        lambda agents: agents.pane_gone("/tmp/t"),
    ):
        agents, notes = made()
        agents.on_hook(call("SessionStart", S.IDLE), ORIGIN)
        agents.pane_gone("/tmp/other", "%1")
        agents.pane_gone("/tmp/t", "%2")
        assert len(agents.list()) == 1
        end(agents)
        assert agents.list() == ()
        assert "gone" in notes.events[-1].data


@contextmanager
def living() -> Iterator[tuple[subprocess.Popen[bytes], Origin]]:
    """A process that stands for an agent, and the origin of a hook below it."""
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    try:
        yield process, replace(ORIGIN, agent="claude", session=f"{process.pid}:99")
    finally:
        process.kill()
        process.communicate()


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_the_death_of_its_process(tmp_path: Path) -> None:
    """Killed without a word, it is gone from the list by an event, not by looking."""

    async def test() -> None:
        journal = Journal(tmp_path / "db", tmp_path / "audit")
        await journal.start()
        agents = Agents(journal)
        heard = await journal.subscribe({"agent.state"})
        with living() as (process, origin):
            agents.on_hook(call("SessionStart", S.IDLE), origin)
            assert agents.list()[0].pid == process.pid
            process.kill()
            async with asyncio.timeout(PATIENCE):
                async for one in heard:
                    if "gone" in one.event.data:
                        break
            assert agents.list() == ()
        agents.close()
        await journal.close()

    run(test)


def test_a_program_that_only_said_its_name_leaves_with_its_process(tmp_path: Path) -> None:
    """A command of ours is no agent, and lives for a moment. What a script told of its pane stays until that closes."""

    async def test() -> None:
        journal = Journal(tmp_path / "db", tmp_path / "audit")
        await journal.start()
        agents = Agents(journal)
        heard = await journal.subscribe({"agent.state"})
        with living() as (process, origin), living() as (other, telling):
            agents.register(replace(telling, agent=None), "build", "")
            agents.report(replace(telling, agent=None), "working", "tests")
            agents.register(replace(origin, agent=None, pane=None), "chat", "")
            other.kill()
            other.wait()
            process.kill()
            async with asyncio.timeout(PATIENCE):
                async for one in heard:
                    if "gone" in one.event.data:
                        break
            assert [one.name for one in agents.list()] == ["build"]
        agents.close()
        await journal.close()

    run(test)


def test_a_session_belongs_to_its_process() -> None:
    """Another living agent that names this session speaks only for itself; after a death it may be resumed."""

    async def test() -> None:
        agents, _ = made()
        with living() as (_, mine), living() as (_, other):
            assert agents.on_hook(call("SessionStart", S.IDLE), mine) == "s"
            assert agents.on_hook(call("SessionEnd"), other) == other.session
            assert agents.on_hook(call("PreToolUse", S.WORKING), other) == other.session
            assert {one.session for one in agents.list()} == {"s", other.session}
            assert agents.session_of(mine) == "s"
            agents.forget("s")
            assert agents.on_hook(call("SessionStart", S.IDLE), other) == "s"
        agents.close()

    run(test)


def test_nobody_names_a_session_as_the_kernel_does() -> None:
    """The sessions of agents without an id of their own are pid and start: no hook speaks for one by naming it."""

    async def test() -> None:
        agents, _ = made()
        victim = f"{ORIGIN.pid}:{ORIGIN.started}"
        with living() as (_, thief):
            assert agents.on_hook(replace(call("SessionStart", S.IDLE), session=victim), thief) == thief.session
        agents.close()

    run(test)


def test_nobody_names_a_session_as_we_do() -> None:
    """A hook's word for its session is the agent's: what people gave ahead to somebody in a chat, to a pipeline or to
    the queue is not to be had by naming it."""
    agents, _ = made()
    for name in ("chat:alice", "pipeline:1", "queue:1", "fleet:1"):
        assert agents.session_of(ORIGIN, name) == ORIGIN.session
        assert agents.on_hook(call("SessionStart", S.IDLE, session=name), ORIGIN) == ORIGIN.session


def test_socket_clients_say_it_themselves() -> None:
    """agent.register and agent.state, for agents without hooks."""
    agents, notes = made()
    origin = replace(ORIGIN, session="9:1")
    agents.register(origin, "reviewer", "mine")
    agents.report(origin, "working", "reads")
    (one,) = agents.list()
    assert (one.session, one.name, one.kind, one.state, one.detail) == ("9:1", "reviewer", "mine", S.WORKING, "reads")
    assert len(notes.events) == 2


def test_no_more_than_so_many() -> None:
    """Made-up sessions push out the longest silent, and memory stays bounded."""
    agents, _ = made()
    for number in range(KEEP + 10):
        agents.on_hook(call("SessionStart", S.IDLE, session=str(number), detail="x" * 10_000), ORIGIN)
    assert len(agents.list()) == KEEP
    assert "5" not in {one.session for one in agents.list()}
    assert len(agents.list()[0].detail) <= 256


def test_who_makes_up_sessions_makes_room_for_itself() -> None:
    """Another's agent stays known, and with it its questions, which end when it is forgotten."""
    agents, notes = made()
    victim, flooder = (replace(ORIGIN, agent="claude", session=session) for session in ("999999998:1", "999999999:1"))
    agents.on_hook(call("SessionStart", S.IDLE, session="victim"), victim)
    for number in range(KEEP + 10):
        agents.on_hook(call("SessionStart", S.IDLE, session=f"made-up-{number}"), flooder)
    known = {one.session for one in agents.list()}
    assert len(known) == KEEP
    assert "victim" in known
    assert not [one for one in notes.events if "gone" in one.data and one.data["agent"]["session"] == "victim"]


def test_what_a_screen_told_is_the_same_agent_once_hooks_tell() -> None:
    """An agent without hooks is listed by its screen; its first hook takes its place, and another's does not."""
    agents, notes = made()
    origin = replace(ORIGIN, agent="claude", session="999999999:1")
    agents.on_screen(origin, S.WAITING, "dialog")
    agents.on_screen(origin, S.WAITING, "dialog")
    assert state(agents) is S.WAITING
    assert len(notes.events) == 1
    agents.on_hook(call("SessionStart", S.IDLE, session="other"), replace(ORIGIN, pane="%2"))
    assert len(agents.list()) == 2
    agents.on_hook(call("SessionStart", S.IDLE), replace(ORIGIN, session="888888888:1"))
    assert {one.session for one in agents.list()} == {"other", "s"}


def test_a_hook_is_right_over_an_older_screen_and_the_screen_over_a_quiet_hook() -> None:
    """Two that tell different things: an open approval wins, then what was told last; each is kept for who asks why."""
    agents, _ = made()
    agents.on_hook(call("UserPromptSubmit", S.WORKING), ORIGIN)
    agents.shows("s", S.WAITING, "its screen")
    assert state(agents) is S.WAITING
    agents.on_hook(call("PreToolUse", S.WORKING), ORIGIN)
    assert state(agents) is S.WORKING
    agents.waits("s", "1", "rm x")
    agents.shows("s", S.IDLE, "its title")
    assert state(agents) is S.WAITING
    agents.waits_no_more("s", "1", S.WORKING)
    assert state(agents) is S.IDLE
    assert [(one.what, one.state) for one in agents.told("s")] == [
        ("hook UserPromptSubmit", "working"),
        ("its screen", "waiting"),
        ("hook PreToolUse", "working"),
        ("its title", "idle"),
    ]


def test_a_late_hook_is_kept_with_the_reason_why_it_changed_nothing() -> None:
    """What belongs to a turn that is over is not believed, and whoever asks can see so."""
    agents, _ = made()
    agents.on_hook(call("UserPromptSubmit", S.WORKING), ORIGIN)
    agents.on_hook(call("Stop", S.DONE), ORIGIN)
    agents.on_hook(call("PostToolUse", S.WORKING), ORIGIN)
    assert state(agents) is S.DONE
    assert agents.told("s")[-1].note == "late: that turn is over"


def test_a_question_that_no_hook_waits_for_ends_with_its_record() -> None:
    """A guarded call, or a hook's from before a restart: the agent waits until the record tells of the end."""
    agents, _ = made()
    agents.on_hook(call("UserPromptSubmit", S.WORKING), ORIGIN)
    agents.asks("s", "1", "git push")
    (one,) = agents.list()
    assert (one.state, one.waiting_on) == (S.WAITING, "git push")
    agents.settled("1")
    assert state(agents) is S.WORKING


def test_a_question_that_its_hook_came_back_for_ends_with_the_hook() -> None:
    """After a restart the relay asks again: from then on it is the hook that tells of the end."""
    agents, _ = made()
    agents.on_hook(call("PermissionRequest", S.WAITING), ORIGIN)
    agents.asks("s", "1", "rm x")
    agents.waits("s", "1", "rm x")
    agents.settled("1")
    assert state(agents) is S.WAITING
    agents.waits_no_more("s", "1", S.IDLE)
    assert state(agents) is S.IDLE


def test_a_new_session_of_the_same_process_takes_the_place_of_the_old() -> None:
    """Codex tells of no end of a conversation that it leaves; one that still works is kept."""
    agents, _ = made()
    origin = replace(ORIGIN, agent="codex", session="999999999:1")
    agents.on_hook(call("Stop", S.DONE, session="old"), origin)
    agents.on_hook(call("UserPromptSubmit", S.WORKING, session="busy"), origin)
    agents.on_hook(call("SessionStart", S.IDLE, session="new", begins=True), origin)
    assert {one.session for one in agents.list()} == {"busy", "new"}


def test_a_title_of_the_next_session_keeps_no_old_one() -> None:
    """Codex tells of a new conversation with its first prompt, and its title works a moment before: that is not the old
    one's work, which rested."""
    agents, _ = made()
    origin = replace(ORIGIN, agent="codex", session="999999999:1")
    agents.on_hook(call("Stop", S.DONE, session="old"), origin)
    agents.on_hook(call("UserPromptSubmit", S.WORKING, session="busy"), origin)
    for session in ("old", "busy"):
        agents.shows(session, S.WORKING, "its title", titled=True)
    agents.on_hook(call("SessionStart", S.IDLE, session="new", begins=True), origin)
    assert {one.session for one in agents.list()} == {"busy", "new"}


def test_a_hook_of_which_nothing_tells_the_end_makes_no_agent() -> None:
    """Its agent was killed and the hook lives on: no process, no pane, so nothing would ever take it off the list."""
    agents, _ = made()
    agents.on_hook(call("UserPromptSubmit", S.WORKING), replace(ORIGIN, pane=None, server=None, session="7:1"))
    assert agents.list() == ()
