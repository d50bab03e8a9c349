"""The one question: decide(action, facts, policy, grants, situation) -> Decision. Pure.

Owns the rule that the strictest of all that applies wins, and how grants count. Must not own taking an action apart
(judging.py), matching (rules.py), guardrails (guardrails.py), or gathering facts (services/observe.py).

What is unknown never allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from . import guardrails, proposals, rules
from .facts import Facts, Lookup
from .judging import Judging
from .model import Action, Command, Decision, Grant, JudgedPart, Match, Risk, Shell, Verdict, digest
from .policy_file import RuleFile, as_rule
from .rules import Rule
from .situation import Finding, Policy, Situation, strictest


def decide(
    action: Action, facts: Facts, policy: Policy, grants: Sequence[Grant] = (), *, situation: Situation
) -> Decision:
    """What is done about `action`, with every reason. Facts that are missing count against it."""
    look = Lookup(facts)
    if isinstance(action, Shell) and action.changed:  # what was given before was not given for what it is now
        grants = [grant for grant in grants if grant.created.timestamp() > action.changed_at]
    granted = tuple(rule for grant in grants if (rule := _shape(grant, situation.home)) is not None)
    findings = Judging(policy, situation, look, granted).action(action)
    if uses_link := tuple(guardrails.links(action)):
        findings.append(Finding("a signed link", uses_link))
    if grants:
        findings = _with_exact(action, findings, policy, grants, look)
    decision = _conclude(action, findings, policy)
    if decision.verdict is Verdict.ASK:
        scopes = proposals.scopes(action, decision, look)
        if isinstance(action, Shell) and action.changed:  # that would be a rule, and none counts there
            scopes = tuple(scope for scope in scopes if scope != "always")
        decision = msgspec.structs.replace(decision, grants=scopes)
    return decision


# --- grants ------------------------------------------------------------------------------------------


def _shape(grant: Grant, home: str) -> Rule | None:
    """A grant of a shape as an allow rule; None for one of an exact action, or where the rule no longer compiles."""
    if grant.rule is None or grant.digest is not None or grant.revoked:
        return None
    return _compiled(f"grant {grant.id}", msgspec.json.encode(grant.rule), home)


@lru_cache(maxsize=512)
def _compiled(where: str, rule: bytes, home: str) -> Rule | None:
    try:
        typed: RuleFile = as_rule(msgspec.json.decode(rule))
        return rules.compile_rule(typed, where, {}, home) if typed.verdict == "allow" else None
    except (rules.BadRule, msgspec.ValidationError):
        return None


def _with_exact(
    action: Action, findings: list[Finding], policy: Policy, grants: Sequence[Grant], look: Lookup
) -> list[Finding]:
    """A grant for this very action stands in for the default, and for nothing stricter."""
    if not any(grant.digest for grant in grants) or policy.defaults.unmatched != "ask":
        return findings
    name = digest(action)
    for grant in grants:
        bound = grant.digest == name and not grant.revoked
        if bound and all(_same(path, sha, look) for path, sha in grant.bound.items()):
            match = Match(
                rule=grant.text or "granted",
                verdict=Verdict.ALLOW,
                reason="a person allowed it ahead",
                where=f"grant {grant.id}",
            )
            return [_lifted(finding, match) for finding in findings]
    return findings


def _lifted(finding: Finding, granted: Match) -> Finding:
    kept = tuple(match for match in finding.matches if match.where != "default")
    return Finding(finding.source, (*kept, granted), finding.says)


def _same(path: str, sha: str, look: Lookup) -> bool:
    file, script_mark, script = path.partition("#scripts.")
    if script_mark:
        package = look.package(file.rpartition("/")[0], script)
        return package.path == file and package.sha256 == sha
    return look.hash(path).sha256 == sha


# --- the end -----------------------------------------------------------------------------------------


def _conclude(action: Action, findings: Sequence[Finding], policy: Policy) -> Decision:
    matched = tuple(dict.fromkeys(match for finding in findings for match in finding.matches))
    chosen = strictest(matched)
    rule = policy.named(chosen)
    options = rule.file if rule else None
    proofs = _proofs(matched, policy)
    if chosen.verdict is Verdict.ASK and len(proofs) > 1:
        chosen = _apart(chosen, tuple(proofs.values()))
    shown = isinstance(action, (Shell, Command)) or len(findings) > 1
    return Decision(
        verdict=chosen.verdict,
        rule=chosen.rule,
        reason=chosen.reason,
        where=chosen.where,
        risk=max((match.risk for match in matched), key=lambda risk: risk.rank, default=Risk.LOW),
        named=chosen.where != "default",
        matched=matched,
        parts=tuple(_part(finding) for finding in findings) if shown else (),
        timeout=options.timeout if options else None,
        on_timeout=Verdict((options and options.on_timeout) or policy.defaults.on_timeout),
        step_up=next(iter(proofs), ()),
    )


def _proofs(matched: Sequence[Match], policy: Policy) -> dict[tuple[str, ...], str]:
    """What the rules that ask demand as a proof, each with a rule that does: also where another one of them decides."""
    found = (policy.named(match) for match in matched if match.verdict is Verdict.ASK)
    return {rule.step_up: rule.name for rule in found if rule and rule.step_up}


def _apart(chosen: Match, rules: Sequence[str]) -> Match:
    """One yes has one proof: with the weaker of two, what wants the stronger would slip through."""
    reason = f"{' and '.join(rules)} demand different proofs: ask for these one by one"
    return msgspec.structs.replace(chosen, verdict=Verdict.DENY, reason=reason)


def _part(finding: Finding) -> JudgedPart:
    chosen = strictest(finding.matches)
    return JudgedPart(
        source=finding.source,
        verdict=chosen.verdict,
        rule=chosen.rule,
        reason=finding.says or chosen.reason,
        risk=max((match.risk for match in finding.matches), key=lambda risk: risk.rank),
    )


__all__ = ["Policy", "Situation", "decide"]
