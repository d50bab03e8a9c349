"""Text for a chat: bounded, with nothing odd and no secret in it, and nothing that the chat itself would act on.

Pure. Owns what a chat acts on: mentions (@everyone, <@1>, <!channel>), links ([this](there), <there|this>), and marks
that begin or end code. What would is shown by its name, as odd characters are (⟨@⟩everyone). Must not own: words.
"""

from __future__ import annotations

import re

from . import display
from .redact import redact_text

LINES = 30  # of an output that is shown, the last ones
CHARS = 1500  # of these
INLINE = 300  # characters of one thing in a sentence
_ACTS = re.compile(r"(?<![a-z0-9])@(?=\S)|@(?=everyone|here|channel)|<(?=[@#!&/:a-z])|\](?=\()", re.IGNORECASE)
_FENCE = re.compile(r"`{3,}")
_TICK = "⟨U+0060⟩"


def _dull(text: str) -> str:
    return _ACTS.sub(lambda found: f"⟨{found[0]}⟩", text)


def plain(text: str, limit: int = INLINE) -> str:
    """In a sentence, in one line."""
    return _dull(display.middle(display.safe(redact_text(text[: 8 * limit])), limit)).replace("`", _TICK)


def code(text: str, limit: int = INLINE) -> str:
    """In a sentence, marked as code."""
    return f"`{plain(text, limit)}`"


def block(text: str, lines: int = LINES) -> str:
    """The last lines of an output between marks of code; "" where it is blank."""
    kept = redact_text(text[-16 * CHARS :]).replace("\r\n", "\n").split("\n")
    while kept and not kept[-1].strip():
        kept.pop()
    while kept and not kept[0].strip():
        kept.pop(0)
    shown = _inside("\n".join(line.rstrip() for line in kept[-lines:]))
    if len(shown) > CHARS:
        shown = "…" + shown[-CHARS:]
    return f"```\n{shown}\n```" if shown else ""


def whole(text: str) -> str | None:
    """All of a text between marks of code, as a person has to see what they answer; None where a chat has no room."""
    shown = _inside(redact_text(text[: 8 * CHARS]))
    return f"```\n{shown}\n```" if len(text) <= CHARS >= len(shown) and shown.count("\n") < LINES else None


def _inside(text: str) -> str:
    """Between marks of code."""
    safe = _dull(display.safe(text, newlines=True))
    return _FENCE.sub(lambda found: _TICK * len(found[0]), safe)
