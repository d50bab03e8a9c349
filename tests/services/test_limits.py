"""Usage limits: noticed once, kept over a restart, told to go on once, cleared when the agent goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.patience import PATIENCE
from tests.services.test_agents import ORIGIN, S, call

from tmux_agent.core.limits import Notice
from tmux_agent.core.model import Agent, Limit
from tmux_agent.core.settings import Resume
from tmux_agent.services import limits, store
from tmux_agent.services.agents import SCREEN, Agents
from tmux_agent.services.journal import Journal
from tmux_agent.services.limits import Kept, Limits

START = datetime(2026, 11, 29, 23, 20, 30, tzinfo=UTC)
SESSION = Notice(words="You've hit your session limit · resets 2:28am (Europe/Berlin)")
ENDS = datetime(2026, 11, 30, 1, 28, tzinfo=UTC)
PROCESS = "999999999:1"
CLAUDE = replace(ORIGIN, agent="claude", session=PROCESS)
RULE = Resume(agents=("claude",), after=120, at_most=2)
WHY = "hook StopFailure"


class World:
    """One life of the sidecar's limits, with a journal of its own. `now` is the wall clock."""

    def __init__(self, folder: Path, rule: Resume, now: datetime) -> None:
        self.now = now
        self.journal = Journal(folder / "db", folder / "audit.jsonl")
        self.agents = Agents(self.journal)
        self.limits = Limits(self.journal, self.agents, self._spawn, {"TZ": "Europe/Berlin"}, lambda: self.now)
        self.limits.rule, self.limits.look, self.limits.resume = rule, self._look, self._resume
        self.limits.tell = lambda agent: self.told.append(agent)
        self.told: list[Agent] = []
        self.resumed: list[Agent] = []
        self.came = asyncio.Event()
        self._tasks: list[asyncio.Future[None]] = []

    async def _look(self, _: Agent) -> str:
        return "7:1"

    async def _resume(self, agent: Agent) -> None:
        self.resumed.append(agent)
        self.came.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    async def settle(self) -> None:
        while self._tasks:
            await self._tasks.pop()

    def reach(self, notice: Notice = SESSION, prompt: str = "p1") -> None:
        """A prompt whose turn ends at a limit."""
        self.agents.on_hook(call("UserPromptSubmit", S.WORKING, prompt=prompt), CLAUDE)
        self.limits.heard("s")
        self.agents.on_hook(call("StopFailure", S.ERROR, prompt=prompt, detail=notice.words), CLAUDE)
        self.limits.noticed("s", notice, WHY)

    def limit(self) -> Limit | None:
        (one,) = self.agents.list()
        return one.limit

    async def rows(self) -> dict[str, Kept | None]:
        return await self.journal.read(lambda db: store.limits(db, Kept))


def run(
    folder: Path, test: Callable[[World], Coroutine[Any, Any, None]], rule: Resume = RULE, now: datetime = START
) -> None:
    async def whole() -> None:
        one = World(folder, rule, now)
        await one.journal.start()
        try:
            async with asyncio.timeout(PATIENCE):
                await one.limits.recover(lambda process: process == PROCESS)
                await test(one)
                await one.settle()
        finally:
            one.limits.close()
            one.agents.close()
            await one.journal.close()

    asyncio.run(whole())


def test_noticed_recorded_and_told_of_once(tmp_path: Path) -> None:
    """The state carries until when, and when the rule has it go on; the log has it; told again, nothing is new."""

    async def test(one: World) -> None:
        one.reach()
        one.limits.noticed("s", SESSION, WHY)
        assert one.limit() == Limit(
            words=SESSION.words, noticed=START, resets=ENDS, resumes=ENDS + timedelta(seconds=120), why=WHY
        )
        (agent,) = one.agents.list()
        assert (agent.state, agent.detail) == (S.ERROR, SESSION.words)
        await one.settle()
        assert [agent.session for agent in one.told] == ["s"]
        assert one.limits.program("s") == "7:1"
        assert list(await one.rows()) == ["s"]

    run(tmp_path, test)
    assert (tmp_path / "audit.jsonl").read_text().count('"agent.limited"') == 1


def test_what_is_no_limit(tmp_path: Path) -> None:
    """A hook that came too late; a server that is busy for a moment; a session that nobody knows."""

    async def test(one: World) -> None:
        one.limits.noticed("s", SESSION, WHY)
        one.agents.on_hook(call("UserPromptSubmit", S.WORKING), CLAUDE)
        one.limits.noticed("s", SESSION, WHY)
        busy = Notice(words="overloaded", ends=START + timedelta(minutes=4), alone=True)
        one.limits.noticed("s", busy, "hook UserPromptSubmit")
        assert one.limit() is None
        one.limits.noticed("s", replace(busy, ends=START + timedelta(hours=4)), "hook UserPromptSubmit")
        limit = one.limit()
        assert limit
        assert (limit.alone, limit.resumes) == (True, None)

    run(tmp_path, test)


def test_whom_the_rule_is_about(tmp_path: Path) -> None:
    """Only the kinds that it names, and only where a time is told; changed, it holds for who is limited already."""

    async def test(one: World) -> None:
        one.reach(Notice(words="Usage limit reached"))
        limit = one.limit()
        assert limit
        assert (limit.resets, limit.resumes) == (None, None)
        one.limits.changed(Resume(agents=("codex",)))
        one.reach(prompt="p2")
        limit = one.limit()
        assert limit
        assert limit.resumes is None
        one.limits.changed(Resume(agents=("codex", "claude"), after=-5))
        limit = one.limit()
        assert limit
        assert limit.resumes == ENDS

    run(tmp_path, test)


def test_cleared(tmp_path: Path) -> None:
    """It goes on by a prompt of its person's: nothing is left to be done. A turn that ended well counts anew."""

    async def test(one: World) -> None:
        one.reach()
        await one.settle()
        one.agents.on_hook(call("UserPromptSubmit", S.WORKING, prompt="p2"), CLAUDE)
        one.limits.heard("s")
        assert one.limit() is None
        assert not one.limits._timers
        await one.settle()
        kept = (await one.rows())["s"]
        assert kept
        assert kept.over
        one.agents.on_hook(call("Stop", S.DONE, prompt="p2"), CLAUDE)
        one.limits.heard("s")
        await one.settle()
        assert await one.rows() == {}
        one.reach(prompt="p3")
        await one.settle()
        one.agents.forget("s")
        one.limits.heard("s")
        await one.settle()
        assert await one.rows() == {}

    run(tmp_path, test)


def test_told_to_go_on_once_and_at_most_so_often_in_a_row(tmp_path: Path) -> None:
    """At its time, not before; the next limit counts, until there were too many of them."""

    async def test(one: World) -> None:
        one.reach()
        one.limits._ring("s")  # as each minute before its time
        assert one.resumed == []
        for number in (1, 2):
            one.now = one.limit().resumes or START  # type: ignore[union-attr]
            one.limits._ring("s")
            await one.came.wait()
            one.came.clear()
            limit = one.limit()
            assert limit
            assert (limit.tries, limit.resumes, len(one.resumed)) == (number, None, number)
            await one.limits._go_on("s")
            assert len(one.resumed) == number
            one.reach(Notice(words=f"You've hit your session limit · resets in {number} hours"), f"p{number + 1}")
        limit = one.limit()
        assert limit
        assert (limit.tries, limit.resumes) == (2, None)

    run(tmp_path, test)


def test_a_restart_keeps_it_and_never_tells_twice(tmp_path: Path) -> None:
    """The same limit with the same end, however late it is read again; told once. The dead are gone."""

    async def first(one: World) -> None:
        one.reach()
        await one.settle()

    async def again(one: World) -> None:
        one.agents.on_hook(call("UserPromptSubmit", S.WORKING), CLAUDE)
        one.limits.noticed("s", SESSION, SCREEN)  # ten minutes after its time, when 2:28am would be tomorrow's
        limit = one.limit()
        assert limit
        assert (limit.noticed, limit.resets) == (START, ENDS)
        await one.came.wait()
        assert len(one.resumed) == 1

    async def told(one: World) -> None:
        one.agents.on_hook(call("UserPromptSubmit", S.WORKING), CLAUDE)
        one.limits.noticed("s", SESSION, SCREEN)
        limit = one.limit()
        assert limit
        assert (limit.tries, limit.resumes) == (1, None)
        assert not one.limits._timers

    run(tmp_path, first)
    run(tmp_path, again, now=ENDS + timedelta(minutes=10))
    run(tmp_path, told, now=ENDS + timedelta(minutes=20))

    async def gone(one: World) -> None:
        await one.limits.recover(lambda _: False)
        assert await one.rows() == {}

    run(tmp_path, gone)


def test_the_wall_clock_is_looked_at_again(tmp_path: Path) -> None:
    """However far away the time is, a timer waits a minute at most: the clock may be set, the machine may sleep."""

    async def test(one: World) -> None:
        one.reach()
        (timer,) = one.limits._timers.values()
        assert timer.when() - asyncio.get_running_loop().time() <= limits.LOOK_SECONDS
        one.now = ENDS + timedelta(hours=9)
        one.limits._ring("s")
        await one.came.wait()

    run(tmp_path, test)
