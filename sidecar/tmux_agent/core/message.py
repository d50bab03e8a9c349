"""What people are told, whoever tells it: approvals, pipelines, checks.

Owns the one value that all notifications are. Must not own: where it goes (channels.py), how it reads there
(notice_text.py), when (services/notify.py).
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Severity = Literal["info", "success", "warning", "failure"]
Urgency = Literal["low", "normal", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "success", "warning", "failure")  # the last is the worst
URGENCIES: tuple[Urgency, ...] = ("low", "normal", "high", "critical")


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message. Texts may be anybody's: they are made safe and short where they are sent."""

    title: str
    body: str = ""
    severity: Severity = "info"
    urgency: Urgency = "normal"
    key: str = ""  # two of the same key are one (for as long as a channel says); empty: each is its own
    source: str = ""  # who tells it: "approval", "pipeline:webapp-ci/build"
    request_id: str = ""  # the approval that it is about; where that waits, it is told only while it does
    server: str | None = None  # tmux socket, with
    pane: str | None = None  # the pane that it is about: not told to somebody who looks at it
    url: str = ""  # where to look or answer
