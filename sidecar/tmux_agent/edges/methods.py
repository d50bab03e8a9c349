"""What each method of the socket is answered by: the table of contents of the product.

`now` and `later` have one line a method, the latter by the groups of core/protocol.py. Owns dispatch. Must not own: who
may and how often (admission.py), decisions (services/guard.py).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from .. import __version__
from ..core import (
    errors,
    protocol_agents,
    protocol_casts,
    protocol_chat,
    protocol_fleet,
    protocol_judging,
    protocol_people,
    protocol_pipelines,
    protocol_queue,
    protocol_tmux,
    protocol_tools,
)
from ..core import protocol as p
from ..core import replies as r
from ..core.model import Action, Origin
from ..services.reloading import reload
from ..services.system import System
from ..services.wishes import Wish
from . import actions, casts, executions, fleet, people, pipelines, queue, sight
from .admission import NAMES
from .chat import Chat
from .connection import LATER, Call
from .explain import explain
from .facts import facts
from .hooks import Hooks
from .popups import PopupCalls
from .shares import Attached

if TYPE_CHECKING:
    from .openings import Openings

UNANSWERED = object()  # what a group gives back for a method that it does not know


class Methods:
    """Built by the server; used in the event loop only."""

    def __init__(
        self,
        system: System,
        openings: Callable[[], Openings],
        refused: Callable[[Call, Origin], errors.Forbidden],
    ) -> None:
        self._system = system
        self.hooks = Hooks(system)
        self.chat = Chat(system)
        self._popups = PopupCalls(system, openings, refused)
        self._attached = Attached()
        groups: tuple[tuple[dict[str, type[p.Params]], Callable[[Call], Awaitable[Any]]], ...] = (
            (p.METHODS, self._of_the_sidecar),  # what none of the others has
            (protocol_tmux.METHODS, self._tmux),
            (protocol_tools.METHODS, self._tool),
            (protocol_people.METHODS, self._people),
            (protocol_judging.METHODS, self._judging),
            (protocol_agents.METHODS, self._agent),
            (protocol_pipelines.METHODS, self._pipeline),
            (protocol_fleet.METHODS, self._fleet),
            (protocol_casts.METHODS, self._cast),
            (protocol_queue.METHODS, self._queue),
            (protocol_chat.METHODS, self._said_in_a_chat),
        )
        self._groups = {kind: group for methods, group in groups for kind in methods.values()}

    def now(self, call: Call) -> Any:
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

    async def later(self, call: Call) -> Any:
        """Methods that wait: for a person, a file, a program, tmux, or the log."""
        data = await self._groups[type(call.params)](call)
        if data is UNANSWERED:
            raise errors.Internal(f"{NAMES[type(call.params)]} is declared and not answered")
        return data

    # --- by group ---

    async def _of_the_sidecar(self, call: Call) -> Any:
        system = self._system
        match call.params:
            case p.EventsSubscribe() as params:
                return await sight.subscribe(system, params, call)
            case p.AuditQuery() | p.AuditVerify() as params:
                return await sight.audit(system, params)
            case p.PopupOpen() as params:
                return await self._popups.open(params, call.origin)
            case p.PopupAttach() as params:
                return await self._popups.attach(params, call)
            case p.SidecarStop():
                system.stop.set()
                return r.Nothing()
        return UNANSWERED

    async def _tmux(self, call: Call) -> Any:
        system, origin = self._system, call.origin
        match call.params:
            case p.TmuxAttach() as params:
                return await self._attach(params, origin)
            case p.TmuxSessions() | p.TmuxWindows() | p.TmuxPanes() as params:
                return await sight.tmux(system, params, origin)
            case p.TmuxFacts() as params:
                return await facts(system, params, origin)
            case p.TmuxExecute() | p.TmuxExecution() | p.TmuxExecutions() | p.TmuxInterrupt() as params:
                return await executions.answer(system, params, call)
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
        return UNANSWERED

    async def _attach(self, params: p.TmuxAttach, origin: Origin) -> r.Nothing:
        if origin.sandbox:
            raise errors.Forbidden("tmux.attach: no tmux server is reached from the sandbox, nor served for it")
        known = [one.socket for one in self._system.servers.all()]
        self._attached.add(os.path.realpath(params.socket), origin, known)
        await self._system.servers.attach(params.socket)
        return r.Nothing()

    async def _tool(self, call: Call) -> Any:
        origin = call.origin
        match call.params:
            case p.CommandRun(dry_run=True) as params:
                return await sight.dry_run(self._system, actions.command(params, origin), origin)
            case p.CommandRun() as params:
                return await self._perform(call, actions.command(params, origin))
            case p.FileRead() | p.FileWrite() | p.FileEdit() | p.FileCopy() | p.FileDelete() | p.FileList() as params:
                return await self._perform(call, actions.file(params, origin))
        return UNANSWERED

    async def _people(self, call: Call) -> Any:
        system = self._system
        match call.params:
            case p.HumanAsk() as params:
                return await people.ask(system, self._wish(call, people.question(params), params.timeout_secs))
            case p.HumanAskAsync() as params:
                return await people.ask_async(system, self._wish(call, people.question(params), params.timeout_secs))
            case p.HumanStatus() as params:
                return await people.status(system, params)
            case p.HumanRespond() as params:
                return await people.respond(system, params, call.origin)
            case params:
                return await people.plan(system, params, call.origin)

    async def _judging(self, call: Call) -> Any:
        system, origin = self._system, call.origin
        match call.params:
            case p.Judge() as params:
                return await people.judge(system, params, self._wish(call, actions.placed(params.action, origin)))
            case p.HookEvent() as params:
                return await self.hooks.handle(params, origin, call.request_id)
            case p.PolicyCheck() as params:
                return r.CheckData.of(await system.guard.checked(actions.checked(params, origin), origin))
            case p.PolicyReload():
                return await reload(system)
            case p.GrantRevoke(grant_id=grant_id):
                return await sight.revoke(system, grant_id, origin)
            case p.LinkShow(request_id=request_id):
                return people.link(system, request_id)
            case p.LinkRotate(at_once=at_once):
                return r.RotatedData(earlier=system.links.rotate(at_once=at_once))
        return UNANSWERED

    async def _agent(self, call: Call) -> Any:
        system, origin = self._system, call.origin
        match call.params:
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
        return UNANSWERED

    async def _pipeline(self, call: Call) -> Any:
        match call.params:
            case p.SentryEmit() | p.SentryWatch() | p.SentryPanes() | p.SentryRegister() as params:
                return await pipelines.sentry(self._system, params, call.origin)
            case p.PipelineStart() | p.PipelineRetry() | p.PipelineSkip() | p.PipelineCancel() as params:
                return await pipelines.act(self._system, params, self._wish(call, pipelines.wanted(params)))
            case p.PipelineList() | p.PipelineRuns() | p.PipelineShow() | p.PipelineDryRun() as params:
                return await pipelines.look(self._system, params, call.origin)
        return UNANSWERED

    async def _fleet(self, call: Call) -> Any:
        return await fleet.call(self._system, call.params, self._wish(call, fleet.wanted(call.params)))

    async def _cast(self, call: Call) -> Any:
        match call.params:
            case p.CastStart() | p.CastStop() | p.CastList() | p.CastRemove() | p.CastPlay() as params:
                return await casts.answer(self._system, params, self._wish(call, casts.wanted(params, call.origin)))
        return UNANSWERED

    async def _queue(self, call: Call) -> Any:
        if isinstance(call.params, protocol_queue.ACTS):
            return await queue.act(self._system, call.params, self._wish(call, queue.NO_TASK))
        return await queue.look(self._system, call.params, call.origin)

    async def _said_in_a_chat(self, call: Call) -> Any:
        match call.params:
            case p.ChatSay() | p.ChatFollow() as params:
                return await self.chat.call(params, call)
        return UNANSWERED

    # --- what they share ---

    def _wish(self, call: Call, action: Action, timeout: float | None = None) -> Wish:
        return Wish(action=action, origin=call.origin, request_id=call.request_id, key=call.key, timeout=timeout)

    async def _perform(self, call: Call, action: Action) -> Any:
        return (await self._system.guard.perform(self._wish(call, action))).data
