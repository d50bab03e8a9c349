"""Chats: who may say what in them, what was shown to whom there, and the answers that come from there.

Owns the senders and their roles, the bot's token, the rates, and that a yes is to what was shown last to the same
sender in the same channel. Must not own: the grammar (core/chat.py), what a word does (edges/chat.py), what follows
from an answer (answers.py). Off without senders; answers are a door of their own, off unless it is switched on.
"""

from __future__ import annotations

import hmac
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from ..core import chat_text, errors
from ..core.answer_file import COMMENT_CHARS
from ..core.model import Approval, Ask, Origin, Role
from ..core.rate import Bucket
from ..core.settings import Chat as ChatSettings
from ..core.sheet import Sheet, sheet
from .answers import Answers
from .approvals import Approvals
from .refusals import Refused
from .secrets import Secrets

DOOR = "chat"
ROLES = ("viewer", "runner", "approver")  # each may what those before it may
NAME_CHARS = 128
SHORT = 6  # characters of an id, its last, that a chat shows
LINES_RATE = (20, 1.0)  # lines of one sender: at once, and a second
STRANGERS = (5, 1 / 60)  # lines of those who may nothing that are recorded
REMEMBERED, PLACES = 100, 1000  # requests that were shown to one sender in one channel; such pairs
TOO_LONG = "it is too long to be shown whole here: say yes in the popup"


class Speaker(NamedTuple):
    """Who said it, and where. `asks` is who a request of theirs comes from."""

    sender: str
    channel: str
    role: str
    asks: Origin

    def may(self, role: str) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


class _Shown(NamedTuple):
    digest: str
    only_no: str  # why a yes cannot come from here


class Chats:
    """Built by the daemon; for the event loop. `switch` it on at the start and after changes."""

    def __init__(
        self, approvals: Approvals, answers: Answers, refused: Refused, secrets: Secrets, home: str = "",
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._approvals = approvals
        self._answers = answers
        self._refused = refused
        self._secrets = secrets
        self._home = home
        self._now = now
        self._settings = ChatSettings()
        self._token = self._no_token = ""  # `_no_token`: why there is none though there should be
        self._rates: dict[str, Bucket] = {}
        self._strangers = Bucket(*STRANGERS, now())
        self._shown: OrderedDict[tuple[str, str], OrderedDict[str, _Shown]] = OrderedDict()

    def switch(self, settings: ChatSettings) -> None:
        """Take up settings."""
        self._settings, self._token, self._no_token = settings, "", ""
        self._rates.clear()
        try:
            self._token = self._secrets.setting(settings.token) if settings.token else ""
        except errors.TmuxAgentError as why:
            self._no_token = why.message

    @property
    def problem(self) -> str:
        """Why it does not work as it is set, in words; "" where nothing is wrong."""
        if self._settings.answers and not self._settings.token:
            return "chat.answers needs a chat.token, since any program of yours could answer without"
        return self._no_token

    @property
    def name(self) -> str:
        """What the bot is called in a chat."""
        return self._settings.name

    @property
    def session(self) -> str:
        """Where a command runs that names no session."""
        return self._settings.session

    # --- who ---

    def check_bot(self, sender: str, channel: str, token: str, bot: Origin) -> None:
        """Raises Forbidden, on record, where a program does not speak for a chat; InvalidParams."""
        if not 0 < len(sender) <= NAME_CHARS or len(channel) > NAME_CHARS:
            raise errors.InvalidParams(f"params.sender: 1 to {NAME_CHARS} characters; params.channel: at most as many")
        why = f"it runs below {bot.agent}, which has tools of its own" if bot.agent else self._no_token
        why = "it is in the sandbox, where agents are" if bot.sandbox else why
        if not why and self._token and not hmac.compare_digest(token.encode(errors="replace"), self._token.encode()):
            why = "its token is not the one of chat.token"
        if why:
            self._refuse(_origin(sender, channel, bot), why, alarming=True)
            raise errors.Forbidden(f"chat words are not taken from this program: {why}")

    def speaker(self, sender: str, channel: str, bot: Origin) -> Speaker:
        """Raises Forbidden for those who may nothing, LimitExceeded."""
        role = self._settings.senders.get(sender)
        if role is None:
            self._refuse(_origin(sender, channel, bot), "they are not in chat.senders")
            raise errors.Forbidden("you may ask for nothing here: chat.senders in config.yaml says who may")
        if not self._rates.setdefault(sender, Bucket(*LINES_RATE, self._now())).take(self._now()):
            raise errors.LimitExceeded("slow down: that is more than a line a second")
        return Speaker(sender, channel, role, _origin(sender, channel, bot))

    def _refuse(self, by: Origin, why: str, *, alarming: bool = False) -> None:
        """On record; strangers in a chat could fill the log."""
        if self._strangers.take(self._now()):
            self._refused(by, "", why, alarming=alarming)

    # --- what is shown ---

    def visible(self, by: Speaker) -> list[Approval]:
        """What waits for a person: all of it for who may answer, else what the same sender asked for."""
        waiting = self._approvals.pending()
        return [one for one in waiting if by.may("approver") or one.origin.session == by.asks.session]

    def look(self, approval: Approval) -> tuple[Sheet, str]:
        """A request as it is now, and the text of it; that is empty where a chat has no room for all of it."""
        told = sheet(approval, datetime.now().astimezone().tzinfo or UTC, self._home)
        return told, chat_text.whole(told.body) or ""

    def shown(self, by: Speaker, approval: Approval, told: Sheet, text: str) -> None:
        """What `look` gave is shown: from here on it is what this sender answers here. Without its text, by a no."""
        mine = self._shown.setdefault((by.sender, by.channel), OrderedDict())
        self._shown.move_to_end((by.sender, by.channel))
        mine[approval.request_id] = _Shown(approval.digest, told.only_no or ("" if text else TOO_LONG))
        mine.move_to_end(approval.request_id)
        while len(mine) > REMEMBERED:
            mine.popitem(last=False)
        while len(self._shown) > PLACES:
            self._shown.popitem(last=False)

    def seen(self, by: Speaker) -> set[str]:
        """What was shown to this sender here, whether it waits still or not."""
        return set(self._shown.get((by.sender, by.channel), ()))

    def short(self, request_id: str) -> str:
        """The end of an id, as long as it takes to be the only one that waits and ends so."""
        ids = [one.request_id for one in self._approvals.pending()]
        size = SHORT
        while size < len(request_id) and sum(one.endswith(request_id[-size:]) for one in ids) > 1:
            size += 1
        return request_id[-size:]

    # --- answers ---

    async def answer(self, by: Speaker, bot: Origin, approval: Approval, approved: bool, rest: str) -> Approval:
        """Take what was said for the answer. `bot`: who it is now. What does not count is on record.

        Raises Forbidden, Conflict (not shown yet, or changed since), and what Answers.answer raises.
        """
        who = _origin(by.sender, by.channel, bot, Role.OPERATOR, f"{by.sender} said so in a chat")
        shown = self._shown.get((by.sender, by.channel), OrderedDict())
        try:
            self._check(by, bot)
            if approval.origin.session == by.asks.session:
                raise errors.Forbidden("who asks does not answer: somebody else has to")
            seen = shown.get(approval.request_id)
            if seen is None:
                raise errors.Conflict(f"look at it here first: say status {self.short(approval.request_id)}")
            if approved and seen.only_no:
                raise errors.Forbidden(seen.only_no)
            choice, comment = _choice(approval, rest) if approved else (None, rest)
            if len(comment) > COMMENT_CHARS:
                raise errors.InvalidParams(f"the comment has more than {COMMENT_CHARS} characters")
            answered = await self._answers.answer(
                approval.request_id, seen.digest, approved, who, comment=comment, choice=choice
            )
        except errors.TmuxAgentError as why:
            self._refused(_origin(by.sender, by.channel, bot), approval.request_id, why.message)
            if isinstance(why, errors.Conflict):
                shown.pop(approval.request_id, None)
            raise
        return answered

    def check_answering(self, by: Speaker, bot: Origin) -> None:
        """Raises Forbidden, on record, for whoever answers nothing here."""
        try:
            self._check(by, bot)
        except errors.Forbidden as why:
            self._refused(by.asks, "", why.message)
            raise

    def _check(self, by: Speaker, bot: Origin) -> None:
        if not self._settings.answers:
            raise errors.Forbidden("requests are not answered from a chat: chat.answers in config.yaml is off")
        if self.problem:
            raise errors.Forbidden(self.problem)
        if not by.may("approver"):
            raise errors.Forbidden(f"a {by.role} may not answer: chat.senders in config.yaml says who is an approver")
        if bot.agent:
            raise errors.Forbidden(f"this bot may not answer: it runs below {bot.agent}")
        if bot.server:
            raise errors.Forbidden("this bot runs in tmux, where anybody can type: start it outside to answer")


def _choice(approval: Approval, rest: str) -> tuple[str | None, str]:
    """The option that was named, by its number or its text, and what else was said."""
    options = approval.action.options if isinstance(approval.action, Ask) else ()
    if not options:
        return None, rest
    word = rest.strip().rstrip(".!")
    if word.isascii() and word.isdigit() and 1 <= int(word[:6]) <= len(options):
        return options[int(word) - 1], ""
    found = [one for one in options if one.casefold() == word.casefold()]
    if len(found) != 1:
        raise errors.InvalidParams(f"say which option, 1 to {len(options)}")
    return found[0], ""


def _origin(sender: str, channel: str, bot: Origin, role: Role = Role.AGENT, why: str = "") -> Origin:
    """Somebody in a chat: asks as themselves, answers through the bot's process."""
    where = f"{sender} in {channel}" if channel else sender
    return msgspec.structs.replace(
        bot, role=role, why=why or f"{sender} said it in a chat", uid=os.getuid(), name=sender, agent=None,
        session=f"chat:{sender}", process="", tty=None, client=None, pane=None, place="", pane_title="", door=DOOR,
        through=where,
    )  # fmt: skip
