"""Policy files to one compiled policy, with every error of every file, and every rule tried on its own examples.

Owns how layers add up and what `match` and `not_match` mean. Must not own finding or reading the files
(services/judgement.py).

An example is judged in an ideal world, by a policy that holds only its rule: every path is there, in a
worktree or, where it
begins with / or ~, outside of it; a name with a dot is a file, any other a folder with nothing bad in it; programs are
where they belong; the repository is harmless.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from . import paths, rules
from .config import ConfigError, nearest
from .facts import (
    AboveFact,
    AboveKey,
    DetourFact,
    DetourKey,
    Fact,
    GlobFact,
    GlobKey,
    HashFact,
    HistoryFact,
    HistoryKey,
    Key,
    Lookup,
    ObjectFact,
    ObjectKey,
    PackageFact,
    PathFact,
    PathKey,
    ProgramFact,
    ProgramKey,
    RefsFact,
    RefsKey,
    RepoFact,
    RepoKey,
    SwapFact,
    SwapKey,
    TrackedFact,
    TrackedKey,
    TreeFact,
)
from .judging import Judging
from .model import Action, Fetch, File, Fleet, Mcp, Shell, Tmux, Tool, Verdict
from .paths import SECRETS, Secrets
from .policy_file import Defaults, PolicyFile, RuleFile, When, words
from .rules import Asker, BadRule, Rule
from .situation import Policy, Situation, strictest
from .spans import bad_time

_HOME = "/home/example"
_TREE = "/home/example/worktree"


class Layer(Struct, frozen=True, kw_only=True):
    """One file. `tightens`: it comes with a repository that nobody trusted, so only what makes things
    stricter counts."""

    file: PolicyFile
    label: str  # policy.yaml, for messages and Match.where
    tightens: bool = False
    examples: bool = True  # tried before it counts; the shipped file's have been, by tests


def build(
    layers: Sequence[Layer], home: str, *, examples: bool = True
) -> tuple[Policy | None, tuple[ConfigError, ...]]:
    """All layers as one policy, or None and everything that is wrong with any of them."""
    errors: list[ConfigError] = []
    sets: dict[str, tuple[str, ...]] = {}
    for layer in layers:
        sets.update(layer.file.option_sets)
    compiled: list[Rule] = []
    for layer in layers:
        compiled += _rules(layer, sets, home, errors)
    environment = _environment(layers, errors)
    if examples:
        for layer in (one for one in layers if one.examples):
            errors += _examples(
                [rule for rule in compiled if rule.where.rpartition(":")[0] == layer.label], layer, environment
            )
    if errors:
        return None, tuple(errors)
    return _policy(compiled, layers, environment, home), ()


def _rules(layer: Layer, sets: dict[str, tuple[str, ...]], home: str, errors: list[ConfigError]) -> Iterator[Rule]:
    seen: dict[str, int] = {}
    for index, rule in enumerate(layer.file.rules):
        path = f"rules[{index}]"

        def wrong(message: str, key: str = "", rule: RuleFile = rule, path: str = path) -> None:
            errors.append(ConfigError(layer.label, rule.line, path + key, message))

        if rule.name in seen:
            wrong(f"has the name of the rule at line {seen[rule.name]}: {rule.name}", ".name")
        if not rule.name or rule.name == "unmatched":
            wrong("needs a name of its own", ".name")
        seen[rule.name] = rule.line
        for span in (rule.when.time,) if isinstance(rule.when.time, str) else rule.when.time:
            if span and bad_time(span):
                wrong(f"is not HH:MM-HH:MM, or mon-fri HH:MM-HH:MM: {span}", ".when.time")
        for key, message in unknown_words(rule.when):
            wrong(message, f".when.{key}")
        try:
            compiled = rules.compile_rule(rule, f"{layer.label}:{rule.line}", sets, home)
        except BadRule as why:
            near = nearest(str(why).rpartition(": ")[2].split(" ")[0], sets) if "option_sets" in str(why) else ""
            wrong(f"{why}{near}")
            continue
        if not layer.tightens:
            yield compiled
        elif compiled.verdict is not Verdict.ALLOW:
            yield msgspec.structs.replace(compiled, step_up=())  # what we run, a repository does not say


_KNOWN = {
    "tmux": (
        *("send_text", "send_keys", "read", "switch", "panes", "windows", "sessions"),
        *("create_session", "create_pane", "kill_session", "kill_pane", "resume", "execute"),
        *("record", "record_stop", "record_remove", "record_play"),
    ),
    "kind": ("command", "shell", "file", "tmux", "fetch", "mcp", "ask", "tool", "pipeline", "fleet"),
    "fleet": ("spawn", "send", "pause", "resume", "kill", "finish", "queue"),
    "fetch.method": ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"),
    "ask.urgency": ("low", "normal", "high", "critical"),
}


def unknown_words(when: When) -> Iterator[tuple[str, str]]:
    """(key, message) for each word that names nothing there is, so that the rule would never match by it."""
    given = {
        "tmux": when.tmux,
        "fleet": when.fleet,
        "kind": words(when.kind),
        "fetch.method": tuple(method.upper() for method in when.fetch.method) if when.fetch else (),
        "ask.urgency": when.ask.urgency if when.ask else (),
    }
    for key, patterns in given.items():
        for pattern in patterns:
            if not any(fnmatch.fnmatchcase(word, pattern) for word in _KNOWN[key]):
                near = nearest(pattern, _KNOWN[key])
                yield key, f"{pattern} is none of {', '.join(_KNOWN[key])}{near}"


def _environment(layers: Sequence[Layer], errors: list[ConfigError]) -> dict[str, re.Pattern[str]]:
    found: dict[str, re.Pattern[str]] = {}
    for layer in layers:
        for name, text in (layer.file.environment or {}).items():
            try:
                if not layer.tightens:
                    found[name] = re.compile(text)
            except re.error as why:
                errors.append(ConfigError(layer.label, 0, f"environment.{name}", f"is not a regular expression: {why}"))
    return found


def _policy(
    compiled: list[Rule], layers: Sequence[Layer], environment: dict[str, re.Pattern[str]], home: str
) -> Policy:
    trusted = [layer.file for layer in layers if not layer.tightens]
    defaults = next((file.defaults for file in reversed(trusted) if file.defaults), Defaults())
    if any(layer.file.defaults and layer.file.defaults.unmatched == "deny" for layer in layers):
        defaults = msgspec.structs.replace(defaults, unmatched="deny")
    roots = [root for file in trusted for root in file.roots or ()]
    return Policy(
        rules=tuple(compiled),
        timed=any(rule.file.when.time for rule in compiled),
        by_program=_by_program(compiled),
        by_kind=_by_kind(compiled),
        by_name={(rule.where, rule.name): rule for rule in compiled},
        defaults=defaults,
        secrets=Secrets(_secrets(layers), home),
        environment=environment,
        roots=tuple(dict.fromkeys(roots)) or ("{worktree}",),
        notify=next((file.notify for file in reversed(trusted) if file.notify), None),
        pipelines=tuple(one for file in trusted for one in file.pipelines),
    )


def _secrets(layers: Sequence[Layer]) -> list[str]:
    patterns: list[str] = []
    for layer in layers:
        for pattern in layer.file.secrets or ():
            if pattern == "shipped":
                patterns += SECRETS
            elif not (layer.tightens and pattern.startswith("!")):
                patterns.append(pattern)
    if not any(layer.file.secrets for layer in layers if not layer.tightens):
        patterns = [*SECRETS, *patterns]
    return patterns


def _by_program(compiled: Iterable[Rule]) -> dict[str, tuple[Rule, ...]]:
    index: dict[str, tuple[Rule, ...]] = {}
    for rule in compiled:
        firsts = rule.words[0] if rule.words and rule.verdict is Verdict.ALLOW else ("",)
        for name in (f"{program} {first}".rstrip() for program in rule.programs for first in firsts):
            index[name] = (*index.get(name, ()), rule)
    return index


def _by_kind(compiled: Iterable[Rule]) -> dict[str, tuple[Rule, ...]]:
    index: dict[str, tuple[Rule, ...]] = {}
    for rule in compiled:
        when = rule.when
        kinds = {
            "file": when.file,
            "tmux": when.tmux,
            "fetch": when.fetch,
            "mcp": when.mcp,
            "ask": when.ask,
            "tool": when.tool,
            "fleet": when.fleet,
        }
        names = [name for name, given in kinds.items() if given]
        if "read" in when.file and rule.verdict is not Verdict.ALLOW:
            names.append("file read")
        for name in names or ([] if when.command else ["any"]):
            index[name] = (*index.get(name, ()), rule)
    return index


# --- examples ----------------------------------------------------------------------------------------


class _Ideal(dict[Key, Fact]):
    """Facts of a world in which nothing is hidden behind a name."""

    def get(self, key: Key, _: Any = None) -> Any:
        if isinstance(key, PathKey):
            real = paths.normal(key.path)
            folder, _, name = real.rpartition("/")
            return PathFact(real, "file" if "." in name else "folder", folder)
        if isinstance(key, ProgramKey):
            return ProgramFact(f"/usr/bin/{key.name}", f"/usr/bin/{key.name}")
        if isinstance(key, RepoKey):
            return RepoFact(_TREE, f"{_TREE}/.git")
        if isinstance(key, HistoryKey):
            return HistoryFact(known=True)
        if isinstance(key, ObjectKey):
            return ObjectFact("commit")
        if isinstance(key, DetourKey):
            return DetourFact()
        if isinstance(key, TrackedKey):
            return TrackedFact(False)
        if isinstance(key, RefsKey):
            return RefsFact(())
        if isinstance(key, SwapKey):
            return SwapFact(False)
        if isinstance(key, GlobKey):
            return GlobFact((key.pattern.replace("*", "x"),))
        if isinstance(key, AboveKey):
            return AboveFact()
        return {"TreeKey": TreeFact(), "HashKey": HashFact("0"), "PackageKey": PackageFact("/p", "0")}[
            type(key).__name__
        ]


def _examples(compiled: Sequence[Rule], layer: Layer, environment: dict[str, re.Pattern[str]]) -> Iterator[ConfigError]:
    secrets = Secrets(SECRETS, _HOME)
    for listed in compiled:
        rule = msgspec.structs.replace(listed, when=msgspec.structs.replace(listed.when, time=()), home=_HOME)
        alone = Policy(
            rules=(rule,),
            by_program=_by_program((rule,)),
            by_kind=_by_kind((rule,)),
            by_name={(rule.where, rule.name): rule},
            defaults=Defaults(),
            secrets=secrets,
            environment=environment,
            roots=("{worktree}",),
        )
        index = layer.file.rules.index(rule.file)
        for wanted, key, given in ((True, "match", rule.file.match), (False, "not_match", rule.file.not_match)):
            for place, example in enumerate(given):
                path = f"rules[{index}].{key}[{place}]"
                try:
                    held = does_match(rule, alone, example)
                except ValueError as why:
                    yield ConfigError(layer.label, rule.file.line, path, str(why))
                    continue
                if held[0] is not wanted:
                    said = "does not match" if wanted else "matches"
                    yield ConfigError(
                        layer.label, rule.file.line, path, f"{example!r} {said} the rule {rule.name!r}: {held[1]}"
                    )


def does_match(rule: Rule, alone: Policy, example: str | dict[str, Any]) -> tuple[bool, str]:
    """Whether the rule matches every part of an example, and a reason. Raises ValueError for an example that
    is none."""
    action = example_action(example)
    situation = Situation(roots=(_TREE,), worktree=_TREE, home=_HOME, asker=_asker(rule))
    findings = Judging(alone, situation, Lookup(_Ideal())).action(action)
    if rule.verdict is not Verdict.ALLOW:
        held = any(match.rule == rule.name for finding in findings for match in finding.matches)
        return held, "the rule does not apply" if not held else "the rule applies"
    chosen = strictest([match for finding in findings for match in finding.matches])
    return chosen.verdict is Verdict.ALLOW, chosen.reason or "everything in it is allowed"


def _asker(rule: Rule) -> Asker:
    """Somebody of whom the rule speaks, so that examples need not say who, where and when."""

    def one(patterns: str | tuple[str, ...]) -> str:
        pattern = patterns if isinstance(patterns, str) else patterns[0] if patterns else ""
        return pattern.replace("*", "x").replace("?", "x")

    when = rule.when
    return Asker(
        agent=one(when.agent),
        session=one(when.session),
        window=one(when.window),
        pane_title=one(when.pane_title),
        branch=one(when.branch),
        kind=one(when.kind) or "shell",
    )


def example_action(example: str | dict[str, Any]) -> Action:
    """An example as an action: shell text, or a mapping with file/path, tool, tmux, mcp, …. Raises ValueError."""
    if isinstance(example, str):
        return Shell(text=example, cwd=_TREE)
    data = dict(example)
    if verb := data.pop("file", None):
        return msgspec.convert({"type": "file", "verb": verb, "cwd": _TREE, "path": "", **data}, File)
    if name := data.pop("tool", None):
        return Tool(name=str(name))
    if verb := data.pop("tmux", None):
        return Tmux(verb=str(verb), **{k: v for k, v in data.items() if k in ("target", "text")})
    if url := data.pop("fetch", None):
        return Fetch(url=str(url), method=str(data.get("method", "GET")))
    if verb := data.pop("fleet", None):
        return msgspec.convert({"type": "fleet", "verb": verb}, Fleet)
    if tool := data.pop("mcp", None):
        server, _, name = str(tool).partition("/")
        return Mcp(server=server, tool=name)
    raise ValueError(
        "an example is shell text, or a mapping with file and path, tool, tmux, fetch, fleet, or mcp: server/tool"
    )
