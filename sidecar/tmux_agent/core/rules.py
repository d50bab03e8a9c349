"""When-clauses: compiled once, matched against one thing that is about to happen.

Owns what it means for a rule to match. An allow rule matches only what is established word by word; an ask or deny rule
matches already what may be meant (abbreviated, bundled, through another path), because a wrong match there only asks
once too often. Must not own taking actions apart (policy.py) or the file's form (policy_file.py).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from . import operands, paths
from .argv.options import BadNotation, Spec, specs
from .model import Risk, Verdict
from .policy_file import RuleFile, When, words
from .reach import Miss, Reach
from .spans import in_time


class Touch(Struct, frozen=True, gc=False):
    """Something done to one file. `real`: with links followed, as far as known."""

    verb: str
    path: str
    real: str


class Asker(Struct, frozen=True, kw_only=True):
    """Who asks and where, as far as rules may speak of it."""

    agent: str = ""
    session: str = ""
    window: str = ""
    pane_title: str = ""
    branch: str = ""
    kind: str = "shell"
    now: datetime | None = None  # in the person's own time zone
    exhausted: frozenset[str] = frozenset()  # names of rules whose `for` is used up


class BadRule(ValueError):
    """A rule of the file that makes no sense; the text says what and where in the rule."""


class Rule(Struct, frozen=True, kw_only=True):
    """One compiled rule."""

    name: str
    verdict: Verdict
    where: str
    when: When
    file: RuleFile
    programs: frozenset[str] = frozenset()
    words: tuple[frozenset[str], ...] = ()
    open_end: bool = False
    options: dict[str, Spec] = {}
    any_option: frozenset[str] = frozenset()
    operands: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    home: str = ""
    anyone: bool = False  # says nothing of who asks, where and when
    step_up: tuple[str, ...] = ()  # of a file that is trusted

    @property
    def lets_anything(self) -> bool:
        """Whether some words may be anything at all."""
        kinds = {*self.operands, *(kind for spec in self.options.values() for kind in spec.kinds)}
        return self.open_end or "any" in kinds

    @property
    def risk(self) -> Risk | None:
        return Risk(self.file.risk) if self.file.risk else None


def compile_rule(rule: RuleFile, where: str, option_sets: Mapping[str, Sequence[str]], home: str) -> Rule:
    """Raises BadRule."""
    _check(rule)
    when = rule.when
    choices, open_end = _command(rule)
    return Rule(
        name=rule.name,
        verdict=Verdict(rule.verdict),
        where=where,
        step_up=rule.step_up,
        when=when,
        file=rule,
        programs=choices[0] if choices else frozenset(),
        words=choices[1:],
        open_end=open_end,
        options=_options(when.options or (), option_sets),
        any_option=frozenset(_options(when.any_option, option_sets)),
        operands=when.operands or (),
        inside=words(when.inside),
        home=home,
        anyone=_is_about_anyone(rule),
    )


def _is_about_anyone(rule: RuleFile) -> bool:
    """Whether it says nothing of who asks, where, when, how bad it is, and how long it holds."""
    when = rule.when
    who = (when.agent, when.kind, when.session, when.window, when.pane_title, when.branch)
    return not any((*who, when.time, when.risk, rule.for_))


def _check(rule: RuleFile) -> None:
    when = rule.when
    kinds = [when.command, when.file, when.tmux, when.fetch, when.mcp, when.ask, when.tool, when.fleet]
    if sum(bool(k) for k in kinds) > 1:
        raise BadRule("when: give only one of command, file, tmux, fetch, mcp, ask, tool, fleet")
    if not any(kinds) and rule.verdict == "allow":
        raise BadRule("when: an allow rule has to say what (command, file, tmux, fetch, mcp, ask, tool, fleet)")
    if when.pane_title and rule.verdict == "allow":
        raise BadRule("when.pane_title: an agent sets the title of its pane itself, so no allow rule may rest on it")
    if when.risk and rule.verdict == "allow":
        raise BadRule("when.risk: it means at least this risk, so an allow rule with it would allow what is worse")
    if rule.step_up and rule.verdict != "ask":
        raise BadRule(f"step_up: only what is asked about can be proved, and this rule says {rule.verdict}")


def _command(rule: RuleFile) -> tuple[tuple[frozenset[str], ...], bool]:
    """The words that a command may begin with, by place, and whether anything may follow them."""
    when, command = rule.when, rule.when.command
    open_end = bool(command) and command[-1] == "..."
    choices = tuple(frozenset(words(word)) for word in (command[:-1] if open_end else command))
    if any("..." in choice for choice in choices):
        raise BadRule("when.command: ... stands at the end, on its own")
    if open_end and (when.options is not None or when.operands is not None) and rule.verdict == "allow":
        raise BadRule("when: ... allows everything behind it, so options and operands have no meaning there")
    if command and not choices:
        raise BadRule("when.command: name at least the program")
    for kind in when.operands or ():
        if not operands.known(kind):
            raise BadRule(
                f"when.operands: {kind} is not known; known: {', '.join((*operands.KINDS, *operands.SPECIAL))}"
            )
    return choices, open_end


def _options(texts: Iterable[str], option_sets: Mapping[str, Sequence[str]]) -> dict[str, Spec]:
    flat: list[str] = []
    for text in texts:
        if text.startswith(("-", "+")):
            flat.append(text)
        elif text in option_sets:
            flat += option_sets[text]
        else:
            raise BadRule(f"when.options: {text} is neither an option nor one of option_sets")
    try:
        found = specs(flat)
    except BadNotation as why:
        raise BadRule(f"when.options: {why}") from None
    for spec in found.values():
        for kind in spec.kinds:
            if not operands.known(kind):
                raise BadRule(f"when.options: {spec.name} has the kind {kind}, which is not known")
    return found


# --- who, where, when --------------------------------------------------------------------------------


def fits_asker(rule: Rule, asker: Asker, risk: Risk) -> bool:
    if rule.anyone:
        return True
    when = rule.when
    for value, patterns in (
        (asker.agent, when.agent),
        (asker.kind, when.kind),
        (asker.session, when.session),
        (asker.window, when.window),
        (asker.pane_title, when.pane_title),
        (asker.branch, when.branch),
    ):
        if patterns and not _globbed(value, words(patterns)):
            return False
    if when.time and not any(in_time(asker.now, span) for span in words(when.time)):
        return False
    if when.risk and risk < Risk(when.risk):
        return False
    return not (rule.file.for_ and rule.verdict is Verdict.ALLOW and rule.name in asker.exhausted)


def _globbed(value: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(value, pattern) for pattern in patterns)


# --- everything else ---------------------------------------------------------------------------------


def match_file(rule: Rule, touch: Touch, reach: Reach) -> Miss | None:
    """None where a rule with `file` matches. For an allow rule the real path counts, for others any name of it."""
    if touch.verb not in rule.when.file:
        return Miss("another verb", 0)
    names = (touch.real,) if rule.verdict is Verdict.ALLOW else (touch.real, touch.path, paths.normal(touch.path))
    if rule.when.path and not any(paths.matches(name, rule.when.path, rule.home) for name in names):
        return Miss("another path", 0)
    if rule.inside and not any(paths.inside(name, expand_roots(rule.inside, reach)) for name in names):
        return Miss(f"not inside {', '.join(rule.inside)}")
    return None


def expand_roots(texts: Iterable[str], reach: Reach) -> tuple[str, ...]:
    """Folders of `inside`: {worktree} stands for the roots of this asker, ~ for home."""
    found: list[str] = []
    for text in texts:
        if text == "{worktree}":
            found += reach.roots
        else:
            found.append(reach.home + text[1:] if text == "~" or text.startswith("~/") else text)
    return tuple(root.rstrip("/") or "/" for root in found)


def match_host(patterns: Sequence[str], host: str) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(host.lower(), pattern.lower()) for pattern in patterns)
