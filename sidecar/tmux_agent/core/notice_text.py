"""How a message reads where people get it: templates filled, secrets out, hostile text harmless, never long.

Owns the words about approvals and of several messages in one. Pure. Must not own: how it is sent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from . import display, redact, templates
from .channels import FIELDS, Channel
from .message import SEVERITIES, Message
from .model import Action, Agent, Approval, Ask
from .wording import one_line

LINE = 4000  # characters of an action that a message looks at, at its beginning and at its end
TITLE = 200  # cells
BODY = 3000  # cells
TOGETHER = 20  # messages whose titles one digest shows
_CALLS = re.compile(r"@(?=(?:everyone|here|channel|all|room)\b)|<(?=[!@#&])", re.IGNORECASE)
_ONE_LINE = str.maketrans("\n\t", "  ")
_HARMLESS = {"@": "＠", "<": "‹"}


class Notice(Struct, frozen=True):
    """What is sent. Safe to print; one line each, but for the body's lines."""

    title: str
    body: str
    severity: str
    url: str = ""


def notice(message: Message, channel: Channel) -> Notice:
    """One message in the words of its channel."""
    values = {name: _safe(str(getattr(message, name) or ""), newlines=name == "body") for name in FIELDS}
    title = templates.fill(channel.title, values).translate(_ONE_LINE)
    body = templates.fill(channel.body, values)
    if values["url"] and "{url}" not in channel.title + channel.body:
        body = f"{body}\n{values['url']}".lstrip("\n")
    return Notice(display.middle(title, TITLE), display.middle(body, BODY), message.severity, values["url"])


def together(messages: Sequence[Message], channel: Channel) -> Notice:
    """Several messages in one: how many of what, and their titles."""
    if len(messages) == 1:
        return notice(messages[0], channel)
    counts = Counter(one.severity for one in messages)
    what = ", ".join(f"{counts[severity]} {severity}" for severity in reversed(SEVERITIES) if counts[severity])
    lines = [f"· {notice(one, channel).title}" for one in messages[:TOGETHER]]
    if len(messages) > TOGETHER:
        lines.append(f"· and {len(messages) - TOGETHER} more")
    worst = max(messages, key=lambda one: SEVERITIES.index(one.severity)).severity
    return Notice(f"{len(messages)} messages: {what}", display.middle("\n".join(lines), BODY), worst)


def _safe(text: str, *, newlines: bool = False) -> str:
    """Without secrets and controls, and so that it calls nobody: chats read @everyone and <!channel>."""
    shown = display.safe(redact.redact_text(text)[: 2 * LINE], newlines=newlines)
    return _CALLS.sub(lambda found: _HARMLESS[found[0]], shown)


# --- approvals -------------------------------------------------------------------------------------


def asked(approval: Approval, url: str = "") -> Message:
    """What an approval is told as: by the agent that the kernel shows, never by a name of its own choosing.

    `url`: where it can be answered.
    """
    origin = approval.origin
    high = approval.risk.value == "high"
    urgency = approval.action.urgency if isinstance(approval.action, Ask) else "high" if high else "normal"
    return Message(
        title=f"{origin.agent or origin.exe or f'pid {origin.pid}'} asks ({approval.risk.value})",
        body=f"{headline(approval.action)}\n{display.safe(redact.redact(approval.reason))}",
        severity="warning" if high else "info",
        urgency=urgency,
        key=approval.request_id,
        source="approval",
        request_id=approval.request_id,
        server=origin.server,
        pane=origin.pane,
        url=url,
    )


def headline(action: Action) -> str:
    """One safe line that says what is asked: all of it, or its beginning, its length and its end."""
    line = one_line(action)
    if len(line) <= LINE:
        return display.middle(display.safe(redact.redact(line)), 300)
    begin, end = (display.safe(redact.redact(part)) for part in (line[:LINE], line[-LINE:]))
    return f"{display.take(begin, 180)} ⋯{display.number(len(line))}⋯ {display.take_end(end, 100)}"


# --- usage limits ----------------------------------------------------------------------------------


def limited(agent: Agent) -> Message:
    """That an agent has reached its usage limit, in its own words."""
    return _about(agent, "has reached its usage limit", agent.limit.words if agent.limit else "")


def not_resumed(agent: Agent, why: str) -> Message:
    """That an agent could not be told to go on after it, though a rule of the person's says so."""
    return _about(agent, "could not be told to go on after its usage limit", why)


def _about(agent: Agent, what: str, body: str) -> Message:
    return Message(
        title=f"{agent.kind or 'an agent'} {agent.place}".strip() + f" {what}",
        body=body,
        severity="warning",
        key=f"{agent.session} {what} {agent.limit.noticed if agent.limit else ''}",
        source="limit",
        server=agent.server,
        pane=agent.pane,
    )
