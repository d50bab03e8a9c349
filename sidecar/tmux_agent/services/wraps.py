"""Agents that `tmux-agent wrap` started: which token each may sign its markers with, in which pane, for which project.

Owns the registrations, kept over a restart, and that each ends with its process. A token is known here by its SHA-256
only. Who registers is the process that becomes the agent, as the kernel names it: for itself, once. Must not own:
markers (sentry.py), states (agents.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import hmac
import re
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..core import errors
from ..core.model import Event, Origin, Tier
from ..core.pipeline_run import Place
from . import store
from .deaths import Deaths
from .journal import Journal

KEEP = 200  # at once
PROJECT = 64  # characters
LAST_SECONDS = 5.0  # after its end: what it printed last is read from its screen a moment later
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Wrap(Struct, frozen=True, kw_only=True):
    """One wrapped agent. `process`: "pid:started"."""

    process: str
    token_sha256: str
    project: str = ""
    kind: str = ""
    server: str = ""
    pane: str = ""
    tier: Tier = "baseline"


class Wraps:
    """Built by the system; used in the event loop only."""

    def __init__(self, journal: Journal, spawn: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._journal = journal
        self._spawn = spawn
        self._wraps: dict[str, Wrap] = {}  # by process
        self._deaths = Deaths(self._died)
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def recover(self, lives: Callable[[str], bool]) -> None:
        """Take up those whose process `lives`. Raises Unavailable."""
        for one in await self._journal.read(lambda db: store.wraps(db, Wrap)):
            if lives(one.process):
                self._wraps[one.process] = one
                self._deaths.watch(one.process)

    def close(self) -> None:
        self._deaths.close()
        for timer in self._timers.values():
            timer.cancel()

    async def register(self, origin: Origin, token_sha256: str, project: str, tier: Tier = "baseline") -> None:
        """What becomes an agent says how it signs. Raises Forbidden, InvalidParams, LimitExceeded, Unavailable."""
        process = f"{origin.pid}:{origin.started}"
        if origin.agent is None or origin.session != process:
            raise errors.Forbidden("only `tmux-agent wrap` registers, from the process that becomes the agent")
        if not _SHA256.fullmatch(token_sha256):
            raise errors.InvalidParams("params.token_sha256: 64 hexadecimal digits, in lower case")
        if len(project) > PROJECT or not project.isprintable():
            raise errors.InvalidParams(f"params.project: at most {PROJECT} characters, all printable")
        if process in self._wraps:
            raise errors.Forbidden("this process is registered already, for good")
        if len(self._wraps) >= KEEP:
            raise errors.LimitExceeded(f"{KEEP} wrapped agents run already")
        one = Wrap(
            process=process, token_sha256=token_sha256, project=project, kind=origin.agent,
            server=origin.server or "", pane=origin.pane or "", tier=tier,
        )  # fmt: skip
        self._wraps[process] = one
        event = Event(type="agent.wrapped", origin=origin, data={"kind": one.kind, "project": project, "tier": tier})
        try:
            await self._journal.commit(self._rows(), event)
        except errors.Unavailable:
            self._wraps.pop(process, None)
            raise
        self._deaths.watch(process)

    async def look_again(self, identify: Callable[[int], Origin]) -> None:
        """A tmux server is known from now on: find the panes of those that were started in it before."""
        homeless = [one for one in self._wraps.values() if not one.pane]
        for one in homeless:
            origin = identify(int(one.process.partition(":")[0]))
            if origin.pane and f"{origin.pid}:{origin.started}" == one.process:
                found = replace(one, server=origin.server or "", pane=origin.pane)
                self._wraps[one.process] = found
        if homeless:
            with contextlib.suppress(errors.Unavailable):  # the next that is written has it, too
                await self._journal.commit(self._rows())

    # --- looking ---

    @property
    def panes(self) -> frozenset[tuple[str, str]]:
        """(server, pane) of all that run in one."""
        return frozenset((one.server, one.pane) for one in self._wraps.values() if one.pane)

    def signs(self, place: Place, run: str) -> bool:
        """Whether a marker's token is that of a wrapped agent in this pane. A screen may have wrapped it."""
        found = hashlib.sha256("".join(run.split()).encode()).hexdigest()
        here = [one for one in self._wraps.values() if (one.server, one.pane) == (place.server, place.pane)]
        return bool(run) and any(hmac.compare_digest(found, one.token_sha256) for one in here)

    def project(self, server: str | None, pane: str | None) -> str:
        """What the newest wrapped agent in a pane works on; "" for none."""
        return one.project if (one := self._newest(server, pane)) else ""

    def tier(self, server: str | None, pane: str | None) -> Tier:
        """That of the newest wrapped agent in a pane, as it said itself: for people to read, and for nothing else."""
        return one.tier if (one := self._newest(server, pane)) else "baseline"

    def _newest(self, server: str | None, pane: str | None) -> Wrap | None:
        here = [one for one in self._wraps.values() if (one.server, one.pane) == (server, pane)]
        return here[-1] if pane and here else None

    # --- inside ---

    def _rows(self) -> Callable[[store.Connection], None]:
        return functools.partial(store.put_wraps, wraps=tuple(self._wraps.values()))

    def _died(self, process: str) -> None:
        loop = asyncio.get_running_loop()
        self._timers[process] = loop.call_later(LAST_SECONDS, lambda: self._spawn(self._drop(process)))

    async def _drop(self, process: str) -> None:
        self._timers.pop(process, None)
        self._wraps.pop(process, None)
        try:
            await self._journal.commit(self._rows())
        except errors.Unavailable:
            return  # the next one that is written leaves it out, too; a restart finds that it does not live
