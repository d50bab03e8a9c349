"""Checks followed to their end: looked at by back-off and jitter, or told of by webhook, until success or failure.

Owns when to look, and max_wait. Follows nothing by itself: whoever waits starts `follow` again after a restart, with
the same `since`, and gets the same end, for a look changes nothing. Must not own: looks (looks.py), deliveries
(deliveries.py), what a stage does then.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime

from msgspec.structs import replace

from ...core import check_replies, errors
from ...core.checks import Check, Reading, WebhookCheck, pause, reading
from ..journal import Journal
from ..secrets import Secrets
from .deliveries import Deliveries
from .fetch import Fetcher
from .looks import Look, Means, Run, look_of
from .proxies import Proxies

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


class Checks:
    """One for all that is waited for. `address` says where the HTTP listener is, "" where there is none.

    `now` gives aware UTC times, `clock` seconds that never go back, `chance` numbers from 0 to 1.
    """

    def __init__(
        self,
        journal: Journal,
        secrets: Secrets,
        environ: Mapping[str, str],
        *,
        address: Callable[[], str],
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.deliveries = Deliveries(journal, now)
        self._address = address
        self._fetcher = Fetcher(Proxies(environ))
        self._secrets = secrets
        self._environ = environ
        self._now, self._clock, self._sleep, self._chance = now, clock, sleep, chance

    async def follow(
        self, spec: Check, *, since: datetime, key: str, run: Run | None = None
    ) -> AsyncGenerator[Reading, None]:
        """Each reading that differs from the one before; the last is a success or failure.

        `since`: when the stage began: what is older does not count, and max_wait is counted from it. `key` names what
        waits, for the log. `run` puts a command check through the guard. Who stops before the end closes it (aclosing).
        """
        last: Reading | None = None
        async with aclosing(self._readings(spec, since, run)) as readings:
            async for found in readings:
                if last is None or replace(found, wait=0.0) != replace(last, wait=0.0):
                    log.info("check %s: %s: %s", key, found.state, found.detail)
                    yield found
                last = found

    async def look(self, spec: Check, *, since: datetime, run: Run | None = None) -> Reading:
        """One look."""
        if isinstance(spec, WebhookCheck):
            return await self._told(spec, since)
        return await self._look_of(spec, since, run)()

    async def _readings(self, spec: Check, since: datetime, run: Run | None) -> AsyncGenerator[Reading, None]:
        left = spec.max_wait - (self._now() - since).total_seconds()
        deadline = self._clock() + min(max(left, 0.0), spec.max_wait)  # whatever the wall clock did
        if isinstance(spec, WebhookCheck):
            source = self._hook(spec, since, deadline)
        else:
            source = self._polled(spec, self._look_of(spec, since, run), deadline)
        found = reading("pending", "nothing was seen")
        async with aclosing(source):
            async for found in source:
                yield found
                if found.ended:
                    return
        late = f"nothing within {spec.max_wait:g} s; at last {found.state}: {found.detail}"
        yield reading("failure", late, found.url)

    def _look_of(self, spec: Check, since: datetime, run: Run | None) -> Look:
        return look_of(spec, since, Means(self._fetcher, self._secrets, self._environ, self._now, run))

    async def _polled(self, spec: Check, look: Look, deadline: float) -> AsyncGenerator[Reading, None]:
        """One look after the other until the deadline; one also where it is past: it may be done by now."""
        looks = 0
        while True:
            try:
                async with asyncio.timeout(max(deadline - self._clock(), spec.timeout)):
                    found = await look()
            except TimeoutError:  # a command that a person was asked about
                return
            yield found
            looks += 1
            left = deadline - self._clock()
            if left <= 0:
                return
            if found.wait > left:
                await self._sleep(left)
                return
            await self._sleep(min(max(pause(spec, looks, self._chance()), found.wait), left))

    # --- webhooks ---

    async def _hook(self, spec: WebhookCheck, since: datetime, deadline: float) -> AsyncGenerator[Reading, None]:
        try:
            secret = await asyncio.to_thread(self._secrets.setting, spec.secret)
            if not secret and not spec.unsigned:
                raise errors.NotFound(f"the secret of webhook {spec.name} is empty: set it, or say unsigned: true")
            with self.deliveries.listen(spec.name, secret) as came:
                while True:
                    came.clear()
                    yield await self._told(spec, since)
                    async with asyncio.timeout(max(0.0, deadline - self._clock())):
                        await came.wait()
        except TimeoutError:
            return
        except errors.TmuxAgentError as why:
            yield reading("failure", why.message)

    async def _told(self, spec: WebhookCheck, since: datetime) -> Reading:
        """What the newest delivery that says success or failure says; else what the newest says."""
        found = [check_replies.read_delivery(spec, body) for body in await self.deliveries.since(spec.name, since)]
        if not found and not self._address():
            return reading("unreachable", "nothing listens for webhooks: set http.listen in config.yaml")
        if not found:
            return reading("pending", f"waits for POST {self._address()}/hooks/{spec.name}")
        return next((one for one in found if one.ended), found[0])
