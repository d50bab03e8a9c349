"""Where messages go: the `notify` section of config.yaml and policy.yaml, typed, and what a list of channels names.

Owns these keys and their defaults. Must not own: how a channel is reached (services/senders.py), when (notify.py).
docs/notifications.md tells the same to people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from . import templates
from .message import SEVERITIES, URGENCIES, Message, Severity, Urgency
from .secret import Secret
from .spans import bad_time

BUILT_IN = ("stdout", "local_bus", "wecom", "wechat_work", "wecom_app", "serverchan", "email", "slack")
MOST = 50  # channels
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_WORDS = re.compile(r"[\s,]+")


class Channel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to reach people: one of url, command and kind."""

    url: str | Secret = ""  # of apprise, or of a plugin in notify.d
    command: tuple[str, ...] = ()  # argv; what is told is its JSON stdin
    kind: Literal["stdout", "local_bus", "wecom", "wechat_work", "wecom_app", "serverchan", "email", "slack"] | None = (
        None
    )
    variables: dict[str, str | Secret] = {}  # for a kind: in place of the variables of these names
    tags: tuple[str, ...] = ()
    title: str = "{title}"
    body: str = "{body}"
    severity: Severity = "info"  # at least
    dedupe: float = 600.0  # seconds within which a key is told once
    digest: float = 0.0  # seconds for which messages are gathered into one
    per_minute: float = 20.0  # what is over waits, and is told together
    quiet: tuple[str, ...] | None = None  # in place of those of `notify`
    focus: bool = True  # not about a pane that somebody looks at
    timeout: float = 30.0  # seconds of one try
    retries: int | None = None  # in place of those of `notify`

    def __post_init__(self) -> None:
        if sum(map(bool, (self.url, self.command, self.kind))) != 1:
            raise ValueError("needs one of url, command and kind")
        if self.variables and not self.kind:
            raise ValueError("variables are for a kind")
        for text in (self.title, self.body):
            templates.check(text, FIELDS)
        _check_spans(self.quiet or ())
        if not 0 < self.per_minute <= 6000 or not 0 < self.timeout <= 600 or self.dedupe < 0 or self.digest < 0:
            raise ValueError("per_minute is up to 6000, timeout up to 10m and both over 0; dedupe and digest 0 or more")


class Escalation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told next where nobody has answered."""

    after: float  # seconds since it was asked
    channels: str  # names or tags


class Notify(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Told of new approvals and of what pipelines say, from threads, retried, never in the way."""

    urls: tuple[str | Secret, ...] = ()  # apprise URLs: the channels url1, url2, …
    command: tuple[str, ...] = ()  # argv; the approval is its JSON stdin: the channel `command`
    after: float = 0.0  # seconds an approval must have waited
    retries: int = 8  # after the first try, ever further apart: a quarter of an hour
    default: str = ""  # channels or tags for what names none; empty: NOTIFICATION_CHANNELS, else all that are declared
    quiet: tuple[str, ...] = ()  # 22:00-07:00, sat-sun 00:00-23:59: what comes then waits for the end
    quiet_severity: Severity = "failure"  # from this on it does not wait
    quiet_urgency: Urgency = "high"  # from this on it does not wait
    channels: dict[str, Channel] = {}
    escalate: tuple[Escalation, ...] = ()

    def __post_init__(self) -> None:
        _check_spans(self.quiet)
        for name in self.channels:
            if not _NAME.fullmatch(name) or name in BUILT_IN or name == "command" or re.fullmatch(r"url\d+", name):
                raise ValueError(f"channels: {name[:60]!r} is no name for a channel (letters, digits, . _ -), or taken")
        if len(self.channels) + len(self.urls) > MOST:
            raise ValueError(f"has more than {MOST} channels")
        for step in self.escalate:
            if wrong := unknown(self, step.channels):
                raise ValueError(f"escalate: {known_words(self, wrong)}")
        if wrong := unknown(self, self.default):
            raise ValueError(f"default: {known_words(self, wrong)}")


FIELDS = ("title", "body", "severity", "urgency", "source", "request_id", "pane", "url")  # of templates


def _check_spans(spans: tuple[str, ...]) -> None:
    for span in spans:
        if bad_time(span):
            raise ValueError(f"quiet: {span!r} is not HH:MM-HH:MM, or mon-fri HH:MM-HH:MM")


def declared(notify: Notify) -> dict[str, Channel]:
    """All that the file names, in its order."""
    found = {f"url{number}": Channel(url=url, tags=("urls",)) for number, url in enumerate(notify.urls, 1) if url}
    if notify.command:
        found["command"] = Channel(command=notify.command)
    return found | notify.channels


def channel(notify: Notify, name: str) -> Channel | None:
    """The channel of this name, declared or built in."""
    found = declared(notify).get(name)
    return found or (Channel(kind=name) if name in BUILT_IN else None)  # type: ignore[arg-type]


def words(names: str) -> tuple[str, ...]:
    """A comma list as people write it; the words of Notify.default too."""
    return tuple(dict.fromkeys(word for word in _WORDS.split(names) if word))


def named(notify: Notify, names: str) -> tuple[str, ...]:
    """The channels that names and tags stand for; words that are neither are left out (`unknown` has them)."""
    there = declared(notify)
    found: dict[str, None] = {}
    for word in words(names):
        if word in there or word in BUILT_IN:
            found[word] = None
        found |= {name: None for name, one in there.items() if word in one.tags}
    return tuple(found)


def all_of(notify: Notify, default: str) -> dict[str, Channel]:
    """Those that are declared, then those that `default` names."""
    names = dict.fromkeys((*declared(notify), *named(notify, default)))
    return {name: one for name in names if (one := channel(notify, name)) is not None}


def unknown(notify: Notify, names: str) -> tuple[str, ...]:
    """The words of a list that name no channel, kind or tag."""
    there = declared(notify)
    tags = {tag for one in there.values() for tag in one.tags}
    return tuple(word for word in words(names) if word not in there and word not in BUILT_IN and word not in tags)


def known_words(notify: Notify, wrong: tuple[str, ...]) -> str:
    """A sentence about words that are no channels, with those that are."""
    there = declared(notify)
    tags = {tag for one in there.values() for tag in one.tags}
    return f"there is no channel {', '.join(wrong)} (there are {', '.join((*there, *sorted(tags), *BUILT_IN))})"


def default(notify: Notify, variables: Mapping[str, str]) -> str:
    """The list for what names no channels."""
    return notify.default or variables.get("NOTIFICATION_CHANNELS", "") or ",".join(declared(notify))


def through(notify: Notify, message: Message) -> bool:
    """Whether quiet hours do not hold this one."""
    return SEVERITIES.index(message.severity) >= SEVERITIES.index(notify.quiet_severity) or URGENCIES.index(
        message.urgency
    ) >= URGENCIES.index(notify.quiet_urgency)


def wants(one: Channel, message: Message) -> bool:
    """Whether it is bad enough for this channel."""
    return SEVERITIES.index(message.severity) >= SEVERITIES.index(one.severity)
