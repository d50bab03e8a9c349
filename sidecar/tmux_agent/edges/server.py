"""The socket: who speaks (asked of the kernel), and which service answers.

`answer_now` and `answer_later` are the table of contents of the product: one line a method. Owns dispatch. Must
not own: bytes (connection.py), who may and how often (admission.py), decisions (services/guard.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
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
from ..core.settings import Limits
from ..services.system import System
from ..services.tmux.control import TmuxServer
from ..services.tmux.popups import Claim, Wanted
from ..services.wishes import Wish
from . import actions, casts, executions, fleet, metrics_page, people, pipelines, queue, sight, webhooks
from .admission import ACTS, ASKS, NAMES, Admission
from .chat import Chat
from .connection import LATER, Call, Connection
from .explain import explain
from .facts import facts
from .hooks import Hooks
from .http import Http
from .links import LinkPages
from .listener import Listener
from .shares import Attached, Connections
from .turns import Turns

if TYPE_CHECKING:
    from .openings import Openings

log = logging.getLogger(__name__)

WAITING = (*ASKS, *ACTS, p.ChatSay, p.ChatFollow, p.HumanStatus, p.Judge, p.HookEvent)  # perhaps for hours
DRAIN_SECONDS = 5.0  # what else is in flight has this long to end when the sidecar stops


class Server:
    """Answers the clients of one socket, its `listener`. Built and stopped by the daemon."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.hooks = Hooks(system)
        self.chat = Chat(system)
        self.turns = Turns()
        self._admission = Admission(system)
        self.count, self.admit = self._admission.count, self._admission.admit  # asked by connections
        self.listener = Listener(lambda: Connection(self))
        self.inner = Listener(lambda: Connection(self, sandbox=True))  # for agents in the sandbox
        self.http = Http()  # its routes are made here, before the daemon opens it
        if system.settings.metrics.http and (metrics := system.measuring.metrics):
            self.http.route("GET", metrics_page.PATH, metrics_page.page(metrics))
        LinkPages(system.links, self.http)
        self.http.route("POST", webhooks.PREFIX, webhooks.handler(lambda: system.checks.deliveries))
        self._connections: Connections[Connection] = Connections(lambda: self.limits)
        self._attached = Attached()

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
        self.inner.close()
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

    def identify(self, pid: int, uid: int, pidfd: int | None, *, sandbox: bool = False) -> Origin:
        """Raises Forbidden for another user."""
        found = self._system.identity.identify(pid, uid, pidfd=pidfd)
        if not sandbox:
            return found
        why = found.why if found.role is Role.AGENT else "it came through the socket of the agents in the sandbox"
        return msgspec.structs.replace(found, role=Role.AGENT, why=why, sandbox=True)

    def opened(self, connection: Connection) -> None:
        """Raises LimitExceeded."""
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        self._connections.remove(connection)

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
            case p.TmuxAttach() if origin.sandbox:
                raise errors.Forbidden("tmux.attach: no tmux server is reached from the sandbox, nor served for it")
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
            case p.TmuxExecute() | p.TmuxExecution() | p.TmuxExecutions() | p.TmuxInterrupt() as params:
                return await executions.answer(system, params, call)
            case p.TmuxFacts() as params:
                return await facts(system, params, origin)
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
            case p.SentryEmit() | p.SentryWatch() | p.SentryPanes() | p.SentryRegister() as params:
                return await pipelines.sentry(system, params, origin)
            case p.PipelineStart() | p.PipelineRetry() | p.PipelineSkip() | p.PipelineCancel() as params:
                return await pipelines.act(system, params, self._wish(call, pipelines.wanted(params)))
            case p.PipelineList() | p.PipelineRuns() | p.PipelineShow() | p.PipelineDryRun() as params:
                return await pipelines.look(system, params, origin)
            case params if isinstance(params, fleet.CALLS):
                return await fleet.call(system, params, self._wish(call, fleet.wanted(params)))
            case p.CastStart() | p.CastStop() | p.CastList() | p.CastRemove() | p.CastPlay() as params:
                return await casts.answer(system, params, self._wish(call, casts.wanted(params, origin)))
            case params if isinstance(params, queue.LOOKS):
                return await queue.look(system, params, origin)
            case params if isinstance(params, queue.ACTS):
                return await queue.act(system, params, self._wish(call, queue.NO_TASK))
            case p.EventsSubscribe() as params:
                return await sight.subscribe(system, params, call)
            case p.AuditQuery() | p.AuditVerify() as params:
                return await sight.audit(system, params)
            case p.ChatSay() | p.ChatFollow() as params:
                return await self.chat.call(params, call)
            case p.PopupOpen() as params:
                return await self._popup_open(params, origin)
            case p.PopupAttach() as params:
                return await self._popup(call, params)
            case p.SidecarStop():
                system.stop.set()
                return r.Nothing()
            case _:
                raise errors.Internal(f"{NAMES[type(call.params)]} is declared and not answered")

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
        if origin.role is not Role.OPERATOR or claim is None or connection.sandbox:
            raise self._admission.refused(call, origin)
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
