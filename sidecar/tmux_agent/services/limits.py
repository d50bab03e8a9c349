"""The usage limits that agents have reached: since when, until when, and having an agent go on when its limit ends.

Owns the facts, their rows, and the timers. A row is durable before anything follows from it: a limit that the sidecar
was killed over is the same limit afterwards, and its agent is told to go on once. Must not own: what an agent's words
mean (core/limits.py), who says that there is a limit (edges/hooks.py, screens.py), what is pressed (resuming.py).

A timer runs on the monotonic clock and a limit ends by the wall clock, which a person may set and which goes on while
the machine sleeps: so a timer looks again after a minute at most. It reads a clock and nothing else.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..core import errors, limits
from ..core.limits import Notice
from ..core.model import Agent, AgentState, Event, Limit
from ..core.settings import Resume
from . import local_time, store
from .agents import Agents
from .journal import Journal, utc_now

log = logging.getLogger(__name__)

AFTER = 7 * 86400.0  # seconds, the most that a rule may wait
LOOK_SECONDS = 60.0
RESTS = (AgentState.DONE, AgentState.IDLE)  # a turn has ended: whatever comes next begins anew
BUSY_SERVER = timedelta(minutes=5)  # an agent that tries again by itself within this has not reached a usage limit


class Kept(Struct, frozen=True, kw_only=True):
    """A row. `process`: the agent ("pid:started"); `program`: in front of its pane when the limit was noticed, the same
    way; "" until that was looked at. `told`: to go on, over this limit. `over`: it goes on, and may reach the next."""

    limit: Limit
    process: str
    program: str = ""
    told: bool = False
    over: bool = False


class Limits:
    """Built by the system; used in the event loop only.

    `look` gives the program in front of an agent's pane, `resume` has an agent go on, `tell` is told of a new limit.
    `reaches` says whether the tmux server of an agent is connected: until then it is waited with (`connected`).
    """

    def __init__(
        self,
        journal: Journal,
        agents: Agents,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        environ: Mapping[str, str],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._journal = journal
        self._agents = agents
        self._spawn = spawn
        self._now = now
        self.zone = local_time.here(environ)
        self.rule = Resume()
        self.look: Callable[[Agent], Coroutine[Any, Any, str]]
        self.resume: Callable[[Agent], Coroutine[Any, Any, None]]
        self.tell: Callable[[Agent], object] = lambda _: None
        self.reaches: Callable[[Agent], bool] = lambda _: True
        self._rows: dict[str, Kept] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def recover(self, lives: Callable[[str], bool]) -> None:
        """Take up what an earlier sidecar left, of agents whose process `lives`. Raises Unavailable."""
        rows = await self._journal.read(lambda db: store.limits(db, Kept))
        gone = [
            session for session, kept in rows.items() if kept is None or not kept.process or not lives(kept.process)
        ]
        self._rows = {session: kept for session, kept in rows.items() if kept is not None and session not in gone}
        if gone:
            await self._journal.commit(functools.partial(store.put_limits, rows=dict.fromkeys(gone)))
        for session, kept in self._rows.items():
            agent = self._agents.get(session)  # who is known by the screen alone is seen anew, and found here
            if agent and not kept.over and agent.state not in (*RESTS, AgentState.WAITING):
                self._agents.limited(session, kept.limit, "kept over a restart")
                self._arm(session)

    def changed(self, rule: Resume) -> None:
        """The person's rule is another."""
        self.rule = rule
        for session, kept in list(self._rows.items()):
            if not kept.over and (agent := self._agents.get(session)):
                limit = replace(kept.limit, resumes=self._resumes(agent, kept.limit, told=kept.told))
                self._rows[session] = replace(kept, limit=limit)
                self._agents.limited(session, limit, agent.why)
                self._arm(session)

    def connected(self) -> None:
        """A tmux server is: what was due before can be done."""
        for session in self._rows.keys() - self._timers.keys():
            self._arm(session)

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def program(self, session: str) -> str:
        """ "pid:started" of what ran in the agent's pane when its limit was noticed; "" where that is not known."""
        kept = self._rows.get(session)
        return kept.program if kept and not kept.over else ""

    # --- what is told ---

    def noticed(self, session: str, notice: Notice, why: str) -> None:
        """A hook or a screen tells of a limit. `why`: which, as Agent.why; a hook that came too late tells nothing."""
        agent, now = self._agents.get(session), self._now()
        if agent is None or (why.startswith("hook ") and agent.why != why):
            return
        ends = limits.ends(notice, now, self.zone, local_time.named)
        if notice.alone and (ends is None or ends - now < BUSY_SERVER):
            return
        if agent.limit and limits.same(agent.limit, notice.words, ends):
            return
        before = self._rows.get(session)
        if before and not before.over and limits.same(before.limit, notice.words, ends):
            limit, told = before.limit, before.told  # noticed before a restart
        else:
            words = notice.words[: limits.WORDS]
            tries = before.limit.tries if before else 0
            limit = Limit(words=words, noticed=now, resets=ends, alone=notice.alone, tries=tries, why=why)
            told = False
        limit = replace(limit, resumes=self._resumes(agent, limit, told=told))
        kept = Kept(limit=limit, process=self._agents.process(session), told=told)
        self._rows[session] = kept
        self._agents.limited(session, limit, why)
        self._arm(session)
        self._spawn(self._keep(session, kept, new=limit.noticed == now))

    async def _keep(self, session: str, kept: Kept, *, new: bool) -> None:
        """Record it, with the program that shows it; a new one is told of."""
        agent = self._agents.get(session)
        if agent is None:
            return
        program = await self.look(agent)
        if (now := self._rows.get(session)) and now.limit.noticed == kept.limit.noticed:
            self._rows[session] = replace(now, program=program)
        data = {"agent": msgspec.to_builtins(agent)}
        await self._write(session, *([Event(type="agent.limited", data=data)] if new else []))
        if new:
            self.tell(agent)

    def heard(self, session: str) -> None:
        """Something has changed about an agent, or it is gone."""
        kept = self._rows.get(session)
        agent = self._agents.get(session)
        if kept is None or (agent and agent.limit):
            return
        self._disarm(session)
        if agent is None or agent.state in RESTS:
            del self._rows[session]
        elif not kept.over:
            self._rows[session] = replace(kept, over=True)
        if self._rows.get(session) is not kept:
            self._spawn(self._write(session))

    # --- when ---

    def _resumes(self, agent: Agent, limit: Limit, *, told: bool) -> datetime | None:
        """When the rule has the agent go on; None: it does not."""
        covered = agent.kind in self.rule.agents and agent.pane and not told and limit.tries < self.rule.at_most
        if not covered or limit.alone or limit.resets is None:
            return None
        return limit.resets + timedelta(seconds=min(max(0.0, self.rule.after), AFTER))

    def _arm(self, session: str) -> None:
        self._disarm(session)
        kept = self._rows[session]
        resumes = kept.limit.resumes
        if resumes is not None and not kept.over:
            left = (resumes - self._now()).total_seconds()
            wait = max(0.0, min(left, LOOK_SECONDS))
            self._timers[session] = asyncio.get_running_loop().call_later(wait, self._ring, session)

    def _disarm(self, session: str) -> None:
        if timer := self._timers.pop(session, None):
            timer.cancel()

    def _ring(self, session: str) -> None:
        resumes, agent = self._rows[session].limit.resumes, self._agents.get(session)
        if resumes is not None and resumes > self._now():
            self._arm(session)
            return
        self._disarm(session)
        if agent is not None and self.reaches(agent):
            self._spawn(self._go_on(session))

    async def _go_on(self, session: str) -> None:
        """Its time has come: durably told, then told. A kill between the two leaves it to the person."""
        kept = self._rows.get(session)
        if kept is None or kept.over or kept.told:
            return
        limit = replace(kept.limit, tries=kept.limit.tries + 1, resumes=None)
        row = self._rows[session] = replace(kept, limit=limit, told=True)
        try:
            await self._journal.commit(functools.partial(store.put_limits, rows={session: row}))
        except errors.Unavailable as why:
            log.warning("an agent is not told to go on: %s", why.message)
            self._rows[session] = kept
            self._timers[session] = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._ring, session)
            return
        agent = self._agents.get(session)
        if agent is not None and agent.limit is not None:  # else it went on meanwhile
            self._agents.limited(session, limit, agent.why)
            await self.resume(agent)

    async def _write(self, session: str, *events: Event) -> None:
        """The row as it is by then."""
        try:
            row = self._rows.get(session)
            await self._journal.commit(functools.partial(store.put_limits, rows={session: row}), *events)
        except errors.Unavailable as why:
            log.warning("a usage limit is not recorded: %s", why.message)
