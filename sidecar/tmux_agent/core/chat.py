"""The words that a chat is spoken to in: a line in, what it asks for out. Pure.

Owns the grammar: forgiving in its own words (case, punctuation, quotes, articles, "please"). What can be meant in two
ways, or is misspelt, is not done: `Unclear` says one thing about it. Must not own: what is run of a line
(chat_run.py), who may say it (services/chats.py), what it does (edges/chat.py), how an answer looks (chat_text.py).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from functools import partial

from msgspec import Struct

from . import chat_run
from .chat_run import MANNERS, QUOTED, QUOTES

LONGEST = 16_000  # characters of one line


class Said(Struct, frozen=True):
    """Base of what a line may ask for."""


class Run(Said, frozen=True):
    """`command` is shell text, verbatim. `session` empty and `wait_ms` None where nothing was said of them."""

    command: str
    session: str = ""
    wait_ms: int | None = None


class Create(Said, frozen=True):
    session: str


class Output(Said, frozen=True):
    """`session` empty: the one that was used last."""

    session: str = ""
    lines: int | None = None


class Sessions(Said, frozen=True):
    pass


class Kill(Said, frozen=True):
    session: str


class Interrupt(Said, frozen=True):
    id: str


class Pending(Said, frozen=True):
    pass


class Status(Said, frozen=True):
    """`id` empty: what the same person asked for last."""

    id: str = ""


class Answer(Said, frozen=True):
    """`rest`: words behind the id: an option, or why."""

    approved: bool
    id: str
    rest: str = ""


class Help(Said, frozen=True):
    pass


class Unclear(Said, frozen=True):
    """Not understood. `why` is a sentence for whoever typed it; what they typed in it is raw."""

    why: str


# --- pieces ------------------------------------------------------------------------------------------

_FLAGS = re.IGNORECASE | re.DOTALL
_UNSEEN = re.compile(r"[\s\u200b\u2060\ufeff]*")
_SHORT = 2000  # characters of a line that runs nothing
_GREETING = r"(?:(?:hey|hi|hello|ok|okay|yo|dear)[\s,!]+)?"
_STOPS = r"[\s,:;!?.–—…，：！？-]"
_POLITE = re.compile(
    rf"(?:{MANNERS}|kindly|(?P<asks>(?:can|could|would|will)\s+you)|let['’]?s|go\s+ahead\s+and|now|just|and|then"
    r"|i(?:\s+(?:want|need|would\s+like)|['’]d\s+like)(?:\s+you)?\s+to)[\s,:]+",
    _FLAGS,
)
_ENDS = rf"[\s,.;:!?]+(?:{MANNERS}|now)"
_FILL = (
    r"(?:(?:the|an?|me|my|us|your|all|any|some|is|are|there|of|tmux|currently|active|open|running|existing|new|last"
    r"|latest|recent|current)\s+)*"
)
_SHOW = (
    r"(?:(?:show|list|get|print|see|view|display|read|give|tell|check|capture|which|what(?:['’]?s|\s+is|\s+was)?)\s+)?"
    + _FILL
)
_ID = r"[#`\"'“(\[<]*(?P<id>[A-Za-z0-9]{4,26})(?![A-Za-z0-9])[`\"'”)\]>]*"
_OF = r"(?:\s*:)?(?:\s+(?:of|for|on|with|to))?(?:\s+the)?(?:\s+(?:request|command|job))?(?:\s+(?:id|number))?"
_OF += r"(?:\s*:\s*|\s+)"

_ONE_SESSION = (
    rf"{_FILL}(?:sessions?(?:\s+(?:called|named))?(?=[\s:,]|$)[\s:,]*(?P<name>.*)|(?P<before>\S+)\s+session)"
)
_CREATE = re.compile(
    rf"(?:(?:create|make|start|open|add|spawn|launch|begin|set\s+up)\s+|(?=(?:an?\s+)?new\s)){_ONE_SESSION}", _FLAGS
)
_KILL = re.compile(
    rf"(?:kill|close|end|delete|remove|terminate|destroy|drop)\s+{_ONE_SESSION}", _FLAGS
)
_LINES = r"(?P<lines>\d{1,6})\s+lines?"
_FROM = rf"(?:(?:\s+(?:from|of|in|for|on)\s+{_FILL}(?:sessions?[\s:]+)?|\s+session\s+)(?P<name>\S.*))?"
_OUTPUTS = [
    re.compile(one, _FLAGS)
    for one in (
        rf"{_SHOW}(?:{_LINES}\s+{_FILL})?(?:outputs?|logs?){_FROM}",
        rf"{_SHOW}{_LINES}{_FROM}",
        rf"{_SHOW}(?P<name>\S+?)(?:['’]s)?\s+(?:session(?:['’]s)?\s+)?outputs?",
        rf"(?:show|view|see|display|read)\s+{_FILL}session\s+(?P<name>\S.*)",
    )
]
_LIST = re.compile(
    rf"{_SHOW}(?:list\s+of\s+{_FILL})?sessions?(?:\s+(?:list|are\s+\w+|exist|do\s+(?:i|you|we)\s+have))?", _FLAGS
)
_ASKED = r"(?:requests?|approvals?|questions?|anything|something)"
_PENDING = re.compile(
    rf"{_SHOW}(?:(?:pending|waiting|outstanding)(?:\s+{_ASKED})?|requests|approvals|questions"
    rf"|{_ASKED}\s+(?:(?:is|are|that|which)\s+)*(?:pending|waiting|open|waits?)"
    r"|needs?\s+(?:an?\s+|my\s+)?(?:approval|approving|answer|yes|answering))(?:\s+for\s+(?:me|us|approval))?",
    _FLAGS,
)
_STATUS = re.compile(
    rf"(?:{_SHOW}(?:status|state|details?|results?|outcome|progress)|(?:show|view|see)\s+{_FILL}request"
    rf"|what\s+(?:came|became|happened|came\s+out)|(?:show|check|view|see|how\s+is)(?={_OF}\W*\w*\d))"
    rf"(?:{_OF}{_ID})?(?:\s+(?:doing|going))?",
    _FLAGS,
)
_INTERRUPT = re.compile(rf"(?:interrupt|stop|cancel|abort|ctrl-c){_OF}{_ID}", _FLAGS)
_YES = ("approve", "approved", "allow", "accept", "confirm")
_NO = ("deny", "denied", "reject", "refuse", "decline")
_ANSWER = re.compile(
    rf"(?:i\s+)?(?P<verb>{'|'.join((*_YES, *_NO))}){_OF}{_ID}[\s,.:;!–—-]*(?P<rest>.*)",
    _FLAGS,
)
_MORE_IDS = re.compile(
    r"(?:(?:and|or|,|&)?\s*#?(?=[A-Z]*\d)(?=\d*[A-Z])[0-9A-HJKMNP-TV-Z]{6,26}[\s,.!]*)+", re.IGNORECASE
)
_HELP = re.compile(
    r"help(?:\s+\w+)?|commands|usage|what\s+(?:can|do|could)\s+(?:you|i|we)\s+(?:do|say|ask)(?:\s+here)?"
    r"|how\s+(?:do|does)\s+(?:this|it|you)\s+work",
    _FLAGS,
)

USAGE = {
    "run": "run COMMAND [in session NAME] [wait 5s]",
    "create": "create session NAME",
    "show": "show output [from NAME]",
    "list": "list sessions",
    "kill": "kill session NAME",
    "pending": "pending",
    "status": "status [ID]",
    "approve": "approve ID [OPTION, or a comment]",
    "deny": "deny ID [REASON]",
    "interrupt": "interrupt ID",
    "help": "help",
}
_SAME = {
    **dict.fromkeys(("execute", "exec"), "run"),
    **dict.fromkeys(("new", "make", "start", "open", "spawn", "launch"), "create"),
    **dict.fromkeys(("close", "delete", "remove", "terminate", "end", "destroy"), "kill"),
    **dict.fromkeys(("allow", "accept", "approved", "confirm", "yes", "ok", "okay"), "approve"),
    **dict.fromkeys(("reject", "refuse", "denied", "decline", "no"), "deny"),
    **dict.fromkeys(("stop", "cancel", "abort"), "interrupt"),
    **dict.fromkeys(("output", "get", "print", "view", "see", "read", "display", "tail"), "show"),
    **dict.fromkeys(("sessions",), "list"),
    **dict.fromkeys(("requests", "approvals"), "pending"),
}


# --- reading -----------------------------------------------------------------------------------------


def read(text: str, name: str = "") -> Said:
    """What a line asks for. `name`: what the bot is called, with which a line may begin. Never raises."""
    if len(text) > LONGEST:
        return Unclear(f"that is over {LONGEST} characters: put it into a file and run that")
    words, asks = _addressed(text.replace("\r\n", "\n"), name)
    ran = chat_run.read(words, asked=asks)
    if ran is not None:
        return Unclear(ran) if isinstance(ran, str) else Run(*ran)
    words = " ".join(words.split())
    if len(words) > _SHORT:
        return Unclear("that is too long: only what is run may be")
    bare = _bare(words, name)
    if not bare:
        return Help() if "?" in words else Unclear("nothing was asked: say help to see what can be")
    return _answer(words) or _session(bare) or _request(bare) or _not_known(bare)


def _addressed(text: str, name: str) -> tuple[str, bool]:
    """Without the bot's name and good manners at the beginning; whether it is put as a question ("could you")."""
    names = rf"@?{re.escape(name)}|" if name else ""
    called = re.compile(rf"{_GREETING}(?:{names}<@!?\d{{1,25}}>)(?:{_STOPS}+|$)", _FLAGS)
    asks = False
    while True:
        text = _UNSEEN.sub("", text, count=1)
        found = called.match(text) or _POLITE.match(text)
        if found is None:
            return text, asks
        asks = asks or bool(found.groupdict().get("asks"))
        text = text[found.end() :]


def _bare(words: str, name: str) -> str:
    """Without punctuation, manners and the bot's name at the end."""
    names = rf"|[\s,]+@?{re.escape(name)}" if name else ""
    end = re.compile(rf"(?:{_ENDS}{names})$", _FLAGS)
    while True:
        words = words.rstrip(" .,;:!?")
        found = end.search(words, max(0, len(words) - 100))
        if found is None:
            return "" if re.fullmatch(rf"{MANNERS}|now", words, _FLAGS) else words
        words = words[: found.start()]


def _session(words: str) -> Said | None:
    """What is said of sessions."""
    if found := _CREATE.fullmatch(words):
        return _named(found["before"] or found["name"], "create", Create)
    if found := _KILL.fullmatch(words):
        return _named(found["before"] or found["name"], "kill", Kill)
    if _LIST.fullmatch(words):
        return Sessions()
    for one in _OUTPUTS:
        if found := one.fullmatch(words):
            lines = found.groupdict().get("lines")
            output = partial(Output, lines=int(lines) if lines else None)
            return _named(found["name"], "show", output) if found["name"] else output()
    return None


def _named(text: str, verb: str, said: Callable[[str], Said]) -> Said:
    """What is said of one session, if that is a name."""
    found = re.fullmatch(rf"(?P<name>{QUOTED})(?:\s+session)?", text, _FLAGS)
    if found is not None and found["name"].lower() not in ("session", "sessions"):
        return said(found["name"].strip(QUOTES))
    if found is not None or not text:
        return Unclear(f"which session? {USAGE[verb]}")
    if re.fullmatch(rf"{QUOTED}(?:(?:\s*,\s*|\s+and\s+|\s*&\s*){QUOTED})+", text, _FLAGS):
        return Unclear(f"one session at a time: {USAGE[verb]}")
    return Unclear(f"{text} is no name of a session (letters, digits, - and _)")


def _answer(words: str) -> Said | None:
    """An answer to a request, with what stands behind its id as it was typed."""
    found = _ANSWER.fullmatch(words)
    if found is None:
        return None
    approved = found["verb"].lower() in _YES
    if _MORE_IDS.fullmatch(found["rest"]):
        return Unclear(f"one request at a time: {USAGE['approve' if approved else 'deny']}")
    rest = _bare(found["rest"], "")
    return Answer(approved=approved, id=found["id"].upper(), rest=rest if approved or not rest else found["rest"])


def _request(words: str) -> Said | None:
    """What else is said of requests, and of what was asked for."""
    if _HELP.fullmatch(words):
        return Help()
    if _PENDING.fullmatch(words):
        return Pending()
    if found := _STATUS.fullmatch(words):
        return Status((found["id"] or "").upper())
    if found := _INTERRUPT.fullmatch(words):
        return Interrupt(found["id"].upper())
    return None


def _not_known(words: str) -> Unclear:
    """Says how the first word of ours that is in it is said, or what a misspelt one may have been."""
    typed = re.findall(r"[^\s:,.!?`]+", words.lower())
    verb = _SAME.get(typed[0], typed[0]) if typed else ""
    if verb == "interrupt" and "session" in typed:
        return Unclear(f"{USAGE['interrupt']} ends a command, {USAGE['kill']} all of a session")
    if verb in USAGE:
        return Unclear(f"that is not how it is said: {USAGE[verb]}")
    inside = next((_SAME.get(one, one) for one in typed if _SAME.get(one, one) in USAGE), "")
    near = difflib.get_close_matches(verb[:40], [*USAGE, *_SAME], n=1, cutoff=0.75 if inside else 0.6)
    if near and verb not in ("how", "hello", "is"):
        return Unclear(f"did you mean: {near[0]}{words[len(verb) :][:200]}")
    if inside:
        return Unclear(f"I do not understand that; if you meant {inside}: {USAGE[inside]}")
    return Unclear("I do not understand that: say help to see what can be asked")
