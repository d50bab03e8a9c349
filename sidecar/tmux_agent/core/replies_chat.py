"""What the methods of chat words give back. Owns only shapes, as replies.py, whose REPLIES names them."""

from __future__ import annotations

from typing import Any

from .reply import Data


class ChatData(Data, frozen=True):
    """The answer to a line. `text` is for the chat: bounded, safe, without mentions. `did`: which word it was (run,
    create, output, sessions, kill, interrupt, pending, status, answer, help), or `unclear`, or `waits`: a person is
    asked. `ok` false: it was not done, and the text says why. `data`: the same for programs. `follow_up`: there is more
    to come, to be asked for by chat.follow, or in the chat by `status`."""

    text: str
    did: str
    ok: bool = True
    data: dict[str, Any] | None = None
    follow_up: str | None = None


REPLIES: dict[str, Any] = {"chat.say": ChatData, "chat.follow": ChatData}
