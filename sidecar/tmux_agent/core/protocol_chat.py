"""Params of chat words: a line that a bot relays, and what became of one. Owns only shapes, as protocol.py."""

from __future__ import annotations

from .params import Params


class ChatSay(Params, frozen=True):
    """A line that somebody said in a chat, for a bot that relays it (docs/chat.md). `sender`: who, as the chat's own
    server tells; config.yaml says what they may. `channel`: where; what was shown is remembered for each. `token`:
    where config.yaml sets one."""

    text: str
    sender: str
    channel: str = ""
    token: str = ""


class ChatFollow(Params, frozen=True):
    """What came of a line whose reply named a `follow_up`; waits for that up to `wait_secs` (at most an hour)."""

    follow_up: str
    sender: str
    channel: str = ""
    token: str = ""
    wait_secs: float = 0.0


METHODS: dict[str, type[Params]] = {"chat.say": ChatSay, "chat.follow": ChatFollow}
ONCE: frozenset[type[Params]] = frozenset({ChatSay})  # a line that was said twice would be done twice
