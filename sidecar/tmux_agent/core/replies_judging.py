"""What `judge`, `hook.event`, `policy.*`, `grant.*` and `link.*` give back. Owns only shapes, as replies.py."""

from __future__ import annotations

from typing import Any

from .model import Decision, Grant, JudgedPart, Match, Verdict
from .reply import Data


class JudgeData(Data, frozen=True):
    verdict: Verdict
    rule: str
    reason: str
    edited: Any = None
    comment: str = ""


class HookData(Data, frozen=True):
    """What the relay gives back to the agent."""

    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0


class CheckData(Data, frozen=True):
    verdict: Verdict
    rule: str
    reason: str
    rules: tuple[Match, ...] = ()
    parts: tuple[JudgedPart, ...] = ()

    @classmethod
    def of(cls, decision: Decision) -> CheckData:
        return cls(
            verdict=decision.verdict,
            rule=decision.rule,
            reason=decision.reason,
            rules=decision.matched,
            parts=decision.parts,
        )


class ReloadData(Data, frozen=True):
    """What is wrong with the files (then the last good ones stay in force), and the number of rules."""

    errors: tuple[str, ...]
    rules: int


class GrantsData(Data, frozen=True):
    grants: tuple[Grant, ...]
    cursor: str | None = None


class LinkData(Data, frozen=True):
    url: str


class RotatedData(Data, frozen=True):
    earlier: int  # keys whose open links are still taken


REPLIES: dict[str, Any] = {
    "judge": JudgeData,
    "hook.event": HookData,
    "policy.check": CheckData,
    "policy.reload": ReloadData,
    "grant.list": GrantsData,
    "grant.revoke": Grant,
    "link.show": LinkData,
    "link.rotate": RotatedData,
}
