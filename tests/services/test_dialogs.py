"""Dialogs on a real tmux server: titles and screens that change, questions and states that follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.patience import PATIENCE
from tests.plugin.serving import Events
from tests.plugin.terminal import Server

from tmux_agent.core.hooks import HookCall, HookKind
from tmux_agent.core.model import AgentState, Approval, ApprovalState, Origin, Role, Shell, digest
from tmux_agent.services.agents import Agents
from tmux_agent.services.approvals import Approvals
from tmux_agent.services.dialogs import Dialogs
from tmux_agent.services.grants import Grants
from tmux_agent.services.journal import Journal
from tmux_agent.services.screen_files import ScreenFiles
from tmux_agent.services.tmux.control import Compared, Event, TmuxServer

CALM, BUSY = "✳ Claude #(touch pwned)", "⠂ Claude"
ACTION = Shell(text="touch x", cwd="/")
# A pane that draws what its input says: a title, a tab, the line at the foot.
DRAWS = "while IFS='\t' read -r title foot; do printf '\\033]2;%s\\007\\033[2J\\033[H%s\\n' \"$title\" \"$foot\"; done"


class World:
    """One pane of Claude's in a tmux server, and the services."""

    def __init__(self, folder: Path, tmux: Server) -> None:
        self.tmux = tmux
        self.journal = Journal(folder / "db", folder / "audit.jsonl")
        self.approvals = Approvals(self.journal, Grants(self.journal))
        self.agents = Agents(self.journal)
        self.tasks: set[asyncio.Task[None]] = set()
        files = ScreenFiles(folder / "screens")
        files.load()
        self.dialogs = Dialogs(files, self.agents, self.approvals, self.spawn)
        self.heard = Events()
        self.server = TmuxServer(tmux.socket, self.on_event, tmux=tmux.tmux, died="gone")

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_event(self, server: TmuxServer, event: Event) -> None:
        self.heard(server, event)
        if isinstance(event, Compared):
            self.spawn(self.dialogs.titles(server, event.value))

    def draw(self, title: str, foot: str) -> None:
        self.tmux.run("send-keys", "-t", "%0", "-l", f"{title}\t{foot}")
        self.tmux.run("send-keys", "-t", "%0", "Enter")

    @property
    def origin(self) -> Origin:
        socket = self.server.socket
        return Origin(
            role=Role.AGENT, why="", uid=0, pid=1, agent="claude", session="999999999:1", server=socket, pane="%0"
        )

    async def ask(self, agent: str = "claude") -> Approval:
        approval = Approval(
            request_id="1", digest=digest(ACTION), action=ACTION,
            origin=replace(self.origin, session="s", agent=agent),
            created=datetime.now(UTC), kind="hook", hook_key="o s/:p:d:r",
        )  # fmt: skip
        await self.approvals.open(approval)
        self.dialogs.changed(self.server)
        return approval

    def work(self, agent: str = "claude", state: AgentState = AgentState.WORKING) -> None:
        call = HookCall(agent=agent, event="UserPromptSubmit", kind=HookKind.STATE, session="s", state=state)
        self.agents.on_hook(call, self.origin)
        self.dialogs.changed(self.server)

    async def becomes(self, state: AgentState) -> None:
        """Once the agent is in that state: each value that tmux tells is taken in, and asked for anew."""
        count = 1
        while self.agents.list()[0].state is not state:
            await self.compared(count)
            self.dialogs.changed(self.server)
            count += 1

    async def compared(self, count: int) -> None:
        """Once tmux has told `count` values, and what follows from them is done."""
        await self.heard.wait(lambda: sum(isinstance(one, Compared) for one in self.heard.seen) >= count)
        await asyncio.gather(*self.tasks)


def run(folder: Path, test: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def whole(tmux: Server) -> None:
        world = World(folder, tmux)
        await world.journal.start()
        await world.server.start()
        try:
            async with asyncio.timeout(PATIENCE):
                await world.server.connected.wait()
                await test(world)
        finally:
            await world.server.close()
            world.agents.close()
            await world.approvals.close()
            await world.journal.close()

    with Server() as tmux:
        tmux.run("new-session", "-d", "-s", "main", "-c", str(folder), "sh", "-c", f"stty -echo; {DRAWS}")
        asyncio.run(whole(tmux))
    assert not (folder / "pwned").exists()


def test_a_dialog_that_left_takes_the_question_along(tmp_path: Path) -> None:
    """While the dialog shows, the question waits; when work goes on without it, the question is withdrawn."""

    async def test(world: World) -> None:
        world.draw(CALM, "Esc to cancel")
        approval = await world.ask()
        await world.compared(1)
        world.draw(BUSY, "esc to interrupt")
        settled = await world.approvals.wait(approval.request_id, 5)
        assert settled.state is ApprovalState.WITHDRAWN

    run(tmp_path, test)


def test_a_dialog_that_shows_keeps_the_question(tmp_path: Path) -> None:
    """A title alone says nothing: with the dialog still at the foot, nothing is taken back."""

    async def test(world: World) -> None:
        world.draw(BUSY, "Esc to cancel")
        approval = await world.ask()
        await world.compared(1)
        assert world.approvals.get(approval.request_id).state is ApprovalState.PENDING

    run(tmp_path, test)


def test_an_interrupted_agent_rests(tmp_path: Path) -> None:
    """No hook tells of Esc; the title and the prompt do."""

    async def test(world: World) -> None:
        world.draw(BUSY, "esc to interrupt")
        world.work()
        await world.compared(1)
        assert world.agents.list()[0].state is AgentState.WORKING
        world.draw(CALM, "? for shortcuts")
        await world.compared(2)
        assert world.agents.list()[0].state is AgentState.IDLE

    run(tmp_path, test)


def test_nothing_is_compared_for_nobody(tmp_path: Path) -> None:
    """The subscription ends with the last question and the last work."""

    async def test(world: World) -> None:
        world.draw(CALM, "Esc to cancel")
        approval = await world.ask()
        await world.compared(1)
        await world.approvals.withdraw(approval.request_id, "test")
        world.dialogs.changed(world.server)
        await asyncio.gather(*world.tasks)
        before = len(world.heard.seen)
        world.draw(BUSY, "")
        await world.server.command("wait-for", "-S", "test")
        assert not [one for one in world.heard.seen[before:] if isinstance(one, Compared)]

    run(tmp_path, test)


def test_an_agent_that_died_leaves_no_question(tmp_path: Path) -> None:
    """Its hook outlives it; only its own questions go."""

    async def test(world: World) -> None:
        approval = await world.ask()
        await world.dialogs.gone("another", "its process has ended")
        assert world.approvals.get(approval.request_id).state is ApprovalState.PENDING
        await world.dialogs.gone("s", "its process has ended")
        assert world.approvals.get(approval.request_id).note == "its process has ended"

    run(tmp_path, test)


def test_geminis_titles_tell_what_no_hook_does(tmp_path: Path) -> None:
    """Its dialog was answered there, another one came, Esc was pressed: each shows in its title, and is believed."""

    async def test(world: World) -> None:
        world.draw("✋  Action Required (shop)", "")
        world.work("gemini", AgentState.WAITING)
        world.draw("✦  Working… (shop)", "")
        await world.becomes(AgentState.WORKING)
        world.draw("✋  Action Required (shop)", "")
        await world.becomes(AgentState.WAITING)
        world.draw("◇  Ready (shop)", "")
        await world.becomes(AgentState.IDLE)

    run(tmp_path, test)


def test_a_gemini_that_left_its_held_hook_waits_no_more(tmp_path: Path) -> None:
    """While a question of ours holds its hook the title says that it works; after Esc, that it is ready."""

    async def test(world: World) -> None:
        world.draw("✦  Working… (shop)", "")
        world.work("gemini")
        world.agents.asks("s", "1", "touch x")
        approval = await world.ask("gemini")
        await world.compared(1)
        assert world.agents.list()[0].state is AgentState.WAITING
        world.draw("◇  Ready (shop)", "")
        settled = await world.approvals.wait(approval.request_id, PATIENCE)
        assert settled.state is ApprovalState.WITHDRAWN
        world.agents.settled("1")
        assert world.agents.list()[0].state is AgentState.IDLE

    run(tmp_path, test)


def test_codexs_titles_tell_what_no_hook_does(tmp_path: Path) -> None:
    """A yes in its dialog, more work after the turn; and a plain title rests where its titles have told before."""

    async def test(world: World) -> None:
        world.draw("shop", "")
        world.work("codex", AgentState.WAITING)
        await world.compared(1)
        assert world.agents.list()[0].state is AgentState.WAITING
        world.draw("[ ! ] Action Required | shop", "")
        await world.compared(2)
        world.draw("⠦ shop", "")
        await world.becomes(AgentState.WORKING)
        world.draw("shop", "")
        await world.becomes(AgentState.IDLE)

    run(tmp_path, test)


def test_a_screen_outlives_a_hook_that_came_late(tmp_path: Path) -> None:
    """A hook of the start that comes after the prompt's says idle: the spinner is right."""

    async def test(world: World) -> None:
        world.draw(BUSY, "esc to interrupt")
        world.work()
        world.work(state=AgentState.IDLE)
        assert world.agents.list()[0].state is AgentState.IDLE
        await world.becomes(AgentState.WORKING)
        assert world.agents.list()[0].why == "its title"

    run(tmp_path, test)
