"""Cursor (its editor's agent and cursor-agent): its hooks' JSON read into a HookCall, our answers as it takes them.

Written after Cursor's documentation (cursor.com/docs/hooks, as of September 2026); not tried with the real program.
Owns Cursor's names and forms (docs/agents.md). Pure. Lenient with what it does not know, strict with what it judges by:
"ask" is not honoured before every tool, so what asks is held while a person answers, and what cannot be read is denied.
A shell command, a tool of an MCP server and a file that is read have two hooks each: the second one says what the first
one was told. Never raises. Must not own: decisions, waiting, states that outlive a call (edges/hooks.py).
"""

from __future__ import annotations

import json
import os.path
from typing import Any

import msgspec
from msgspec import Struct

from ...core import hooks
from ...core.hooks import HookCall, HookKind, HookReply
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
from .reading import Told, line, said

AGENT = "cursor"
_JUDGED = Told(HookKind.JUDGE, AgentState.WORKING, detail="tool_name")
EVENTS = {
    "preToolUse": _JUDGED,
    "beforeShellExecution": _JUDGED,
    "beforeMCPExecution": _JUDGED,
    "beforeReadFile": _JUDGED,
    "postToolUse": Told(HookKind.STATE, AgentState.WORKING, "over"),
    "postToolUseFailure": Told(HookKind.STATE, AgentState.WORKING, "over"),
    "beforeSubmitPrompt": Told(HookKind.STATE, AgentState.WORKING, "before"),
    "stop": Told(HookKind.STATE, AgentState.DONE, "turn", "status"),
    "sessionStart": Told(HookKind.STATE, AgentState.IDLE),
    "sessionEnd": Told(HookKind.STATE, None, "session", "reason"),
}
ENDS = {"aborted": AgentState.IDLE, "error": AgentState.ERROR}  # status of `stop`
MCP = "MCP:"  # begins the name of a server's tool; which server is not told
# The inputs of Write, Delete and edits are not documented: the names under which they were seen.
PATHS, CONTENTS = ("file_path", "path", "target_file"), ("content", "contents", "code_edit")
EDITS = ("Write", "Edit", "StrReplace", "MultiEdit")
SEARCHES = {"Grep": "read", "Glob": "list", "List": "list", "LS": "list"}


# --- reading -----------------------------------------------------------------------------------------


class _Common(Struct, frozen=True):
    """What the events may carry. Anything else is ignored."""

    conversation_id: str = ""
    generation_id: str = ""
    session_id: str = ""  # only where a session begins and ends
    workspace_roots: list[str] = []
    cwd: str = ""
    tool_name: str = ""
    tool_use_id: str = ""
    tool_input: dict[str, Any] | str = {}
    command: str = ""  # of a shell; or the one that started an MCP server
    url: str = ""
    file_path: str = ""

    @property
    def folder(self) -> str:
        return self.cwd or (self.workspace_roots[0] if self.workspace_roots else "")


def parse(event: str, data: bytes | str | dict[str, Any]) -> HookCall:
    """One call of Cursor's hook `event`, with what it wrote to the hook's stdin, decoded or not. Never raises."""
    told = EVENTS.get(event, Told(HookKind.STATE))
    try:
        raw, common = reading.decode(data, _Common)
        tool, given = _use(event, common)
    except ValueError as why:
        return HookCall(agent=AGENT, event=event, kind=told.kind, holds="named", unreadable=str(why))
    session = common.conversation_id or common.session_id
    cwd = _folder(tool, given, common.folder)
    key = hooks.key(session, "", common.generation_id, tool, [cwd, _same(tool, given, cwd)])
    call = HookCall(
        agent=AGENT,
        event=event,
        kind=told.kind,
        session=session[: hooks.KEY_PART],
        prompt=common.generation_id[: hooks.KEY_PART],
        tool=tool,
        tool_use=common.tool_use_id[: hooks.KEY_PART],
        tool_input=given,
        cwd=cwd,
        key=key,
        over=((common.tool_use_id[: hooks.KEY_PART], key),) if told.withdraw == "over" else (),
        withdraw=told.withdraw,
        holds="named",
        joins=True,
        again=told.kind is HookKind.JUDGE and event != "preToolUse",
        state=ENDS.get(str(raw.get("status")), told.state) if event == "stop" else told.state,
        detail=line(raw.get(told.detail)),
        ended=event == "sessionEnd",
    )
    if told.kind is HookKind.STATE:
        return call
    server = common.url or common.command if event == "beforeMCPExecution" else ""
    return reading.with_action(call, lambda: _action(reading.tool(call), given, cwd, server))


def _use(event: str, common: _Common) -> tuple[str, dict[str, Any]]:
    """(tool, input) of a use, the same by each of its hooks. Raises ValueError."""
    if event == "beforeShellExecution":
        return "Shell", {"command": common.command}
    if event == "beforeReadFile":
        return "Read", {"file_path": common.file_path}
    given: Any = common.tool_input
    if isinstance(given, str):
        given = msgspec.json.decode(given, type=dict[str, Any]) if given else {}
    name = common.tool_name
    return (f"{MCP}{name}" if event == "beforeMCPExecution" and not name.startswith(MCP) else name), given


def _same(tool: str, given: dict[str, Any], cwd: str) -> Any:
    """What both hooks of a use tell of its input: the second one of Shell and Read tells less."""
    if tool == "Shell":
        return given.get("command")
    path = given.get("file_path")
    return os.path.join(cwd, path) if tool == "Read" and isinstance(path, str) else given


def _folder(tool: str, given: dict[str, Any], cwd: str) -> str:
    """Where a command runs: the model may name a folder for it."""
    named = given.get("working_directory") or given.get("cwd") if tool == "Shell" else None
    return os.path.normpath(os.path.join(cwd, named)) if isinstance(named, str) and cwd else cwd


def _action(tool: str, given: dict[str, Any], cwd: str, server: str) -> Action:
    """What a use of a tool is. Raises ValueError where it does not fit."""
    if tool == "Shell":
        if not isinstance(given.get("command"), str) or not given["command"]:
            raise ValueError("command is missing")
        return Shell(text=given["command"], cwd=cwd)
    if tool.startswith(MCP):
        return Mcp(server=server, tool=tool.removeprefix(MCP), arguments=given)
    if tool == "Read":
        return File(verb="read", path=_path(given, cwd), cwd=cwd)
    if tool == "Delete":
        return File(verb="delete", path=_path(given, cwd), cwd=cwd)
    if tool in EDITS:
        return _edit(given, cwd)
    if verb := SEARCHES.get(tool):
        pattern = given.get("glob_pattern", given.get("pattern", "")) if tool == "Glob" else ""
        path = reading.searched(_path(given, cwd, cwd), pattern)
        return msgspec.convert({"verb": verb, "path": path, "cwd": cwd, "recursive": True}, File)
    if tool == "WebFetch" and isinstance(given.get("url"), str):
        return Fetch(url=given["url"])
    return Tool(name=tool, arguments=given, cwd=cwd)


def _path(given: dict[str, Any], cwd: str, otherwise: str = "") -> str:
    """The file of a use. Raises ValueError where none, or more than one, is named."""
    named = {given[name] for name in PATHS if isinstance(given.get(name), str) and given[name]}
    if any(given.get(name) is not None and not isinstance(given[name], str) for name in PATHS) or len(named) > 1:
        raise ValueError("the path is no text, or there are several")
    if not named and not otherwise:
        raise ValueError(f"no path is named ({', '.join(PATHS)})")
    path = named.pop() if named else otherwise
    if "\0" in path:
        raise ValueError("a path holds a NUL")
    return os.path.join(cwd, path)


def _edit(given: dict[str, Any], cwd: str) -> File:
    path = _path(given, cwd)
    if "edits" in given:
        return reading.several_edits(path, cwd, given["edits"], "old_string", "new_string")
    if given.get("old_string"):
        old, new = msgspec.convert([given["old_string"], given.get("new_string")], tuple[str, str])
        several = msgspec.convert(given.get("replace_all") or False, bool)
        return File(verb="edit", path=path, cwd=cwd, old_text=old, new_text=new, replace_all=several)
    content = next((given[name] for name in (*CONTENTS, "new_string") if name in given), None)
    return File(verb="write", path=path, cwd=cwd, content=msgspec.convert(content, str | None), create_dirs=True)


# --- answering ---------------------------------------------------------------------------------------


def answer_judgement(call: HookCall, decision: Decision | None) -> HookReply:
    """What a hook is told where no person was asked; `decision` None: it is unreadable.

    allow only by name (a rule, a grant): what nothing matched is Cursor's own. What should have been asked about and
    could not be is denied; where the sidecar cannot record, `on_unavailable: ask` leaves it to Cursor.
    """
    if decision is None:
        return _deny(call, call.unreadable or "it could not be judged, see: tmux-agent doctor")
    why = reading.ruled(decision)
    if decision.verdict is Verdict.DENY:
        return _deny(call, f"denied by {why}")
    if not decision.named:
        return HookReply()
    if decision.verdict is Verdict.ALLOW:
        return _reply({"permission": "allow"})
    if decision.rule == "on_unavailable":
        return _reply({"permission": "ask", "user_message": said(why)})
    return _deny(call, f"a person has to be asked ({why}), and cannot be now: try it again later")


def answer_approval(call: HookCall, approval: Approval) -> HookReply:
    """What a hook is told that waited for a person: no wherever there is no yes."""
    if approval.state is ApprovalState.DENIED:
        return _deny(call, reading.refusal(approval))
    if approval.state is not ApprovalState.APPROVED:
        return _deny(call, f"nobody said yes: {approval.note or approval.state.value}")
    action = approval.action
    if isinstance(action, Mcp) and isinstance(call.action, Mcp) and call.again:
        action = msgspec.structs.replace(action, server=call.action.server)  # which the first hook was not told
    if action == call.action:
        return _reply({"permission": "allow"})
    if call.again or not isinstance(call.action, Shell) or not isinstance(action, Shell):
        return _deny(call, "a person said yes to an edit, which Cursor takes only for commands: do it another way")
    if action != msgspec.structs.replace(call.action, text=action.text):
        return _deny(call, "a person said yes to an edit that cannot be handed over: only the command can be edited")
    return _reply({"permission": "allow", "updated_input": {**call.tool_input, "command": action.text}})


def _deny(call: HookCall, why: str) -> HookReply:
    """Before a file is read Cursor knows no message for the model."""
    told = {"permission": "deny", "user_message": said(why)}
    return _reply(told if call.event == "beforeReadFile" else {**told, "agent_message": said(why)})


def _reply(members: dict[str, Any]) -> HookReply:
    return HookReply(json.dumps(members) + "\n")
