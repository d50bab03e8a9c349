"""What a line in a chat runs, and what around it is ours: the session, the wait, good manners. Pure.

Owns where a command begins and ends. It is taken as it was typed, with its quotes, because it is judged as it was
typed; what is ours stands before it, behind it, or around its marks of code. What can be meant in two ways is not run:
a sentence says how it is said instead. Must not own: any other word (chat.py).
"""

from __future__ import annotations

import re
from typing import NamedTuple

WAIT_MS = (0, 3_600_000)
_SPACE = " \t\r\n"
_FLAGS = re.IGNORECASE | re.DOTALL

NAME = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"
QUOTED = rf"(?:{NAME}|\"{NAME}\"|'{NAME}'|`{NAME}`|“{NAME}”|‘{NAME}’|„{NAME}“|«{NAME}»)"
QUOTES = "\"'`“”‘’„«»"
MANNERS = r"(?:please|pls|plz|thanks|thank\s+you|thx|for\s+me)"

_NO_NAMES = r"(?!(?:the|my|an?|new|this|that|same|current|another|tmux|sessions?)\b)"
_BEFORE = r"(?:in|on|inside|within|into|using|via)\s+(?:(?:the|my|your|an?)\s+)?(?:new\s+)?(?:tmux\s+)?"
_IN = (
    rf"(?:{_BEFORE}sessions?(?:\s*[:=]\s*|\s+)(?:(?:called|named)\s+)?(?P<session>{QUOTED})"
    rf"|{_BEFORE}(?P<named>{_NO_NAMES}{QUOTED})\s+session)"
)
_BARE = rf"(?:in|inside|within)\s+(?:the\s+)?(?:tmux\s+)?(?P<bare>{_NO_NAMES}{QUOTED})"
_BARE_ELSEWHERE = _BARE.replace("(?:in|", "(?:in|on|", 1)  # where it is no part of a command
_NUMBERS = {
    **dict.fromkeys(("a", "an", "one"), 1), "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "sixty": 60,
}  # fmt: skip
_KIND = r"(?:ms|milliseconds?|msecs?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)"
_COUNT = rf"(?P<count>\d+(?:\.\d+)?|(?:{'|'.join(_NUMBERS)})(?=\s+{_KIND}))"
_WAITING = r"(?:(?:and|then)\s+)?wait(?:ing)?(?:\s*[:=]\s*|\s+)(?:for\s+)?(?:(?:up\s+to|at\s+most)\s+)?"
_WAIT = rf"{_WAITING}[{QUOTES}]?{_COUNT}\s*(?P<kind>{_KIND})?[{QUOTES}]?"

_TAIL = re.compile(rf"(?:^|\s+)\(?(?:{_IN}|{_WAIT}|(?P<manners>{MANNERS}))\)?[\s,.;!?]*$", _FLAGS)
_HEAD = re.compile(
    rf"(?:{_IN}|{_BARE_ELSEWHERE}|{_WAIT})(?:\s*[,:]\s*|\s+)(?:(?:{MANNERS}|and|then)[\s,]+){{0,2}}", _FLAGS
)
_AROUND = re.compile(
    rf"[\s,.;:!()]*(?:(?:{_IN}|{_BARE_ELSEWHERE}|{_WAIT}|{MANNERS}|and|then|command)(?=[\s,.;:!?()]|$)[\s,.;:!?()]*)",
    _FLAGS,
)
_LEAD = re.compile(
    r"\s*(?:(?:this|that|these|the)\s+(?:following\s+)?(?:shell\s+|terminal\s+)?commands?|(?:the\s+)?following|commands?(?=\s*(?::|$))"
    r"|(?:this|that)(?=\s*(?::|in\b|$)))\b\s*:?[\s,]*",
    _FLAGS,
)
_VERB = re.compile(r"[!/]?(?:run|execute|exec)(?::|(?=[\s`]|$))(?P<rest>.*)", _FLAGS)
_CODE = re.compile(
    r"(?P<before>[^`]*)(?:```(?P<tag>[A-Za-z0-9_+-]*\n)?(?P<block>.*?)\n?```|(?P<mark>``?)(?P<tick>[^`\n]+)(?P=mark))"
    r"(?P<after>[^`]*)",
    re.DOTALL,
)
_THE = re.compile(r"the\s+(?P<command>\S.*?)\s+command", _FLAGS)  # the is no program
_WHOLE = re.compile(r"(?:\"(?P<a>[^\"]+)\"|'(?P<b>[^']+)'|“(?P<c>[^“”]+)”|‘(?P<d>[^‘’]+)’|„(?P<e>[^„“”]+)[“”])")
_NEAR = 240  # characters at a command's end that may be of ours

# What is nearly ours: not run, and not taken for ours.
_UNIT = r"(?:milliseconds?|seconds?|secs?|minutes?|mins?|hours?)"
_NO_WAIT = re.compile(
    rf"\s\(?(?:{_WAITING}(?:[-+]?\d\S*(?:\s+\S+)?|(?:\S+\s+){{0,3}}{_UNIT}|for\s?ever|an?\s+(?:bit|while|moment))"
    r"|with\s+(?:an?\s+)?timeout(?:\s+of)?\s+\S+(?:\s+\S+)?)\)?[\s,.;!?]*$",
    _FLAGS,
)
_NO_SESSION = re.compile(
    r"\s\(?(?:in|on|inside|within|using)\s+(?:the\s+|my\s+|an?\s+)?(?:new\s+|same\s+|other\s+)?(?:tmux\s+)?sessions?"
    r"(?:\s+(?:called\s+|named\s+)?(?P<name>[^\s,;!?)]+))?\)?[\s,.;!?]*$",
    _FLAGS,
)
_NO_WORD = re.compile(rf"(?:^|\s){_BARE}[\s,.;!?]*$", _FLAGS)
_AMID = re.compile(
    rf"\s(?P<said>(?:in|on)\s+(?:the\s+)?(?:tmux\s+)?sessions?\s+{QUOTED}|wait\s+\d+\s*{_KIND})[\s,.;!]", _FLAGS
)
_MARKS = "where that belongs to the command, put the command between backticks"


class Ran(NamedTuple):
    """`command` is shell text, verbatim. `session` empty and `wait_ms` None where nothing was said of them."""

    command: str
    session: str
    wait_ms: int | None


def read(text: str, *, asked: bool) -> Ran | str | None:
    """What is to be run; a sentence where that cannot be told; None where the text runs nothing. `asked`: it began as a
    question does ("could you"), whose mark is then not the command's."""
    session, wait = "", None
    text = _bare(text)
    while (verb := _VERB.fullmatch(text)) is None:
        head = _HEAD.match(text)
        if head is None or (_said(head) and session) or (head["count"] and wait is not None):
            return None
        session, wait = _said(head) or session, _ms(head) if head["count"] else wait
        text = text[head.end() :]
    rest = verb["rest"]
    return _marked(rest, session, wait) or _undelimited(rest.rstrip(f"{_SPACE}?") if asked else rest, session, wait)


def _bare(line: str) -> str:
    """A line without quotes, or marks of code, around all of it. What runs nothing is not read like that: quoted, an
    answer may be somebody else's."""
    found = _WHOLE.fullmatch(line.rstrip()) or re.fullmatch(r"`(?P<a>[^`]+)`", line.rstrip())
    return next(filter(None, found.groups())) if found else line


def _ms(found: re.Match[str]) -> int:
    """Milliseconds, where nothing else is said; an hour and more is too long, however many digits it has."""
    kind = (found["kind"] or "").lower()
    unit = "ms" if kind.startswith(("ms", "mil")) else kind[:1]
    count = _NUMBERS.get(found["count"].lower()) or float(found["count"][:20])
    return int(min(count * {"": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[unit], WAIT_MS[1] + 1))


# --- between marks of code ---------------------------------------------------------------------------


def _marked(rest: str, session: str, wait: int | None) -> Ran | str | None:
    """A command between marks; None where it has none, or where they are its own: `date` within a command."""
    code = _CODE.fullmatch(rest)
    if code is None or "```" in (code["block"] or "") or len(code["before"]) + len(code["after"]) > _NEAR:
        if "```" not in rest and rest.lstrip()[:1] != "`":
            return None
        ended = rest.count("```") > 1 or "```" not in rest
        return "there are several blocks of code: run one at a time" if ended else "a block of code has no end"
    before = _LEAD.sub("", code["before"], count=1)
    around = _clauses(f"{before} {code['after']}", session, wait)
    if around is not None:
        return _checked(_block(code), *around)
    if before.strip(f"{_SPACE},:") and code["tick"] is not None:
        return None
    return "beside a command between backticks only its session and its wait are said (in session dev wait 5s)"


def _block(code: re.Match[str]) -> str:
    if code["tick"] is not None:
        return code["tick"]
    tag, block = code["tag"] or "", code["block"]
    return block or tag.rstrip("\n")  # ```ls``` over two lines: what looks like the name of a language is all there is


def _clauses(text: str, session: str, wait: int | None) -> tuple[str, int | None] | None:
    """The session and the wait of a text that says nothing else; None where it does, or says one twice."""
    at = 0
    while text[at:].strip(f"{_SPACE},.;:!?()"):
        found = _AROUND.match(text, at)
        if found is None or (_said(found) and session) or (found["count"] and wait is not None):
            return None
        session = _said(found) or session
        wait = _ms(found) if found["count"] else wait
        at = found.end()
    return session, wait


# --- without marks -----------------------------------------------------------------------------------


def _undelimited(rest: str, session: str, wait: int | None) -> Ran | str:
    """A command without marks around it: what it ends with may be of ours, in any order."""
    lead = _LEAD.match(rest)
    rest = rest[lead.end() :] if lead else rest
    if not session and (head := _HEAD.match(rest.lstrip())):
        session, rest = _said(head), rest.lstrip()[head.end() :]
    ours = False
    while (tail := _at_end(_TAIL, rest)) is not None:
        if (_said(tail) and session) or (tail["count"] and wait is not None):
            return f"that names two sessions, or two waits; {_MARKS}"
        session = _said(tail) or session
        wait = _ms(tail) if tail["count"] else wait
        rest, ours = rest[: tail.start()], True
    command = _verbatim(rest)
    if the := _THE.fullmatch(command):
        command = the["command"]
    if why := _doubt(command, session, ours=ours):
        return why
    return _checked(_unquoted(command.removesuffix(",") if ours else command), session, wait)


def _doubt(command: str, session: str, *, ours: bool) -> str:
    """Why it is not clear where a command ends; "" where it is. `ours`: something of ours stood behind it."""
    if ours and command.endswith((";", "&", "|")):
        return f"what stands behind {command[-1]} is the command's as well as ours; {_MARKS}"
    if ours and re.search(r"(?:^|\s)(?:-[A-Za-z])?,$", command):
        return f"the comma may be the command's; {_MARKS}"
    if (found := _at_end(_NO_WAIT, command)) and not command[: found.start()].endswith((";", "&", "|")):
        return f"{found[0].strip()}: a wait is said as wait 5s, wait 2 min, or wait 5000 (milliseconds); {_MARKS}"
    if not session and (found := _at_end(_NO_SESSION, command)):
        name = found["name"]
        why = f"{name} is no name of a session (letters, digits, - and _)" if name else "which session? in session NAME"
        return f"{why}; {_MARKS}"
    if not session and (found := _at_end(_NO_WORD, command)):
        return f"for a session say in session {found['bare'].strip(QUOTES)}; {_MARKS}"
    if found := _AMID.search(command, max(0, len(command) - _NEAR)):
        return f"{found['said']} has to stand at the end of a line; {_MARKS}"
    whole = _WHOLE.fullmatch(command)
    if whole and any(whole[one] and re.match(r"\S*/\S*\s", whole[one]) for one in "ab"):
        return "that is one word to the shell, in quotes: leave them away, or put the command between backticks"
    return ""


def _at_end(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    bare = text.rstrip(_SPACE)
    return pattern.search(bare, max(0, len(bare) - _NEAR))


def _said(found: re.Match[str] | None) -> str:
    """The session that is named."""
    if found is None:
        return ""
    name = found["session"] or found["named"] or (found["bare"] if "bare" in found.re.groupindex else "")
    return (name or "").strip(QUOTES)


def _unquoted(command: str) -> str:
    """Without quotes around all of it: “ls -la”, and "ls -la", which no shell would take for a program's name."""
    whole = _WHOLE.fullmatch(command)
    inside = next(filter(None, whole.groups()), "") if whole else ""
    typographic = whole is not None and command[0] not in "\"'"
    return inside if typographic or re.match(r"[A-Za-z0-9_.+-]+\s", inside) else command


def _verbatim(text: str) -> str:
    """Without what is around it; a blank that a backslash keeps stays."""
    kept = text.strip()
    slashes = len(kept) - len(kept.rstrip("\\"))
    behind = text.lstrip()[len(kept) :]
    return kept + behind[0] if slashes % 2 and behind[:1] in (" ", "\t") and behind else kept


def _checked(command: str, session: str, wait: int | None) -> Ran | str:
    if not command.strip():
        return "run what? run COMMAND [in session NAME] [wait 5s]"
    if wait is not None and not WAIT_MS[0] <= wait <= WAIT_MS[1]:
        return "a wait is an hour at the most"
    return Ran(command, session, wait)
