"""An approval as text for people who are not in front of the popup: all that is asked, by whom, why, until when.

Owns which facts those are, that secrets are taken out and nothing odd is in them, and how long the text may be. Must
not own: the form (answer_file.py, edges/links.py). Where something had to be left out, nobody may say yes to it there.
"""

from __future__ import annotations

import shlex
from datetime import tzinfo

from msgspec import Struct

from . import display
from .blocks import blocks
from .model import Approval, Ask, JudgedPart
from .redact import redact_text
from .wording import person, tilde, verb

LIMIT = 64 << 10  # characters of what is asked; the popup shows more
PARTS = 100


class Sheet(Struct, frozen=True, kw_only=True):
    """Safe texts. `body` has lines, the rest has none. `only_no`: why a yes is not to be given here; "" where it is."""

    title: str  # who wants what, the beginning of the sentence that `body` ends
    body: str
    facts: tuple[tuple[str, str], ...]  # label, what
    options: tuple[str, ...] = ()
    only_no: str = ""


def sheet(approval: Approval, zone: tzinfo, home: str = "") -> Sheet:
    """What a person has to know. `zone`: of the times in it."""
    origin, action = approval.origin, approval.action
    raw = "\n".join(text for text, _ in blocks(action, approval.preview, origin.cwd, home))
    left_out = max(0, len(raw) - LIMIT)
    body = _safe(raw[:LIMIT], newlines=True)
    only_no = ""
    if left_out:
        body += f"\n… {display.number(left_out)} more characters"
        only_no = "it is too long to be shown whole here: say yes in the popup"
    elif approval.step_up:
        only_no = f"a yes needs a proof ({_safe(shlex.join(approval.step_up))}): give it in the popup"
    return Sheet(
        title=f"{_safe(person(origin))} {verb(approval)}",
        body=body,
        facts=tuple((label, what) for label, what in _facts(approval, zone, home) if what),
        options=tuple(_safe(one) for one in action.options) if isinstance(action, Ask) else (),
        only_no=only_no,
    )


def _facts(approval: Approval, zone: tzinfo, home: str) -> list[tuple[str, str]]:
    origin = approval.origin
    folder = getattr(approval.action, "cwd", "") or origin.cwd
    until = approval.expires.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z") if approval.expires else ""
    ends = {"allow": "then it is allowed", "deny": "then it is denied"}.get(approval.on_timeout.value, "")
    unruled = approval.rule in ("", "unmatched")
    return [
        ("risk", "question" if approval.kind == "question" else approval.risk.value),
        ("folder", _safe(tilde(folder, home)) if approval.kind != "question" else ""),
        ("branch", _safe(origin.branch)),
        ("pane", _safe(" ".join(filter(None, (origin.place, origin.pane))))),
        ("because", _safe(approval.reason)),
        *(("part", _part(one)) for one in approval.parts[:PARTS]),
        ("parts", f"{len(approval.parts) - PARTS} more" if len(approval.parts) > PARTS else ""),
        ("rule", "no rule knows it" if unruled else _safe(f"{approval.rule} ({approval.where})")),
        ("expires", ", ".join(filter(None, (until, ends))) if until else ""),
        ("request", approval.request_id),
        ("digest", approval.digest),
    ]


def _part(part: JudgedPart) -> str:
    why = part.reason or part.rule
    return display.middle(_safe(part.source[:4000]), 200) + f": {part.risk.value}{', ' + _safe(why) if why else ''}"


def _safe(text: str, *, newlines: bool = False) -> str:
    return display.safe(redact_text(text), newlines=newlines)
