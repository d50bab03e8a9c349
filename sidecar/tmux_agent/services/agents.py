"""The agents that are known, and what each is doing: told by their hooks, or by themselves over the socket.

Owns the states, and that they are cleared: an agent leaves when its session ends, its process dies (deaths.py) or its
pane closes. Where two tell different things: who has an open approval waits; else the last hook is right, and where
none has told anything for a moment, the screen (dialogs.py). Must not own: what hooks say (edges/adapters), what is
kept over a restart (agent_rows.py), approvals, how states are drawn (tmux/badge.py).
"""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..core import programs
from ..core.hooks import HookCall, HookKind
from ..core.model import Agent, AgentState, Event, Limit, Origin, Tier
from .deaths import Deaths
from .journal import Journal, utc_now

KEEP = 500  # agents; of the process that has the most of them the longest silent makes room
DETAIL = 256  # characters
DRAWN_SECONDS = 0.7  # after which a screen is drawn anew: a hook runs some 0.1 s ahead of it
SCREEN = "its screen"  # what told of an agent without hooks
TOLD = 12  # of what was told of an agent the newest stay, for people who ask why
KERNELS = re.compile(r"[0-9]+:[0-9]+")  # session of whoever has no id of its own (Origin.session)
BUSY = (AgentState.WORKING, AgentState.WAITING)


class Kept(Struct, kw_only=True):
    """An agent and what is needed to keep its state right, also over a restart."""

    agent: Agent
    base: AgentState  # apart from open approvals
    process: str  # "pid:started" of the agent; "" where the kernel did not tell
    prompt: str = ""  # the turn it is in
    finished: str = ""  # the turn that is over: what comes late from that one changes nothing
    titled: bool = False  # its titles have told what it does: a plain one tells, too


class Told(Struct, frozen=True):
    """Something that was told of an agent, and what came of it."""

    at: datetime
    what: str  # "hook PreToolUse", "its title"
    state: str = ""  # the state it told; "" for none
    note: str = ""  # why it changed nothing


class _Known(Kept, kw_only=True):
    """With what is forgotten when the sidecar ends."""

    waits: dict[str, str] = {}  # request_id → what it wants, in a few words
    roused: bool = False  # it rested, and works by its title alone: that may be another session's work
    loose: set[str] = set()  # of these, whose end only its record tells: no hook waits for them
    told: deque[Told] = msgspec.field(default_factory=lambda: deque(maxlen=TOLD))
    heard: float = 0.0  # time.monotonic() of the last hook


class Agents:
    """Built by the daemon; used in the event loop only."""

    def __init__(self, journal: Journal, now: Callable[[], datetime] = utc_now) -> None:
        self._journal = journal
        self._now = now
        self._known: dict[str, _Known] = {}  # by session, the longest silent first
        self._deaths = Deaths(self._died)
        self.changed: Callable[[str], object] = lambda _: None  # what is kept of this session is another
        self.named: Callable[[str | None, str | None], str] = lambda _server, _pane: ""  # of whoever says no name

        self.tier: Callable[[str | None, str | None], Tier] = lambda _server, _pane: "baseline"

    # --- looking ---

    def list(self) -> tuple[Agent, ...]:
        """All that are known, by place and session."""
        agents = (one.agent for one in self._known.values())
        return tuple(sorted(agents, key=lambda one: (one.place, one.pane or "", one.session)))

    def session_of(self, origin: Origin, claimed: str = "") -> str:
        """The session that a peer speaks for: the one it names, unless that is another living agent's; else its own.

        Names with a colon are given by us (a process, chat:alice, queue:…): what is theirs is not for who claims one.
        """
        process = _process(origin)
        if claimed and ":" not in claimed:
            known = self._known.get(claimed)
            foreign = known is not None and known.process != process and known.process in self._deaths
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

    def kept(self, session: str) -> Kept | None:
        """What a restart must not lose; None: the session is over, or only its screen tells, which tells again."""
        known = self._known.get(session)
        if known is None or (KERNELS.fullmatch(session) and (programs.known(known.agent.kind) or not known.process)):
            return None
        return Kept(**{name: getattr(known, name) for name in Kept.__struct_fields__})

    def told(self, session: str) -> tuple[Told, ...]:
        """What was told of it, the newest last."""
        known = self._known.get(session)
        return tuple(known.told) if known else ()

    def quiet(self, session: str) -> float:
        """Seconds since its last hook."""
        known = self._known.get(session)
        return time.monotonic() - known.heard if known else 0.0

    def get(self, session: str) -> Agent | None:
        """None: no such session is known."""
        known = self._known.get(session)
        return known.agent if known else None

    def process(self, session: str) -> str:
        """ "pid:started" of its agent; "" where the kernel did not tell."""
        known = self._known.get(session)
        return known.process if known else ""

    # --- what is told ---

    def on_hook(self, call: HookCall, origin: Origin) -> str:
        """Take in what a hook tells; the session it counts for."""
        session = self.session_of(origin, call.session)
        if call.ended:
            self.forget(session, call.detail)
            return session
        if session not in self._known and not origin.pane and not _process(origin):
            return session  # of an agent that is gone, or that nothing would tell the end of
        known = self._meet(session, origin, call.agent, call.cwd)
        known.heard = time.monotonic()
        known.roused = False
        self._forget_screen(known)
        if call.begins:
            self._leave_others(known)
        late = self._late(known, call)
        if call.state is not None and not late:
            stays = call.state is AgentState.IDLE and known.base in (AgentState.DONE, AgentState.ERROR)
            stays = stays and not call.begins
            self._show(known, known.base if stays else call.state, call.detail, f"hook {call.event}")
        self._note(known, f"hook {call.event}", call.state, "late: that turn is over" if late else "")
        return session

    def waits(self, session: str, request_id: str, what: str) -> None:
        """An approval of this session is open."""
        if known := self._known.get(session):
            known.waits[request_id] = what[:DETAIL]
            known.loose.discard(request_id)
            self._show(known, known.base)

    def asks(self, session: str, request_id: str, what: str) -> None:
        """The same, where no hook waits for it: of a guarded call, or of a hook from before a restart."""
        if (known := self._known.get(session)) and request_id not in known.waits:
            self.waits(session, request_id, what)
            known.loose.add(request_id)

    def settled(self, request_id: str) -> None:
        """An approval has ended."""
        for session, known in self._known.items():
            if request_id in known.loose:
                known.loose.discard(request_id)
                self.waits_no_more(session, request_id, AgentState.WORKING)

    def waits_no_more(self, session: str, request_id: str, state: AgentState) -> None:
        """That approval has ended; `state` is the agent's where no later hook has told another."""
        if (known := self._known.get(session)) and known.waits.pop(request_id, None) is not None:
            known.heard = time.monotonic()  # its own dialog may be about to show
            self._show(known, state if known.base is AgentState.WAITING else known.base)

    def shows(self, session: str, state: AgentState, why: str, *, titled: bool = False) -> None:
        """Its title or screen shows what it does, of which no hook tells. `titled`: its titles always tell."""
        known = self._known.get(session)
        if known is None:
            return
        if titled and not known.titled:
            known.titled = True
            self.changed(session)
        works = (
            state is AgentState.WORKING and why != SCREEN
        )  # so says a Gemini's title while its menu about it is open
        if known.agent.limit and known.agent.limit.why == SCREEN and works:
            return
        if known.base is not state:
            known.roused = known.base not in BUSY and state is AgentState.WORKING
            rests = known.base in BUSY and state is AgentState.IDLE
            self._show(known, state, "interrupted" if rests else "", why)
            self._note(known, why, state)

    def on_screen(self, origin: Origin, state: AgentState, detail: str) -> None:
        """What the screen of an agent shows that tells by no hook. `origin.agent` is known."""
        known = self._meet(self.session_of(origin), origin, origin.agent or "", origin.cwd)
        if known.base is not state:
            self._show(known, state, detail, SCREEN)
            self._note(known, SCREEN, state)

    def limited(self, session: str, limit: Limit, why: str) -> None:
        """It has reached a usage limit, or more is known of the one it has reached."""
        known = self._known.get(session)
        if known is None or known.agent.limit == limit:
            return
        if known.agent.limit is None:
            self._note(known, why, AgentState.ERROR, "a usage limit")
        self._show(known, AgentState.ERROR, limit.words, why, limit)

    def remark(self, session: str, what: str, note: str) -> None:
        """Something that was done to it, for people who ask why."""
        if known := self._known.get(session):
            self._note(known, what, None, note)

    def register(self, origin: Origin, name: str, kind: str) -> None:
        """A socket client says who it is."""
        known = self._meet(self.session_of(origin), origin, kind or origin.agent or "", origin.cwd)
        name = self.named(origin.server, origin.pane) or name  # what a person has named stays
        known.agent = replace(known.agent, name=name, kind=kind or known.agent.kind)
        if KERNELS.fullmatch(origin.session):  # a program that only says its name is gone with its process
            self._deaths.watch(origin.session)
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
        for process in (known.process, session):
            if not any(process in (one.process, other) for other, one in self._known.items()):
                self._deaths.unwatch(process)
        self.changed(session)
        data = {"agent": msgspec.to_builtins(known.agent), "gone": why or "its session is over"}
        self._journal.note(Event(type="agent.state", data=data))

    def pane_gone(self, server: str, pane: str | None = None) -> None:
        """A pane has closed, or (`pane` None) a whole tmux server."""
        for session, one in list(self._known.items()):
            if one.agent.server == server and pane in (None, one.agent.pane):
                self.forget(session, "its pane is gone")

    def close(self) -> None:
        self._deaths.close()

    # --- over a restart ---

    def restore(self, kept: Kept) -> None:
        """As it was; its process lives. The next hook, or its screen, tells what has changed meanwhile."""
        known = _Known(**{name: getattr(kept, name) for name in Kept.__struct_fields__})
        self._known[kept.agent.session] = known
        self._deaths.watch(kept.process)
        self._show(known, known.base, why="kept over a restart")
        self._note(known, known.agent.why, known.base)

    # --- inside ---

    def _leave_others(self, known: _Known) -> None:
        """A process begins a session: whatever else it had, and is not known to work in, it has left."""
        for session, one in list(self._known.items()):
            here = known.process and (one.process, one.agent.pane) == (known.process, known.agent.pane)
            if here and one is not known and (one.base not in BUSY or one.roused):
                self.forget(session, "it began another session")

    def _note(self, known: _Known, what: str, state: AgentState | None, note: str = "") -> None:
        known.told.append(Told(self._now(), what, state.value if state else "", note))

    def _meet(self, session: str, origin: Origin, kind: str, cwd: str) -> _Known:
        """The agent of a session, with where it is now; made if it is new."""
        known = self._known.pop(session, None)
        process = _process(origin)
        if known is None:
            while len(self._known) >= KEEP:
                self._make_room()
            fresh = Agent(session=session, kind=kind, state=AgentState.UNKNOWN, since=self._now())
            known = _Known(agent=fresh, base=fresh.state, process=process)
        self._known[session] = known
        known.process = process
        known.agent = replace(
            known.agent,
            name=known.agent.name or self.named(origin.server, origin.pane),
            server=origin.server or known.agent.server,
            pane=origin.pane or known.agent.pane,
            place=origin.place or known.agent.place,
            pid=int(process.partition(":")[0]) if process else None,
            cwd=cwd or known.agent.cwd,
            branch=origin.branch or known.agent.branch,
            tier="sandbox" if origin.sandbox else self.tier(origin.server, origin.pane),
        )
        self._deaths.watch(process)
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

    def _show(
        self, known: _Known, base: AgentState, detail: str = "", why: str = "", limit: Limit | None = None
    ) -> None:
        """Set the state; whoever has an open approval waits, whatever else is told. Subscribers hear of changes."""
        old = known.agent
        limit = limit or (old.limit if base is known.base is AgentState.ERROR else None)
        known.base = base
        state = AgentState.WAITING if known.waits else base
        waiting_on = next(iter(known.waits.values()), "")
        since = old.since if state is old.state else self._now()
        known.agent = replace(
            old,
            state=state,
            since=since,
            waiting_on=waiting_on,
            detail=detail[:DETAIL] or (old.detail if state is old.state else ""),
            why=why or old.why,
            limit=limit,
        )
        self.changed(old.session)
        told = (state, waiting_on, limit) != (old.state, old.waiting_on, old.limit)
        if told or why == "registered":
            self._journal.note(Event(type="agent.state", data={"agent": msgspec.to_builtins(known.agent)}))

    def _died(self, process: str) -> None:
        for session, one in list(self._known.items()):
            named = session == process and one.base is AgentState.UNKNOWN  # it never told what it does
            if one.process == process or named:
                self.forget(session, "its process has ended")


def _process(origin: Origin) -> str:
    """ "pid:started" of the agent that a peer runs below; "" where the kernel did not show one."""
    return origin.session if origin.agent else ""
