"""What a request is called: one line for the list, a sentence for the detail, names for risks and endings.

Owns: the popup's wording of actions, places and times. Must not own: colours beyond meaning, layout, any answer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

from tmux_agent.core import display, wording
from tmux_agent.core.model import (
    Action,
    Approval,
    ApprovalState,
    Ask,
    File,
    Origin,
    Risk,
    Verdict,
)  # fmt: skip
from tmux_agent.edges.ui.text import Line, literal

HOME = os.path.expanduser("~")
SUMMARY_LIMIT = 2000  # characters that a one-line summary looks at


def tilde(path: str) -> str:
    """A path with the home folder as ~."""
    return wording.tilde(path, HOME)


def who(origin: Origin) -> str:
    """The agent the kernel shows; else what the asker calls itself, in quotes; else its program."""
    return wording.who(origin)


def file_line(action: File, folder: str) -> str:
    return wording.file_line(action, folder, HOME)


def one_line(action: Action, folder: str = "") -> str:
    """The action in one line of raw text; the caller makes it safe."""
    return wording.one_line(action, folder, HOME)


def in_common(lines: Sequence[str]) -> str:
    """What stands in each of these lines, … for what differs; of names the folders that all of them begin with."""
    rows = [line.split() for line in lines]
    if len({len(row) for row in rows}) == 1:
        return " ".join(_beginning(column) for column in zip(*rows, strict=True))
    same = set(rows[0]).intersection(*rows)
    out: list[str] = []
    for word in (word if word in same else "…" for word in rows[0]):
        if word != "…" or out[-1:] != ["…"]:
            out.append(word)
    return " ".join(out)


def _beginning(names: Sequence[str]) -> str:
    """The same word where it is one, else the folders that all of them begin with, and …"""
    if len(set(names)) == 1:
        return names[0]
    shared: list[str] = []
    for level in zip(*(name.split("/")[:-1] for name in names), strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return "/".join([*shared, "…"])


def summary(approval: Approval, room: int) -> Line:
    """The action in `room` cells: its beginning, how much is left out, its end."""
    action = approval.action
    tail: Line = []
    if isinstance(action, File) and (counts := wording.diff_counts(approval.preview)):
        tail = [("", "  "), ("class:plus", f"+{counts[0]}"), ("", " "), ("class:minus", f"−{counts[1]}")]
    elif isinstance(action, Ask) and action.options:
        tail = [("class:faint", f"  {len(action.options)} options")]
    used = sum(display.width(text) for _, text in tail)
    if used + 12 > room:
        tail, used = [], 0
    raw = one_line(action, approval.origin.cwd)
    line = display.safe(raw[:SUMMARY_LIMIT])
    if len(raw) > SUMMARY_LIMIT:  # say the whole length, keep the true end
        end = display.take_end(display.safe(raw[-200:]), (room - used) // 3)
        gap = f" ⋯{display.number(len(raw))}⋯ "
        line = display.take(line, room - used - display.width(gap + end)) + gap + end
        return [("", display.cut(line, room - used)), *tail]
    if display.width(line) <= room - used:
        return [*literal(raw), *tail]
    return [("", display.middle(line, room - used)), *tail]


def risk_word(approval: Approval) -> tuple[str, str]:
    """(style, word) for the risk column."""
    if approval.kind == "question":
        return "class:question", "question"
    return f"class:{approval.risk.value}", approval.risk.value


def ending(approval: Approval | None) -> str:
    """How an approval that left the list ended, in words for its row."""
    if approval is None:
        return "gone"
    if approval.state in (ApprovalState.APPROVED, ApprovalState.DENIED):
        by = approval.answer.by if approval.answer else None
        return f"{approval.state.value} elsewhere" + (f" ({by.door})" if by else "")
    if approval.state is ApprovalState.WITHDRAWN and approval.note:
        return f"withdrawn: {approval.note}"
    return str(approval.state.value)


_THEN = {
    Verdict.DENY: "then it is denied",
    Verdict.ALLOW: "then it is allowed",
    Verdict.ASK: "then nobody answered",
}


def waits(approval: Approval, now: datetime) -> tuple[str, Line]:
    """Until when it waits, and what happens then, as (label, what)."""
    if approval.expires is not None:
        left = (approval.expires - now).total_seconds()
        then = ("class:faint", f"  {_THEN[approval.on_timeout]}")
        return "expires in", [("class:warn" if left < 60 else "", display.ago(left)), then]
    if approval.kind == "hook":
        its_own = "'s own dialog" if approval.origin.agent == "claude" else " waits"  # no other shows it meanwhile
        return "waits", [("", f"as long as {display.safe(wording.person(approval.origin))}{its_own}")]
    return "waits", [("", "until somebody answers")]


def worst(risks: list[Risk]) -> Risk:
    return max(risks, key=lambda risk: risk.rank, default=Risk.LOW)
