"""Codex CLI: its hooks' JSON read into a HookCall, our answers written as it takes them. Tried with 0.169.0.

Owns Codex's names and forms (docs/agents.md). Pure. Lenient with what it does not know, strict with what it judges by.
Codex runs a tool whenever the hook before it fails, says "ask" or "allow", or adds a member it does not know: so that
hook is told "deny" or nothing, what cannot be read is denied, and what asks is held while a person answers. Never
raises. Must not own: decisions, waiting, states that outlive a call (edges/hooks.py, services/agents.py).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from ...core import hooks, patch
from ...core.hooks import HookCall, HookKind, HookReply
from ...core.model import Action, AgentState, Approval, ApprovalState, Decision, Mcp, Shell, Tool, Verdict
from . import reading
from .reading import Told, line, said

AGENT = "codex"
PATIENCE = 25.0  # seconds; its JavaScript tool goes on after 31 without the call, and would run it after the turn
QUESTION = "request_user_input"  # Codex asks the person, in a dialog of its own; in plan mode only
NETWORK = "network-access "  # how the reason begins where a program that runs already wants to reach the network


EVENTS = {
    "PreToolUse": Told(HookKind.JUDGE, AgentState.WORKING, detail="tool_name"),
    "PermissionRequest": Told(HookKind.ASK, AgentState.WAITING, detail="tool_name"),
    "PostToolUse": Told(HookKind.STATE, AgentState.WORKING, "over"),
    "UserPromptSubmit": Told(HookKind.STATE, AgentState.WORKING, "before"),
    "Stop": Told(HookKind.STATE, AgentState.DONE, "turn", "last_assistant_message"),
    "Interrupt": Told(HookKind.STATE, AgentState.IDLE, "turn"),
    "SessionStart": Told(HookKind.STATE, AgentState.IDLE),
    "SessionEnd": Told(HookKind.STATE, None, "session", "reason"),
}


# --- reading -----------------------------------------------------------------------------------------


class _Common(reading.Common, frozen=True):
    turn_id: str = ""


def parse(event: str, data: bytes | str | dict[str, Any]) -> HookCall:
    """One call of Codex's hook `event`, with what it wrote to the hook's stdin, decoded or not. Never raises."""
    told = EVENTS.get(event, Told(HookKind.STATE))
    try:
        raw, common = reading.decode(data, _Common)
    except ValueError as why:
        return HookCall(agent=AGENT, event=event, kind=told.kind, holds="named", unreadable=str(why))
    key = _key(common)
    reason = common.tool_input.get("description") if _runs(common.tool_name) else None
    call = reading.common_call(
        AGENT, event, told, raw, common,
        prompt=common.turn_id,
        key=key,
        over=((common.tool_use_id, key),) if told.withdraw == "over" else (),
        holds="named",
        walled=True,
        joins=not str(reason or "").startswith(NETWORK),
        patience=PATIENCE,
        state=_state(event, told, common, raw),
        preview=line(reason),
    )  # fmt: skip
    if told.kind is HookKind.STATE:
        return call
    return reading.with_action(call, lambda: _action(reading.tool(call), call.tool_input, call.cwd))


def _runs(tool: str) -> bool:
    """Whether a tool's input is a text in `command`, which Codex may give a reason of its own beside it."""
    return tool in ("Bash", "apply_patch")


def _key(common: _Common) -> str:
    """The same for all hooks of one use: before Codex asks it adds a reason, and cuts the last newline of a patch.

    The folder counts: the model chooses one for each command, and all hooks of it tell that one as `cwd`.
    """
    given: Any = common.tool_input
    if _runs(common.tool_name):
        command = given.get("command")
        given = command.removesuffix("\n") if isinstance(command, str) else given
    return hooks.key(common.session_id, common.agent_id, common.turn_id, common.tool_name, [common.cwd, given])


def _state(event: str, told: Told, common: _Common, raw: dict[str, Any]) -> AgentState | None:
    if event == "SessionStart" and raw.get("source") == "compact":
        return None  # in the middle of its work
    asks = event == "PreToolUse" and common.tool_name == QUESTION and common.permission_mode == "plan"
    return AgentState.WAITING if asks else told.state


def _action(tool: str, given: dict[str, Any], cwd: str) -> Action | None:
    """What a use of a tool is; None: nothing to judge or answer here. Raises ValueError where it does not fit."""
    if tool == QUESTION:
        return None
    if _runs(tool):
        text = msgspec.convert(given.get("command"), str)
        if tool == "apply_patch":
            return patch.read(text, cwd)
        return patch.typed(text, cwd) or Shell(text=text, cwd=cwd)
    if tool.startswith("mcp__"):
        server, _, name = tool.removeprefix("mcp__").partition("__")
        return Mcp(server=server, tool=name, arguments=given)
    return Tool(name=tool, arguments=given, cwd=cwd)


# --- answering ---------------------------------------------------------------------------------------


def answer_judgement(call: HookCall, decision: Decision | None) -> HookReply:
    """What a hook is told where no person is asked; `decision` None: the call is unreadable, or not to be judged.

    What a rule or a grant allows by name is allowed where Codex asks, too. What nothing matched is Codex's own to ask,
    where it has its own sandbox.
    """
    if decision is None:
        return _deny(call, call.unreadable) if call.kind is HookKind.JUDGE and call.unreadable else HookReply()
    why = reading.ruled(decision)
    if decision.verdict is Verdict.DENY:
        return _deny(call, f"denied by {why}")
    if not decision.named and call.holds == "named":
        return HookReply()
    if decision.verdict is Verdict.ASK:
        return _deny(call, f"a person has to say yes and cannot be asked now, see: tmux-agent doctor ({why})")
    return _allow(call)


def answer_approval(call: HookCall, approval: Approval) -> HookReply:
    """What a hook is told that waited for a person. The hook before a tool lets it run with silence, so it says no
    wherever there is no yes; where Codex asks, silence leaves it to Codex's own dialog."""
    if approval.state is ApprovalState.DENIED:
        return _deny(call, reading.refusal(approval))
    if approval.state is ApprovalState.APPROVED:
        return _allow(call) if approval.action == call.action else _changed(call, approval.action)
    if call.kind is not HookKind.JUDGE:
        return HookReply()
    if approval.state is ApprovalState.PENDING:
        return _deny(call, "a person has not answered yet; it waits in the popup: run the very same again")
    return _deny(call, f"nobody said yes: {approval.note or approval.state.value}")


def _changed(call: HookCall, action: Action) -> HookReply:
    """A person wants something else to run; only the hook before a tool can hand that over, and only shell text."""
    if not isinstance(action, Shell) or not isinstance(call.action, Shell):
        return _deny(call, "a person said yes to an edit, which Codex takes only for commands: do it another way")
    if call.kind is HookKind.JUDGE and action == msgspec.structs.replace(call.action, text=action.text):
        return _output(call, {"permissionDecision": "allow", "updatedInput": {"command": action.text}})
    return _deny(call, f"a person wants this to run instead: {action.text}")


def _allow(call: HookCall) -> HookReply:
    return HookReply() if call.kind is HookKind.JUDGE else _output(call, {"decision": {"behavior": "allow"}})


def _deny(call: HookCall, why: str) -> HookReply:
    if call.kind is HookKind.JUDGE:
        return _output(call, {"permissionDecision": "deny", "permissionDecisionReason": said(why)})
    return _output(call, {"decision": {"behavior": "deny", "message": said(why)}})


def _output(call: HookCall, members: dict[str, Any]) -> HookReply:
    """Exactly these members: with one more Codex would take the hook for failed, and run the tool."""
    return HookReply(json.dumps({"hookSpecificOutput": {"hookEventName": call.event, **members}}) + "\n")
