"""Which git commands print names of commits, tags and branches, one a line, and what such a name shows at most.

Owns the forms that are known, option by option. Must not own whether a name may be an option (facts.RefsFact), nor what
a revision shows (rules_git.py). Source: the manuals of git-log, git-rev-list, git-for-each-ref, git-describe, 2.39.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import git
from .options import Arg, Fed, Parsed, parse, specs

ANY = "refs/any"  # stands for a name of something that references, reflogs or stashes lead to
_FAR = "~99999"  # behind a revision: any commit of its history, as far as secrets in it go
# Behind the name nothing may begin a line of its own.
_FIELDS = r"(?:[^%\n]|%(?:[ac][nNeElLdDrtiIsh]|[sfdDhHpPtTS%]|x09|C(?:\([\w ,]*\)|red|green|blue|reset)))*"
_ATOMS = (
    r"(?:[^%\n]|%\((?:refname|objectname|objecttype|committerdate|creatordate|authordate|taggerdate|authorname|upstream"
    r"|committername|subject|HEAD)(?::[\w-]+)?\))*"
)
_HASH = re.compile(rf"(?:format:|tformat:)?%[HhTt](?:(%x09|[ ,;:|]){_FIELDS})?")
_REF = re.compile(
    r"%\((?:refname(?::(?:short|lstrip=-?[0-9]+|strip=-?[0-9]+))?|objectname(?::short(?:=[0-9]+)?)?)\)"
    rf"((?:[ ,;:|\t]{_ATOMS})?)"
)
_SIMPLE = re.compile(r"[\w./@^~{}+-]+(?:\.\.\.?[\w./@^~{}+-]*)?", re.ASCII)
_PLACE = re.compile(r"HEAD|@|(?!-)[\w./-]*@\{(?:u|upstream|push)\}", re.ASCII)
_SELECTS = (
    *("-n=x", "-NUM", "--max-count=x", "--skip=x", "--since=x", "--after=x", "--until=x", "--before=x", "--author=x"),
    *("--committer=x", "--grep=x", "-i", "-E", "-F", "-P", "--merges", "--no-merges", "--min-parents=x"),
    *("--max-parents=x", "--first-parent", "--all", "--branches~x", "--tags~x", "--remotes~x", "--reverse"),
    *("--topo-order", "--date-order", "--author-date-order", "--no-walk~x", "--abbrev-commit", "--abbrev~x"),
    *("--no-abbrev", "--no-abbrev-commit", "--no-color", "--date=x", "--not", "--diff-filter=x", "--follow", "-S=x"),
    "-G=x",
    *("--invert-grep", "--all-match", "--simplify-by-decoration", "--ancestry-path", "--no-decorate", "--cherry-pick"),
    *("--right-only", "--left-only", "--full-history", "-g", "--walk-reflogs", "--reflog", "--no-patch", "-s"),
)
_LOG = specs((*_SELECTS, "--format=x", "--pretty=x", "--oneline"))
_LIST = specs(_SELECTS)
_REFS = specs(
    (
        *("--format=x", "--sort=x", "--count=x", "--merged~x", "--no-merged~x", "--contains~x", "--no-contains~x"),
        *("--points-at=x", "--ignore-case", "-i", "-l", "--list", "-a", "-r", "--all", "--remotes", "--no-color"),
    )
)
_DESCRIBE = specs(
    (
        *("--tags", "--all", "--always", "--long", "--abbrev=x", "--exact-match", "--match=x", "--exclude=x"),
        "--first-parent",
    )
)
_PARSE = specs(("--verify", "-q", "--quiet", "--short~x", "--abbrev-ref", "--symbolic-full-name", "--end-of-options"))
_BASE = specs(("--fork-point", "--octopus", "-a", "--all"))
_ELSEWHERE = frozenset(("--all", "--branches", "--tags", "--remotes", "--reflog", "-g", "--walk-reflogs", "--not"))
UNKNOWN = Fed(unknown=True)


def printed(words: Sequence[Arg]) -> Fed:
    """The names that this git command prints; unknown where it prints other things, or something of it is not known."""
    if not words or not isinstance(words[0], str):
        return UNKNOWN
    command, rest = words[0], words[1:]
    if command == "log":
        return _log(rest)
    if command == "rev-list":
        return _commits(parse(rest, _LIST))
    if command in ("tag", "branch", "for-each-ref"):
        return _references(command, rest)
    if command == "stash" and rest[:1] == ("list",):
        return _stashes(rest[1:])
    if command in ("describe", "rev-parse", "merge-base", "symbolic-ref"):
        return _one(command, rest)
    return UNKNOWN


def _named(revision: str, column: str = "") -> Fed:
    return Fed(revision=revision, column=column)


def _log(rest: Sequence[Arg]) -> Fed:
    parsed = parse(rest, _LOG)
    found = _commits(parsed)
    if isinstance(parsed, str) or found.unknown:
        return UNKNOWN
    formats = [value for spec, values in parsed.options for value in values if spec.name in ("--format", "--pretty")]
    if "--oneline" in parsed.names():
        return UNKNOWN if formats else _named(found.revision, " ")
    form = _HASH.fullmatch(formats[0]) if len(formats) == 1 and isinstance(formats[0], str) else None
    if form is None:
        return UNKNOWN
    return _named(found.revision, {None: "", "%x09": " "}.get(form[1], form[1]))


def _commits(parsed: Parsed | str) -> Fed:
    """Names of commits that are chosen so: what HEAD leads to, or what anything does."""
    if isinstance(parsed, str):
        return UNKNOWN
    revisions = parsed.operands[: parsed.dashes]
    if not all(map(_is_known, revisions)):
        return UNKNOWN
    alone = all(word in ("HEAD", "@") for word in revisions) and not parsed.names() & _ELSEWHERE
    return _named("HEAD" + _FAR if alone else ANY)


def _is_known(word: Arg) -> bool:
    """Whether a word is a revision that references lead to: no bare object, none of git's notes, no text to search."""
    if isinstance(word, Fed):
        return bool(word.revision) and not word.loose
    ends = git.ends(word.removeprefix("^"))
    return _SIMPLE.fullmatch(word.removeprefix("^")) is not None and not any(
        git.hexadecimal(end) or git.is_elsewhere(end) for end in ends
    )


def _references(command: str, rest: Sequence[Arg]) -> Fed:
    if command == "branch" and tuple(rest) == ("--show-current",):
        return Fed(revision="HEAD" + _FAR, refs=True)
    parsed = parse(rest, _REFS)
    if isinstance(parsed, str) or not all(isinstance(word, str) for word in parsed.operands):
        return UNKNOWN
    formats = [value for spec, values in parsed.options for value in values if spec.name == "--format"]
    if not formats:
        return Fed(revision=ANY, refs=True) if command == "tag" and not parsed.names() & {"-a", "-r"} else UNKNOWN
    form = _REF.fullmatch(formats[0]) if isinstance(formats[0], str) and len(formats) == 1 else None
    if form is None:
        return UNKNOWN
    return Fed(revision=ANY, refs=True, column=form[1][:1].replace("\t", " "))


def _stashes(rest: Sequence[Arg]) -> Fed:
    plain = [word for word in rest if word not in ("--no-color", "-n1") and not re.fullmatch(r"-[0-9]+", str(word))]
    if not plain:
        return _named("stash@{0}", ":")
    forms = ("--format=%gd", "--pretty=%gd", "--format=%h", "--format=%H", "--pretty=format:%gd")
    return _named("stash@{0}") if len(plain) == 1 and plain[0] in forms else UNKNOWN


def _one(command: str, rest: Sequence[Arg]) -> Fed:
    if command == "symbolic-ref":
        short = tuple(word for word in rest if word not in ("--short", "-q", "--quiet"))
        return Fed(revision="HEAD" + _FAR, refs=True) if short == ("HEAD",) else UNKNOWN
    known = {"describe": _DESCRIBE, "rev-parse": _PARSE, "merge-base": _BASE}[command]
    parsed = parse(rest, known)
    if isinstance(parsed, str) or parsed.operands[parsed.dashes :]:
        return UNKNOWN
    if command == "describe":
        at_head = all(word in ("HEAD", "@") for word in parsed.operands)
        ok = all(map(_is_known, parsed.operands))
        return Fed(revision="HEAD" + _FAR if at_head else ANY, refs=True) if ok else UNKNOWN
    if command == "merge-base":
        return _named(_first(parsed.operands))
    if len(parsed.operands) != 1:
        return UNKNOWN
    word = parsed.operands[0]
    if parsed.names() & {"--abbrev-ref", "--symbolic-full-name"}:
        named = isinstance(word, str) and _PLACE.fullmatch(word) and not git.is_elsewhere(word)
        return Fed(revision="HEAD" + _FAR if word in ("HEAD", "@") else ANY, refs=True) if named else UNKNOWN
    return _parsed(word)


def _first(operands: Sequence[Arg]) -> str:
    """What two branches have in common shows no more than one of them."""
    word = operands[0] if operands else ""
    if isinstance(word, Fed):
        return ANY if _is_known(word) else ""
    fits = _SIMPLE.fullmatch(word) is not None and ".." not in word and len(operands) > 1
    return word + _FAR if fits and not git.is_elsewhere(word) else ""


def _parsed(word: Arg) -> Fed:
    if isinstance(word, Fed):
        return _named(word.revision) if _is_known(word) else UNKNOWN
    fits = _SIMPLE.fullmatch(word) is not None and ".." not in word and not git.is_elsewhere(word)
    return _named(word) if fits and not word.startswith(("-", "^")) else UNKNOWN


__all__ = ["ANY", "printed"]
