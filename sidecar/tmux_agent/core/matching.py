"""What the rules of the policy say of one run of a program, and in which words; what is said where none speaks.

Owns picking the rules that may speak, and the reason that a person would want to know. Must not own whether one rule
fits (rules.py, rules_command.py), taking an action apart (judging.py), nor the verdict (policy.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from . import effects, rules
from .calls import Invocation, call_of
from .facts import Lookup
from .model import Match, Risk, Verdict
from .reach import Miss, Reach
from .rules import Rule
from .rules_command import could_match, match_command
from .situation import Policy, Situation


class Matching:
    """For one decision; `granted` are rules of grants, which count as further allow rules."""

    def __init__(
        self, policy: Policy, situation: Situation, look: Lookup, reach: Reach, granted: Sequence[Rule]
    ) -> None:
        self.policy = policy
        self.situation = situation
        self.granted = tuple(granted)
        self._look = look
        self._reach = reach

    def ruled(self, call: Invocation, guarded: Sequence[Match]) -> list[Match]:
        """The rules that match one run; the default with the best reason where none does. `guarded`: what the
        guardrails say of it."""
        named = self.policy.about(call.program, call.args[0] if call.args else "")
        own = [rule for rule in named if rule.anyone or self._is_about_asker(rule)]
        own += [rule for rule in self.granted if call.program in rule.programs and self._is_about_asker(rule)]
        likely = (rule for rule in own if could_match(rule, call))
        matches = [self.by_rule(rule) for rule in likely if match_command(rule, call, self._reach) is None]
        general = self.policy.by_kind.get("any", ())
        graded = [rule for rule in named if not rule.anyone and rule.when.risk]
        risk = self._risk(call, (*guarded, *matches)) if graded or any(r.when.risk for r in general) else Risk.MEDIUM
        fitting = (rule for rule in graded if rules.fits_asker(rule, self.situation.asker, risk))
        matches += [self.by_rule(rule) for rule in fitting if match_command(rule, call, self._reach) is None]
        matches += self.general(risk)
        if not matches:
            matches.append(self.asked_about(self._best_miss(own, call), call))
        return matches

    def is_vague(self, call: Invocation) -> bool:
        """Whether a rule allows this run that lets some words be anything, and so tells nothing of them."""
        ruled = (*self.policy.about(call.program, call.args[0] if call.args else ""), *self.granted)
        vague = (rule for rule in ruled if rule.verdict is Verdict.ALLOW and rule.lets_anything)
        return any(match_command(rule, call, self._reach) is None for rule in vague)

    def _is_about_asker(self, rule: Rule) -> bool:
        """Whether a rule that does not speak of risks speaks of whoever asks."""
        return not rule.when.risk and rules.fits_asker(rule, self.situation.asker, Risk.MEDIUM)

    def _best_miss(self, tried: Iterable[Rule], call: Invocation) -> Miss | None:
        """Of the rules that do not match one run, the reason that a person would want to know most."""
        misses = (match_command(rule, call, self._reach) for rule in tried)
        return max((miss for miss in misses if miss is not None), key=lambda miss: miss.weight, default=None)

    def _risk(self, call: Invocation, matches: Sequence[Match]) -> Risk:
        """How bad one run is, for rules that speak of risk: low where a rule allows it and no other says more."""
        if matches and all(match.verdict is Verdict.ALLOW for match in matches):
            return max((match.risk for match in matches), key=lambda risk: risk.rank)
        described = effects.describe(call, self._look, self.situation.roots)[1]
        return max((described, *(match.risk for match in matches)), key=lambda risk: risk.rank)

    def general(self, risk: Risk = Risk.MEDIUM) -> list[Match]:
        """Ask and deny rules that say only who, where, when or how bad, and so speak of every action."""
        return [
            self.by_rule(rule)
            for rule in self.policy.by_kind.get("any", ())
            if rules.fits_asker(rule, self.situation.asker, risk)
        ]

    def unmatched(self, reason: str, risk: Risk = Risk.LOW) -> Match:
        """No rule speaks of it: what the policy says then."""
        return Match(
            rule="unmatched", verdict=Verdict(self.policy.defaults.unmatched), reason=reason, where="default", risk=risk
        )

    def by_rule(self, rule: Rule) -> Match:
        risk = rule.risk or (Risk.LOW if rule.verdict is Verdict.ALLOW else Risk.MEDIUM)
        return Match(rule=rule.name, verdict=rule.verdict, reason=rule.file.reason, where=rule.where, risk=risk)

    def asked_about(self, miss: Miss | None, call: Invocation | None = None) -> Match:
        """The same, because of that miss, or what the run does where that says more."""
        if miss is not None and miss.weight == 3 and "secrets" in miss.text:
            return Match(rule="secrets", verdict=Verdict.ASK, reason=miss.text, where="guardrail", risk=Risk.HIGH)
        text, risk = effects.describe(call, self._look, self.situation.roots) if call is not None else ("", Risk.LOW)
        if miss is not None and miss.weight and (miss.weight > 1 or call is None or text.endswith(effects.UNKNOWN)):
            return self.unmatched(miss.text, (Risk.LOW, Risk.MEDIUM, Risk.HIGH)[miss.weight - 1])
        return self.unmatched(text, risk)

    def says(self, argv: Sequence[str], folder: str) -> str:
        """What a program with these arguments does, in words."""
        call = call_of(argv, folder, self._reach, in_shell=True, piped=False)
        return effects.describe(call, self._look, self.situation.roots)[0]
