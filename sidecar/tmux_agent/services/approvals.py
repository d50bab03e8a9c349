"""Questions that wait, or waited, for a person: their states, their deadlines, and who is told of the end.

Owns the transitions pending → approved | denied | expired | withdrawn, approved → running → done, running → unknown;
each is one journal commit, so that it is durable and recorded before anybody acts. Must not own: whether to ask, what
runs (guard.py), SQL (store.py).

An approved action that had not started when the sidecar died keeps its answer and stays startable (phase ""): it runs
only if its asker comes back, and the guard looks at the facts again before. One that was running becomes unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from ..core.errors import Conflict, Forbidden, LimitExceeded, NotFound, TimedOut, Unavailable
from ..core.model import (
    Action,
    Answer,
    Approval,
    ApprovalState,
    Event,
    Grant,
    Origin,
    Outcome,
    Role,
    Verdict,
)
from ..core.model import (
    digest as digest_of,
)
from . import store
from .approval_memory import Held
from .approval_records import answered, asker, check_answer, kin, opened, record, too_late
from .deadlines import Deadlines
from .grants import Grants
from .ids import new_id
from .journal import Journal, utc_now

PENDING_PER_ORIGIN = 200
KIN = 2  # times that for all who live in one pane, or below one ancestor: sessions are made up and processes forked
RECENT = 128  # settled approvals kept in memory, for get and find
KEEP_SETTLED = 5000  # and in the database, for human.status after a restart
FORGET_EVERY = 500  # new approvals between two clean-ups of the database
RETRY = 1.0  # seconds until an end that could not be recorded is tried again: there is no event for a freed disk


class Approvals:
    """Built by the daemon; all methods belong to the event loop. `recover` comes first.

    `now` gives aware UTC times; deadlines run on the loop's monotonic clock: setting the wall clock moves none.
    """

    def __init__(
        self,
        journal: Journal,
        grants: Grants,
        now: Callable[[], datetime] = utc_now,
        limit: int = PENDING_PER_ORIGIN,
    ) -> None:
        self.stopping = False  # the sidecar stops: requests end, but nobody took them back
        self._journal = journal
        self._grants = grants
        self._now = now
        self._limit = limit
        self._held = Held(RECENT)
        self._opening: dict[str, int] = {}  # per asker, not committed yet
        self._waiting: dict[str, set[asyncio.Future[Approval]]] = {}
        self._deadlines = Deadlines(self._ring)
        self._withdrawing: set[str] = set()  # could not be recorded yet
        self._left: list[str] = []  # by an earlier sidecar, without a key: whoever asks the same goes on with it
        self._added = 0  # counted on the writer thread
        self._tasks: set[asyncio.Task[None]] = set()

    async def recover(self) -> tuple[Approval, ...]:
        """Take up what an earlier sidecar left; those that still wait, oldest first.

        What was running becomes unknown; approval.unknown tells of each, later where nothing can be recorded yet.
        Raises Unavailable where the database cannot be read.
        """

        def look(db: sqlite3.Connection) -> tuple[list[Approval], list[Approval]]:
            return store.open_approvals(db), store.last_settled(db, RECENT)

        found, settled = await self._journal.read(look)
        for one in (*found[-1:], *settled[-1:]):
            new_id.after(one.request_id)
        lost = [replace(one, state=ApprovalState.UNKNOWN, phase="done") for one in found if one.phase == "running"]

        if not await self._reported(lost):
            self._later(self._report_again(lost))
        for one in (*settled, *lost):
            self._held.settle(one)
        for one in found:
            if one.state is ApprovalState.PENDING:
                self._take(one)
        self._left = [one.request_id for one in (*settled, *found) if _resumable(one)]
        return self.pending()

    async def close(self) -> None:
        """Stop the timers. Waiters are left to whoever cancels them; rows stay as they are."""
        self._deadlines.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- asking ---

    async def open(self, approval: Approval) -> Approval:
        """Persist a new question; it waits from when this returns.

        Cancelled meanwhile, it withdraws the question. Raises LimitExceeded (too many wait for this asker),
        Conflict (the id exists), Unavailable.
        """
        self._check_room(approval.origin)
        shared = (asker(approval.origin), f"kin {kin(approval.origin)}")
        for whose in shared:
            self._opening[whose] = self._opening.get(whose, 0) + 1
        try:
            await self._journal.commit(
                lambda db: self._add(db, approval),
                opened(approval),
                then=lambda _: self._take(approval),
            )
        except asyncio.CancelledError:
            if not self.stopping:
                self._later(self._withdraw_if_there(approval.request_id))
            raise
        finally:
            for whose in shared:
                self._opening[whose] -= 1
                if not self._opening[whose]:
                    del self._opening[whose]
        return approval

    def _check_room(self, origin: Origin) -> None:
        """Raises LimitExceeded."""
        whose, kind = asker(origin), kin(origin)
        if self._held.count(whose) + self._opening.get(whose, 0) >= self._limit:
            raise LimitExceeded(f"{self._limit} requests of this agent wait already: answer or withdraw some first")
        if self._held.count_kin(kind) + self._opening.get(f"kin {kind}", 0) >= KIN * self._limit:
            raise LimitExceeded(
                f"{KIN * self._limit} requests of this agent and its kin wait already: answer or withdraw some first"
            )

    async def admit(self, approval: Approval) -> None:
        """Persist what the policy approved by itself, so that `running` lets it be run once, however often it is sent.

        Raises Conflict (its id or key exists), Unavailable.
        """
        await self._journal.commit(lambda db: self._add(db, approval), then=lambda _: self._held.settle(approval))

    async def wait(self, request_id: str, timeout: float | None = None) -> Approval:
        """The approval once it is settled (at once if it is). Raises NotFound, TimedOut after `timeout` seconds."""
        if request_id not in self._held.waiting:
            return await self.stored(request_id)
        future: asyncio.Future[Approval] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(request_id, set()).add(future)
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError as error:
            raise TimedOut(f"request {request_id} has no answer yet; ask again with human.status") from error
        finally:
            if request_id in self._waiting:
                self._waiting[request_id].discard(future)

    # --- looking ---

    def get(self, request_id: str) -> Approval:
        """One that waits or was settled recently. Raises NotFound (`stored` knows older ones)."""
        found = self._held.get(request_id)
        if found is None:
            raise NotFound(f"there is no request {request_id} that waits or was answered lately")
        return found

    def waits(self, request_id: str) -> bool:
        """Whether it still waits for a person."""
        return request_id in self._held.waiting

    async def stored(self, request_id: str) -> Approval:
        """One that waits or was settled, as long as it is kept. Raises NotFound, Unavailable."""
        try:
            return self.get(request_id)
        except NotFound:
            return await self._journal.read(lambda db: store.approval(db, request_id))

    async def outcome(self, request_id: str) -> Outcome | None:
        """What came of what we ran after the yes; None where it was not run or has not ended."""
        return await self._journal.read(lambda db: store.outcome(db, request_id))

    def find(self, hook_key: str) -> Approval | None:
        """The newest approval with this key that waits or was settled recently."""
        return self._held.find(hook_key)

    async def asked_before(self, key: str) -> Approval | None:
        """What was run or asked under this key, as long as it is kept: a client may come back for its answer when many
        others have been settled since. Raises Unavailable."""
        return self.find(key) or await self._journal.read(lambda db: store.approval_once(db, key))

    def adopt(self, origin: Origin, digest: str) -> Approval | None:
        """What this asker had asked without a key when the sidecar died, for it to go on with; once for each.

        The connection that it waited on is gone, so asking the same again is how it comes back.
        """
        for request_id in self._left:
            one = self._held.get(request_id)
            if one and one.digest == digest and asker(one.origin) == asker(origin) and _resumable(one):
                self._left.remove(request_id)
                return one
        return None

    def taken_over(self, door: str) -> tuple[Approval, ...]:
        """What an earlier sidecar was asked through a door whose askers are not processes, oldest first. That which
        waits is the door's to go on with (Guard.resume), and no longer for whoever asks the same."""
        found = self._held.of_door(door)
        waiting = {one.request_id for one in found if one.state is ApprovalState.PENDING}
        self._left = [one for one in self._left if one not in waiting]
        return found

    def pending(
        self, origin: Origin | None = None, cursor: str | None = None, limit: int | None = None
    ) -> tuple[Approval, ...]:
        """Those that wait, oldest first; of one asker; after the id `cursor`; at most `limit`."""
        return self._held.pending(origin, cursor, limit)

    # --- the end ---

    async def answer(
        self,
        request_id: str,
        digest: str,
        approved: bool,
        by: Origin,
        *,
        comment: str = "",
        edited: Action | None = None,
        choice: str | None = None,
        grant: Grant | None = None,
        facts: dict[str, Any] | None = None,
        rests_on: dict[str, str] | None = None,
        also: Callable[[sqlite3.Connection], None] | None = None,
    ) -> Approval:
        """A person's answer to what was shown as `digest`; the settled approval.

        `edited` replaces the action, `facts` and `rests_on` what it rests on (the original stays in the record);
        `grant` is made and `also` done in the same transaction.
        Raises Forbidden (not an operator), NotFound, Conflict (answered already, and by whom; or another digest),
        InvalidParams (a choice that was not offered), Unavailable (nothing was answered).
        """
        if by.role is not Role.OPERATOR:
            raise Forbidden(f"only an operator can answer a request: {by.why}")
        old = await self.stored(request_id)
        check_answer(old, approved, edited, choice)
        made = Answer(
            approved=approved, at=self._now(), by=by, comment=comment, choice=choice,
            edited=edited is not None, grant=grant.id if grant else None,
        )  # fmt: skip
        state = ApprovalState.APPROVED if approved else ApprovalState.DENIED
        new = replace(old, state=state, answer=made)
        if edited is not None:
            new = replace(
                new, action=edited, digest=digest_of(edited), parts=(), preview="",
                facts=facts or {}, rests_on=rests_on or {},
            )  # fmt: skip

        def change(db: sqlite3.Connection) -> Approval:
            if also is not None:
                also(db)
            if not store.swap_approval(db, new, state=ApprovalState.PENDING, digest=digest):
                raise too_late(store.approval(db, request_id))
            if grant is not None:
                store.add_grant(db, grant)
            return new

        def then(settled: Approval) -> None:
            self._settle(settled)
            if grant is not None:
                self._grants.remember(grant)

        events = [answered(old, new, by)]
        if grant is not None:
            events.append(Grants.made_event(grant, request_id))
        return await self._journal.commit(change, *events, then=then)

    async def withdraw(self, request_id: str, note: str) -> Approval:
        """End a question that nobody needs answered any more; if it was settled already, that.

        Raises NotFound, Unavailable: then it is withdrawn as soon as that can be recorded.
        """
        old = await self.stored(request_id)
        try:
            return await self._withdrawn(old, note)
        except Unavailable:
            if old.state is ApprovalState.PENDING and request_id not in self._withdrawing:
                self._withdrawing.add(request_id)
                self._later(self._withdraw_again(old, note))
            raise

    async def withdraw_orphans(self, request_ids: Iterable[str], note: str = "its hook is gone") -> list[Approval]:
        """Withdraw those hook approvals among these that nobody waits for (some time after a restart)."""
        orphans = [
            one
            for request_id in request_ids
            if (one := self._held.waiting.get(request_id)) and one.kind == "hook" and not self._waiting.get(request_id)
        ]
        ended = []
        for one in orphans:
            with contextlib.suppress(Unavailable):  # it is tried again, and the next may be recorded
                ended.append(await self.withdraw(one.request_id, note))
        return ended

    async def drop_left(self, note: str = "its asker did not come back after a restart") -> list[Approval]:
        """Withdraw what only an asker that came back could have had run (`adopt`), approved or not. Questions stay:
        their answer can be looked up."""
        left = [request_id for request_id in self._left if not self._waiting.get(request_id)]
        self._left.clear()
        ended = []
        for one in [one for request_id in left if (one := self._held.get(request_id)) and one.kind == "run"]:
            if one.state is ApprovalState.PENDING:
                with contextlib.suppress(Unavailable):  # it is tried again
                    ended.append(await self.withdraw(one.request_id, note))
            elif _resumable(one):
                new = replace(one, state=ApprovalState.WITHDRAWN, note=f"approved, but not done: {note}")
                event = record("approval.withdrawn", new, digest=one.digest, note=new.note)
                ended.append(await self._end(one, new, event, ApprovalState.APPROVED))
        return ended

    # --- what we run after a yes ---

    async def running(self, request_id: str) -> bool:
        """Claim the run of an approved action, durably, with its action.started record; False where it was claimed
        before (it runs, ran, or is unknown) or was not approved. Only after True may it be run. Raises NotFound.
        """
        old = await self.stored(request_id)
        new = replace(old, phase="running")

        def change(db: sqlite3.Connection) -> Approval:
            if not store.swap_approval(db, new, state=ApprovalState.APPROVED, digest=old.digest):
                raise Conflict(f"request {request_id} is not waiting to be run")
            return new

        started = record("action.started", old, digest=old.digest, action=msgspec.to_builtins(old.action))
        try:
            await self._journal.commit(change, started, then=self._held.settle)
        except Conflict:
            return False
        return True

    async def finished(self, request_id: str, outcome: Outcome) -> None:
        """Keep what came of it. Raises Conflict where it was not running, Unavailable (it stays running: unknown)."""
        old = await self.stored(request_id)
        new = replace(old, phase="done")

        def change(db: sqlite3.Connection) -> Approval:
            if not store.swap_approval(
                db, new, state=ApprovalState.APPROVED, digest=old.digest, phase="running"
            ):
                raise Conflict(f"request {request_id} was not running")
            store.set_outcome(db, request_id, outcome)
            return new

        ended = record("action.finished", old, digest=old.digest, outcome=msgspec.to_builtins(outcome))
        await self._journal.commit(change, ended, then=self._held.settle)

    # --- inside ---

    async def _reported(self, lost: list[Approval]) -> bool:
        """Record what became unknown, and clean up; whether that could be done. Until then their rows say running."""

        def change(db: sqlite3.Connection) -> None:
            for one in lost:
                store.swap_approval(db, one, state=ApprovalState.APPROVED, digest=one.digest, phase="running")
            store.forget_settled(db, KEEP_SETTLED)

        try:
            await self._journal.commit(change, *(record("approval.unknown", one, digest=one.digest) for one in lost))
        except Unavailable:
            return False
        return True

    async def _report_again(self, lost: list[Approval]) -> None:
        while not await self._reported(lost):  # noqa: ASYNC110  there is no event for a freed disk
            await asyncio.sleep(RETRY)

    def _add(self, db: sqlite3.Connection, approval: Approval) -> None:
        store.add_approval(db, approval)
        self._added += 1
        if self._added % FORGET_EVERY == 0:
            store.forget_settled(db, KEEP_SETTLED)

    def _take(self, approval: Approval) -> None:
        """Hold a question that waits, and its deadline."""
        self._held.waiting[approval.request_id] = approval
        if approval.expires is not None:
            whole = (approval.expires - approval.created).total_seconds()
            left = (approval.expires - self._now()).total_seconds()
            # never longer than it was given, even where the clock was set back while no sidecar ran
            self._deadlines.set(approval.request_id, min(max(left, 0.0), max(whole, 0.0)))

    def _settle(self, approval: Approval) -> None:
        self._deadlines.drop(approval.request_id)
        self._held.settle(approval)
        for future in self._waiting.pop(approval.request_id, ()):
            if not future.done():
                future.set_result(approval)

    async def _end(
        self, old: Approval, new: Approval, event: Event, state: ApprovalState = ApprovalState.PENDING
    ) -> Approval:
        """From pending (or `state`) to `new`; where somebody was faster, what they made of it."""

        def change(db: sqlite3.Connection) -> Approval:
            if not store.swap_approval(db, new, state=state, digest=old.digest):
                raise Conflict(f"request {old.request_id} was settled already")
            return new

        try:
            return await self._journal.commit(change, event, then=self._settle)
        except Conflict:
            return await self._journal.read(lambda db: store.approval(db, old.request_id))

    async def _withdrawn(self, old: Approval, note: str) -> Approval:
        new = replace(old, state=ApprovalState.WITHDRAWN, note=note)
        return await self._end(old, new, record("approval.withdrawn", new, digest=old.digest, note=note))

    async def _withdraw_again(self, old: Approval, note: str) -> None:
        """Nobody waits for it any more: what cannot be recorded now must not wait for a person for ever."""
        try:
            while self.waits(old.request_id):
                await asyncio.sleep(RETRY)  # there is no event for a freed disk
                with contextlib.suppress(Unavailable):
                    await self._withdrawn(old, note)
        finally:
            self._withdrawing.discard(old.request_id)

    async def _withdraw_if_there(self, request_id: str) -> None:
        """After a cancelled `open`: its commit is queued before this read, so its row is there by now or never."""
        try:
            await self._journal.read(lambda db: store.approval(db, request_id))
            await self.withdraw(request_id, "the asker went away")
        except (NotFound, Unavailable):
            return  # it was never opened, or it stays pending and a person sees it

    # --- deadlines ---

    def _ring(self, request_id: str) -> None:
        if request_id in self._held.waiting:
            self._later(self._expire(self._held.waiting[request_id]))

    async def _expire(self, old: Approval) -> None:
        allowed = old.on_timeout is Verdict.ALLOW
        state = ApprovalState.APPROVED if allowed else ApprovalState.EXPIRED
        comment = "nobody answered in time" + ("; the rule allows it then" if allowed else "")
        answer = Answer(approved=allowed, at=self._now(), comment=comment)
        new = replace(old, state=state, answer=answer)
        event = record("approval.expired", new, digest=old.digest, on_timeout=old.on_timeout.value)
        try:
            await self._end(old, new, event)
        except Unavailable:
            if old.request_id in self._held.waiting:
                self._deadlines.set(old.request_id, RETRY)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _resumable(one: Approval) -> bool:
    """Whether an asker without a key may go on with it: it waits, or what was approved has not been begun."""
    if one.hook_key is not None or one.kind == "hook":
        return False
    return one.state is ApprovalState.PENDING or (
        one.kind == "run" and one.state is ApprovalState.APPROVED and not one.phase
    )
