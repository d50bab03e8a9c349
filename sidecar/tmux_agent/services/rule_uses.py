"""Rules with `for`: how often each let something through lately.

Owns the count. Must not own what a rule matches (core/rules.py), or when it is counted (judgement.py).
"""

from __future__ import annotations

import time
from collections import deque

from ..core.model import Decision
from ..core.situation import Policy

_KEPT = 10_000  # uses of one rule


class RuleUses:
    """For one thread."""

    def __init__(self) -> None:
        self._uses: dict[str, deque[float]] = {}

    def any(self) -> bool:
        """Whether anything was counted: before that no rule can have run out."""
        return bool(self._uses)

    def exhausted(self, policy: Policy) -> frozenset[str]:
        """Names of the rules that are used up now."""
        gone = []
        for rule in policy.rules if self._uses else ():
            limit = rule.file.for_
            if limit is not None and rule.name in self._uses:
                uses = self._uses[rule.name]
                while uses and time.monotonic() - uses[0] > limit.per:
                    uses.popleft()
                if len(uses) >= limit.uses:
                    gone.append(rule.name)
        return frozenset(gone)

    def count(self, decision: Decision, policy: Policy) -> None:
        """An allow that rests on a rule with `for` uses it up."""
        for name in _limited(decision, policy):
            self._uses.setdefault(name, deque(maxlen=_KEPT)).append(time.monotonic())

    def take_back(self, decision: Decision, policy: Policy) -> None:
        """One use of each, where there is one."""
        for name in _limited(decision, policy):
            if uses := self._uses.get(name):
                uses.pop()


def _limited(decision: Decision, policy: Policy) -> list[str]:
    """Names of the rules with `for` that it rests on, once for each part of the action that one allows."""
    rules = [policy.named(match) for match in decision.matched]
    return [rule.name for rule in rules if rule is not None and rule.file.for_ is not None]
