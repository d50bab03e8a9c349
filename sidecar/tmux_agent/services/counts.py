"""What has happened since the start, as numbers: for metrics.py. Every name under which something is counted is one of
a few that are known here, never a text of an agent, a policy or a peer. Must not own: how numbers are shown.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from datetime import datetime

from ..core.model import Event
from ..core.protocol import Params

DOORS = frozenset(("socket", "hook", "screen", "popup", "cli", "link", "file", "mcp", "pipeline", "queue"))
KINDS = frozenset(("hook", "run", "question"))
RISKS = frozenset(("low", "medium", "high"))
VERDICTS = frozenset(("allow", "ask", "deny"))
AGENTS = frozenset(("claude", "codex", "gemini", "cursor", "opencode", "aider", "script"))
TASK_ENDS = frozenset(("done", "failed", "cancelled", "skipped"))
ENDS = ("denied", "expired", "withdrawn", "unknown")
BUCKETS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)  # seconds
KEEP = 10_000  # questions whose begin is remembered; more than may wait

OTHER = "other"


def known(word: object, words: frozenset[str]) -> str:
    """`word` where it is one of `words`, else "other"."""
    return word if isinstance(word, str) and word in words else OTHER


class Waits:
    """How long something took: questions until their answer, tries of tasks."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)  # the last: longer than all
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        at = next((number for number, most in enumerate(BUCKETS) if seconds <= most), len(BUCKETS))
        self.counts[at] += 1
        self.sum += seconds


class Counts:
    """Built by the system; used in the event loop only."""

    def __init__(self) -> None:
        self.opened: Counter[tuple[str, str]] = Counter()  # kind, risk
        self.settled: Counter[tuple[str, str]] = Counter()  # how it ended, by which door ("none": nobody answered)
        self.decisions: Counter[tuple[str, str]] = Counter()  # verdict, what decided
        self.runs: Counter[tuple[str]] = Counter()  # how it ended
        self.grants: Counter[tuple[str]] = Counter()  # made, used, revoked
        self.refusals = 0
        self.notify_failures = 0
        self.requests: Counter[type[Params]] = Counter()  # by what each method takes: counted at every request
        self.errors: Counter[tuple[str]] = Counter()  # kind of core/errors.py
        self.waits = Waits()
        self.tasks: Counter[tuple[str]] = Counter()  # of the queue, how they ended
        self.tries = Waits()  # how long the last try of those took
        self._since: OrderedDict[str, datetime] = OrderedDict()

    def waiting(self, request_id: str, since: datetime) -> None:
        """Something waits for a person since then."""
        self._since[request_id] = since
        if len(self._since) > KEEP:
            self._since.popitem(last=False)

    def take(self, event: Event, timestamp: str) -> None:
        """Count an event, recorded at `timestamp`."""
        family, _, what = event.type.partition(".")
        data = event.data
        match family:
            case "approval":
                self._approval(event, what, timestamp)
            case "decision":
                self.decisions[known(data.get("verdict"), VERDICTS), _source(data)] += 1
            case "action" if what in ("skipped", "unknown"):
                self.runs[(what,)] += 1
            case "action" if what == "finished":
                outcome = data.get("outcome")
                ok = isinstance(outcome, dict) and bool(outcome.get("ok"))
                self.runs[("done" if ok else "failed",)] += 1
            case "grant" if what in ("made", "used", "revoked"):
                self.grants[(what,)] += 1
            case "queue" if data.get("state") in TASK_ENDS:
                self.tasks[(str(data["state"]),)] += 1
                if isinstance(seconds := data.get("seconds"), int | float):
                    self.tries.add(seconds)
            case "refused":
                self.refusals += 1
            case "notify" if what == "failed":
                self.notify_failures += 1

    def _approval(self, event: Event, what: str, timestamp: str) -> None:
        data = event.data
        if what == "opened":
            self.opened[known(data.get("kind", "run"), KINDS), known(data.get("risk", "low"), RISKS)] += 1
            self.waiting(event.request_id, datetime.fromisoformat(timestamp))
            return
        since = self._since.pop(event.request_id, None)
        if what == "answered":
            door = known(event.origin.door, DOORS) if event.origin else OTHER
            self.settled["approved" if data.get("approved") else "denied", door] += 1
            if since is not None:
                self.waits.add(max((datetime.fromisoformat(timestamp) - since).total_seconds(), 0.0))
        elif what in ENDS:
            self.settled[what, "none"] += 1


def _source(data: dict[str, object]) -> str:
    """What decided, as a kind: a rule's name is the person's own text."""
    where = str(data.get("where") or "")
    if not where:
        return "person" if data.get("rule") == "a person" else OTHER
    word = where.partition(" ")[0]
    return word if word in ("guardrail", "grant", "default", "environment") else "rule"
