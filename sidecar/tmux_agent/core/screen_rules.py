"""The rule files that say what an agent's screen means: their keys, and every error in them at once.

Owns what a file may say and the compiled rules. Pure. Must not own: where files are (services/screen_files.py), reading
a screen by them (screens.py), YAML (config.py).

Patterns are Python's `re`, searched in one line of the screen without the box around it and without blanks at its ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from . import config

State = Literal["waiting", "working", "idle", "new", "limit"]
STATES = ("waiting", "working", "idle", "new", "limit")

# What may be pressed besides single characters: tmux's names for it.
KEYS = {"enter": "Enter", "esc": "Escape", "escape": "Escape", "tab": "Tab", "space": "Space",
        "up": "Up", "down": "Down", "left": "Left", "right": "Right"}  # fmt: skip
TYPED = 16  # characters that one key of `keys` may stand for: "y", "yes"
PATTERNS = (
    "foot", "top", "turn", "block", "sign", "only", "resets", "over", "menu", "prompt", "question", "choice", "ask",
    "deny",
)  # fmt: skip
OF_LIMITS = ("resets", "over", "menu", "leave", "resume", "prompt", "alone")
_TOP = re.compile(r"\s*[╭┌┏╔]")
_FIELD = re.compile(r"\{(\w+)\}")


class AnswerFile(Struct, kw_only=True, forbid_unknown_fields=True):
    """One way to answer a question that is asked in a line. `keys`: what is pressed, `{group}` is what `ask` found."""

    label: str
    keys: list[str]
    deny: bool = False


class RuleFile(Struct, kw_only=True, forbid_unknown_fields=True):
    """One rule. It fits where all that it names is found; the first of a file that fits counts. A rule for `waiting`
    without choice, buttons and ask notices that somebody is waited for; it is answered in the pane alone.

    `foot` stands in one of the last written lines, `sign` anywhere in the live region, `only` in each of its written
    lines. The region ends with the last written line and begins at the first line with `top`, or at the last but one
    with `turn` (a prompt that was given: the last one is the input box), or is all lines at the end that have `block`
    in them (the edge of a box), or else the last 12. These three are searched in the line as it stands. A
    rule for `limit` looks at the whole screen.
    """

    name: str
    state: State
    line: int = 0
    foot: str = ""
    top: str = ""
    turn: str = ""
    block: str = ""
    sign: str = ""
    only: str = ""
    resets: str = ""  # limit: group `resets` is when it ends; searched in its words, from the line of `sign` on
    over: str = ""  # limit: a line below its words, as it stands there, that shows that the agent went on
    menu: str = ""  # limit: a line below its words that shows a menu of the agent about it …
    leave: list[str] = []  # … which these keys leave, after which text can be typed …
    resume: list[str] = []  # … or in which these keys have it go on
    prompt: str = ""  # limit: the line of the agent's prompt while nothing is typed there
    alone: bool = False  # limit: the agent goes on by itself when it ends
    question: str = ""  # waiting: the line that asks
    words: str = ""  # waiting: the question in other words, where the dialog's own are no line of its own
    choice: str = ""  # waiting: a line for each choice, groups `key` (what to press) and `label`, perhaps `chosen`:
    # where that is found, Enter is pressed
    buttons: list[str] = []  # waiting: choices side by side; the one chosen has a background of its own
    ask: str = ""  # waiting: the line that the cursor stands at the end of
    answers: list[AnswerFile] = []  # of `ask`
    deny: str = ""  # labels of `choice` and `buttons` that say no


class ScreenFile(Struct, kw_only=True, forbid_unknown_fields=True):
    """One file: the agent's name, the programs that it is, and its rules."""

    version: Literal["1"] | int = 1
    agent: str
    process: list[str] = []  # names of programs or scripts; empty: the agent's name
    scripts: bool = False  # any program that an interpreter runs, where nothing else fits
    rules: list[RuleFile] = []


class Answer(Struct, frozen=True):
    label: str
    keys: tuple[str, ...]
    deny: bool


class Rule(Struct, frozen=True, kw_only=True):
    """A rule with its patterns compiled; None for those that it does not name."""

    name: str
    state: str
    foot: re.Pattern[str] | None
    top: re.Pattern[str] | None
    turn: re.Pattern[str] | None
    block: re.Pattern[str] | None
    sign: re.Pattern[str] | None
    only: re.Pattern[str] | None
    resets: re.Pattern[str] | None
    over: re.Pattern[str] | None
    menu: re.Pattern[str] | None
    prompt: re.Pattern[str] | None
    question: re.Pattern[str] | None
    words: str
    choice: re.Pattern[str] | None
    ask: re.Pattern[str] | None
    deny: re.Pattern[str] | None
    buttons: tuple[str, ...]
    answers: tuple[Answer, ...]
    leave: tuple[str, ...]
    resume: tuple[str, ...]
    alone: bool

    def begins(self, line: str) -> bool:
        """Whether a region that is a block shows its first line: the upper edge of a box, or its sign."""
        return bool(_TOP.match(line) or (self.sign and self.sign.search(line)))


class Rules(Struct, frozen=True, kw_only=True):
    """The rules of one agent."""

    agent: str
    process: tuple[str, ...]
    scripts: bool
    rules: tuple[Rule, ...]

    @property
    def styled(self) -> bool:
        """Whether the colours of the screen are needed."""
        return any(rule.buttons for rule in self.rules)


def load(text: str, file: str) -> tuple[Rules | None, tuple[config.ConfigError, ...]]:
    """The rules of one file, or None and everything that is wrong with it. Never raises."""
    typed, problems = config.load(text, file, ScreenFile)
    if typed is None:
        return None, problems
    wrong: list[config.ConfigError] = []
    rules = []
    if typed.version != 1:
        wrong.append(config.ConfigError(file, 1, "version", f"is {typed.version}; this tmux-agent knows version 1"))
    for number, rule in enumerate(typed.rules):
        found = _Builder(rule, file, f"rules[{number}]")
        rules.append(found.build())
        wrong += found.wrong
    if wrong:
        return None, tuple(wrong)
    process = tuple(typed.process) or ((typed.agent,) if not typed.scripts else ())
    return Rules(agent=typed.agent, process=process, scripts=typed.scripts, rules=tuple(rules)), ()


class _Builder:
    """Makes one rule and notes what is wrong with it."""

    def __init__(self, rule: RuleFile, file: str, path: str) -> None:
        self._rule = rule
        self._file = file
        self._path = path
        self.wrong: list[config.ConfigError] = []

    def _error(self, key: str, message: str) -> None:
        self.wrong.append(config.ConfigError(self._file, self._rule.line, f"{self._path}.{key}", message))

    def build(self) -> Rule:
        rule = self._rule
        patterns = {key: self._pattern(key, getattr(rule, key)) for key in PATTERNS}
        self._check_groups("choice", patterns["choice"], ("key", "label"))
        self._check_groups("resets", patterns["resets"], ("resets",))
        if not any((rule.foot, rule.sign, rule.ask, rule.resets)):
            self._error("foot", "is missing: a rule needs foot, sign, ask or resets, or it would fit every screen")
        if sum(map(bool, (rule.choice, rule.buttons, rule.ask))) > 1:
            self._error("choice", "stands beside another of choice, buttons and ask: a rule has one of them")
        if rule.state != "waiting" and (rule.choice or rule.buttons or rule.ask):
            self._error("state", f"has to be waiting where there is something to answer, not {rule.state}")
        if rule.words and (rule.question or not (rule.choice or rule.buttons)):
            self._error("words", "stands for `question`, beside choice or buttons")
        if bool(rule.ask) != bool(rule.answers):
            self._error("answers", "belong to `ask`: the one needs the other")
        self._check_limit()
        answers = tuple(self._answer(one, patterns["ask"]) for one in rule.answers)
        return Rule(
            name=rule.name, state=rule.state, buttons=tuple(rule.buttons), answers=answers,
            words=rule.words, leave=tuple(rule.leave), resume=tuple(rule.resume), alone=rule.alone, **patterns
        )  # fmt: skip

    def _check_limit(self) -> None:
        rule = self._rule
        named = next((key for key in OF_LIMITS if getattr(rule, key)), None)
        if named and rule.state != "limit":
            self._error(named, f"belongs to rules for limit, not for {rule.state}")
        if rule.state == "limit" and not (rule.sign or rule.resets):
            self._error("sign", "is missing: a rule for limit needs sign or resets")
        if rule.leave and rule.resume:
            self._error("leave", "stands beside resume: a menu is left, or goes on")
        if bool(rule.menu) != bool(rule.leave or rule.resume):
            self._error("menu", "belongs to `leave` or `resume`: the one needs the other")
        for key in (*rule.leave, *rule.resume):
            if not key_of(key):
                near = config.nearest(key.lower(), KEYS)
                self._error("leave" if rule.leave else "resume", f"{key!r} is no key: one of {', '.join(KEYS)}{near}")

    def _pattern(self, key: str, text: str) -> re.Pattern[str] | None:
        try:
            return re.compile(text) if text else None
        except (re.error, OverflowError, RecursionError) as why:
            self._error(key, f"is no pattern: {why}")
            return None

    def _check_groups(self, key: str, pattern: re.Pattern[str] | None, wanted: Sequence[str]) -> None:
        for name in wanted:
            if pattern is not None and name not in pattern.groupindex:
                self._error(key, f"lacks the group (?P<{name}>…)")

    def _answer(self, answer: AnswerFile, ask: re.Pattern[str] | None) -> Answer:
        for key in answer.keys:
            field = _FIELD.fullmatch(key)
            if field and ask is not None and field[1] not in ask.groupindex:
                near = config.nearest(field[1], ask.groupindex)
                self._error("answers", f"{key}: `ask` has no group of that name{near}")
            elif not field and key.lower() not in KEYS and not is_typed(key):
                near = config.nearest(key.lower(), KEYS)
                self._error("answers", f"{key!r} is no key: one of {', '.join(KEYS)}, or what is typed{near}")
        if not answer.keys:
            self._error("answers", f"{answer.label!r} lacks keys")
        return Answer(answer.label, tuple(answer.keys), answer.deny)


def is_typed(text: str) -> bool:
    """Whether these are a few plain characters, which can be typed as they are."""
    return 0 < len(text) <= TYPED and text.isascii() and text.isprintable() and not text.isspace()


def keys_of(answer: Answer, found: re.Match[str]) -> tuple[str, ...] | None:
    """What is pressed for an answer to the question that `ask` found; None where the question does not name it."""
    pressed = []
    for key in answer.keys:
        field = _FIELD.fullmatch(key)
        text = found.groupdict().get(field[1]) if field else key
        pressed.append(key_of(text or ""))
    return None if "" in pressed else tuple(pressed)


def key_of(text: str) -> str:
    """The one spelling of a key: tmux's name, or "=text" for what is typed as it is; "" for neither."""
    if text.lower() in KEYS:
        return KEYS[text.lower()]
    if not is_typed(text):
        return ""
    return "=" + (text.lower() if len(text) == 1 else text)
