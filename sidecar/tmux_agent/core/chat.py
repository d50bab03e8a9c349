"""The words that a chat is spoken to in: a line in, what it asks for out. Pure.

Owns the grammar: forgiving in its own words (case, punctuation, quotes, "please"), and never in what is run: a
command's text is taken as it was typed, but for the backticks that a chat puts around code, because it is judged as it
was typed. What can be meant in two ways, or is misspelt, is not done: `Unclear` says one thing about it. Must not own:
who may say it (services/chats.py), what it does (edges/chat.py), how an answer looks (chat_text.py).
"""

from __future__ import annotations

import difflib
import re

from msgspec import Struct

LONGEST = 16_000  # characters of one line
WAIT_MS = (0, 3_600_000)
_SPACE = " \t\r\n"


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
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"
_QUOTED = rf"(?:{_NAME}|\"{_NAME}\"|'{_NAME}'|`{_NAME}`|“{_NAME}”|‘{_NAME}’|„{_NAME}“|«{_NAME}»)"
_QUOTES = "\"'`“”‘’„«»"
_KIND = r"(?:ms|milliseconds?|msecs?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)"
_IN = rf"in\s+(?:the\s+)?(?:tmux\s+)?session\s*:?\s+(?P<session>{_QUOTED})"
_WAIT = rf"(?:and\s+)?wait(?:ing)?\s+(?:for\s+|up\s+to\s+)?(?P<count>\d+(?:\.\d+)?)\s*(?P<kind>{_KIND})?"
_MANNERS = r"(?:please|pls|thanks|thank\s+you|thx)"
_TAIL = re.compile(rf"(?:^|\s+)(?:{_IN}|{_WAIT})\s*[,.;!]*(?:\s*{_MANNERS})?[,.;!?]*\s*$", _FLAGS)
_CLAUSES = re.compile(rf"[\s,.;:!]*(?:(?:{_IN}|{_WAIT}|{_MANNERS}|and)(?=[\s,.;:!?]|$)[\s,.;:!?]*)", _FLAGS)
_LEAD = re.compile(r"\s*(?:(?:this|that|these|(?:the\s+)?following)?\s*(?:the\s+)?(?:commands?)?)[\s:,]*$", _FLAGS)
_NO_NAME = re.compile(r"\s+in\s+(?:the\s+)?session\s+(?P<name>\S+)\s*$", _FLAGS)
_CODE = re.compile(
    r"(?P<before>[^`]*)(?:```(?P<tag>[A-Za-z0-9_+-]*\n)?(?P<block>.*?)\n?```|`(?P<tick>[^`\n]+)`)(?P<after>[^`]*)",
    re.DOTALL,
)
_MS = {"": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_GREETING = r"(?:(?:hey|hi|hello|ok|okay|yo)[\s,!]+)?"
_NEAR = 240  # characters at a command's end that may be of ours
_SHORT = 2000  # of a line that runs nothing
_POLITE = re.compile(rf"(?:{_MANNERS}|kindly|(?:can|could|would|will)\s+you|now)[\s,:]+", _FLAGS)
_ID = r"[#`\"'“]?(?P<id>[A-Za-z0-9]{4,26})[`\"'”]?"

_RUN = re.compile(r"(?:run|execute|exec)(?::|(?=[\s`]|$))(?P<rest>.*)", _FLAGS)
_SESSION = r"(?:an?\s+|the\s+)?(?:new\s+)?(?:tmux\s+)?session(?:\s+(?:called|named))?(?=[\s:,]|$)[\s:,]*(?P<name>.*)"
_CREATE = re.compile(rf"(?:(?:create|make|start|open|add)\s+|(?=new\s)){_SESSION}", _FLAGS)
_KILL = re.compile(rf"(?:kill|close|end|delete|remove|terminate)\s+{_SESSION}", _FLAGS)
_OUTPUT = re.compile(
    r"(?:(?:show|get|print|see|view)\s+)?(?:me\s+)?(?:the\s+)?(?:(?:last\s+)?(?P<lines>\d{1,6})\s+lines\s+of\s+)?(?:the\s+)?"
    r"(?:last\s+|latest\s+)?output(?=[\s.!?]|$)(?:\s+(?:from|of|in|for)\s+(?:the\s+)?(?:session\s+)?(?P<name>\S.*))?[.!?\s]*",
    _FLAGS,
)
_LIST = re.compile(
    rf"(?:(?:list|show|get)\s+)?(?:me\s+)?(?:all\s+)?(?:the\s+|my\s+)?(?:(?:active|open|tmux)\s+)*sessions[.!?\s]*{_MANNERS}?[.!]*",
    _FLAGS,
)
_PENDING = re.compile(
    r"(?:(?:list|show|get)\s+)?(?:me\s+)?(?:all\s+)?(?:the\s+)?(?:pending|waiting|approvals|requests|(?:pending|waiting)\s+"
    rf"(?:approvals|requests)|what(?:'s|’s|\s+is)\s+(?:pending|waiting))[.!?\s]*{_MANNERS}?[.!]*",
    _FLAGS,
)
_STATUS = re.compile(rf"(?:status|state|details|show\s+request)(?:\s+of)?(?:\s+request)?(?:\s+{_ID})?[.!?\s]*", _FLAGS)
_INTERRUPT = re.compile(rf"(?:interrupt|stop|cancel)\s+{_ID}[.!?\s]*", _FLAGS)
_ANSWER = re.compile(
    rf"(?P<verb>approve|allow|accept|deny|reject|refuse)\s+(?:request\s+)?{_ID}(?![A-Za-z0-9])[\s,.:;!–—-]*(?P<rest>.*)",
    _FLAGS,
)
_HELP = re.compile(r"(?:help|commands|usage|\?+|what\s+can\s+you\s+do)(?:\s+me)?[.!?\s]*", _FLAGS)

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
    **dict.fromkeys(("new", "make", "start", "open"), "create"),
    **dict.fromkeys(("close", "delete", "remove", "terminate", "end"), "kill"),
    **dict.fromkeys(("allow", "accept"), "approve"),
    **dict.fromkeys(("reject", "refuse"), "deny"),
    **dict.fromkeys(("stop", "cancel"), "interrupt"),
    **dict.fromkeys(("output", "get", "print", "view", "see"), "show"),
    **dict.fromkeys(("sessions",), "list"),
}


# --- reading -----------------------------------------------------------------------------------------


def read(text: str, name: str = "") -> Said:
    """What a line asks for. `name`: what the bot is called, with which a line may begin. Never raises."""
    if len(text) > LONGEST:
        return Unclear(f"that is over {LONGEST} characters: put it into a file and run that")
    words = _addressed(text.replace("\r\n", "\n").lstrip(), name)
    if found := _RUN.fullmatch(words):
        return _run(found["rest"])
    words = " ".join(words.split())
    if not words:
        return Unclear("nothing was asked: say help to see what can be")
    if len(words) > _SHORT:
        return Unclear("that is too long: only what is run may be")
    return _session(words) or _answer(words) or _not_known(words)


def _addressed(text: str, name: str) -> str:
    """Without the bot's name and good manners at the beginning."""
    names = rf"@?{re.escape(name)}|" if name else ""
    called = re.match(rf"{_GREETING}(?:{names}<@!?\d{{1,25}}>)(?:[\s,:;!.–—-]+|$)", text, _FLAGS)
    text = text[called.end() :] if called else text
    while (polite := _POLITE.match(text)) is not None:
        text = text[polite.end() :]
    return text


def _run(rest: str) -> Said:
    code = _CODE.fullmatch(rest)
    if code is not None and "```" not in (code["block"] or "") and len(code["before"]) + len(code["after"]) <= _NEAR:
        before = "" if _LEAD.fullmatch(code["before"]) else code["before"]
        clauses = _clauses(f"{before} {code['after']}")
        if clauses is not None:
            return _checked(_block(code), *clauses)
    if rest.count("```") > 2:
        return Unclear("there are several blocks of code: run one at a time")
    return _undelimited(rest)


def _block(code: re.Match[str]) -> str:
    if code["tick"] is not None:
        return code["tick"]
    tag, block = code["tag"] or "", code["block"]
    return block or tag.rstrip("\n")  # ```ls``` over two lines: what looks like the name of a language is all there is


def _clauses(text: str) -> tuple[str, int | None] | None:
    """The session and the wait of a text that says nothing else; None where it does."""
    session, wait, at = "", None, 0
    while text[at:].strip(f"{_SPACE},.;:!?"):
        found = _CLAUSES.match(text, at)
        if found is None or (found["session"] and session) or (found["count"] and wait is not None):
            return None
        session = _unquoted(found["session"]) or session
        wait = _ms(found) if found["count"] else wait
        at = found.end()
    return session, wait


def _undelimited(rest: str) -> Said:
    """A command without marks around it: what it ends with may be of ours, in either order."""
    session, wait = "", None
    while (tail := _at_end(_TAIL, rest)) is not None:
        if (tail["session"] and session) or (tail["count"] and wait is not None):
            break
        session = _unquoted(tail["session"]) or session
        wait = _ms(tail) if tail["count"] else wait
        rest = rest[: tail.start()]
    if not session and (odd := _at_end(_NO_NAME, rest)):
        return Unclear(
            f"{odd['name']} is no name of a session (letters, digits, - and _); if that belongs to the command, put "
            "the command between backticks"
        )
    return _checked(_verbatim(rest), session, wait)


def _at_end(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    bare = text.rstrip(_SPACE)
    return pattern.search(bare, max(0, len(bare) - _NEAR))


def _verbatim(text: str) -> str:
    """Without what is around it; a blank that a backslash keeps stays."""
    kept = text.strip(_SPACE)
    slashes = len(kept) - len(kept.rstrip("\\"))
    behind = text.lstrip(_SPACE)[len(kept) :]
    return kept + behind[0] if slashes % 2 and behind[:1] in (" ", "\t") and behind else kept


def _checked(command: str, session: str, wait: int | None) -> Said:
    if not command.strip():
        return Unclear(f"run what? {USAGE['run']}")
    if wait is not None and not WAIT_MS[0] <= wait <= WAIT_MS[1]:
        return Unclear("a wait is an hour at the most")
    return Run(command=command, session=session, wait_ms=wait)


def _ms(found: re.Match[str]) -> int:
    """Milliseconds, where nothing else is said; an hour and more is too long, however many digits it has."""
    kind = (found["kind"] or "").lower()
    unit = "ms" if kind.startswith(("ms", "mil")) else kind[:1]
    return int(min(float(found["count"][:20]) * _MS[unit], WAIT_MS[1] + 1))


def _unquoted(name: str | None) -> str:
    return (name or "").strip(_QUOTES)


def _session(words: str) -> Said | None:
    """What is said of sessions."""
    if found := _CREATE.fullmatch(words):
        name = _name(found["name"], "create")
        return name if isinstance(name, Unclear) else Create(name)
    if found := _KILL.fullmatch(words):
        name = _name(found["name"], "kill")
        return name if isinstance(name, Unclear) else Kill(name)
    if _LIST.fullmatch(words):
        return Sessions()
    if found := _OUTPUT.fullmatch(words):
        name = _name(found["name"], "show") if found["name"] else ""
        lines = int(found["lines"]) if found["lines"] else None
        return name if isinstance(name, Unclear) else Output(session=name, lines=lines)
    return None


def _name(text: str, verb: str) -> str | Unclear:
    found = re.fullmatch(rf"(?P<name>{_QUOTED})[\s.,!?]*(?:{_MANNERS})?[\s.!]*", text, _FLAGS)
    if found is not None:
        return _unquoted(found["name"])
    if not text:
        return Unclear(f"which session? {USAGE[verb]}")
    return Unclear(f"{text} is no name of a session (letters, digits, - and _)")


def _answer(words: str) -> Said | None:
    """What is said of requests."""
    if _HELP.fullmatch(words):
        return Help()
    if _PENDING.fullmatch(words):
        return Pending()
    if found := _ANSWER.fullmatch(words):
        approved = found["verb"].lower() in ("approve", "allow", "accept")
        return Answer(approved=approved, id=found["id"].upper(), rest=found["rest"])
    if found := _STATUS.fullmatch(words):
        return Status((found["id"] or "").upper())
    if found := _INTERRUPT.fullmatch(words):
        return Interrupt(found["id"].upper())
    return None


def _not_known(words: str) -> Unclear:
    first = re.match(r"[^\s:,.!?`]*", words)
    word = first[0].lower() if first else ""
    verb = _SAME.get(word, word)
    if verb in USAGE:
        return Unclear(f"that is not how it is said: {USAGE[verb]}")
    near = difflib.get_close_matches(word[:40], [*USAGE, *_SAME], n=1, cutoff=0.6)
    if near:
        return Unclear(f"did you mean: {near[0]}{words[len(word) :][:200]}")
    return Unclear("I do not understand that: say help to see what can be asked")
