"""Approval files: what they are called, what they say, and what a person wrote into one.

Every line that we write begins with `#`, and whoever reads an answer passes those by: nothing that an agent asks can be
taken for its answer. Owns this form. Must not own: where the files are, who may write them (services/answer_files.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .display import safe, take
from .errors import InvalidParams
from .model import Approval, Ask, Stage
from .sheet import Sheet

ANSWER_CHARS = 64 << 10  # of a file that is read, besides what we wrote into it
COMMENT_CHARS = 4096
_WORDS = {"approve": True, "reject": False, "deny": False}
_NAME = re.compile(r"[A-Za-z0-9.-]{1,40}__[A-Za-z0-9.-]{1,60}__([0-9A-HJKMNP-TV-Z]{26})-([0-9a-f]{16})\.txt")


class Reply(NamedTuple):
    """What a file answers."""

    approved: bool
    comment: str
    choice: str | None


def name(approval: Approval) -> str:
    """`pane7__build__ID-DIGEST.txt`: the request, and the beginning of the digest of what the file shows."""
    action = approval.action
    what = type(action).__struct_config__.tag
    if isinstance(action, Stage):
        what = action.stage
    elif isinstance(action, Ask):
        what = action.action_type or "question"
    pane = f"pane{approval.origin.pane.lstrip('%')}" if approval.origin.pane else "nopane"
    return f"{_slug(pane, 40)}__{_slug(str(what), 60)}__{approval.request_id}-{approval.digest[:16]}.txt"


def _slug(text: str, limit: int) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text)[:limit] or "-"


def read_name(text: str) -> tuple[str, str] | None:
    """The request's id and the beginning of its digest; None for a name that is not one of ours."""
    found = _NAME.fullmatch(text)
    return (found[1], found[2]) if found else None


def render(sheet: Sheet, note: str = "") -> str:
    """The file's text; `note`: why what was written into it before is not the answer."""
    lines = [f"NOT ANSWERED: {line}" for line in note.split("\n")] + [""] if note else []
    lines += [f"{sheet.title}:", "", *(f"    {line}" for line in sheet.body.split("\n")), ""]
    lines += [f"    {number}  {option}" for number, option in enumerate(sheet.options, 1)] + [""] * bool(sheet.options)
    width = max(len(label) for label, _ in sheet.facts)
    lines += [f"{label:<{width}}  {what}" for label, what in sheet.facts]
    lines += ["", *_how(sheet)]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines) + "\n"


def _how(sheet: Sheet) -> list[str]:
    yes = "approve NUMBER" if sheet.options else "approve"
    lines = [f"To answer, write one of these into this file and save it; or: echo '{yes}' > FILE"]
    if sheet.only_no:
        lines = ["To answer, write this into this file and save it; or: echo reject > FILE"]
        lines.append(f"    (no approve here: {sheet.only_no})")
    elif sheet.options:
        lines.append("    approve 1          the number of an option above, or all of its text")
    else:
        lines.append("    approve            more words on the line are a comment for the asker")
    return [*lines, "    reject             (or deny) more words on the line say why"]


def read(text: str, options: Sequence[str] = ()) -> Reply | None:
    """The answer in a file; None where there is none yet. Raises InvalidParams for what could be meant in two ways."""
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        return None
    first, *more = lines
    word, _, rest = first.partition(" ")
    approved = _WORDS.get(word.lower())
    if approved is None:
        raise InvalidParams(f"the first word has to be approve, reject or deny, not {safe(take(word, 40))!r}")
    if again := next((line for line in more if line.partition(" ")[0].lower() in _WORDS), None):
        raise InvalidParams(f"two answers: {safe(take(first, 60))!r} and {safe(take(again, 60))!r}; leave one")
    choice = _chosen(rest.strip(), options) if approved and options else None
    comment = "\n".join(filter(None, [*([] if choice else [rest.strip()]), *more]))
    if len(comment) > COMMENT_CHARS:
        raise InvalidParams(f"the comment has more than {COMMENT_CHARS} characters")
    return Reply(approved, comment, choice)


def _chosen(text: str, options: Sequence[str]) -> str:
    """The option of this text or of this number."""
    numbered = text.isascii() and text.isdecimal() and len(text) < 7 and 1 <= int(text) <= len(options)
    meant = {*([text] if text in options else []), *([options[int(text) - 1]] if numbered else [])}
    if len(meant) != 1:
        raise InvalidParams(f"approve has to name one of the {len(options)} options, by its number or its text")
    return meant.pop()
