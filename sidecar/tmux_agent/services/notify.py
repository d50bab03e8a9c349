"""Tells people elsewhere: of approvals, and of whatever else posts a message. Queued on disk, then sent by lanes.

`post` returns once the message is in the state database; it is sent from there, again after a restart, at least once.
It is never in the way: nothing waits for a message to arrive, one channel's trouble holds up no other, a stop waits for
none. Owns which channels a message is for, escalation, and what is on its way. Must not own: when a lane sends
(notify_lane.py), how (senders.py), who is asked, or what the answer is.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from ..core import channels, redact
from ..core.channels import Channel
from ..core.display import ago
from ..core.errors import InvalidParams, LimitExceeded, TmuxAgentError, Unavailable
from ..core.message import Message
from ..core.model import Approval, Event
from ..core.notice_text import asked
from . import notice_rows
from .approvals import Approvals
from .journal import Journal
from .notice_rows import Row
from .notify_lane import Lane
from .secrets import Secrets
from .senders import Send, Senders

log = logging.getLogger(__name__)

WAITING = 500  # messages of one channel that wait; more are refused, and that is said
LooksAt = Callable[[str, str], Awaitable[bool]]


async def _nobody(_server: str, _pane: str) -> bool:
    return False


class Notify:
    """Built by the daemon. `wanted` may change at any time (`use`). `changed` is called where `status` has become
    another; `looks_at(server, pane)` says whether a person looks at a pane; `now` gives seconds since 1970.
    """

    def __init__(
        self,
        journal: Journal,
        approvals: Approvals,
        secrets: Secrets,
        senders: Senders,
        *,
        changed: Callable[[], object] = lambda: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.wanted = channels.Notify()
        self.looks_at: LooksAt = _nobody
        self.now = now
        self.problems: tuple[str, ...] = ()
        self._default = ""
        self._journal = journal
        self._approvals = approvals
        self._secrets = secrets
        self._senders = senders
        self._changed = changed
        self._lanes: dict[str, Lane] = {}
        self._posting: set[asyncio.Task[None]] = set()
        self._dropped = ""

    # --- life ---

    def use(self, wanted: channels.Notify) -> None:
        """From now on, these settings."""
        self.wanted = wanted
        self.problems = ()
        try:
            variables = {"NOTIFICATION_CHANNELS": self._secrets.variable("NOTIFICATION_CHANNELS")}
            self._default = channels.default(wanted, variables)
        except Unavailable as why:
            self._default, self.problems = channels.default(wanted, {}), (why.message,)
        if wrong := channels.unknown(wanted, self._default):
            self.problems += (f"NOTIFICATION_CHANNELS: {channels.known_words(wanted, wrong)}",)
        used = dict.fromkeys((*channels.declared(wanted), *channels.named(wanted, self._default)))
        for name in used:
            if (channel := self._channel(name)) and (lack := self._senders.lacks(channel)):
                self.problems += (f"{name}: {lack}",)
        for lane in self._lanes.values():
            lane.look()

    async def recover(self) -> None:
        """Take up what an earlier sidecar left, and tell of approvals that it could not queue. Raises Unavailable."""
        for row in await self._journal.read(notice_rows.waiting):
            self._lane(row.channel).add([row])
        pending = {approval.request_id: approval for approval in self._approvals.pending()}
        known = await self._journal.read(lambda db: notice_rows.known(db, list(pending)))
        for request_id in pending.keys() - known:
            self.told(pending[request_id])

    async def close(self) -> None:
        """What waits is on disk."""
        for task in self._posting:
            task.cancel()
        await asyncio.gather(*self._posting, return_exceptions=True)
        await asyncio.gather(*(lane.close() for lane in self._lanes.values()))

    @property
    def status(self) -> str:
        """off (nothing names a channel), ok, or what is unwell, by channel."""
        unwell = [f"{name}: {lane.status}" for name, lane in self._lanes.items() if lane.status]
        unwell = [*self.problems, *unwell, *filter(None, [self._dropped])]
        if unwell:
            return "; ".join(unwell)[:1000]
        return "ok" if self._default or self._lanes else "off"

    # --- posting ---

    def check(self, names: str) -> str:
        """What is wrong with a list of channels, in a sentence; "" where nothing is."""
        wrong = channels.unknown(self.wanted, names)
        return channels.known_words(self.wanted, wrong) if wrong else ""

    async def post(self, message: Message, names: str = "") -> tuple[str, ...]:
        """Queue a message for these channels and tags ("": the default); the channels, once it is on disk.

        A channel that had the key already, or wants only worse ones, is left out. Raises InvalidParams (no such
        channel), LimitExceeded, Unavailable (not queued).
        """
        if wrong := self.check(names):
            raise InvalidParams(wrong)
        at = self.now()
        asks = bool(message.request_id) and self._approvals.waits(message.request_id)
        rows = self._rows(message, channels.named(self.wanted, names or self._default), at, asks)
        if asks:
            rows += self._escalation(message, at)
        full = {row.channel for row in rows if len(self._lane(row.channel).rows) >= WAITING}
        kept = [row for row in rows if row.channel not in full]
        dedupe = {name: one.dedupe for name in {row.channel for row in kept} if (one := self._channel(name))}
        added = await self._journal.commit(lambda db: notice_rows.add(db, kept, dedupe))
        for row in added:
            self._lane(row.channel).add([row])
        if full:
            self._dropped = f"over {WAITING} messages wait for {', '.join(sorted(full))}: some were dropped"
            self._changed()
            raise LimitExceeded(self._dropped)
        return tuple(dict.fromkeys(row.channel for row in added))

    def told(self, approval: Approval, url: str = "") -> None:
        """Tell of an approval, and where it can be answered. Never waits."""
        self.say(asked(approval, url))

    def say(self, message: Message) -> None:
        """Queue a message for the default channels. Never waits."""
        task = asyncio.get_running_loop().create_task(self._post(message))
        self._posting.add(task)
        task.add_done_callback(self._posting.discard)

    async def _post(self, message: Message) -> None:
        try:
            await self.post(message)
        except TmuxAgentError as why:  # the status line tells of the approval all the same
            log.warning("nobody elsewhere is told of %s: %s", message.request_id or message.source, why.message)

    def _rows(self, message: Message, names: Sequence[str], at: float, asks: bool, after: float = 0.0) -> list[Row]:
        after = after or (self.wanted.after if asks else 0.0)
        clean = msgspec.convert(redact.redact(msgspec.to_builtins(message)), Message)
        return [
            Row(
                channel=name,
                key=message.key,
                at=at,
                due=self._due(name, one, message, at, after),
                message=clean,
                asks=asks,
            )
            for name in names
            if (one := self._channel(name)) and channels.wants(one, message)
        ]

    def _due(self, name: str, channel: Channel, message: Message, at: float, after: float) -> float:
        """When it goes out: where messages are gathered, with the first of those that wait."""
        if not channel.digest or channels.through(self.wanted, message):
            return at + after
        gathering = [row.due for row in self._lane(name).rows if at < row.due <= at + channel.digest]
        own = at + after + channel.digest
        return own if after else min(own, *gathering, own)

    def _escalation(self, message: Message, at: float) -> list[Row]:
        """Who is told next, and when, as long as nobody answers: rows that wait on disk like all others."""
        rows = []
        for number, step in enumerate(self.wanted.escalate, 1):
            title = f"still waiting after {ago(step.after)}: {message.title}"
            key = f"{message.key or message.request_id}#{number}"
            later = msgspec.structs.replace(message, title=title, key=key)
            rows += self._rows(later, channels.named(self.wanted, step.channels), at, True, step.after)
        return rows

    def _channel(self, name: str) -> Channel | None:
        return channels.channel(self.wanted, name)

    def _lane(self, name: str) -> Lane:
        if name not in self._lanes:
            self._lanes[name] = Lane(name, self)
        return self._lanes[name]

    # --- for lanes ---

    def changed(self) -> None:
        self._changed()

    def waits(self, request_id: str) -> bool:
        return self._approvals.waits(request_id)

    async def looked_at(self, message: Message) -> bool:
        return bool(message.server and message.pane) and await self.looks_at(message.server or "", message.pane or "")

    def sender(self, channel: Channel, rows: Sequence[Row]) -> Send:
        """Raises NotFound, Unavailable."""
        approval = None
        if len(rows) == 1 and rows[0].asks:
            approval = self._approvals.get(rows[0].message.request_id)
        return self._senders.sender(channel, [row.message for row in rows], approval)

    async def settle(self, rows: Sequence[Row], state: str, why: str) -> None:
        ids = [row.id for row in rows]
        if state == "sent":
            self._dropped = ""
        events = [
            Event(type="notify.failed", request_id=row.message.request_id, data={"channel": row.channel, "error": why})
            for row in rows if state == "failed"
        ]  # fmt: skip
        await self._commit(lambda db: notice_rows.settle(db, ids, state, why), *events)

    async def postpone(self, rows: Sequence[Row], why: str) -> None:
        await self._commit(lambda db: notice_rows.postpone(db, rows, why))

    async def _commit(self, change: Callable[[notice_rows.Connection], None], *events: Event) -> None:
        try:
            await self._journal.commit(change, *events)
        except Unavailable as why:  # after a restart it is sent once more; health tells of the journal
            log.warning("what became of a notification is not noted: %s", why.message)
