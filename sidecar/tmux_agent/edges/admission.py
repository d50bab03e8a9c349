"""Whether a request of the socket is let in: by its caller's role, and by how many of its kind came.

Owns which methods are whose, and the rates. Must not own: who somebody is (services/identity.py), connections
(shares.py), what a request does (methods.py).
"""

from __future__ import annotations

import time

from ..core import errors
from ..core import protocol as p
from ..core.callers import family
from ..core.model import Origin, Role
from ..core.protocol_queue import ACTS as QUEUE_ACTS
from ..core.rate import Bucket
from ..core.settings import Limits
from ..services.system import System
from .connection import Call

ASKS = (p.HumanAsk, p.HumanAskAsync)  # cost a person's attention: their own rate
ACTS = (
    *(p.PipelineStart, p.PipelineRetry, p.PipelineSkip, p.PipelineCancel),
    *(p.FleetSpawn, p.FleetRead, p.FleetSend, p.FleetKill, p.FleetPause, p.FleetResume, p.FleetFinish),
    *(p.CastStart, p.CastStop, p.CastRemove, p.CastPlay),
    *QUEUE_ACTS,
)
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
    p.TmuxExecute,
    p.TmuxInterrupt,
    p.AgentRegister,
    p.AgentSetState,
    p.PlanCreate,
    p.SentryEmit,
    p.ChatSay,
    *ACTS,
)
SEES_MORE = (p.HumanPending, p.EventsSubscribe, p.CastList)  # an operator is told all, an agent what is its own


class Admission:
    """Built by the server; used in the event loop only."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._counted = system.measuring.counts.requests
        self._requests: dict[str, Bucket] = {}
        self._asks: dict[str, Bucket] = {}
        self._refusals: dict[str, Bucket] = {}
        self._popups: dict[str, Bucket] = {}

    @property
    def _limits(self) -> Limits:
        return self._system.settings.limits

    def count(self, origin: Origin) -> None:
        """One more request, whatever it is. Raises LimitExceeded."""
        rate = self._limits.requests_per_second
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
                raise self.refused(call, call.origin)
        if kind in ACTS:
            call.origin = call.connection.identify()  # as above: an operator's word counts, any other is judged
        asks = kind in ASKING and not (kind in (*ACTS, p.AgentRegister) and call.origin.role is Role.OPERATOR)
        if asks and not call.connection.asked:
            call.connection.asked = True
            self._system.identity.note_asker(call.origin)
        burst, a_minute = self._limits.asks_burst, self._limits.asks_per_minute
        if kind in ASKS and not _bucket(self._asks, family(call.origin), burst, a_minute / 60, time.monotonic()):
            raise errors.LimitExceeded(f"over {a_minute:g} questions a minute: people read slowly")
        if kind is p.PopupOpen and not _bucket(self._popups, family(call.origin), 5, 0.1, time.monotonic()):
            raise errors.LimitExceeded("too many popups: they come up over what a person types")

    def refused(self, call: Call, origin: Origin) -> errors.Forbidden:
        """Record that somebody tried what only operators may; not more of it than the log should hold."""
        method = NAMES[type(call.params)]
        if _bucket(self._refusals, origin.session, 20, 0.2, time.monotonic()):
            self._system.refusals.refused(origin, method, call.request_id)
        return errors.Forbidden(f"{method} is for operators only, and you are not one: {origin.why}")


def _bucket(buckets: dict[str, Bucket], session: str, burst: float, per_second: float, now: float) -> bool:
    """Take one from a session's bucket; False where it is empty."""
    bucket = buckets.get(session)
    if bucket is None:
        if len(buckets) > 10_000:  # sessions come and go: forget them all rather than keep them all
            buckets.clear()
        bucket = buckets[session] = Bucket(burst, per_second, now)
    return bucket.take(now)


NAMES = {kind: name for name, kind in p.METHODS.items()}
