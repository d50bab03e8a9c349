"""The socket: who speaks (asked of the kernel), what they may, and which service answers.

`answer_now` and `answer_later` are the table of contents of the product: one line a method. Owns roles, rates and
dispatch. Must not own: bytes (connection.py), decisions (services/guard.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import Any

from .. import __version__
from ..core import errors
from ..core import protocol as p
from ..core import replies as r
from ..core.model import Action, Origin, Role
from ..core.rate import Bucket
from ..services.guard import Wish
from ..services.system import System
from ..services.tmux.popups import BORDERLESS
from . import actions, people, sight
from .connection import LATER, Call, Connection
from .desk import ServiceDesk
from .hooks import Hooks
from .ui.popup import serve
from .ui.wire import Attach

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
    p.AgentRegister,
    p.AgentSetState,
    p.PlanCreate,
)


class Server:
    """Listens on one socket. Built and stopped by the daemon."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.hooks = Hooks(system)
        self.limits = system.settings.limits
        self._server: asyncio.AbstractServer | None = None
        self._connections: set[Connection] = set()
        self._requests: dict[str, Bucket] = {}
        self._asks: dict[str, Bucket] = {}
        self._refusals: dict[str, Bucket] = {}

    async def listen(self, path: Path) -> None:
        """Bind, with mode 0600 from the first moment. A stale socket is replaced; the lock says that it is stale."""
        if os.path.lexists(path):
            os.unlink(path)
        mask = os.umask(0o177)
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(lambda: Connection(self), str(path), backlog=512)
        finally:
            os.umask(mask)

    def stop_listening(self) -> None:
        """Connections that are open go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def close(self) -> None:
        """Stop listening, end what is in flight (nothing is withdrawn by that), close the connections."""
        self.stop_listening()
        tasks = [task for connection in self._connections for task in connection.drop_requests()]
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self._connections):
            connection.close()

    # --- who, and how much ---

    def identify(self, pid: int, uid: int, pidfd: int | None) -> Origin:
        """Raises Forbidden for another user."""
        if uid != os.getuid():
            raise errors.Forbidden(f"this sidecar serves uid {os.getuid()}, you are uid {uid}")
        return self._system.identity.identify(pid, uid, pidfd=pidfd)

    def opened(self, connection: Connection) -> None:
        """Raises LimitExceeded."""
        if len(self._connections) >= self.limits.connections:
            raise errors.LimitExceeded(f"{self.limits.connections} connections are open already: close some")
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def admit(self, call: Call) -> None:
        """Raises LimitExceeded or Forbidden; every refusal for the caller's role is recorded."""
        now = time.monotonic()
        limits, session = self.limits, call.origin.session
        per_second = limits.requests_per_second
        if not _bucket(self._requests, session, per_second, per_second, now).take(now):
            raise errors.LimitExceeded(f"over {per_second:g} requests a second")
        if isinstance(call.params, ASKING) and not call.connection.asked:
            call.connection.asked = True
            self._system.identity.note_asker(call.origin)
        asks = isinstance(call.params, ASKS)
        if asks and not _bucket(self._asks, session, limits.asks_burst, limits.asks_per_minute / 60, now).take(now):
            raise errors.LimitExceeded(f"over {limits.asks_per_minute:g} questions a minute: people read slowly")
        if type(call.params) in p.OPERATOR_ONLY and not isinstance(call.params, p.PopupAttach):
            self._only_operators(call, now)

    def _only_operators(self, call: Call, now: float) -> None:
        call.origin = call.connection.identify()  # anew: a peer changes its standing by asking
        if call.origin.role is Role.OPERATOR:
            return
        method = _name(call.params)
        if _bucket(self._refusals, call.origin.session, 20, 0.2, now).take(now):
            self._system.refused(call.origin, method, call.request_id)
        raise errors.Forbidden(f"{method} is for operators only, and you are not one: {call.origin.why}")

    # --- what ---

    def answer_now(self, call: Call) -> Any:
        """Methods that need not wait. Gives LATER for the others."""
        system, origin = self._system, call.origin
        match call.params:
            case p.PolicyCheck() as params:
                return r.CheckData.of(system.guard.check(actions.checked(params, origin), origin))
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
                return system.judgement.in_words()
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
            case p.HumanAsk() as params:
                return await people.ask(system, self._wish(call, people.question(params), params.timeout_secs))
            case p.HumanAskAsync() as params:
                return await people.ask_async(system, self._wish(call, people.question(params), params.timeout_secs))
            case p.HumanStatus() as params:
                return await people.status(system, params)
            case p.HumanRespond() as params:
                return await people.respond(system, params, origin)
            case p.Judge() as params:
                return await people.judge(system, params, self._wish(call, params.action))
            case p.CommandRun(dry_run=True) as params:
                return sight.dry_run(system, actions.command(params, origin), origin)
            case p.CommandRun() as params:
                return await self._perform(call, actions.command(params, origin))
            case p.FileRead() | p.FileWrite() | p.FileEdit() | p.FileCopy() | p.FileDelete() | p.FileList() as params:
                return await self._perform(call, actions.file(params, origin))
            case p.TmuxAttach(socket=socket):
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
            case p.AgentRegister() | p.AgentSetState() as params:
                return await sight.agent(system, params, origin)
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
                raise errors.Internal(f"{_name(call.params)} is declared and not answered")

    def _wish(self, call: Call, action: Action, timeout: float | None = None) -> Wish:
        return Wish(action=action, origin=call.origin, request_id=call.request_id, key=call.key, timeout=timeout)

    async def _perform(self, call: Call, action: Action) -> Any:
        return (await self._system.guard.perform(self._wish(call, action))).data

    async def _popup(self, call: Call, params: p.PopupAttach) -> None:
        """The relay of a popup: from here on its connection is a terminal. Raises Forbidden for anything else."""
        system, peer = self._system, call.origin
        claim = system.popups.claim(params.nonce) if system.popups else None
        server = system.servers.get(claim.grant.server) if claim else None
        if server is not None:
            await system.servers.refresh(server)
        connection = call.connection
        grant = claim.grant if claim else None
        origin = system.identity.relay(peer.pid, peer.uid, grant, connection.accepted, pidfd=connection.pidfd)
        if origin.role is not Role.OPERATOR or claim is None:
            system.refused(origin, "popup.attach", call.request_id)
            raise errors.Forbidden(f"this is no popup of ours: {origin.why}")
        reader, writer = connection.as_stream()
        attach = Attach(
            columns=params.columns,
            rows=params.rows,
            term=params.term or "screen",
            colorterm=params.colorterm,
            utf8=params.utf8,
            no_color=params.no_color,
            at=claim.at,
            border="" if server and server.version >= BORDERLESS else "native",
        )
        system.spawn(serve(reader, writer, attach, ServiceDesk(system, origin)))

    async def _popup_open(self, params: p.PopupOpen, origin: Origin) -> r.Nothing:
        if params.request_id:
            await self._system.approvals.stored(params.request_id)
        server, client = self._system.client_for(origin)
        await self._system.open_popup(server, client, params.request_id)
        return r.Nothing()


def _bucket(buckets: dict[str, Bucket], session: str, burst: float, per_second: float, now: float) -> Bucket:
    bucket = buckets.get(session)
    if bucket is None:
        if len(buckets) > 10_000:  # sessions come and go: forget them all rather than keep them all
            buckets.clear()
        bucket = buckets[session] = Bucket(burst, per_second, now)
    return bucket


_NAMES = {kind: name for name, kind in p.METHODS.items()}


def _name(params: p.Params) -> str:
    return _NAMES[type(params)]
