"""Actions that are neither commands nor files: tmux through us, fetches, MCP and other tools, questions, stages, fleet.

Owns what is said of each and which rules speak of it. Must not own programs and files (judging.py).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from urllib.parse import urlsplit

from msgspec.structs import replace

from . import rules
from .matching import Matching
from .model import Action, Ask, Decision, Fetch, Fleet, Match, Mcp, Risk, Shell, Stage, Tmux, Tool, Verdict
from .policy_file import Words
from .rules import Rule
from .situation import Finding
from .wording import fleet_line, stage_line

_TYPES = frozenset(("send_keys", "send_text", "resume"))
_ENDS = frozenset(("kill_session", "kill_pane"))
_STARTS = frozenset(("create_session", "create_pane"))
_MEDDLES = frozenset(("send", "resume", "kill", "finish"))  # with an agent that is not the asker
_LIKE = {"record": "read"}  # a rule that speaks of the one speaks of the other: it tells no more


def other(judge: Matching, action: Action) -> list[Finding]:
    """One finding about the action as a whole."""
    if isinstance(action, Tmux):
        return [_tmux(judge, action)]
    if isinstance(action, Fetch):
        return [_fetch(judge, action)]
    if isinstance(action, Mcp):
        source = f"{action.server}: {action.tool}"
        return [
            _ruled(
                judge,
                "mcp",
                source,
                lambda rule: _mcp(rule, action),
                f"uses {action.tool} of the MCP server {action.server}",
            )
        ]
    if isinstance(action, Tool):
        return [
            _ruled(
                judge,
                "tool",
                action.name,
                lambda rule: _globbed(action.name, rule.when.tool),
                f"uses the agent's tool {action.name}",
            )
        ]
    if isinstance(action, Ask):
        return [_ask(judge, action)]
    if isinstance(action, Stage):
        says = stage_line(action)
        return [Finding(says, tuple(judge.general() or [judge.unmatched(says)]), says)]
    if isinstance(action, Fleet):
        return [_fleet(judge, action)]
    raise TypeError(f"{type(action).__name__} is judged elsewhere")


def _ruled(
    judge: Matching, kind: str, source: str, fits: Callable[[Rule], bool], says: str, risk: Risk = Risk.MEDIUM
) -> Finding:
    matches = [
        judge.by_rule(rule)
        for rule in (*judge.policy.by_kind.get(kind, ()), *(g for g in judge.granted if getattr(g.when, kind)))
        if fits(rule) and rules.fits_asker(rule, judge.situation.asker, risk)
    ]
    matches += judge.general(risk)
    return Finding(source, tuple(matches) or (judge.unmatched(says, risk),), says)


def _globbed(value: str, patterns: Words) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(value, pattern) for pattern in patterns)


def _names(verb: str, patterns: Words) -> bool:
    return _globbed(verb, patterns) or (verb in _LIKE and _globbed(_LIKE[verb], patterns))


def _mcp(rule: Rule, action: Mcp) -> bool:
    when = rule.when.mcp
    return when is not None and _globbed(action.server, when.server) and _globbed(action.tool, when.tool)


def _fetch(judge: Matching, action: Fetch) -> Finding:
    try:
        host = urlsplit(action.url).hostname or ""
    except ValueError:
        host = ""

    def fits(rule: Rule) -> bool:
        when = rule.when.fetch
        methods = tuple(method.upper() for method in when.method) if when else ()
        known = bool(host) or rule.verdict is not Verdict.ALLOW
        return (
            when is not None
            and known
            and rules.match_host(when.host, host)
            and (not methods or action.method.upper() in methods)
        )

    sends = action.method.upper() not in ("GET", "HEAD")
    says = f"{'sends data to' if sends else 'reads from'} {host or action.url}"
    return _ruled(judge, "fetch", action.url, fits, says, Risk.HIGH if sends else Risk.MEDIUM)


def _ask(judge: Matching, action: Ask) -> Finding:
    def fits(rule: Rule) -> bool:
        when = rule.when.ask
        return (
            when is not None
            and rule.verdict is not Verdict.ALLOW
            and _globbed(action.action_type, when.action_type)
            and _globbed(action.urgency, when.urgency)
        )

    question = Match(rule="a question", verdict=Verdict.ASK, reason="asks a person", where="guardrail")
    finding = _ruled(judge, "ask", action.prompt, fits, "asks a person")
    kept = tuple(match for match in finding.matches if match.where != "default")
    return Finding(action.prompt, (*kept, question), "asks a person")


def typed_into(judge: Matching, action: Shell) -> list[Finding]:
    """What rules say of text in a persistent terminal because it is typed there; what it does is judged by itself."""
    verbs = [("execute", action.pane, "types it into")] if action.pane else []
    verbs += [("create_session", action.session, "opens the session")] if action.session else []
    verbs += [("execute", action.session, "types it into the session")] if action.session else []
    findings = []
    for verb, target, does in verbs:
        rules_ = (*judge.policy.by_kind.get("tmux", ()), *(one for one in judge.granted if one.when.tmux))
        fit = [one for one in rules_ if one.when.tmux and _globbed(verb, one.when.tmux)]
        matches = [judge.by_rule(one) for one in fit if rules.fits_asker(one, judge.situation.asker, Risk.LOW)]
        if matches:
            says = f"{does} {target}"
            findings.append(Finding(says, tuple(matches), says))
    return findings


def in_changed(finding: Finding, changed: str) -> Finding:
    """What is said of a part of a text in a shell in which something lasts. No name there is sure to be what it says:
    only what a person has allowed since then is allowed."""
    kept = tuple(one for one in finding.matches if one.verdict is not Verdict.ALLOW or one.where.startswith("grant "))
    if kept:
        return Finding(finding.source, kept, finding.says)
    reason = f"{changed} was run in this shell before: what is allowed elsewhere may be something else here"
    asked = Match(rule="changed shell", verdict=Verdict.ASK, reason=reason, where="default", risk=Risk.MEDIUM)
    return Finding(finding.source, (asked,), finding.says)


def _tmux(judge: Matching, action: Tmux) -> Finding:
    verb = action.verb.removeprefix("tmux.")
    what = {
        "send_text": f"types into {action.target}: {action.text}",
        "send_keys": f"presses {' '.join(action.keys)} in {action.target}",
        "resume": f"has the agent in {action.target} go on: {action.text}",
        "kill_session": f"ends the session {action.target} and all in it",
        "kill_pane": f"ends the pane {action.target} and what runs in it",
        "create_session": f"opens the session {action.name or action.target}",
        "create_pane": f"opens a pane beside {action.target}",
        "record": f"records what {action.target} shows",
        "record_stop": f"ends the recording {action.name} of {action.target}",
        "record_remove": f"removes the recording {action.name} of {action.target}",
        "record_play": f"plays {action.name} in a popup over what a person does",
    }
    says = what.get(verb, f"{verb.replace('_', ' ')} {action.target}".strip())
    risk = Risk.HIGH if verb in _TYPES | _ENDS else Risk.LOW
    finding = _ruled(judge, "tmux", says, lambda rule: _names(verb, rule.when.tmux), says, risk)
    # Ending things, and starting or typing something, is never without a person.
    if verb in _ENDS or verb in _TYPES or (verb in _STARTS and (action.argv or action.text)):
        asked = Match(rule="tmux by agents", verdict=Verdict.ASK, reason=says, where="guardrail", risk=risk)
        finding = Finding(finding.source, (*(m for m in finding.matches if m.where != "default"), asked), says)
    return finding


def _fleet(judge: Matching, action: Fleet) -> Finding:
    says = fleet_line(action)
    risk = Risk.HIGH if action.verb in _MEDDLES else Risk.MEDIUM
    finding = _ruled(judge, "fleet", says, lambda rule: _globbed(action.verb, rule.when.fleet), says, risk)
    if action.verb in _MEDDLES:
        asked = Match(rule="the fleet by agents", verdict=Verdict.ASK, reason=says, where="guardrail", risk=risk)
        finding = Finding(finding.source, (*(m for m in finding.matches if m.where != "default"), asked), says)
    return finding


def outside(decision: Decision) -> Decision:
    """Of what we are to do for an agent in the sandbox. It is done outside, where the policy's rules mean other files
    and programs than the agent could reach: a person is asked, unless one has given it the permission itself."""
    given = any(match.verdict is Verdict.ALLOW and match.where.startswith("grant ") for match in decision.matched)
    if decision.verdict is not Verdict.ALLOW or given:
        return decision
    reason = f"it would be done outside the sandbox, where {decision.rule} allows it"
    return replace(decision, verdict=Verdict.ASK, rule="sandbox", reason=reason, where="sandbox")
