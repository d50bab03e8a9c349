"""Signed links: made for requests that wait, and taken once for an answer. Off unless switched on.

Owns what a link is good for at this moment, and that its use and the answer are one commit. Must not own: tokens
(core/link.py), keys (link_keys.py), pages (edges/links.py), what follows from an answer (answers.py).
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from ..core import errors, link
from ..core.answer_file import COMMENT_CHARS
from ..core.link import Link
from ..core.model import Approval, ApprovalState, Origin, Role
from ..core.settings import Answers as AnswerSettings
from ..core.sheet import Sheet, sheet
from . import store
from .answers import Answers
from .approvals import Approvals
from .identity import Identity
from .link_keys import LinkKeys
from .refusals import Refused
from .tcp_peers import holders

DOOR = "link"
PATH = "/a/"  # of the pages, before the token
_URL = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[A-Za-z0-9._~-]{1,100}){0,8}/?")
SECONDS = (30.0, 30 * 86400.0)  # that a link may be good for


class Shown(NamedTuple):
    """What a link leads to: the request as it is now, and what of it a person is shown."""

    link: Link
    approval: Approval
    sheet: Sheet


class Links:
    """Built by the daemon; everything on it runs in the event loop. `switch` it on at the start and after changes."""

    def __init__(
        self,
        keys: LinkKeys,
        approvals: Approvals,
        answers: Answers,
        refused: Refused,
        identity: Identity,
        home: str = "",
        now: Callable[[], float] = time.time,
    ) -> None:
        self.wrong = ""  # why there are no links though there should be
        self.address = ""  # of our own listener; "" where it does not listen
        self._keys = keys
        self._approvals = approvals
        self._answers = answers
        self._refused = refused
        self._identity = identity
        self._home = home
        self._wall = now
        self._began = now(), time.monotonic()
        self._settings = AnswerSettings()

    def switch(self, settings: AnswerSettings) -> None:
        """Take up settings and keys."""
        self._settings = settings
        self.wrong = ""
        if not settings.links:
            return
        try:
            self._keys.load()
            self._keys.signing()
        except errors.Unavailable as why:
            self.wrong = why.message
        if settings.url and not _URL.fullmatch(settings.url):
            self.wrong = f"answers.url is {settings.url!r}: it has to be https://HOST, and a path where there is one"
        if not SECONDS[0] <= settings.link_seconds <= SECONDS[1]:
            self.wrong = f"answers.link_seconds has to be {SECONDS[0]:g} to {SECONDS[1]:g}"

    @property
    def host(self) -> str:
        """The name in answers.url, under which a proxy or tunnel of the person's hands requests on; "" where unset."""
        return urlsplit(self._settings.url).hostname or ""

    @property
    def on(self) -> bool:
        """Whether links are made and taken."""
        return self._settings.links and not self.wrong and bool(self.address)

    @property
    def problem(self) -> str:
        """Why they are not though they should be, in words; "" where nothing is wrong."""
        if self._settings.links and not self.wrong and not self.address:
            return "answers.links is on and nothing listens: set http.listen"
        return self.wrong

    # --- made ---

    def url_for(self, approval: Approval) -> str:
        """A new link to a request that waits, for a message to a person; "" where links are off."""
        if not self.on or approval.state is not ApprovalState.PENDING:
            return ""
        now = self._now()
        ends = now + self._settings.link_seconds
        if approval.expires is not None:
            ends = min(ends, approval.expires.timestamp())
        key = self._keys.signing()
        made = Link(
            key=link.name_of(key), request_id=approval.request_id, digest=approval.digest, issued=int(now),
            expires=int(ends) + 1, nonce=secrets.token_hex(16),
        )  # fmt: skip
        base = self._settings.url or self.address
        return base.rstrip("/") + PATH + link.sign(made, key)

    def rotate(self, *, at_once: bool) -> int:
        """Sign with a new key; links that are open stay good unless `at_once`. How many earlier keys are still taken.

        Raises Conflict, Unavailable.
        """
        if not self.on:
            raise errors.Conflict(self.problem or "links are off: set answers.links in config.yaml")
        return self._keys.rotate(self._now(), 0 if at_once else self._settings.link_seconds + 1)

    # --- taken ---

    async def look(self, token: str, peer: str) -> Shown:
        """What a link leads to. Answers nothing. Raises Forbidden, Expired, NotFound, LimitExceeded."""
        found = self._verified(token, peer)
        approval = await self._approvals.stored(found.request_id)
        return Shown(found, approval, sheet(approval, datetime.now().astimezone().tzinfo or UTC, self._home))

    async def answer(
        self, token: str, peer: str, approved: bool, *, comment: str = "", option: int | None = None
    ) -> Approval:
        """Take a link for the answer; its use is in the same commit. `option` counts from 0.

        Raises what `look` and Answers.answer raise: then nothing is answered and the link is not used up.
        """
        shown = await self.look(token, peer)
        await self._check_peer(shown.link, peer)
        by = _origin(peer, shown.link, Role.OPERATOR, "a signed link was used")
        try:
            return await self._answer(shown, by, approved, comment, option)
        except errors.TmuxAgentError as why:
            self._refused(_origin(peer, shown.link), shown.link.request_id, why.message)
            raise

    async def _answer(self, shown: Shown, by: Origin, approved: bool, comment: str, option: int | None) -> Approval:
        used, options = shown.link, getattr(shown.approval.action, "options", ())
        if approved and shown.sheet.only_no:
            raise errors.Forbidden(shown.sheet.only_no)
        if len(comment) > COMMENT_CHARS:
            raise errors.InvalidParams(f"the comment has more than {COMMENT_CHARS} characters")
        if option is not None and not 0 <= option < len(options):
            raise errors.InvalidParams("that option is not there")
        choice = options[option] if approved and option is not None else None
        now = int(self._now())
        return await self._answers.answer(
            used.request_id, used.digest, approved, by, comment=comment, choice=choice,
            also=lambda db: store.use_link(db, used.nonce, used.expires, now),
        )  # fmt: skip

    async def _check_peer(self, used: Link, peer: str) -> None:
        """Raises Forbidden where an agent of this machine holds the other end: it has found a link."""
        ours = urlsplit(self.address)
        host, _, port = peer.rpartition(":")
        found = await asyncio.to_thread(holders, (host, int(port)), (ours.hostname or "", ours.port or 0))
        why = self._identity.below_an_agent(found.pids)
        if found.known and found.uid is None:
            why = "it let go of its connection before anybody could see who it is"
        elif found.uid == os.getuid() and not found.pids:
            why = "it is a program of yours that cannot be seen"
        if why:
            self._refused(_origin(peer, used), used.request_id, why, alarming=True)
            raise errors.Forbidden(f"whoever sent this may not answer: {why}")

    def _verified(self, token: str, peer: str) -> Link:
        if not self.on:
            raise errors.NotFound("there is nothing here")
        try:
            return link.verify(token, self._keys.all(self._now()), self._now())
        except errors.TmuxAgentError as why:
            alarming = isinstance(why, errors.Forbidden)
            if not self._refused(_origin(peer), "", why.message, alarming=alarming):
                raise errors.LimitExceeded("too many wrong links: try again later") from None
            raise

    def _now(self) -> float:
        """The time, which does not go back while we run: setting the clock back makes no link last longer."""
        wall, ticks = self._began
        return max(self._wall(), wall + time.monotonic() - ticks)


def _origin(peer: str, used: Link | None = None, role: Role = Role.AGENT, why: str = "a link was not taken") -> Origin:
    through = f"{used.id if used else 'unknown'} from {peer}"
    return Origin(role=role, why=why, uid=os.getuid(), pid=0, door=DOOR, through=through)
