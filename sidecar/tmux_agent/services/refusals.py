"""What was refused to somebody who may not: recorded, said to people, and a warning for a while.

Owns how much of it is recorded, and how long it is a warning. Must not own: who may what
(identity.py, edges/admission.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from ..core.model import Event, Origin
from ..core.rate import Bucket
from .journal import Journal

log = logging.getLogger(__name__)

NO_ANSWERS = (20, 0.2)  # refused answers by file, link or wrong proof that are recorded: at once, and a second
REFUSAL_SECONDS = 600.0  # how long a refused try stays a warning


class Refused(Protocol):
    """Record that something was no answer; False where that is over the rate. `alarming`: nobody does it by mistake."""

    def __call__(self, by: Origin, request_id: str, why: str, *, alarming: bool = False) -> bool: ...


class Refusals:
    """Built by the system; used in the event loop only. `say` tells whoever is attached, `changed` that there is a
    warning, or none any more."""

    def __init__(
        self,
        journal: Journal,
        say: Callable[[str], Coroutine[Any, Any, None]],
        changed: Callable[[], object],
        spawn: Callable[[Coroutine[Any, Any, Any]], object],
    ) -> None:
        self._journal = journal
        self._say = say
        self._changed = changed
        self._spawn = spawn
        self._no_answers = Bucket(*NO_ANSWERS, time.monotonic())
        self._at = -REFUSAL_SECONDS
        self._over: asyncio.TimerHandle | None = None

    @property
    def lately(self) -> bool:
        """Whether it is a warning still."""
        return time.monotonic() - self._at < REFUSAL_SECONDS

    def refused(self, origin: Origin, method: str, request_id: str) -> None:
        """Somebody tried what only operators may: recorded, and a warning for a while."""
        data = {"method": method, "why": origin.why}
        self._spawn(self._journal.publish(Event(type="refused", request_id=request_id, origin=origin, data=data)))
        self.warn()

    def no_answer(self, by: Origin, request_id: str, why: str, *, alarming: bool = False) -> bool:
        """What came by a file or a link, or a proof, was not taken for an answer: recorded, and said; a warning for a
        while where no person does that by mistake. Over the rate neither (False): whoever tries could fill the log."""
        if not self._no_answers.take(time.monotonic()):
            return False
        log.warning("not answered by %s: %s", by.through or by.door, why)
        data = {"method": "human.respond", "why": why}
        self._spawn(self._journal.publish(Event(type="refused", request_id=request_id, origin=by, data=data)))
        self._spawn(self._say(f"not answered by {by.door}: {why}"))
        if alarming:
            self.warn()
        return True

    def warn(self) -> None:
        """Somebody tried what they may not: a warning from now on, for a while."""
        self._at = time.monotonic()
        self._changed()
        if self._over is not None:
            self._over.cancel()
        self._over = asyncio.get_running_loop().call_later(REFUSAL_SECONDS + 1, self._changed)
