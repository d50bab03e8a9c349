"""Getting a person's attention: which ways there are, what is said, and the bytes that a terminal takes for it. Pure.

Owns the words of `@tmux-agent-attention` and the sentence. All that agents wrote is raw on its way in here, and safe,
redacted and short on its way out. Must not own: when somebody may be disturbed (services/attention.py).
OSC 9: iTerm2, kitty, WezTerm, Ghostty, ConEmu. OSC 777: urxvt, foot, WezTerm, Ghostty.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import display, redact, wording
from .model import Approval

KINDS = ("popup", "message", "bell", "osc9", "osc777")
COVERS = ("popup", "message")  # come over what is on the screen
IDLE_SECONDS = 3  # without a key, unless the person chose otherwise
IDLE_MOST = 3600
CELLS = 160
NAMES = 3  # of askers that a sentence names
LOOKED_AT = 2000  # characters of an action

_ESC = "\x1b"
_ST = "\x1b\\"


def chosen(option: str) -> tuple[str, ...]:
    """The ways that the option names; what it does not know is left out (the plugin tells of it when it is loaded)."""
    words = set(re.split(r"[\s,]+", option))
    return tuple(kind for kind in KINDS if kind in words)


def idle_seconds(option: str) -> int:
    """How long no key may have come; the default for what is no number of seconds up to an hour."""
    known = option.isascii() and option.isdecimal() and len(option) <= 4 and 1 <= int(option) <= IDLE_MOST
    return int(option) if known else IDLE_SECONDS


def sentence(approvals: Sequence[Approval]) -> str:
    """What waits, in one safe line: one request in words, several by number and who asks."""
    if len(approvals) == 1:
        (one,) = approvals
        risk = "" if one.kind == "question" else f" ({one.risk.value})"
        what = display.safe(redact.redact(wording.one_line(one.action, one.origin.cwd)[:LOOKED_AT]))
        lead = f"{_who(one)} asks{risk}: "
        return lead + display.middle(what, max(20, CELLS - display.width(lead)))
    names = list(dict.fromkeys(_who(one) for one in approvals))
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return f"{len(approvals)} wait: {', '.join(names[:NAMES])}{more}"


def _who(approval: Approval) -> str:
    return display.cut(display.safe(wording.who(approval.origin)[:100]), 24)


def terminal_bytes(kind: str, text: str, *, term: str, utf8: bool) -> bytes:
    """What a terminal gets: a bell, or `text` (safe) as a notification. Inside a further tmux (`term` is its TERM) the
    notification is wrapped for that one to hand on, which it does where `allow-passthrough` is on there.
    """
    if kind == "bell":
        return b"\a"
    text = f"tmux-agent: {text}" if kind == "osc9" else text.replace(";", ",")
    body = f"9;{text}" if kind == "osc9" else f"777;notify;tmux-agent;{text}"
    whole = f"{_ESC}]{body}{_ST}"
    if term.startswith("tmux"):
        whole = f"{_ESC}Ptmux;{whole.replace(_ESC, _ESC * 2)}{_ST}"
    return whole.encode("utf-8" if utf8 else "ascii", "replace")
