"""One module an agent: its hooks' JSON read, our answers written (claude.py), and one for its set-up (claude_setup.py).

Owns which agents there are.
"""

from __future__ import annotations

from typing import Any, Protocol

from ...core.hooks import HookCall, HookReply
from ...core.model import Approval, Decision
from . import claude, codex, cursor, gemini, opencode


class Adapter(Protocol):
    """What a module must have. Pure, and never raises: input is hostile, output exactly what the agent accepts."""

    AGENT: str

    def parse(self, event: str, data: bytes | str | dict[str, Any], /) -> HookCall:
        """One call of the agent's hook `event`, with what it wrote to the hook's stdin, decoded or not."""

    def answer_judgement(self, call: HookCall, decision: Decision | None, /) -> HookReply:
        """What a hook is told where no person was asked; None: it is unreadable, or cannot be judged now."""

    def answer_approval(self, call: HookCall, approval: Approval, /) -> HookReply:
        """What a hook is told that waited for a person. Still pending: the agent lets it wait no longer."""


ADAPTERS: dict[str, Adapter] = {
    claude.AGENT: claude,
    codex.AGENT: codex,
    gemini.AGENT: gemini,
    opencode.AGENT: opencode,
    cursor.AGENT: cursor,
}
