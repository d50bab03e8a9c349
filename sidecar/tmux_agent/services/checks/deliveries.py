"""What others tell us by webhook: checked, made durable, then told to the check that waits for it.

Only hooks that a check waits for are served, each with its own secret. What came is a row before it is answered, so
that a sidecar that dies right after it still knows. Owns signatures, rates, which deliveries are known, their rows.
Must not own: HTTP (edges/webhooks.py), what a body means (core/check_replies.py).

A signature covers the body and not the delivery's id, as GitHub's does: who has seen a signed body can send it again
under another id. So a body should hold something of its own, as a run's number.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from ...core.errors import Conflict, Forbidden, LimitExceeded, NotFound
from ...core.model import Event
from ...core.rate import Bucket
from .. import store
from ..ids import new_id
from ..journal import Journal

KEEP = 50  # deliveries of one hook
BODY_BYTES = 256 << 10
RATE = (30, 0.5)  # deliveries of one hook, right or wrong: at once, and a second
_ID = re.compile(r"[!-~]{1,200}")


class _Hook:
    """`waiting`: an event for each check that waits."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.bucket = Bucket(*RATE, time.monotonic())
        self.waiting: set[asyncio.Event] = set()


class Deliveries:
    """One for all hooks; used in the event loop."""

    def __init__(self, journal: Journal, now: Callable[[], datetime]) -> None:
        self._journal = journal
        self._now = now
        self._hooks: dict[str, _Hook] = {}

    @contextmanager
    def listen(self, name: str, secret: str) -> Iterator[asyncio.Event]:
        """Serve the hook as long as this lasts; the event is set when something came. Raises Conflict where another
        check waits for the same name with another secret ("": unsigned)."""
        hook = self._hooks.setdefault(name, _Hook(secret.encode()))
        if not hmac.compare_digest(hook.secret, secret.encode()):
            raise Conflict(f"another check waits for the webhook {name} with another secret: give one another name")
        came = asyncio.Event()
        hook.waiting.add(came)
        try:
            yield came
        finally:
            hook.waiting.discard(came)
            if not hook.waiting:
                self._hooks.pop(name, None)

    async def receive(self, name: str, signature: str, delivery: str, body: bytes) -> bool:
        """Take what came; False where it came before. Once this returns, it is durable.

        Raises NotFound (nobody waits for it), Forbidden (not signed with the secret), LimitExceeded, Unavailable.
        """
        hook = self._hooks.get(name)
        if hook is None:
            raise NotFound("no check waits for this webhook")
        if not hook.bucket.take(time.monotonic()):
            raise LimitExceeded(f"over {RATE[1] * 60:g} deliveries a minute")
        if len(body) > BODY_BYTES:
            raise LimitExceeded(f"the body is longer than {BODY_BYTES >> 10} KiB")
        if hook.secret and not hmac.compare_digest(sign(hook.secret, body), signature.encode(errors="replace")):
            raise Forbidden("the signature is not that of this webhook's secret")
        if delivery and not _ID.fullmatch(delivery):
            raise Forbidden("the delivery's id is not one")
        one, received = delivery or new_id(), self._now().timestamp()
        told = {
            "hook": name,
            "delivery": one,
            "sha256": hashlib.sha256(body).hexdigest(),
            "note": f"webhook {name}, {'signed' if hook.secret else 'unsigned'}, {len(body)} bytes",
        }
        try:
            await self._journal.commit(
                lambda db: store.add_delivery(db, name, one, received, body, KEEP),
                Event(type="check.delivered", data=told),
            )
        except Conflict:
            return False
        for came in hook.waiting:
            came.set()
        return True

    async def since(self, name: str, moment: datetime) -> list[bytes]:
        """Bodies that came since, newest first. Raises Unavailable."""
        return await self._journal.read(lambda db: store.deliveries(db, name, moment.timestamp()))


def sign(secret: bytes, body: bytes) -> bytes:
    """The value of X-Hub-Signature-256."""
    return b"sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
