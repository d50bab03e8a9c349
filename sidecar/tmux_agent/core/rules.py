"""When-clauses: compiled once, matched against one thing that is about to happen.

Owns what it means for a rule to match. An allow rule matches only what is established word by word; an ask or deny rule
matches already what may be meant (abbreviated, bundled, through another path), because a wrong match there only asks
once too often. Must not own taking actions apart (policy.py) or the file's form (policy_file.py).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from . import operands, paths
from .argv import find, git
from .argv.options import Arg, BadNotation, Fed, Parsed, Spec, mentions, parse, specs
from .model import Risk, Verdict
from .operands import Place
from .policy_file import RuleFile, When, words
from .reach import PENDING, Miss, Reach, first

# Programs that take no options behind their first operand.
_STOPS = frozenset(
    ["awk", "gawk", "mawk", "nawk", "printf", "echo", "test", "[", "basename", "expr", "which", "type", "sleep"]
)
# Programs whose words are all operands, whatever they begin with.
_NO_OPTIONS = frozenset(("test", "[", "expr", "find", "echo", "printf"))
_BUILTINS = frozenset(
    [
        "cd",
        "pushd",
        "popd",
        "dirs",
        "echo",
        "printf",
        "test",
        "[",
        "pwd",
        "true",
        "false",
        ":",
        "type",
        "command",
        "builtin",
        "exit",
        "set",
        "wait",
        "umask",
        "ulimit",
        "jobs",
        "times",
        "hash",
        "export",
        "unset",
        "alias",
        "bg",
        "fg",
        "kill",
        "let",
        "local",
        "read",
        "return",
        "shift",
        "trap",
        "history",
    ]
)


class Invocation(Struct, frozen=True):
    """One program run: `program` its name, `word` as written, `args` behind it (for git: from the sub-command on)."""

    program: str
    word: str
    args: tuple[Arg, ...]
    folder: str
    piped: bool = False  # standard input comes from the part before it
    in_shell: bool = True  # the shell's own commands are meant where it has them
    why: str = ""  # something about it that no allow rule covers (git -c …)


class Touch(Struct, frozen=True):
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

    @property
    def risk(self) -> Risk | None:
        return Risk(self.file.risk) if self.file.risk else None


def compile_rule(rule: RuleFile, where: str, option_sets: Mapping[str, Sequence[str]], home: str) -> Rule:
    """Raises BadRule."""
    when = rule.when
    kinds = [when.command, when.file, when.tmux, when.fetch, when.mcp, when.ask, when.tool]
    if sum(bool(k) for k in kinds) > 1:
        raise BadRule("when: give only one of command, file, tmux, fetch, mcp, ask, tool")
    if not any(kinds) and rule.verdict == "allow":
        raise BadRule("when: an allow rule has to say what it allows (command, file, tmux, fetch, mcp, ask, tool)")
    command = when.command
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
    return Rule(
        name=rule.name,
        verdict=Verdict(rule.verdict),
        where=where,
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
        anyone=not any(
            (
                when.agent,
                when.kind,
                when.session,
                when.window,
                when.pane_title,
                when.branch,
                when.time,
                when.risk,
                rule.for_,
            )
        ),
    )


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
    if when.time and not any(_in_time(asker.now, span) for span in words(when.time)):
        return False
    if when.risk and risk < Risk(when.risk):
        return False
    return not (rule.file.for_ and rule.verdict is Verdict.ALLOW and rule.name in asker.exhausted)


def _globbed(value: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(value, pattern) for pattern in patterns)


_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(?:(\w{3})(?:-(\w{3}))?\s+)?(\d\d):(\d\d)-(\d\d):(\d\d)")


def bad_time(span: str) -> bool:
    found = _SPAN.fullmatch(span.lower())
    return not found or any(day and day not in _DAYS for day in found.groups()[:2])


def _in_time(now: datetime | None, span: str) -> bool:
    found = _SPAN.fullmatch(span.lower())
    if now is None or not found:
        return False
    first_day, last_day, *clock = found.groups()
    if first_day:
        begin, end = _DAYS.index(first_day), _DAYS.index(last_day or first_day)
        if (now.weekday() - begin) % 7 > (end - begin) % 7:
            return False
    hour, minute, hour2, minute2 = map(int, clock)
    at, begin, end = now.hour * 60 + now.minute, hour * 60 + minute, hour2 * 60 + minute2
    return begin <= at < end if begin <= end else at >= begin or at < end


# --- commands ----------------------------------------------------------------------------------------


def match_command(rule: Rule, call: Invocation, reach: Reach) -> Miss | None:
    """None where the rule matches this run."""
    if rule.verdict is not Verdict.ALLOW:
        return _match_strict(rule, call, reach)
    args = call.args
    for index, choice in enumerate(rule.words):
        if index >= len(args) or args[index] not in choice:
            return Miss("another command", 0)
    if call.why:
        return Miss(call.why, 2)
    rest = args[len(rule.words) :]
    if rule.open_end:
        miss = Miss("names that only running will tell", 2) if any(isinstance(a, Fed) for a in rest) else None
        return first(miss, _surroundings(rule, call, reach, None))
    if rule.operands == ("find",):
        return first(_match_find(rest, call, reach), _surroundings(rule, call, reach, None))
    if call.program in _NO_OPTIONS:
        parsed: Parsed | str = Parsed((), tuple(rest), len(rest))
    else:
        parsed = parse(rest, rule.options, stop=call.program in _STOPS)
    if isinstance(parsed, str):
        return Miss(parsed)
    if rule.any_option and not parsed.names() & rule.any_option:
        return Miss(f"without {' or '.join(rule.when.any_option)}", 0)
    place = Place(reach, call.folder, operands.narrowed(parsed))
    miss = operands.check_all(rule.operands, parsed, place, piped=call.piped)
    return first(miss, _surroundings(rule, call, reach, parsed))


def _match_find(rest: Sequence[Arg], call: Invocation, reach: Reach) -> Miss | None:
    search = find.read(rest)
    if any(isinstance(word, Fed) for word in rest):
        return Miss("find with starts that only running will tell", 2)
    if search.why:
        return Miss(f"find with {search.why}")
    place = Place(reach, call.folder)
    return first(*(operands.check("name", word, place) for word in (*(search.starts or (".",)), *search.references)))


def _surroundings(rule: Rule, call: Invocation, reach: Reach, parsed: Parsed | None) -> Miss | None:
    """What has to hold besides the words: the program, the repository, the folder."""
    miss = first(_program(rule, call, reach), _inside(rule, call, reach))
    if miss is not None and not miss.pending:
        return miss
    if call.program == "git" and call.args and call.args[0] not in ("--version", "version"):
        miss = first(miss, _repository(call, reach, parsed))
    if rule.when.absent:
        above = reach.look.above(call.folder, rule.when.absent)
        if above is None:
            miss = first(miss, PENDING)
        elif above.found:
            return Miss(f"{above.found[0]} may change which program runs", 2)
    return miss


def program_miss(call: Invocation, reach: Reach) -> Miss | None:
    """None where the program that would run is the one its name promises."""
    if call.in_shell and call.word in _BUILTINS:
        return None
    fact = reach.look.program(call.program)
    if fact is None:
        return PENDING
    if fact.why:
        return Miss(f"{call.program} would be {fact.path or 'a file'}, {fact.why}", 3)
    if fact.real and paths.inside(fact.real, reach.roots):
        return Miss(f"{call.program} would be {fact.real}, which lies inside the roots", 3)
    if "/" not in call.word:
        return None
    named = reach.look.path(paths.absolute(call.folder, call.word))
    if named is None:
        return PENDING
    return None if named.real and named.real == fact.real else Miss(f"{call.word} is not the {call.program} of PATH", 2)


def _program(rule: Rule, call: Invocation, reach: Reach) -> Miss | None:
    miss = program_miss(call, reach)
    if miss is not None or not rule.when.program_path:
        return miss
    fact = reach.look.program(call.program)
    real = (fact.real or fact.path) if fact is not None else ""
    if paths.matches(real, rule.when.program_path, rule.home):
        return None
    return Miss(f"{call.program} is {real or 'nowhere'}, not where the rule expects it")


def _inside(rule: Rule, call: Invocation, reach: Reach) -> Miss | None:
    if not rule.inside:
        return None
    folder = reach.look.path(call.folder)
    if folder is None:
        return PENDING
    roots = expand_roots(rule.inside, reach)
    if not paths.inside(folder.real, roots):
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


def _repository(call: Invocation, reach: Reach, parsed: Parsed | None) -> Miss | None:
    miss = reach.name(call.folder, call.folder)
    if miss is not None:
        return miss
    repo = reach.look.repo(call.folder)
    if repo is None:
        return PENDING
    if not repo.top:
        return None
    if repo.hostile:
        return Miss(f"this repository's own files can make git run or reach something: {repo.hostile[0]}", 3)
    if not paths.inside(repo.top, reach.roots):
        return Miss(f"the repository {repo.top} is outside the roots", 2)
    if not repo.own and not paths.inside(repo.common, reach.roots):
        return Miss(f"the repository's data are in {repo.common}, outside the roots", 2)
    command = str(call.args[0]) if call.args else ""
    if repo.tells and command in ("config", "remote"):
        return Miss("git's configuration holds a password or token", 3)
    if repo.tracked and parsed is not None and git.shows_content(command, parsed):
        return _tracked(call, reach, parsed, repo.top, repo.tracked)
    return None


def _tracked(call: Invocation, reach: Reach, parsed: Parsed, top: str, tracked: Sequence[str]) -> Miss | None:
    """Secrets that are in the repository show in its patches, unless paths are named and none of them leads there."""
    named = [w for w in parsed.operands[parsed.dashes :] if isinstance(w, str)]
    named += [w for w in parsed.operands[: parsed.dashes] if isinstance(w, str) and ":" not in w]
    pinned = [w for w in parsed.operands[: parsed.dashes] if isinstance(w, str) and git.paths_in(w)]
    if parsed.operands and len(pinned) == len(parsed.operands):
        return None  # only REV:PATH, which was judged by its path
    places = []
    for word in named:
        if git.is_wide(word):
            return Miss(f"{tracked[0]} is in the repository and holds secrets", 3)
        fact = reach.look.path(paths.absolute(call.folder, word))
        if fact is None:
            return PENDING
        if fact.kind in ("file", "folder"):
            places.append(fact.real)
    if places and "*" not in tracked and not any(paths.inside(f"{top}/{secret}", places) for secret in tracked):
        return None
    return Miss(f"{tracked[0]} is in the repository and holds secrets", 3)


def _match_strict(rule: Rule, call: Invocation, reach: Reach) -> Miss | None:
    """For ask and deny: program by its last name, fixed words in order wherever they stand, options in any spelling."""
    plain = [word for word in call.args if isinstance(word, str) and not word.startswith("-")]
    at = 0
    for choice in rule.words:
        while at < len(plain) and plain[at] not in choice and at < len(rule.words) + 2:
            at += 1
        if at >= len(plain) or plain[at] not in choice:
            return Miss("another command", 0)
        at += 1
    if rule.any_option and not mentions(call.args, rule.any_option):
        return Miss("without such an option", 0)
    if rule.when.options is not None and not rule.open_end:
        parsed = parse(call.args[len(rule.words) :], rule.options)
        if isinstance(parsed, str):
            return Miss(parsed)
    return _inside(rule, call, reach)


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


def match_host(patterns: Sequence[str], host: str) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(host.lower(), pattern.lower()) for pattern in patterns)
