"""Rules about programs: when an invocation is one that a rule speaks of.

Owns the comparison of words, options and operands with a rule, and what has to hold besides: the program that would
run, the repository, the folder. Must not own the kinds of operands (operands.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from . import operands, paths, rules_git
from .argv import conditions, find
from .argv.options import Arg, Fed, Parsed, Spec, mentions, parse
from .calls import Invocation
from .model import Verdict
from .operands import Place
from .reach import Miss, Narrow, Reach, first
from .rules import Rule, expand_roots

# Programs that take no options behind their first operand.
_STOPS = frozenset(
    [
        *("awk", "gawk", "mawk", "nawk", "printf", "echo", "test", "[", "basename", "expr", "which", "type", "sleep"),
        *("xxd", "uniq", "unzip", "zipinfo"),  # there a further word would be written, or asks for all to be unpacked
    ]
)
# Nor git's commands of these names: `git config user.name --global` would write `--global` down as the name.
_GIT_STOPS = frozenset(("config",))
# Programs that do nothing but print, whatever options they get.
_PRINTS = frozenset(
    [
        *("echo", "printf", "test", "[", "true", "false", ":", "basename", "dirname", "yes", "seq", "which", "type"),
        *("tr", "id"),
    ]
)
# Programs whose words are all operands, whatever they begin with.
_NO_OPTIONS = frozenset(("test", "[", "[[", "expr", "find", "echo", "printf"))
_TESTS = frozenset(("test", "[", "[["))
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
        "[[",
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
        "break",
        "continue",
        "return",
        "shift",
        "trap",
        "history",
        "help",
        "shopt",
        "exec",
    ]
)


def could_match(rule: Rule, call: Invocation) -> bool:
    """False only where `match_command` gives a Miss whatever the facts are, as far as a glance at the words tells."""
    if rule.verdict is not Verdict.ALLOW:
        return True
    args = call.args
    for index, choice in enumerate(rule.words):
        if index >= len(args) or args[index] not in choice:
            return False
    if rule.open_end or call.program in _NO_OPTIONS or rule.operands == ("find",):
        return True
    first = args[len(rule.words)] if len(args) > len(rule.words) else ""
    if isinstance(first, str) and first[:1] == "-" and len(first) > 1 and not _begins(first, rule.options):
        return False
    if not rule.any_option:
        return True
    return any(isinstance(word, Fed) or _holds(word, rule.any_option) for word in args)


def _begins(word: str, known: Mapping[str, Spec]) -> bool:
    """Whether a word that is no option's value may be one of these options, or several."""
    bundled = word[1] != "-" and (word[:2] in known or "-NUM" in known)
    return word == "--" or bundled or word.partition("=")[0] in known


def _holds(word: str, options: Iterable[str]) -> bool:
    """Whether one of these may be in a word."""
    if not word.startswith(("-", "+")):
        return False
    for option in options:
        if word.startswith(option) or (len(option) == 2 and option[1] in word) or option == "-NUM":
            return True
    return False


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
    if call.program in _TESTS:
        settled = conditions.known(call.program, rest)
        if settled is None:
            return Miss("a test of a word that only running will tell", 2)
        rest = tuple(settled)
    if call.program in _NO_OPTIONS:
        parsed: Parsed | str = Parsed((), tuple(rest), len(rest))
    else:
        parsed = parse(rest, rule.options, stop=_stops(call), told=True)
    if isinstance(parsed, str):
        return Miss(parsed)
    if rule.any_option and not parsed.names() & rule.any_option:
        return Miss(f"without {' or '.join(rule.when.any_option)}", 0)
    place = Place(reach, call.folder, operands.narrowed(parsed), call.program in _PRINTS)
    miss = operands.check_all(rule.operands, parsed, place, piped=call.piped)
    return first(miss, _surroundings(rule, call, reach, operands.settled(parsed)))


def _stops(call: Invocation) -> bool:
    return call.program in _STOPS or (call.program == "git" and call.args[:1] != () and call.args[0] in _GIT_STOPS)


def _match_find(rest: Sequence[Arg], call: Invocation, reach: Reach) -> Miss | None:
    search = find.read(rest)
    if any(isinstance(word, Fed) for word in rest):
        return Miss("find with starts that only running will tell", 2)
    if search.why:
        return Miss(f"find with {search.why}")
    place = Place(reach, call.folder, Narrow(follow=True, contents=False))
    if search.follows and not all(isinstance(word, str) for word in search.starts):
        return Miss("find through links from where only running will tell", 2)
    followed = search.starts or (".",) if search.follows else ()
    return first(
        *(reach.tree(str(word), call.folder, place.narrow) for word in followed),
        *(operands.check("name", word, place) for word in (*(search.starts or (".",)), *search.references)),
    )


def _surroundings(rule: Rule, call: Invocation, reach: Reach, parsed: Parsed | None) -> Miss | None:
    """What has to hold besides the words: the program, the repository, the folder."""
    miss = first(_program(rule, call, reach), _inside(rule, call, reach))
    if miss is not None:
        return miss
    if call.program == "git" and call.args and call.args[0] not in ("--version", "version"):
        miss = rules_git.repository(call, reach, parsed)
    if rule.when.absent:
        above = reach.look.above(call.folder, rule.when.absent)
        if above.found:
            return Miss(f"{above.found[0]} may change which program runs", 2)
    return miss


def program_miss(call: Invocation, reach: Reach) -> Miss | None:
    """None where the program that would run is the one its name promises."""
    if call.in_shell and call.word in _BUILTINS:
        return None
    fact = reach.look.program(call.program)
    if fact.why:
        return Miss(f"{call.program} would be {fact.path or 'a file'}, {fact.why}", 3)
    if fact.real and paths.inside(fact.real, reach.roots):
        return Miss(f"{call.program} would be {fact.real}, which lies inside the roots", 3)
    if "/" not in call.word:
        return None
    named = reach.look.path(paths.absolute(call.folder, call.word))
    return None if named.real and named.real == fact.real else Miss(f"{call.word} is not the {call.program} of PATH", 2)


def _program(rule: Rule, call: Invocation, reach: Reach) -> Miss | None:
    miss = program_miss(call, reach)
    if miss is not None or not rule.when.program_path:
        return miss
    fact = reach.look.program(call.program)
    real = fact.real or fact.path
    if paths.matches(real, rule.when.program_path, rule.home):
        return None
    return Miss(f"{call.program} is {real or 'nowhere'}, not where the rule expects it")


def _inside(rule: Rule, call: Invocation, reach: Reach) -> Miss | None:
    if not rule.inside:
        return None
    if not paths.inside(reach.look.path(call.folder).real, expand_roots(rule.inside, reach)):
        return Miss(f"not inside {', '.join(rule.inside)}")
    return None


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
