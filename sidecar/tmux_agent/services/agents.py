"""The agents that are known, and what each is doing: told by their hooks, or by themselves over the socket.

Owns the states, and that they are cleared: an agent leaves when its session ends, its process dies (a pidfd tells) or
its pane closes. Kept in memory only: after a restart the next hook tells again. Must not own: what hooks say
(edges/adapters), approvals, how states are drawn (tmux/badge.py).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec.structs import replace

from ..core.hooks import HookCall, HookKind
from ..core.model import Agent, AgentState, Event, Origin
from .journal import Journal, utc_now

KEEP = 500  # agents; of the process that has the most of them the longest silent makes room
DETAIL = 256  # characters
SCREEN = "its screen"  # what told of an agent without hooks
KERNELS = re.compile(r"[0-9]+:[0-9]+")  # session of whoever has no id of its own (Origin.session): not to be claimed


class _Known:
    """An agent and what is needed to keep its state right."""

    __slots__ = ("agent", "base", "finished", "process", "prompt", "waits")

    def __init__(self, agent: Agent, process: str) -> None:
        self.agent = agent
        self.base = agent.state  # apart from open approvals
        self.process = process  # "pid:started" of the agent; "" where the kernel did not tell
        self.prompt = ""  # the turn it is in
        self.finished = ""  # the turn that is over: what comes late from that one changes nothing
        self.waits: dict[str, str] = {}  # request_id → what it wants, in a few words


class Agents:
    """Built by the daemon; used in the event loop only."""

    def __init__(self, journal: Journal, now: Callable[[], datetime] = utc_now) -> None:
        self._journal = journal
        self._now = now
        self._known: dict[str, _Known] = {}  # by session, the longest silent first
        self._watched: dict[str, int] = {}  # process → pidfd

    # --- looking ---

    def list(self) -> tuple[Agent, ...]:
        """All that are known, by place and session."""
        agents = (one.agent for one in self._known.values())
        return tuple(sorted(agents, key=lambda one: (one.place, one.pane or "", one.session)))

    def session_of(self, origin: Origin, claimed: str = "") -> str:
        """The session that a peer speaks for: the one it names, unless that is another living agent's; else its own."""
        process = _process(origin)
        if claimed and not KERNELS.fullmatch(claimed):
            known = self._known.get(claimed)
            foreign = known is not None and known.process != process and known.process in self._watched
            return origin.session if foreign else claimed
        mine = [session for session, one in self._known.items() if process and one.process == process]
        return mine[-1] if mine else origin.session

    def own(self, origin: Origin) -> frozenset[str]:
        """What permissions "for this session" may be made out to so that they are this asker's.

        Its own session; and where its process has told of exactly one session by hooks, that one and the process: hooks
        and MCP or socket calls of one agent are one. Of several sessions nobody can say which one calls.
        """
        process = origin.process or _process(origin)
        told = [one for one, known in self._known.items() if process and known.process == process]
        told = [one for one in told if not KERNELS.fullmatch(one)]
        one = len(told) == 1 and (not origin.process or told == [origin.session])
        return frozenset((origin.session, process, *told)) if one else frozenset((origin.session,))

    # --- what is told ---

    def on_hook(self, call: HookCall, origin: Origin) -> str:
        """Take in what a hook tells; the session it counts for."""
        session = self.session_of(origin, call.session)
        if call.ended:
            self.forget(session, call.detail)
            return session
        known = self._meet(session, origin, call.agent, call.cwd)
        self._forget_screen(known)
        if call.state is not None and not self._late(known, call):
            stays = call.state is AgentState.IDLE and known.base in (AgentState.DONE, AgentState.ERROR)
            self._show(known, known.base if stays else call.state, call.detail, f"hook {call.event}")
        return session

    def waits(self, session: str, request_id: str, what: str) -> None:
        """An approval of this session is open."""
        if known := self._known.get(session):
            known.waits[request_id] = what[:DETAIL]
            self._show(known, known.base)

    def waits_no_more(self, session: str, request_id: str, state: AgentState) -> None:
        """That approval has ended; `state` is the agent's where no later hook has told another."""
        if (known := self._known.get(session)) and known.waits.pop(request_id, None) is not None:
            self._show(known, state if known.base is AgentState.WAITING else known.base)

    def rests(self, session: str) -> None:
        """Its screen shows that it does not work any more: it was interrupted, of which no hook tells."""
        known = self._known.get(session)
        if known and known.base in (AgentState.WORKING, AgentState.WAITING):
            self._show(known, AgentState.IDLE, "interrupted", "its screen")

    def shows(self, session: str, state: AgentState) -> None:
        """Its screen shows that its own dialog waits, or that work goes on after it, of which no hook tells."""
        known = self._known.get(session)
        if known and known.base is not state:
            self._show(known, state, why="its screen")

    def on_screen(self, origin: Origin, state: AgentState, detail: str) -> None:
        """What the screen of an agent shows that tells by no hook. `origin.agent` is known."""
        known = self._meet(self.session_of(origin), origin, origin.agent or "", origin.cwd)
        if known.base is not state:
            self._show(known, state, detail, SCREEN)

    def register(self, origin: Origin, name: str, kind: str) -> None:
        """A socket client says who it is."""
        known = self._meet(self.session_of(origin), origin, kind or origin.agent or "", origin.cwd)
        known.agent = replace(known.agent, name=name, kind=kind or known.agent.kind)
        self._show(known, known.base, why="registered")

    def report(self, origin: Origin, state: str, detail: str) -> None:
        """A socket client says what it is doing."""
        known = self._meet(self.session_of(origin), origin, origin.agent or "", origin.cwd)
        self._show(known, AgentState(state), detail, "reported")

    # --- the end ---

    def forget(self, session: str, why: str = "") -> None:
        """The session is over."""
        known = self._known.pop(session, None)
        if known is None:
            return
        if not any(one.process == known.process for one in self._known.values()):
            self._unwatch(known.process)
        data = {"agent": msgspec.to_builtins(known.agent), "gone": why or "its session is over"}
        self._journal.note(Event(type="agent.state", data=data))

    def pane_gone(self, server: str, pane: str | None = None) -> None:
        """A pane has closed, or (`pane` None) a whole tmux server."""
        for session, one in list(self._known.items()):
            if one.agent.server == server and pane in (None, one.agent.pane):
                self.forget(session, "its pane is gone")

    def close(self) -> None:
        for process in list(self._watched):
            self._unwatch(process)

    # --- inside ---

    def _meet(self, session: str, origin: Origin, kind: str, cwd: str) -> _Known:
        """The agent of a session, with where it is now; made if it is new."""
        known = self._known.pop(session, None)
        process = _process(origin)
        if known is None:
            while len(self._known) >= KEEP:
                self._make_room()
            fresh = Agent(session=session, kind=kind, state=AgentState.UNKNOWN, since=self._now())
            known = _Known(fresh, process)
        self._known[session] = known
        known.process = process
        known.agent = replace(
            known.agent,
            server=origin.server or known.agent.server,
            pane=origin.pane or known.agent.pane,
            place=origin.place or known.agent.place,
            pid=int(process.partition(":")[0]) if process else None,
            cwd=cwd or known.agent.cwd,
            branch=origin.branch or known.agent.branch,
        )
        self._watch(process)
        return known

    def _forget_screen(self, known: _Known) -> None:
        """Its hooks tell by now: what only its screen told before is the same agent."""
        agent = known.agent
        for session, one in list(self._known.items()):
            there = one.agent.pane and (one.agent.server, one.agent.pane, one.agent.kind) == (
                agent.server, agent.pane, agent.kind
            )  # fmt: skip
            if there and KERNELS.fullmatch(session) and one is not known and one.agent.why == SCREEN:
                self.forget(session, "its hooks tell now")

    def _make_room(self) -> None:
        """Whoever makes up sessions makes room for itself: others' are forgotten, and their questions ended, last."""
        most = Counter(one.process for one in self._known.values()).most_common(1)[0][0]
        oldest = next(session for session, one in self._known.items() if one.process == most)
        self.forget(oldest, "silent for too long")

    def _late(self, known: _Known, call: HookCall) -> bool:
        """Whether a call tells nothing new. State-only hooks run beside the agent and may come late, and helpers may
        work on after the turn: what belongs to a turn that is over does not bring it back."""
        over = bool(call.prompt) and call.prompt == known.finished
        if call.kind is not HookKind.STATE and not (over and call.subagent):
            known.prompt, known.finished = call.prompt or known.prompt, ""
            return False
        if over:
            return True
        if call.withdraw == "before":
            known.prompt, known.finished = call.prompt or known.prompt, ""
            return bool(known.waits)
        other = bool(call.prompt and known.prompt) and call.prompt != known.prompt
        if call.withdraw == "turn" and not call.subagent and not other:
            known.finished = call.prompt
        return other

    def _show(self, known: _Known, base: AgentState, detail: str = "", why: str = "") -> None:
        """Set the state; whoever has an open approval waits, whatever else is told. Subscribers hear of changes."""
        known.base = base
        old = known.agent
        state = AgentState.WAITING if known.waits else base
        waiting_on = next(iter(known.waits.values()), "")
        since = old.since if state is old.state else self._now()
        known.agent = replace(
            old,
            state=state,
            since=since,
            waiting_on=waiting_on,
            detail=detail[:DETAIL] or old.detail,
            why=why or old.why,
        )
        if (state, waiting_on) != (old.state, old.waiting_on) or why == "registered":
            self._journal.note(Event(type="agent.state", data={"agent": msgspec.to_builtins(known.agent)}))

    def _watch(self, process: str) -> None:
        """Hear of the agent's death from the kernel (pidfd_open(2), Linux); elsewhere its pane's end has to do."""
        if not process or process in self._watched or not hasattr(os, "pidfd_open"):
            return
        try:
            pidfd = os.pidfd_open(int(process.partition(":")[0]))
        except OSError:
            return  # it is gone already, or cannot be watched: its pane's end will tell
        self._watched[process] = pidfd
        asyncio.get_running_loop().add_reader(pidfd, self._died, process)

    def _unwatch(self, process: str) -> None:
        if (pidfd := self._watched.pop(process, None)) is not None:
            asyncio.get_running_loop().remove_reader(pidfd)
            os.close(pidfd)

    def _died(self, process: str) -> None:
        self._unwatch(process)
        for session, one in list(self._known.items()):
            if one.process == process:
                self.forget(session, "its process has ended")


def _process(origin: Origin) -> str:
    """ "pid:started" of the agent that a peer runs below; "" where the kernel did not show one."""
    return origin.session if origin.agent else ""
