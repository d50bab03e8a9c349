"""opencode: what our plugin in it says read into a HookCall, our answers written as the plugin takes them.

Owns the names and forms between opencode_plugin.js and us (docs/agents.md), and what opencode's tools do. Pure. Lenient
with what it does not know, strict with what it judges by: opencode runs what nobody forbids, so a call that is
`unreadable` is denied. Never raises. Must not own: decisions, waiting, states that outlive a call (edges/hooks.py,
services/agents.py), what the plugin does with an answer. Tried with 1.18.33.
"""

from __future__ import annotations

import json
import os.path
import re
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from ...core import hooks, patch
from ...core.hooks import HookCall, HookKind, HookReply
from ...core.limits import Notice
from ...core.model import (
    Action,
    AgentState,
    Approval,
    ApprovalState,
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

AGENT = "opencode"


EVENTS = {
    "tool.before": Told(HookKind.JUDGE, AgentState.WORKING, detail="tool"),
    "permission.asked": Told(HookKind.ASK, AgentState.WAITING, detail="permission"),
    "question.asked": Told(HookKind.ASK, AgentState.WAITING),
    "permission.replied": Told(HookKind.STATE, AgentState.WORKING, "over"),
    "session.created": Told(HookKind.STATE, AgentState.IDLE),
    "session.status": Told(HookKind.STATE),
    "session.error": Told(HookKind.STATE, AgentState.ERROR, "turn", "message"),
    "session.deleted": Told(HookKind.STATE, None, "session", "reason"),
}
RESTS = (AgentState.DONE, AgentState.IDLE)
ABORTED = "MessageAbortedError"  # the person pressed Esc


WRITE = Shape(File, {"path": "filePath", "content": "content"}, {"verb": "write", "create_dirs": True})
# An edit of nothing writes the whole file (opencode's edit tool, oldString "").
WRITE_BY_EDIT = Shape(File, {"path": "filePath", "content": "newString"}, {"verb": "write", "create_dirs": True})
TOOLS = {
    "bash": Shape(Shell, {"text": "command"}),
    "read": Shape(File, {"path": "filePath"}, {"verb": "read"}),
    "write": WRITE,
    "edit": Shape(
        File,
        {"path": "filePath", "old_text": "oldString", "new_text": "newString", "replace_all": "replaceAll"},
        {"verb": "edit"},
    ),
    "list": Shape(File, {"path": "path"}, {"verb": "list"}),
    "grep": Shape(File, {"path": "path"}, {"verb": "read", "recursive": True}),
    "glob": Shape(File, {"path": "path"}, {"verb": "list", "recursive": True}),
    "webfetch": Shape(Fetch, {"url": "url"}),
}
SEARCHES = ("list", "grep", "glob")
NOTED = ("pattern", "include", "workdir", "timeout")  # shown beside it


# --- reading -----------------------------------------------------------------------------------------


class _Common(Struct, frozen=True):
    """What every event of the plugin may carry. Anything else is ignored."""

    sessionID: str = ""  # noqa: N815 (opencode's own name)
    subagent: str = ""
    directory: str = ""
    tool: str = ""
    callID: str = ""  # noqa: N815
    args: dict[str, Any] = {}
    servers: list[str] = []
    permission: str = ""


def parse(event: str, data: bytes | str | dict[str, Any]) -> HookCall:
    """One event that the plugin told of, with what it wrote to the relay's stdin, decoded or not. Never raises."""
    told = EVENTS.get(event, Told(HookKind.STATE))
    holds: Literal["", "named"] = "named" if told.kind is HookKind.JUDGE else ""
    try:
        raw, common = reading.decode(data, _Common)
        state = _state(event, told, raw)
        key = hooks.key(common.sessionID, common.subagent, "", common.tool, common.args)
    except ValueError as why:
        return HookCall(agent=AGENT, event=event, kind=told.kind, holds=holds, unreadable=str(why))
    call = HookCall(
        agent=AGENT,
        event=event,
        kind=told.kind,
        holds=holds,
        session=common.sessionID[: hooks.KEY_PART],
        subagent=common.subagent[: hooks.KEY_PART],
        tool=common.tool or common.permission,
        tool_use=common.callID[: hooks.KEY_PART],
        tool_input=common.args,
        cwd=common.directory,
        key=key,
        over=((common.callID[: hooks.KEY_PART], key),) if told.withdraw == "over" else (),
        withdraw="turn" if event == "session.status" and state in RESTS else told.withdraw,
        state=state,
        detail=line(raw.get(told.detail)),
        limit=_limit(event, raw),
        ended=event == "session.deleted",
    )
    return call if told.kind is HookKind.STATE else _with_action(call, common, raw)


def _state(event: str, told: Told, raw: dict[str, Any]) -> AgentState | None:
    if event == "session.error" and raw.get("name") == ABORTED:
        return AgentState.IDLE
    if event != "session.status":
        return told.state
    status = raw.get("status")
    kind = status.get("type") if isinstance(status, dict) else None
    rests = AgentState.IDLE if raw.get("refused") is True else AgentState.DONE  # the person said no in its own dialog
    return {"idle": rests, "busy": AgentState.WORKING, "retry": AgentState.WORKING}.get(str(kind))


def _limit(event: str, raw: dict[str, Any]) -> Notice | None:
    """That opencode tries again by itself, and when: a usage limit, or only a server that is busy."""
    status = raw.get("status")
    if event != "session.status" or not isinstance(status, dict) or status.get("type") != "retry":
        return None
    try:
        ends = datetime.fromtimestamp(msgspec.convert(status.get("next"), float) / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # no time, or none that a clock has
        return None
    return Notice(words=line(status.get("message")), ends=ends, alone=True)


def _with_action(call: HookCall, common: _Common, raw: dict[str, Any]) -> HookCall:
    """The call with the action it is about, or with why there is none."""
    notes = reading.noted(call.tool_input, NOTED)
    if call.kind is HookKind.ASK and common.permission:
        notes.append(f"opencode asks for: {common.permission}")
    return reading.with_action(call, lambda: _asks_for(call, common, raw), notes)


def _asks_for(call: HookCall, common: _Common, raw: dict[str, Any]) -> Action | None:
    if call.event == "question.asked":
        asked = reading.question(raw.get("questions"), "multiple")
        return asked if asked and asked.options else None
    if call.kind is HookKind.ASK and not common.tool:
        return Tool(name=f"permission {common.permission}", arguments=_asked(raw), cwd=call.cwd)
    return _action(reading.tool(call), call.tool_input, call.cwd, common.servers)


def _asked(raw: dict[str, Any]) -> dict[str, Any]:
    """What opencode shows of a permission that belongs to no use of a tool that we know."""
    return {name: raw[name] for name in ("patterns", "metadata") if raw.get(name)}


def _action(tool: str, given: dict[str, Any], cwd: str, servers: list[str]) -> Action | None:
    """What a use of a tool is; None: nothing to judge or answer here. Raises ValueError where it does not fit."""
    if shape := _shape(tool, given):
        values = shape.values(given)
        if "cwd" in shape.make.__struct_fields__:
            values["cwd"] = _below(cwd, given.get("workdir")) if tool == "bash" else cwd
        if tool in SEARCHES:
            pattern = given.get("pattern", "") if tool == "glob" else ""
            values["path"] = reading.searched(_below(cwd, given.get("path")), pattern)
        elif shape.make is File:
            values["path"] = _below(cwd, values.get("path"))
        return msgspec.convert(values, shape.make)
    if tool in ("patch", "apply_patch"):
        return patch.read(msgspec.convert(given.get("patchText"), str), cwd)
    if tool == "multiedit":
        path = _below(cwd, msgspec.convert(given.get("filePath"), str))
        return reading.several_edits(path, cwd, given.get("edits"), "oldString", "newString")
    if tool == "question":
        return None  # question.asked puts it to the person
    for server in sorted(servers, key=len, reverse=True):
        begin = re.sub(r"[^A-Za-z0-9_-]", "_", server) + "_"
        if tool.startswith(begin) and tool != begin:
            return Mcp(server=server, tool=tool.removeprefix(begin), arguments=given)
    return Tool(name=tool, arguments=given, cwd=cwd)


def _shape(tool: str, given: dict[str, Any]) -> Shape | None:
    return WRITE_BY_EDIT if tool == "edit" and given.get("oldString") == "" else TOOLS.get(tool)


def _below(cwd: str, path: Any) -> str:
    """A path as opencode takes it: relative ones begin in its folder, and "~" is a name like any other."""
    if path is None or path == "":
        return cwd
    if not isinstance(path, str) or "\0" in path:
        raise ValueError("a path is no text")
    return os.path.join(cwd, path)


# --- answering ---------------------------------------------------------------------------------------


def answer_judgement(call: HookCall, decision: Decision | None) -> HookReply:
    """What the use of a tool is told where no person was asked; `decision` None: it is unreadable.

    allow only by name (a rule, a grant): what nothing matched is opencode's own to ask about. What should have been
    asked about and could not be is denied, as opencode would run it; where the sidecar cannot record,
    `on_unavailable: ask` leaves it to opencode, as it does while the sidecar is away.
    """
    if call.action is None and not call.unreadable:
        return HookReply()
    if decision is None:
        return _decided("deny", call.unreadable or "it could not be judged, see: tmux-agent doctor")
    why = reading.ruled(decision)
    if decision.verdict is Verdict.DENY:
        return _decided("deny", f"denied by {why}")
    if not decision.named:
        return HookReply()
    if decision.verdict is Verdict.ALLOW:
        return _decided("allow", why)
    if decision.rule == "on_unavailable":
        return _decided("ask", why)
    return _decided("deny", f"a person has to be asked ({why}), and cannot be now: try it again later")


def answer_approval(call: HookCall, approval: Approval) -> HookReply:
    """What a call is told that waited for a person. Silence leaves opencode's own dialog as it is."""
    if call.event == "question.asked":
        return _answered(approval)
    judging = call.kind is HookKind.JUDGE
    refused = _refused_use if judging else _refused_permission
    if approval.state is ApprovalState.DENIED:
        return refused(reading.refusal(approval))
    if approval.state is not ApprovalState.APPROVED:
        return refused("nobody answered it") if judging else HookReply()
    try:
        changed = _changed_input(call, approval)
    except ValueError as why:
        return refused(f"a person said yes to an edit that cannot be handed over: {why}")
    if not judging:
        if changed is None:
            return _reply({"reply": "once"})
        wanted = json.dumps(changed)[: reading.TEXT // 2]
        return refused(f"a person wants it done another way: use {call.tool} again with {wanted}")
    return _decided("allow", "a person said yes", **({} if changed is None else {"args": changed}))


def _answered(approval: Approval) -> HookReply:
    """A question's answer, in the form of opencode's own dialog, where a person can also type one."""
    answer = approval.answer
    if approval.state is ApprovalState.APPROVED and answer and answer.choice:
        return _reply({"answers": [[answer.choice]]})
    if approval.state is ApprovalState.DENIED:
        comment = f": {answer.comment}" if answer and answer.comment else ""
        return _reply({"answers": [[said(f"a person chose none of these{comment}")]]})
    return HookReply()


def _changed_input(call: HookCall, approval: Approval) -> dict[str, Any] | None:
    """The tool's input as the person wants it; None: as it is. Raises ValueError where what was shown would not run."""
    action = approval.action
    if action == call.action:
        return None
    if type(action) is not type(call.action):
        raise ValueError("it is another kind of action now")
    given, servers = dict(call.tool_input), []
    if isinstance(action, Mcp | Tool):
        given = action.arguments
    elif shape := _shape(call.tool, given):
        given = shape.put(given, action)
    if isinstance(action, Mcp):
        servers = [action.server]
    if _action(call.tool, given, call.cwd, servers) != action:
        raise ValueError(f"only {call.tool}'s own input can be edited")
    return given


def _decided(word: str, reason: str, **more: Any) -> HookReply:
    return _reply({"decision": word, "reason": said(reason), **more})


def _refused_use(message: str) -> HookReply:
    return _decided("deny", message)


def _refused_permission(message: str) -> HookReply:
    """Always with a message: without one opencode ends the turn."""
    return _reply({"reply": "reject", "message": said(message)})


def _reply(members: dict[str, Any]) -> HookReply:
    return HookReply(json.dumps(members) + "\n")
