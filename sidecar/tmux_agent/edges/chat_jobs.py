"""What was asked for in a chat: begun, followed, and what came of it, also over the death of a sidecar.

Owns that what waits for a person is not waited for (the answer says so, `follow` asks again), and that what waited when
an earlier sidecar died goes on as its sender's. Must not own: words and what they do (chat.py), judging (guard.py).

A yes that an earlier sidecar was given and had not begun to do is not done by the next one: it was one to what was
there at that moment, and whoever gave it does not look any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from msgspec.structs import replace

from ..core import errors
from ..core import replies_chat as r
from ..core.chat_text import plain
from ..core.model import Approval, ApprovalState, Origin, Shell
from ..services.chats import DOOR, Speaker
from ..services.system import System
from . import chat_texts, executions
from .connection import Call

WAIT_MS = 1000  # for a command's end, where nothing is said of it
FOLLOW_SECONDS = 3600.0  # the longest that chat.follow waits at once
KEPT = 100  # of what one sender asked for, with what came of it

Work = Coroutine[Any, Any, r.ChatData]


class Job:
    """One thing that somebody asked for. `before`: it was settled before this sidecar began."""

    def __init__(self, id_: str, session: str, before: Approval | None = None) -> None:
        self.id = id_
        self.session = session
        self.before = before
        self.ended = asyncio.Event()
        self.result: r.ChatData | None = None

    @property
    def over(self) -> bool:
        return self.before is not None or self.ended.is_set()


class Jobs:
    """Used in the event loop only."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._all: dict[str, Job] = {}  # by id, the oldest first

    def resume(self) -> None:
        """Take up what was asked for in chats, with an earlier sidecar. To be called before anybody may ask."""
        for one in self._system.approvals.taken_over(DOOR):
            if one.state is ApprovalState.PENDING:
                job = self._add(Job(one.request_id, one.origin.session))
                self._system.spawn(self._end(job, self._resumed(one)))
            else:
                self._add(Job(one.request_id, one.origin.session, one))

    def ids(self, asks: Origin) -> list[str]:
        """What somebody asked for, the oldest first; of what an earlier sidecar did unasked, that which still runs."""
        mine = [one.id for one in self._all.values() if one.session == asks.session]
        return sorted({*mine, *self._system.executions.begun_by(asks)})

    async def meant(self, text: str, asks: Origin, others: Iterable[str] = ()) -> str:
        """The one id, of what somebody asked for or of others, that is, or ends in, what was typed. Raises NotFound,
        Conflict."""
        if not any(one.endswith(text) for one in (*self.ids(asks), *others)):
            await self._system.executions.taken_up()  # a bot asks as soon as it can what came of what ran
        return meant(text, {*self.ids(asks), *others})

    def ran_in(self, name: str) -> str | None:
        """The command that a chat ran last in a session."""
        return next((one.id for one in reversed(self._all.values()) if _ran(one) == name), None)

    async def begin(self, by: Speaker, call: Call, work: Callable[[], Work]) -> r.ChatData:
        """Do it, until it is done or a person is asked; from then on it goes on by itself."""
        job = self._add(Job(call.request_id, by.asks.session))
        heard = await self._system.journal.subscribe(["approval.opened"])
        doing = self._system.spawn(self._end(job, work()))

        async def asked() -> None:
            async for one in heard:
                if one.event.request_id == job.id:
                    return

        asking = asyncio.ensure_future(asked())
        try:
            await asyncio.wait({doing, asking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asking.cancel()
            heard.close()
        return job.result or self._waits(job)

    async def follow(self, by: Speaker, id_: str, seconds: float) -> r.ChatData:
        """What came of it. Raises NotFound where this sender asked for no such thing, or that is forgotten."""
        if await self.meant(id_, by.asks) != id_:
            raise errors.NotFound(f"nothing is known of {plain(id_, 40)}: say it again")
        job = self._all.get(id_)
        if job is not None and job.before is not None:
            return await self._resumed(await self._system.approvals.stored(id_))
        loop = asyncio.get_running_loop()
        late = loop.time() + max(0.0, min(seconds, FOLLOW_SECONDS))
        if job is None:
            return await self._executed(id_, late - loop.time(), by)
        try:
            async with asyncio.timeout_at(late):
                await job.ended.wait()
        except TimeoutError:
            pass  # the answer says that it waits
        if job.result is None:
            return self._waits(job)
        if job.result.follow_up:
            job.result = await self._executed(job.result.follow_up, max(0.0, late - loop.time()), by)
        return job.result

    # --- inside ---

    def _add(self, job: Job) -> Job:
        self._all[job.id] = job
        mine = [one for one in self._all.values() if one.session == job.session]
        for old in [one for one in mine if one.over][: max(0, len(mine) - KEPT)]:
            del self._all[old.id]
        return job

    async def _end(self, job: Job, work: Work) -> None:
        try:
            job.result = await work
        except errors.TmuxAgentError as why:
            job.result = chat_texts.failed(why)
        except Exception:
            text = "❌ a defect of tmux-agent: it may or may not be done"
            job.result = r.ChatData(text=text, did="refused", ok=False)
            raise
        finally:
            job.ended.set()

    def _waits(self, job: Job) -> r.ChatData:
        short = self._system.chats.short(job.id)
        text = f"⏸ Somebody has to say yes first: approve {short}, or deny {short}. What came of it: status {short}"
        return r.ChatData(text=text, did="waits", follow_up=job.id, data={"request_id": job.id})

    async def _resumed(self, approval: Approval) -> r.ChatData:
        """What comes, or came, of what an earlier sidecar was asked. Raises as Guard.perform does."""
        if approval.state is ApprovalState.APPROVED and not approval.phase:
            raise errors.Conflict("it was approved, and not done before the sidecar died: say it again")
        outcome = await self._system.guard.resume(approval)
        if not isinstance(approval.action, Shell):
            return chat_texts.done(approval.action, outcome)
        id_ = outcome.data["execution_id"]
        one = await executions.told(self._system, id_, WAIT_MS, output=True, caller=approval.origin)
        return chat_texts.executed(replace(one, command=one.command or approval.action.text))

    async def _executed(self, id_: str, seconds: float, by: Speaker) -> r.ChatData:
        return chat_texts.executed(
            await executions.told(self._system, id_, int(seconds * 1000), output=True, caller=by.asks)
        )


def meant(text: str, ids: set[str]) -> str:
    """The one id that is, or ends in, what was typed. Raises NotFound, Conflict."""
    found = [one for one in ids if one.endswith(text)]
    if not found:
        raise errors.NotFound(f"nothing that waits, or that you asked for, ends in {plain(text, 40)}: say pending")
    if len(found) > 1:
        raise errors.Conflict(f"{len(found)} requests end in {text}: type more of the id")
    return found[0]


def _ran(job: Job) -> str:
    """The session that it ran a command in; "" where it has not, or something else."""
    found = job.result.data if job.result is not None and job.result.did == "run" else None
    return str(found["session"]) if found else ""
