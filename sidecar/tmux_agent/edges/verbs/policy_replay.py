"""`tmux-agent policy replay`: the decisions in the audit log, judged anew, and which of them would be others.

The same for a recorded session (replay.py). Owns reading the log for this and the report. Must not own judging. Facts
are those of now: a file that has gone since, or a repository that has changed, may explain a difference.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from ...core.display import safe
from ...core.model import Action
from ...core.rules import Asker
from ...services import places
from ...services.judgement import Judgement, worktree_of

DECIDED = ("decision", "approval.opened")  # records that hold an action and what was decided
_SPAN = re.compile(r"(\d+)([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def replay(judgement: Judgement, args: argparse.Namespace) -> int:
    """Print each decision that would be another; exit code 1 where there are any, 2 for wrong usage."""
    since = _since(args.since)
    if args.since and since is None:
        print(f"--since {args.since}: say 7d, 12h, 30m or 2w")
        return 2
    audit = Path(args.audit) if args.audit else places.find(os.environ).audit("")
    if not audit.is_file():
        print(f"there is no audit log at {audit}")
        return 2
    return compare(judgement, _decisions(audit, since), args.json)


def compare(judgement: Judgement, records: Iterable[dict[str, Any]], as_json: bool) -> int:
    """Judge the decisions among these records anew, print each that would be another; exit code 1 where any would."""
    total = changed = 0
    for record in records:
        judged = _again(judgement, record) if record.get("type") in DECIDED else None
        if judged is None:
            continue
        total += 1
        before, now, reason = judged
        if before == now:
            continue
        changed += 1
        what = _what(record["data"]["action"])
        if as_json:
            at = {"at": record["at"]} if "at" in record else {}
            line = {"seq": record.get("seq"), **at, "before": before, "now": now, "reason": reason, "action": what}
            print(msgspec.json.encode(line).decode())
        else:
            when = f"{record['at']:>11.3f}" if "at" in record else record.get("timestamp", "")
            print(f"{when}  {before:5} → {now:5}  {safe(what)}  {safe(reason)}".rstrip())
    if not as_json:
        print(f"{total} decisions judged anew, {changed} would be others")
    return 1 if changed else 0


def _since(text: str) -> datetime | None:
    found = _SPAN.fullmatch(text)
    return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


def _decisions(audit: Path, since: datetime | None) -> Iterator[dict[str, Any]]:
    with audit.open("rb") as file:
        for line in file:
            try:
                record = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # a torn line is for `audit verify` to report
            if not isinstance(record, dict) or record.get("type") not in DECIDED:
                continue
            if since is None or str(record.get("timestamp", "")) >= since.isoformat()[:19]:
                yield record


def _again(judgement: Judgement, record: dict[str, Any]) -> tuple[str, str, str] | None:
    """(verdict then, verdict now, reason now); None for a record that holds no action."""
    data = record.get("data") or {}
    try:
        action = msgspec.convert(data["action"], Action)
    except (KeyError, msgspec.ValidationError):
        return None
    before = str(data.get("verdict", "ask"))
    origin = record.get("origin") or {}
    folder = origin.get("worktree") or origin.get("cwd") or worktree_of(str(getattr(action, "cwd", "") or "/"))
    asker = Asker(agent=str(origin.get("agent") or ""), session=str(origin.get("session") or ""))
    decision = judgement.judge_at(action, str(folder), (), asker).decision
    return before, decision.verdict.value, decision.reason or decision.rule


def _what(action: dict[str, Any]) -> str:
    if action.get("type") == "command":
        return " ".join(map(str, action.get("argv", ())))
    return str(
        action.get("text") or action.get("path") or action.get("name") or action.get("url") or action.get("type")
    )
