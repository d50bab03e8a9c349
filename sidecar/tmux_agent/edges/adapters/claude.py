"""Claude Code: its hooks' JSON read into a HookCall, our answers written as it takes them. Tried with 2.1.197.

Owns Claude's names and forms (docs/agents.md). Pure. Lenient with what it does not know, strict with what it judges by:
a wrong type where an action is read from makes the call `unreadable`, which is answered "ask". Never raises.
Must not own: decisions, waiting, states that outlive a call (edges/hooks.py, services/agents.py).
"""

from __future__ import annotations

import json
import re
import string
import unicodedata
from typing import Any

import msgspec

from ...core import hooks
from ...core.hooks import HookCall, HookKind, HookReply
from ...core.limits import Notice
from ...core.model import (
    Action,
    AgentState,
    Approval,
    ApprovalState,
    Ask,
    Decision,
    Fetch,
    File,
    Mcp,
    Shell,
    Tool,
    Verdict,
)
from . import reading
from .reading import Shape, Told, line, said

AGENT = "claude"
# What JavaScript's trim takes off (ECMA-262, WhiteSpace and LineTerminator).
_BLANKS = string.whitespace + "".join(map(chr, range(0x2000, 0x200B)))
_BLANKS += "\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"


EVENTS = {
    "PreToolUse": Told(HookKind.JUDGE, AgentState.WORKING, detail="tool_name"),
    "PermissionRequest": Told(HookKind.ASK, AgentState.WAITING, detail="tool_name"),
    "PostToolUse": Told(HookKind.STATE, AgentState.WORKING, "over"),
    "PostToolUseFailure": Told(HookKind.STATE, AgentState.WORKING, "over"),
    "PostToolBatch": Told(HookKind.STATE, AgentState.WORKING, "over"),
    "UserPromptSubmit": Told(HookKind.STATE, AgentState.WORKING, "before"),
    "Stop": Told(HookKind.STATE, AgentState.DONE, "turn", "last_assistant_message"),
    "StopFailure": Told(HookKind.STATE, AgentState.ERROR, "turn", "error last_assistant_message"),
    "SubagentStop": Told(HookKind.STATE, None, "turn"),
    "SessionStart": Told(HookKind.STATE, AgentState.IDLE),
    "SessionEnd": Told(HookKind.STATE, None, "session", "reason"),
    "Notification": Told(HookKind.STATE, detail="message"),
}
NOTIFICATIONS = {
    "permission_prompt": AgentState.WAITING,
    "agent_needs_input": AgentState.WAITING,
    "elicitation_dialog": AgentState.WAITING,
    "elicitation_url_dialog": AgentState.WAITING,
    "elicitation_complete": AgentState.WORKING,
    "elicitation_response": AgentState.WORKING,
    "idle_prompt": AgentState.IDLE,
}


# A request that was refused may also be one too many in a minute, or too many for the servers.
USED_UP = re.compile(
    r"\b(usage|session|weekly|monthly|spend|hour|Opus|Sonnet|Fable\W\w+) limit\b|\bout of .*usage\b|\bresets\b"
)
NOT_YOURS = "not your usage limit"


TOOLS = {
    "Bash": Shape(Shell, {"text": "command"}),
    "Monitor": Shape(Shell, {"text": "command"}),
    "PowerShell": Shape(Shell, {"text": "command"}, {"dialect": "powershell"}),
    "Read": Shape(File, {"path": "file_path"}, {"verb": "read"}),
    "Write": Shape(File, {"path": "file_path", "content": "content"}, {"verb": "write", "create_dirs": True}),
    "Edit": Shape(
        File,
        {"path": "file_path", "old_text": "old_string", "new_text": "new_string", "replace_all": "replace_all"},
        {"verb": "edit"},
    ),
    "NotebookEdit": Shape(File, {"path": "notebook_path", "new_text": "new_source"}, {"verb": "edit"}),
    "LS": Shape(File, {"path": "path"}, {"verb": "list"}),
    "Grep": Shape(File, {"path": "path"}, {"verb": "read", "recursive": True}),
    "Glob": Shape(File, {"path": "path"}, {"verb": "list", "recursive": True}),
    "WebFetch": Shape(Fetch, {"url": "url"}),
}
NOTED = ("pattern", "glob", "run_in_background", "dangerouslyDisableSandbox", "edit_mode", "cell_id")  # shown beside it


# --- reading -----------------------------------------------------------------------------------------


class _Common(reading.Common, frozen=True):
    prompt_id: str = ""


def parse(event: str, data: bytes | str | dict[str, Any]) -> HookCall:
    """One call of Claude's hook `event`, with what it wrote to the hook's stdin, decoded or not. Never raises."""
    told = EVENTS.get(event, Told(HookKind.STATE))
    try:
        raw, common = reading.decode(data, _Common)
    except ValueError as why:
        return HookCall(agent=AGENT, event=event, kind=told.kind, unreadable=str(why))
    call = reading.common_call(
        AGENT, event, told, raw, common,
        prompt=common.prompt_id,
        key=_key(common, common.tool_name, common.tool_input),
        holds="proof" if told.kind is HookKind.JUDGE else "",
        over=_over(common, raw) if told.withdraw == "over" else (),
        state=_state(event, told, raw),
        limit=_limit(raw) if event == "StopFailure" else None,
    )  # fmt: skip
    if told.kind is HookKind.STATE:
        return call
    notes = reading.noted(call.tool_input, NOTED)
    return reading.with_action(call, lambda: _action(reading.tool(call), call.tool_input, call.cwd), notes)


def _key(common: _Common, tool: str, tool_input: Any) -> str:
    return hooks.key(common.session_id, common.agent_id, common.prompt_id, tool, tool_input)


def _over(common: _Common, raw: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """(tool_use, key) of what is done: of the event itself, or of each call of a batch."""
    calls = raw.get("tool_calls", [raw])
    return tuple(
        (str(call.get("tool_use_id", "")), _key(common, str(call.get("tool_name", "")), call.get("tool_input")))
        for call in (calls if isinstance(calls, list) else [])
        if isinstance(call, dict)
    )


def _state(event: str, told: Told, raw: dict[str, Any]) -> AgentState | None:
    if event == "Notification":
        return NOTIFICATIONS.get(str(raw.get("notification_type")))
    if event == "SessionStart" and raw.get("source") == "compact":
        return None  # in the middle of its work
    return told.state


def _limit(raw: dict[str, Any]) -> Notice | None:
    """The usage limit that ended a turn."""
    words = line(raw.get("last_assistant_message"))
    ended = raw.get("error") == "rate_limit" and USED_UP.search(words) and NOT_YOURS not in words
    return Notice(words=words) if ended else None


def _action(tool: str, given: dict[str, Any], cwd: str) -> Action | None:
    """What a use of a tool is; None: nothing to judge or answer here. Raises ValueError where it does not fit."""
    if tool == "Monitor" and "command" not in given:
        return Tool(name=tool, arguments=given, cwd=cwd)
    if shape := TOOLS.get(tool):
        values = shape.values(given)
        if "cwd" in shape.make.__struct_fields__:
            values["cwd"] = cwd
        if tool in ("Grep", "Glob", "LS"):
            values["path"] = _searched(tool, given, cwd)
        if shape.make is File:
            _as_taken(values.get("path"))
        return msgspec.convert(values, shape.make)
    if tool.startswith("mcp__"):
        server, _, name = tool.removeprefix("mcp__").partition("__")
        return Mcp(server=server, tool=name, arguments=given)
    if tool == "MultiEdit":
        path = msgspec.convert(given.get("file_path"), str)
        return reading.several_edits(path, cwd, given.get("edits"), "old_string", "new_string")
    if tool == "AskUserQuestion":
        return reading.question(given.get("questions"), "multiSelect")
    if tool == "ExitPlanMode":
        return Ask(prompt="May it go ahead with its plan?", action_type="plan", details=str(given.get("plan", "")))
    return Tool(name=tool, arguments=given, cwd=cwd)


def _as_taken(path: Any) -> None:
    """Claude takes blanks off both ends of a path and composes its letters, which gives another file. It shows hooks
    the path that it made of it, but not of its searches. Raises ValueError."""
    if isinstance(path, str) and (path != path.strip(_BLANKS) or not unicodedata.is_normalized("NFC", path)):
        raise ValueError("its path is not the one that Claude would take it for")


def _searched(tool: str, given: dict[str, Any], cwd: str) -> str:
    path = cwd if given.get("path") in (None, "") else given["path"]
    _as_taken(path)
    _as_taken(given.get("pattern") if tool == "Glob" else None)
    return reading.searched(msgspec.convert(path, str), given.get("pattern", "") if tool == "Glob" else "")


# --- answering ---------------------------------------------------------------------------------------


def answer_judgement(call: HookCall, decision: Decision | None) -> HookReply:
    """What PreToolUse is told; `decision` None: the call is unreadable, or the sidecar cannot judge now.

    allow only by name (a rule, a grant): an unmatched default leaves Claude's own rules and dialog alone, and so does a
    question to the person, which no policy may answer.
    """
    if (call.action is None and not call.unreadable) or isinstance(call.action, Ask):
        return HookReply()
    if decision is None:
        return _decided("ask", call.unreadable or "it could not be judged, see: tmux-agent doctor")
    why = reading.ruled(decision)
    if decision.verdict is Verdict.DENY:
        return _decided("deny", f"denied by {why}")
    return _decided(decision.verdict.value, why) if decision.named else HookReply()


def answer_approval(call: HookCall, approval: Approval) -> HookReply:
    """What PermissionRequest is told once its approval has ended: silence leaves Claude's own dialog as it is. What
    PreToolUse is told, which has waited for a proof: without one, no."""
    if call.kind is HookKind.JUDGE:
        return _answer_held(call, approval)
    if approval.state is ApprovalState.DENIED:
        return _refused(reading.refusal(approval))
    if approval.state is not ApprovalState.APPROVED:
        return HookReply()
    try:
        changed = _changed_input(call, approval)
    except ValueError as why:
        return _refused(f"a person said yes to an edit that cannot be handed over: {why}")
    return _permission({"behavior": "allow"} if changed is None else {"behavior": "allow", "updatedInput": changed})


def _answer_held(call: HookCall, approval: Approval) -> HookReply:
    if approval.state is ApprovalState.DENIED:
        return _decided("deny", reading.refusal(approval))
    if approval.state is not ApprovalState.APPROVED:
        return _decided("deny", f"rule {approval.rule} demands a proof, and nobody gave one in time: ask again")
    try:
        changed = _changed_input(call, approval)
    except ValueError as why:
        return _decided("deny", f"a person said yes to an edit that cannot be handed over: {why}")
    return _decided("allow", "a person said yes, and proved it", {} if changed is None else {"updatedInput": changed})


def _changed_input(call: HookCall, approval: Approval) -> dict[str, Any] | None:
    """The tool's input as the person wants it; None: as it is. Raises ValueError where what was shown would not run."""
    action = approval.action
    if isinstance(action, Ask):
        choice = approval.answer.choice if approval.answer else None
        return {**call.tool_input, "answers": {action.prompt: choice}} if action.options else dict(call.tool_input)
    if action == call.action:
        return None
    if type(action) is not type(call.action):
        raise ValueError("it is another kind of action now")
    given = dict(call.tool_input)
    if isinstance(action, Mcp | Tool):
        given = action.arguments
    elif shape := TOOLS.get(call.tool):
        given = shape.put(given, action)
    if _action(call.tool, given, call.cwd) != action:
        raise ValueError(f"only {call.tool}'s own input can be edited")
    return given


def _decided(word: str, reason: str, more: dict[str, Any] | None = None) -> HookReply:
    members = {"permissionDecision": word, "permissionDecisionReason": said(reason), **(more or {})}
    return _output("PreToolUse", members)


def _refused(message: str) -> HookReply:
    return _permission({"behavior": "deny", "message": said(message)})


def _permission(decision: dict[str, Any]) -> HookReply:
    return _output("PermissionRequest", {"decision": decision})


def _output(event: str, members: dict[str, Any]) -> HookReply:
    return HookReply(json.dumps({"hookSpecificOutput": {"hookEventName": event, **members}}) + "\n")
