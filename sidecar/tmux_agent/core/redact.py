"""Secrets taken out of values before they are written down or sent on.

Owns: what counts as a secret: by the name of its key, by its shape in text, by its value where that is known. Must not
own: where that matters (the audit log, notifications), nor how text is made safe to show (display.py).

Two properties hold for every input and are tested: redacting twice is redacting once, and time grows linearly with the
text (every unbounded repeat is possessive and starts where an earlier try cannot have begun). Most text is innocent, so
each rule runs only where a literal that it needs is present (`_Rule.hints`).
"""

from __future__ import annotations

import functools
import json
import re
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .redact_blocks import Blocks

MARK = "[redacted]"

_DEEPEST = 100  # nested deeper than this, a value is replaced whole: what is not looked at is not let through

# --- by the name of the key ------------------------------------------------------------------------

_ALWAYS_WORDS = frozenset(("password", "passwd", "pwd", "passphrase", "passcode", "otp"))  # even when a number
_SECRET_WORDS = _ALWAYS_WORDS | {
    *("passwords", "pass", "secret", "secrets", "token", "tokens", "authtoken", "apikey", "apikeys", "auth"),
    *("authorization", "bearer", "jwt", "cookie", "cookies", "credential", "credentials", "privatekey", "accesskey"),
    *("secretkey", "sessionkey"),
}
_KEY_OWNERS = frozenset(
    ("api", "access", "secret", "private", "signing", "encryption", "master", "auth", "session", "account", "deploy")
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def _key_kind(name: str) -> int:
    """0: an ordinary key; 1: text under it is secret; 2: numbers too. The last word decides: `password_file` is 0."""
    words = [word.lower() for word in _WORDS.findall(name[-200:])]
    if not words:
        return 0
    if words[-1] in _SECRET_WORDS:
        return 2 if words[-1] in _ALWAYS_WORDS else 1
    return int(words[-1] == "key" and len(words) > 1 and words[-2] in _KEY_OWNERS)


# --- by shape --------------------------------------------------------------------------------------


class _Rule(NamedTuple):
    """`hints`: lower-case literals, one of which every match contains. `pattern`: what is replaced by `into`."""

    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    into: str | Callable[[re.Match[str]], str]


_EDGE = r"(?<![A-Za-z0-9_-])"  # tokens start at the edge of a word: no second try begins inside a first one

_TOKENS = [
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), _EDGE + r"gh[pousr]_[A-Za-z0-9_]{20,}+"),
    (("github_pat_",), _EDGE + r"github_pat_[A-Za-z0-9_]{20,}+"),
    (("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-"), _EDGE + r"gl(?:pat|dt|rt|cbt|ptt)-[A-Za-z0-9_.-]{16,}+"),
    (("xox", "xapp-"), _EDGE + r"(?:xox[abceoprs]|xapp)-[A-Za-z0-9-]{10,}+"),
    (("npm_",), _EDGE + r"npm_[A-Za-z0-9]{30,}+"),
    (("pypi-",), _EDGE + r"pypi-[A-Za-z0-9_-]{40,}+"),
    (("sk-",), _EDGE + r"sk-(?=[A-Za-z_-]*+[0-9])[A-Za-z0-9_-]{20,}+"),
    (("k_live_", "k_test_", "whsec_"), _EDGE + r"(?:[srp]k_(?:live|test)|whsec)_[A-Za-z0-9+/=]{10,}+"),
    (("hf_", "gsk_", "xai-"), _EDGE + r"(?:hf_|gsk_|xai-)[A-Za-z0-9]{30,}+"),
    (("akia", "asia"), _EDGE + r"A(?:KI|SI)A[A-Z0-9]{16}(?![A-Za-z0-9])"),
    (("aiza",), _EDGE + r"AIza[A-Za-z0-9_-]{30,}+"),
    (("ya29.", "gocspx-"), _EDGE + r"(?:ya29\.|GOCSPX-)[A-Za-z0-9_-]{20,}+"),
    (("eyj",), _EDGE + r"eyJ[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+){2,4}"),
    (("sg.", "hvs."), _EDGE + r"(?:SG\.[A-Za-z0-9_-]{16,}+\.|hvs\.)[A-Za-z0-9_-]{16,}+"),
    (("dop_v1_", "dckr_pat_", "shpat_"), _EDGE + r"(?:dop_v1|dckr_pat|shpat)_[A-Za-z0-9_-]{20,}+"),
    (("tar1_",), _EDGE + r"tar1_[A-Za-z0-9_-]{16,}+"),  # what signs the markers of a pipeline's run
    (("age-secret",), _EDGE + r"AGE-SECRET-KEY-1[A-Z0-9]{20,}+"),
]

# What stands between BEGIN and END of a key: base64, its headers, escapes, quotes and prefixes of the text around it,
# and the ellipsis where a bounded output was cut.
_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"""(?:[A-Za-z0-9+/=\s\\:,."'|>…]|-(?!----))*+"""
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?"
)
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM_BODY = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n\t \\"

_LABEL = (
    r"(?:passwords?|passwd|passphrase|pwd|(?<=[_-])pass|secrets?|tokens?|credentials?"
    r"|(?:api|access|secret|private|signing|encryption|master|auth|session|account|deploy)[_-]?key(?:_base)?|(?<=_)auth)"
)
# Not a secret: a reference to one ($NAME, ${name}, %s), a type, an empty value, a call or lookup in code.
_REFERENCE = r"""(?:\$[{(]|(?-i:\$[A-Z_][A-Z0-9_]*+)(?![^\s"'\\])|%s(?![^\s"']))"""
_NOT_A_VALUE = (
    rf"(?!{_REFERENCE}|\[redacted\]@|(?:none|null|nil|true|false|str|string|bytes|int|bool|optional|undefined|required|yes|no)\b"
    r"|[a-z_][\w.]*+[(\[])"
)
_UNQUOTED = r"""[^\s"'`&;,|(){}<>]++"""
_TRIPLE = r"""(?:\"\"\"(?:[^"]|"(?!""))*+|'''(?:[^']|'(?!''))*+)"""
_LIST = rf"""\[[ \t]{{0,4}}["'][^\]\n]*+(?:\]{_UNQUOTED}|\])?"""
_VALUE = (
    rf"""(?:{_TRIPLE}|{_LIST}|\\"(?!{_REFERENCE})(?:[^"\\\n]|\\[^"\n])*+|"(?!{_REFERENCE})(?:[^"\\\n]|\\.)*+"""
    rf"""|'[^'\n]*+|{_NOT_A_VALUE}{_UNQUOTED})"""
)
_TAGS = r"(?:[&!][^\s]{0,60}[ \t]{1,8}){0,2}"  # of YAML
_BLOCKS = Blocks(_LABEL, MARK)


def _keep_quote(match: re.Match[str]) -> str:
    """The label as it was and, where the value stood in quotes, its opening quote (the closing one was not taken)."""
    value = match["value"]
    quote = value[: 2 if value.startswith('\\"') else 1] if value.lstrip("\\")[:1] in ('"', "'") else ""
    count = len(value) < 8 and value.isdigit() and not re.search("pass|pwd|secret", match["label"], re.IGNORECASE)
    return match[0] if value == quote or count else f"{match['label']}{quote}{MARK}"


def _with_password(match: re.Match[str]) -> str:
    return match[0] if match["value"].isdigit() else f"{match['label']}{MARK}"


def _rule(hints: str, pattern: str, into: str | Callable[[re.Match[str]], str]) -> _Rule:
    return _Rule(tuple(hints.split()), re.compile(pattern, re.IGNORECASE), into)


_KEPT = rf"\g<label>{MARK}"
_NAMED = "pass pwd secret token key credential _auth"

_RULES = [
    # Tokens first: a label then takes their mark together with what clings to it, so a second pass finds nothing new.
    *(_Rule(hints, re.compile(pattern), MARK) for hints, pattern in _TOKENS),
    # Authorization: Bearer x · Cookie: a=b; c=d
    _rule(
        "authorization",
        r"(?P<label>authorization\\?[\"']?[ \t]{0,4}[:=][ \t]{0,4}\\?[\"']?"
        r"(?:(?:bearer|basic|token|digest|negotiate|apikey)[ \t]{1,4})?)"
        r"(?:(?!\$|<|\{)[^\s\"'\\,]++)",
        _KEPT,
    ),
    _rule("cookie:", r"(?P<label>\bcookie:[ \t]{0,4})[^\r\n\"'\\]++", _KEPT),
    _rule(
        "bearer basic",
        r"(?P<label>\b(?:bearer|basic)[ \t]{1,4})(?=[A-Za-z+/._~-]*+[0-9=])[A-Za-z0-9+/=._~-]{16,}+",
        _KEPT,
    ),
    # scheme://user:password@host · scheme://long-token-1@host
    _rule("://", r"(?P<label>://[^\s/?#:@\"'<>]{0,256}:)(?:[^\s/?#\"'<>@]++@)+", rf"\g<label>{MARK}@"),
    _rule("://", r"(?P<label>://)(?=[^\s/?#:@\"'<>0-9]*+[0-9])[^\s/?#:@\"'<>]{20,}+@", rf"\g<label>{MARK}@"),
    _rule("hooks.slack.com", r"(?P<label>hooks\.slack\.com/(?:services|workflows)/)[A-Za-z0-9/_-]++", _KEPT),
    _rule("/webhooks/", r"(?P<label>discord(?:app)?\.com/api/webhooks/[0-9]{1,30}/)[A-Za-z0-9_-]++", _KEPT),
    _rule("/send?key=", r"(?P<label>/send\?key=)[A-Za-z0-9-]++", _KEPT),
    _rule("sig= signature=", r"(?P<label>[?&;](?:x-amz-)?sig(?:nature)?=)[^\s\"'&;]{16,}+", _KEPT),
    # password=x · "api_key": "x" · FOO_TOKEN=x · token => 'x'
    _rule(
        _NAMED,
        rf"(?P<label>{_LABEL}\\?[\"']?[ \t]{{0,4}}(?:=>|:=|=(?!=)|:(?!:))[ \t]{{0,4}}"
        rf"(?:\\\r?\n[ \t]{{0,40}})?{_TAGS})(?P<value>{_VALUE})",
        _keep_quote,
    ),
    # {"name": "DB_PASSWORD", "value": "x"} · - name: DB_PASSWORD, and on the next line its value · <password>x<
    _rule(
        _NAMED,
        rf"(?P<label>\b(?:name|key|id)\\?[\"']?[ \t]{{0,4}}[:=][ \t]{{0,4}}\\?[\"']?[\w.-]{{0,80}}?{_LABEL}\\?[\"']?"
        rf"(?:[\s,+]|\\n){{1,60}}\\?[\"']?value\\?[\"']?[ \t]{{0,4}}[:=][ \t]{{0,4}})(?P<value>{_VALUE})",
        _keep_quote,
    ),
    # --password x · -u user:password · sshpass -p x · netrc
    _rule(
        _NAMED,
        rf"(?P<label>(?<![\w-])--?(?:[a-z0-9]{{1,20}}[-_]){{0,3}}{_LABEL}[ \t]{{1,4}})(?P<value>(?!-){_VALUE})",
        _keep_quote,
    ),
    _rule(
        "-u --user --proxy-user",
        r"(?P<label>(?<![\w-])(?:-u|--user|--proxy-user)[ =]?[\"']?[^\s:\"'=]{1,100}:)"
        r"(?P<value>(?!\[redacted\])[^\s\"']++)",
        _with_password,
    ),
    _rule("login", r"(?P<label>\blogin[ \t][^\n]{0,200}?(?<=[ \t])-p[ \t]{1,4})[^\s]++", _KEPT),
    _rule("mysql mariadb", r"(?P<label>\b(?:mysql|mariadb)[^\n|;&]{0,200}?[ \t]-p)[^\s]++", _KEPT),
    _rule("pass:", r"(?P<label>(?<![\w-])pass:)(?=[^\s]{4})[^\s\"']++", _KEPT),
    _rule("redis-cli", r"(?P<label>\bredis-cli[^\n|;&]{0,200}?[ \t]-a[ \t]{1,4})[^\s]++", _KEPT),
    _rule("sshpass", r"(?P<label>\bsshpass[ \t]{1,4}-p[ \t]{0,4})[^\s]++", _KEPT),
    _rule("login", r"(?P<label>\blogin\s{1,4}[^\s]{1,200}\s{1,4}password\s{1,4})[^\s]++", _KEPT),
    # <password>x</password>
    _rule(_NAMED, rf"(?P<label><[\w.:-]{{0,80}}?{_LABEL}(?:[ \t][^<>]{{0,200}})?>)[^<]++(?=</)", _KEPT),
]


def _innocent(text: str, low: str) -> bool:
    """Fast and one-sided: True only where no rule can match, for every rule's hints contain one of these literals.

    Spelled out, one `in` after the other: it runs for every string of every record, and a loop costs thrice as much.
    """
    labelled = "=" in low or ":" in low or "</" in low
    if (labelled or "-" in low) and ("pass" in low or "secret" in low or "token" in low or "key" in low):
        return False
    if (labelled or "-" in low) and ("cred" in low or "pwd" in low):
        return False
    if labelled and ("auth" in low or "cookie" in low or "://" in low or "sig" in low):
        return False
    if "bearer" in low or "basic" in low or "login" in low or "sshpass" in low:
        return False
    return _no_underscored(low) and _no_dashed(low) and _no_dotted(text, low)


def _no_underscored(low: str) -> bool:
    return "_" not in low or not (
        ("gh" in low and ("ghp_" in low or "gho_" in low or "ghu_" in low or "ghs_" in low or "ghr_" in low))
        or ("pat_" in low or "npm_" in low or "k_live_" in low or "k_test_" in low or "whsec_" in low)
        or ("hf_" in low or "gsk_" in low or "dop_v1_" in low or "tar1_" in low)
    )


def _no_dashed(low: str) -> bool:
    return "-" not in low or not (
        ("sk-" in low or "xox" in low or "xapp-" in low or "pat-" in low or "dt-" in low or "rt-" in low)
        or ("cbt-" in low or "ptt-" in low or "pypi-" in low or "-----" in low or "xai-" in low or "gocspx-" in low)
        or ("age-secret" in low or "-u" in low or "--proxy-user" in low)
        or (" -p" in low and ("mysql" in low or "mariadb" in low))
        or (" -a" in low and "redis-cli" in low)
    )


def _no_dotted(text: str, low: str) -> bool:
    if "." in low and ("sg." in low or "hvs." in low or "ya29." in low or "slack.com" in low or "discord" in low):
        return False
    return not ("eyJ" in text or "AKIA" in text or "ASIA" in text or "AIza" in text)


_SEPARATOR = re.compile(r"[=:\s]")  # stands between every label and its secret
_SHORTEST = 20  # characters of the shortest token that is known without a label


# --- by value --------------------------------------------------------------------------------------


class _Known:
    """Values that were named as secrets. The one thing that core remembers: whoever looks a secret up says so here, and
    nothing that is written down after that shows it, whatever path it takes there."""

    def __init__(self) -> None:
        self._values: dict[str, None] = {}
        self._longest: tuple[str, ...] = ()  # first

    def add(self, value: str) -> None:
        for form in (value, urllib.parse.quote(value, safe=""), json.dumps(value)[1:-1]):
            if len(form) >= SHORTEST_KNOWN and form not in MARK:
                self._values[form] = None
        while len(self._values) > _MOST_KNOWN:
            del self._values[next(iter(self._values))]
        self._longest = tuple(sorted(self._values, key=len, reverse=True))

    def has(self, value: str) -> bool:
        return value in self._values

    def hide(self, text: str) -> str:
        for value in self._longest:
            if value in text:
                text = text.replace(value, MARK)
        return text


SHORTEST_KNOWN = 6  # characters; a shorter value would take words out of everything
_MOST_KNOWN = 3000
_known = _Known()


def know(values: Iterable[str]) -> None:
    """From now on, hide these values (of six characters or more) wherever they are, also as JSON or URLs write them."""
    for value in values:
        if not _known.has(value):
            _known.add(value)


def redact_text(text: str) -> str:
    """`text` with every secret replaced by MARK that is known, or that its shape or the word before it gives away."""
    text = _known.hide(text)
    if len(text) < _SHORTEST and not _SEPARATOR.search(text):
        return text
    low = text.lower()
    if _innocent(text, low):
        return text
    if "private key" in low:
        text = _without_private_keys(text)
    text = _BLOCKS.hide(text)
    for rule in _RULES:
        if any(hint in low for hint in rule.hints):
            text = rule.pattern.sub(rule.into, text)
    return text


def _without_private_keys(text: str) -> str:
    """PEM blocks, whole or cut off, and the rest of one whose BEGIN line is missing (the tail of a bounded output)."""
    text = _PEM.sub(MARK, text)
    kept, start = [], 0
    for match in _PEM_END.finditer(text):
        kept.append(text[start : match.start()].rstrip(_PEM_BODY) + MARK)
        start = match.end()
    return "".join(kept) + text[start:]


def redact(value: Any) -> Any:
    """`value` (JSON-like: dict, list, tuple, str, numbers, None) with its secrets replaced by MARK.

    Anyone may call it; it never raises. A key decides for everything below it (`{"cookies": ["a"]}`), except that
    numbers stay (`tokens: 5`) unless it is a password's. In a list, `--token` decides for the item after it, and
    `TOKEN=` for the rest of its own item, as in an argv.
    """
    return _redact(value, 0, 0)


def _redact(value: Any, kind: int, depth: int) -> Any:
    if isinstance(value, str):
        return _hide(value) if kind else redact_text(value)
    if depth > _DEEPEST and isinstance(value, dict | list | tuple):
        return MARK
    if isinstance(value, dict):
        return _redact_members(value, kind, depth + 1)
    if isinstance(value, list | tuple):
        items = _redact_items(value, kind, depth + 1)
        return items if isinstance(value, list) else tuple(items)
    if kind == 2 and isinstance(value, int | float) and not isinstance(value, bool):
        return MARK
    return value


def _redact_members(members: dict[Any, Any], kind: int, depth: int) -> dict[Any, Any]:
    result = {}
    named = _named(members) if "value" in members else 0
    for key, item in members.items():
        name, below = _key(key) if isinstance(key, str) else (key, 0)
        result[name] = _redact(item, kind or below or (named if key == "value" else 0), depth)
    return result


def _named(members: dict[Any, Any]) -> int:
    """What the name beside it says of a "value": {"name": "DB_PASSWORD", "value": "x"}."""
    names = [members.get(key) for key in ("name", "key", "id")]
    return max((_key_kind(name) for name in names if isinstance(name, str)), default=0)


@functools.lru_cache(maxsize=1024)  # the same few names in every record
def _key(name: str) -> tuple[str, int]:
    return redact_text(name), _key_kind(name)


def _hide(text: str) -> str:
    return MARK if text else text


_OPTION = re.compile(r"--?[A-Za-z][A-Za-z0-9_-]{0,60}\Z")
_ASSIGNMENT = re.compile(r"(-{0,2}[A-Za-z_][A-Za-z0-9_.-]{0,80}=).", re.DOTALL)


def _redact_items(items: list[Any] | tuple[Any, ...], kind: int, depth: int) -> list[Any]:
    result: list[Any] = []
    option = ""
    dash_p = _meaning_of_dash_p(items)
    for item in items:
        if isinstance(item, str) and not kind:
            if (dash_p == "next" and option == "-p") or (dash_p == "same" and item[:2] == "-p" and item[2:]):
                result.append(MARK if option == "-p" else f"-p{MARK}")
            else:
                result.append(_redact_argument(option, item))
            option = item if _OPTION.match(item) else ""
        else:
            result.append(_redact(item, kind, depth))
            option = ""
    return result


def _meaning_of_dash_p(items: list[Any] | tuple[Any, ...]) -> str:
    """Where an argv has a password at -p: in the "next" argument, the "same" one, or nowhere ("")."""
    if "login" in items[:4] or items[:1] in (["sshpass"], ("sshpass",)):
        return "next"
    first = items[0] if items and isinstance(items[0], str) else ""
    return "same" if first.rpartition("/")[2].startswith(("mysql", "mariadb")) else ""


def _redact_argument(option: str, item: str) -> str:
    """One string of a list, and the option before it ("" where there is none)."""
    if option and _key_kind(option) and not item.startswith("-"):
        return _hide(item)
    assigned = _ASSIGNMENT.match(item)
    if assigned and _key_kind(assigned[1]):
        return assigned[1] + MARK
    if option in ("-u", "--user", "--proxy-user"):
        return redact_text(f"{option} {item}")[len(option) + 1 :]
    return redact_text(item)
