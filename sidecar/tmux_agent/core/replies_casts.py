"""What the methods `cast.*` give back. Declared by replies.py."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from .reply import Data, Nothing


class CastData(Data, frozen=True):
    """A recording. `interrupted`: it goes on as soon as its tmux server is there again; `why`: of its end."""

    id: str
    state: Literal["recording", "interrupted", "ended"]
    pane: str
    server: str
    title: str
    started: datetime
    seconds: float
    bytes: int
    parts: int
    masked: bool = False
    max_bytes: int = 0
    why: str = ""


class CastsData(Data, frozen=True):
    casts: tuple[CastData, ...]


REPLIES: dict[str, Any] = {
    "cast.start": CastData,
    "cast.stop": CastData,
    "cast.list": CastsData,
    "cast.remove": Nothing,
    "cast.play": Nothing,
}
