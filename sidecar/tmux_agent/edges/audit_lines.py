"""An audit record in one line, for people: on the command line and in the popup. Pure, and trusts no member to be what
it should: a log that somebody wrote into is shown, too. Must not own: reading the log (services/audit_log.py).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..core.display import middle, safe

STYLES = {  # by the word that a record ends in, else by its type
    "approval.opened": "pending",
    "approval.expired": "denied",
    "approval.unknown": "error",
    "action.skipped": "ask",
    "action.unknown": "error",
    "audit.damaged": "error",
    "marker.invalid": "error",
    "refused": "denied",
    "policy.error": "error",
    "notify.failed": "error",
    "sidecar.recovered": "ask",
}


_KEYS = {  # what these say, in this order
    "pipeline.run": ("pipeline", "state", "note"),
    "pipeline.stage": ("pipeline", "stage", "state", "reason"),
    "marker.invalid": ("why", "text"),
}
_STATES = {"success": "done", "failed": "error", "unknown": "error", "approval": "pending"}  # of stages, as styles


def plain(record: Any) -> str:
    """Time, type and what it says."""
    _, words = in_words(record)
    return f"{when_of(record)}  {safe(record.type):<18}  {words}".rstrip()


def marker(record: Any) -> str:
    """The record of a marker: its time, and what it says."""
    return f"{when_of(record)}  {in_words(record)[1]}"


def when_of(record: Any) -> str:
    """Its local time, to the second."""
    try:
        return datetime.fromisoformat(record.timestamp).astimezone().strftime("%m-%d %H:%M:%S")
    except ValueError:
        return safe(record.timestamp)


def in_words(record: Any) -> tuple[str, str]:
    """The style of a record and what it says in one line."""
    data = record.data
    verdict = str(data.get("verdict") or "")
    if "approved" in data:
        verdict = "approved" if data["approved"] else "denied"
    outcome = data.get("outcome")
    if isinstance(outcome, dict):
        verdict = "done" if outcome.get("ok") else "error"
        said = [verdict, outcome.get("summary") or outcome.get("error") or ""]
    elif keys := _KEYS.get(record.type):
        verdict = _STATES.get(str(data.get("state", "")), "")
        said = [data.get(key) or "" for key in keys]
    elif record.type == "marker":
        verdict, said = "", _marker(data)
    else:
        more = (str(data.get(key, "")) for key in ("rule", "comment", "note", "why"))
        said = [verdict, _action(data.get("action")), *more]
    style = verdict or STYLES.get(record.type, "")
    return style, middle(safe(" · ".join(str(part) for part in said if part)), 160)


def _marker(data: Any) -> list[Any]:
    """What a pane printed, or what was sent in its place."""
    ok, percent = data.get("ok"), data.get("percent")
    done = "ok" if ok is True else "not ok" if ok is False else ""
    far = f"{percent:.0f} %" if isinstance(percent, int | float) else ""
    return [data.get("kind"), data.get("stage"), done, far, *map(data.get, ("message", "prompt", "path", "url"))]


def _action(action: Any) -> str:
    """An action of a record in few words; its members are not trusted to be what they should."""
    if not isinstance(action, dict):
        return ""
    argv = action.get("argv")
    if isinstance(argv, list) and argv:
        return " ".join(str(word) for word in argv)
    names = ("verb", "text", "prompt", "path", "target", "url", "tool", "name")
    parts = (str(action.get(name) or "") for name in names)
    return " ".join(part for part in parts if part)
