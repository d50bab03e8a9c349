"""The socket's two listeners and the HTTP one, and who speaks there: the kernel is asked.

Owns connections from their opening to their end. Must not own: bytes (connection.py), who may and how often
(admission.py), which service answers (methods.py).
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from ..core import errors
from ..core import protocol as p
from ..core.model import Origin, Role
from ..core.settings import Limits
from ..services.system import System
from . import metrics_page, webhooks
from .admission import ACTS, ASKS, Admission
from .connection import Call, Connection
from .http import Http
from .links import LinkPages
from .listener import Listener
from .methods import Methods
from .shares import Connections
from .turns import Turns

if TYPE_CHECKING:
    from .openings import Openings

WAITING = (*ASKS, *ACTS, p.ChatSay, p.ChatFollow, p.HumanStatus, p.Judge, p.HookEvent)  # perhaps for hours
DRAIN_SECONDS = 5.0  # what else is in flight has this long to end when the sidecar stops


class Server:
    """Answers the clients of one socket, its `listener`. Built and stopped by the daemon."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.turns = Turns()
        admission = Admission(system)
        self.methods = Methods(system, lambda: self.openings, admission.refused)
        self.count, self.admit = admission.count, admission.admit  # asked by connections, as the next two are
        self.answer_now, self.answer_later = self.methods.now, self.methods.later
        self.listener = Listener(lambda: Connection(self))
        self.inner = Listener(lambda: Connection(self, sandbox=True))  # for agents in the sandbox
        self.http = Http()  # its routes are made here, before the daemon opens it
        if system.settings.metrics.http and (metrics := system.measuring.metrics):
            self.http.route("GET", metrics_page.PATH, metrics_page.page(metrics))
        LinkPages(system.links, self.http)
        self.http.route("POST", webhooks.PREFIX, webhooks.handler(lambda: system.checks.deliveries))
        self._connections: Connections[Connection] = Connections(lambda: self.limits)

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
