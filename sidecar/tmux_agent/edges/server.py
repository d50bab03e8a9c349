"""The socket: who speaks (asked of the kernel), what they may, and which service answers.

`answer_now` and `answer_later` are the table of contents of the product: one line a method. Owns roles, rates and
dispatch. Must not own: bytes (connection.py), decisions (services/guard.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from .. import __version__
from ..core import errors
from ..core import protocol as p
from ..core import replies as r
from ..core.menus import page_of
from ..core.model import Action, Origin, Role
from ..core.rate import Bucket
from ..core.settings import Limits
from ..services.system import System
from ..services.tmux.control import TmuxServer
from ..services.tmux.popups import Claim, Wanted
from ..services.wishes import Wish
from . import actions, metrics_page, people, pipelines, sight, webhooks
from .connection import LATER, Call, Connection
from .explain import explain
from .hooks import Hooks
from .http import Http
from .links import LinkPages
from .listener import Listener
from .shares import Attached, Connections, family
from .turns import Turns

if TYPE_CHECKING:
    from .openings import Openings

log = logging.getLogger(__name__)

ASKS = (p.HumanAsk, p.HumanAskAsync)  # cost a person's attention: their own rate
ASKING = (  # whoever does one of these is an asker, and may not answer
    *ASKS,
    p.Judge,
    p.HookEvent,
    p.CommandRun,
    p.FileRead,
    p.FileWrite,
    p.FileEdit,
    p.FileCopy,
    p.FileDelete,
    p.FileList,
    p.TmuxRead,
    p.TmuxSwitch,
    p.TmuxCreateSession,
    p.TmuxCreatePane,
    p.TmuxSendKeys,
    p.TmuxSendText,
    p.TmuxKillSession,
    p.TmuxKillPane,
    p.AgentRegister,
    p.AgentSetState,
    p.PlanCreate,
    p.SentryEmit,
    p.PipelineStart,
    p.PipelineRetry,
    p.PipelineSkip,
    p.PipelineCancel,
)
SEES_MORE = (p.HumanPending, p.EventsSubscribe)  # of which an operator is told all, an agent what is its own
ACTS = (p.PipelineStart, p.PipelineRetry, p.PipelineSkip, p.PipelineCancel)
WAITING = (*ASKS, *ACTS, p.HumanStatus, p.Judge, p.HookEvent)  # may wait for a person, for hours
DRAIN_SECONDS = 5.0  # what else is in flight has this long to end when the sidecar stops


class Server:
    """Answers the clients of one socket, its `listener`. Built and stopped by the daemon."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.hooks = Hooks(system)
        self.turns = Turns()
        self.listener = Listener(lambda: Connection(self))
        self.http = Http()  # its routes are made here, before the daemon opens it
        if system.settings.metrics.http and (metrics := system.measuring.metrics):
            self.http.route("GET", metrics_page.PATH, metrics_page.page(metrics))
        LinkPages(system.links, self.http)
        self.http.route("POST", webhooks.PREFIX, webhooks.handler(lambda: system.checks.deliveries))
        self._connections: Connections[Connection] = Connections(lambda: self.limits)
        self._counted = system.measuring.counts.requests
        self._attached = Attached()
        self._requests: dict[str, Bucket] = {}
        self._asks: dict[str, Bucket] = {}
        self._refusals: dict[str, Bucket] = {}
        self._popups: dict[str, Bucket] = {}

    @cached_property
    def openings(self) -> Openings:
        """Imported when it is first needed: the sidecar serves before it can draw."""
        from .openings import Openings

        return Openings(self._system)

    @property
    def limits(self) -> Limits:
        return self._system.settings.limits

    @property
    def stopping(self) -> bool:
        return self._system.approvals.stopping

    async def close(self) -> None:
        """Stop listening, let what runs end, let go of what waits for people (it stays pending), close."""
        self.listener.close()
        await self.http.close()
        if "openings" in vars(self):
            self.openings.close()
        calls = {task: call for connection in self._connections for task, call in connection.calls.items()}
        for task, call in calls.items():
            if self._waits(call):
                task.cancel()
        if calls:
            _, late = await asyncio.wait(calls, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        for connection in self._connections:
            connection.close()

    def _waits(self, call: Call) -> bool:
        """Whether it may be a person that a request waits for: its own approval, or one found again by its key."""
        if isinstance(call.params, WAITING):
            return True
        pending = self._system.approvals.pending()
        key = f"{call.origin.session}:{call.key}:"
        return any(
            one.request_id == call.request_id or (call.key and (one.hook_key or "").startswith(key)) for one in pending
        )

    # --- who, and how much ---

    def identify(self, pid: int, uid: int, pidfd: int | None) -> Origin:
        """Raises Forbidden for another user."""
        return self._system.identity.identify(pid, uid, pidfd=pidfd)

    def opened(self, connection: Connection) -> None:
        """Raises LimitExceeded."""
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        self._connections.remove(connection)

    def count(self, origin: Origin) -> None:
        """One more request, whatever it is. Raises LimitExceeded."""
        rate = self.limits.requests_per_second
        if not _bucket(self._requests, origin.session, rate, rate, time.monotonic()):
            raise errors.LimitExceeded(f"over {rate:g} requests a second")

    def admit(self, call: Call) -> None:
        """Raises LimitExceeded or Forbidden; every refusal for the caller's role is recorded."""
        kind = type(call.params)
        self._counted[kind] += 1
        if call.origin.role is Role.OPERATOR and kind in SEES_MORE:
            call.origin = call.connection.identify()
        if kind in p.OPERATOR_ONLY and kind is not p.PopupAttach:
            call.origin = call.connection.identify()  # anew: a peer changes its standing by asking
            if call.origin.role is not Role.OPERATOR:
                raise self._refused(call, call.origin)
        if kind in ACTS:
            call.origin = call.connection.identify()  # as above: an operator's word counts, any other is judged
        asks = kind in ASKING and not (kind in ACTS and call.origin.role is Role.OPERATOR)
        if asks and not call.connection.asked:
            call.connection.asked = True
            self._system.identity.note_asker(call.origin)
        burst, a_minute = self.limits.asks_burst, self.limits.asks_per_minute
        if kind in ASKS and not _bucket(self._asks, family(call.origin), burst, a_minute / 60, time.monotonic()):
            raise errors.LimitExceeded(f"over {a_minute:g} questions a minute: people read slowly")
        if kind is p.PopupOpen and not _bucket(self._popups, family(call.origin), 5, 0.1, time.monotonic()):
            raise errors.LimitExceeded("too many popups: they come up over what a person types")

    def _refused(self, call: Call, origin: Origin) -> errors.Forbidden:
        """Record that somebody tried what only operators may; not more of it than the log should hold."""
        method = _NAMES[type(call.params)]
        if _bucket(self._refusals, origin.session, 20, 0.2, time.monotonic()):
            self._system.refused(origin, method, call.request_id)
        return errors.Forbidden(f"{method} is for operators only, and you are not one: {origin.why}")

    def failed(self, why: errors.TmuxAgentError) -> None:
        """A request was answered with this error."""
        self._system.measuring.counts.errors[(why.kind,)] += 1

    # --- what ---

    def answer_now(self, call: Call) -> Any:
        """Methods that need not wait. Gives LATER for the others."""
        system, origin = self._system, call.origin
        match call.params:
            case p.PolicyCheck() as params:
                decision = system.guard.foresee(actions.checked(params, origin), origin)
                return r.CheckData.of(decision) if decision is not None else LATER
            case p.Hello():
                methods = tuple(sorted(p.METHODS))
                return r.HelloData(
                    server="tmux-agent", version=__version__, protocol=p.PROTOCOL, origin=origin, methods=methods
                )
            case p.Health():
                return sight.health(system)
            case p.HumanPending() as params:
                return people.pending(system, params, origin)
            case p.CommandAllowed():
                return sight.allowed(system)
            case p.AgentList() as params:
                return sight.agents(system, params)
            case p.GrantList() as params:
                return sight.grants(system, params)
            case _:
                return LATER

    async def answer_later(self, call: Call) -> Any:
        """Methods that wait: for a person, a file, a program, tmux, or the log."""
        system, origin = self._system, call.origin
        match call.params:
            case p.HookEvent() as params:
                return await self.hooks.handle(params, origin, call.request_id)
            case p.PolicyCheck() as params:
                return r.CheckData.of(await system.guard.checked(actions.checked(params, origin), origin))
            case p.HumanAsk() as params:
                return await people.ask(system, self._wish(call, people.question(params), params.timeout_secs))
            case p.HumanAskAsync() as params:
                return await people.ask_async(system, self._wish(call, people.question(params), params.timeout_secs))
            case p.HumanStatus() as params:
                return await people.status(system, params)
            case p.HumanRespond() as params:
                return await people.respond(system, params, origin)
            case p.Judge() as params:
                return await people.judge(system, params, self._wish(call, actions.placed(params.action, origin)))
            case p.CommandRun(dry_run=True) as params:
                return await sight.dry_run(system, actions.command(params, origin), origin)
            case p.CommandRun() as params:
                return await self._perform(call, actions.command(params, origin))
            case p.FileRead() | p.FileWrite() | p.FileEdit() | p.FileCopy() | p.FileDelete() | p.FileList() as params:
                return await self._perform(call, actions.file(params, origin))
            case p.TmuxAttach(socket=socket):
                self._attached.add(os.path.realpath(socket), origin, [one.socket for one in system.servers.all()])
                await system.attach_tmux(socket)
                return r.Nothing()
            case p.TmuxSessions() | p.TmuxWindows() | p.TmuxPanes() as params:
                return await sight.tmux(system, params, origin)
            case (
                p.TmuxRead()
                | p.TmuxSwitch()
                | p.TmuxCreateSession()
                | p.TmuxCreatePane()
                | p.TmuxSendKeys()
                | p.TmuxSendText()
                | p.TmuxKillSession()
                | p.TmuxKillPane() as params
            ):
                return await self._perform(call, actions.tmux(params))
            case (
                p.PlanCreate() | p.PlanList() | p.PlanGet() | p.PlanUpdate() | p.PlanAdvance() | p.PlanAbort() as params
            ):
                return await people.plan(system, params, origin)
            case p.PolicyReload():
                return await system.reload()
            case p.GrantRevoke(grant_id=grant_id):
                return await sight.revoke(system, grant_id, origin)
            case p.LinkShow(request_id=request_id):
                return people.link(system, request_id)
            case p.LinkRotate(at_once=at_once):
                return r.RotatedData(earlier=system.links.rotate(at_once=at_once))
            case p.AgentExplain() as params:
                return await explain(system, params, origin)
            case p.AgentResume(target=target) as params:
                agent = system.resuming.limited(target, system.servers.choose(params.server, origin).socket)
                return r.Resumed(summary=(await system.resuming.asked(agent, origin, call.request_id)).summary)
            case p.AgentRegister() as params:
                call.connection.origin = msgspec.structs.replace(origin, name=params.name[: p.NAME_LENGTH])
                return await sight.agent(system, params, origin)
            case p.AgentSetState() as params:
                return await sight.agent(system, params, origin)
            case p.SentryEmit() | p.SentryWatch() | p.SentryPanes() as params:
                return await pipelines.sentry(system, params, origin)
            case p.PipelineStart() | p.PipelineRetry() | p.PipelineSkip() | p.PipelineCancel() as params:
                return await pipelines.act(system, params, self._wish(call, pipelines.wanted(params)))
            case p.PipelineList() | p.PipelineRuns() | p.PipelineShow() | p.PipelineDryRun() as params:
                return await pipelines.look(system, params, origin)
            case p.EventsSubscribe() as params:
                return await sight.subscribe(system, params, call)
            case p.AuditQuery() | p.AuditVerify() as params:
                return await sight.audit(system, params)
            case p.PopupOpen() as params:
                return await self._popup_open(params, origin)
            case p.PopupAttach() as params:
                return await self._popup(call, params)
            case p.SidecarStop():
                system.stop.set()
                return r.Nothing()
            case _:
                raise errors.Internal(f"{_NAMES[type(call.params)]} is declared and not answered")

    def _wish(self, call: Call, action: Action, timeout: float | None = None) -> Wish:
        return Wish(action=action, origin=call.origin, request_id=call.request_id, key=call.key, timeout=timeout)

    async def _perform(self, call: Call, action: Action) -> Any:
        return (await self._system.guard.perform(self._wish(call, action))).data

    async def _popup(self, call: Call, params: p.PopupAttach) -> None:
        """The relay of a popup: from here on its connection is a terminal. Raises Forbidden for anything else."""
        system, peer = self._system, call.origin
        claim = system.popups.claim(params.nonce) if system.popups else None
        grant = claim.grant if claim else None
        server = system.servers.get(grant.server) if grant else None
        if server is not None:
            await system.servers.refresh(server)
        connection = call.connection
        origin = system.identity.relay(peer.pid, peer.uid, grant, connection.accepted, pidfd=connection.pidfd)
        if origin.role is not Role.OPERATOR or claim is None:
            raise self._refused(call, origin)
        shown = self.openings.show(claim.opening, params, origin, connection.as_stream())
        system.spawn(self._show(shown, server, claim))

    async def _show(self, shown: Coroutine[Any, Any, str], server: TmuxServer | None, claim: Claim) -> None:
        typed = await shown
        if typed and server is not None and self._system.popups is not None:
            await self._system.popups.typed_after(server, claim.grant.client, typed)

    async def _popup_open(self, params: p.PopupOpen, origin: Origin) -> r.Nothing:
        if params.request_id:
            await self._system.approvals.stored(params.request_id)
        server, client = self._system.client_for(origin)
        page = None
        if params.resume:
            socket = self._system.servers.choose(params.server, origin).socket
            agent = self._system.resuming.limited(params.resume, socket)
            page = page_of(agent, "resume")
        # Anybody may have a page opened, and a key in it acts: a person who types meanwhile types on.
        self._system.open_popup(server, client, Wanted(at=params.request_id, page=page, unbidden=page is not None))
        return r.Nothing()


def _bucket(buckets: dict[str, Bucket], session: str, burst: float, per_second: float, now: float) -> bool:
    """Take one from a session's bucket; False where it is empty."""
    bucket = buckets.get(session)
    if bucket is None:
        if len(buckets) > 10_000:  # sessions come and go: forget them all rather than keep them all
            buckets.clear()
        bucket = buckets[session] = Bucket(burst, per_second, now)
    return bucket.take(now)


_NAMES = {kind: name for name, kind in p.METHODS.items()}
