"""Gemini CLI: its hooks' JSON read into a HookCall, our answers written as it takes them. Tried with 0.61.0.

Owns Gemini's names and forms (docs/agents.md). Pure, and never raises. Gemini asks its own policy after the hook and
takes no "allow" from it, so what may run is left to that policy, or, where set-up has put rules of ours there, carries
the mark that these look for: a hook that fails, or does not run at all, leaves everything to Gemini's own dialog.
Must not own: decisions, waiting, states that outlive a call (edges/hooks.py, services/agents.py).
"""

from __future__ import annotations

import json
import os.path
import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec

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
from .reading import Told, said

AGENT = "gemini"
BEFORE = "BeforeTool"  # with ":MARK" behind it in the command line where our rules are in Gemini's policy
MEMBER = "tmux_agent"  # holds the mark in a tool's input
FOLDER = "approved-by-tmux-agent-"  # begins the made-up folder that holds the mark for a shell


EVENTS = {
    BEFORE: Told(HookKind.JUDGE, AgentState.WORKING, detail="tool_name"),
    "AfterTool": Told(HookKind.STATE, AgentState.WORKING),
    "BeforeAgent": Told(HookKind.STATE, AgentState.WORKING, "before"),
    "AfterAgent": Told(HookKind.STATE, AgentState.DONE, "turn", "prompt_response"),
    "SessionStart": Told(HookKind.STATE, AgentState.IDLE),
    "SessionEnd": Told(HookKind.STATE, None, "session", "reason"),
    "Notification": Told(HookKind.STATE, detail="message"),
}
NOTHING_SAID = "[no response text]"
# Tools that Gemini asks about by itself and whose input has room for the mark (an MCP server would be sent it).
MARKED = ("run_shell_command", "write_file", "replace", "web_fetch")
OWN_DIALOG = ("ask_user", "exit_plan_mode", "enter_plan_mode")  # questions to the person, which only Gemini can ask
NOTED = ("description", "is_background", "additional_permissions", "instruction")  # shown beside the action


# --- reading -----------------------------------------------------------------------------------------


class _Common(reading.Common, frozen=True):
    mcp_context: dict[str, Any] = msgspec.field(default_factory=dict)


def parse(event: str, data: bytes | str | dict[str, Any]) -> HookCall:
    """One call of Gemini's hook `event`, with what it wrote to the hook's stdin, decoded or not. Never raises."""
    event, _, mark = event.partition(":")
    told = EVENTS.get(event, Told(HookKind.STATE))
    try:
        raw, common = reading.decode(data, _Common)
    except ValueError as why:
        return HookCall(agent=AGENT, event=event, kind=told.kind, unreadable=str(why))
    key = hooks.key(common.session_id, common.agent_id, "", common.tool_name, common.tool_input)
    call = reading.common_call(AGENT, event, told, raw, common, mark=mark, key=key, state=_state(event, told, raw))
    return call if told.kind is HookKind.STATE else _with_action(call, common.mcp_context)


def _state(event: str, told: Told, raw: dict[str, Any]) -> AgentState | None:
    if event == "Notification":
        return AgentState.WAITING if raw.get("notification_type") == "ToolPermission" else None
    if event == "AfterAgent" and raw.get("prompt_response") == NOTHING_SAID:
        return AgentState.IDLE  # as after Esc
    return told.state


def _with_action(call: HookCall, server: dict[str, Any]) -> HookCall:
    """The call with the action it is about, or with why there is none."""
    holds: Literal["any", ""] = "any" if call.mark and call.tool in MARKED and not server else ""
    found = reading.with_action(call, lambda: _used(call, server), reading.noted(call.tool_input, NOTED))
    return found if found.unreadable else msgspec.structs.replace(found, holds=holds)


def _used(call: HookCall, server: dict[str, Any]) -> Action | None:
    tool = reading.tool(call)
    if call.mark and call.mark in msgspec.json.encode(call.tool_input).decode():
        raise ValueError("it holds the mark that says a person or a rule approved it, before any did")
    return _of_server(call, server) if server else _action(tool, call.tool_input, call.cwd)


def _of_server(call: HookCall, server: dict[str, Any]) -> Mcp:
    """A tool of an MCP server. Gemini's own name for it, mcp_SERVER_TOOL, does not say where the server's ends."""
    name = msgspec.convert(server.get("server_name"), str)
    return Mcp(server=name, tool=msgspec.convert(server.get("tool_name"), str), arguments=call.tool_input)


def _action(tool: str, given: dict[str, Any], cwd: str) -> Action | None:
    """What a use of a tool is; None: nothing to judge or answer here. Raises ValueError where it does not fit."""
    if tool in OWN_DIALOG:
        return None
    make = TOOLS.get(tool)
    return make(given, cwd) if make else Tool(name=tool, arguments=given, cwd=cwd)


def _shell(given: dict[str, Any], cwd: str) -> Shell:
    return Shell(text=_text(given, "command"), cwd=_folder(given, cwd))


def _read(given: dict[str, Any], cwd: str) -> File:
    return File(verb="read", path=_path(given, cwd), cwd=cwd)


def _write(given: dict[str, Any], cwd: str) -> File:
    return File(verb="write", path=_path(given, cwd), cwd=cwd, content=_text(given, "content"), create_dirs=True)


def _replace(given: dict[str, Any], cwd: str) -> File:
    """Where `old_string` is empty Gemini makes the file."""
    path, old, new = _path(given, cwd), _text(given, "old_string"), _text(given, "new_string")
    if not old:
        return File(verb="write", path=path, cwd=cwd, content=new, create_dirs=True)
    several = msgspec.convert(given.get("allow_multiple") or False, bool)
    return File(verb="edit", path=path, cwd=cwd, old_text=old, new_text=new, replace_all=several)


def _listed(given: dict[str, Any], cwd: str) -> File:
    return File(verb="list", path=_folder(given, cwd), cwd=cwd)


def _globbed(given: dict[str, Any], cwd: str) -> File:
    """All below the folder, as patterns match whatever the case. Raises where one could lead out of it."""
    *before, _ = _text(given, "pattern").replace("\\", "/").split("/")
    if any(part in ("..", "~") or set(part) & set("{([") for part in before) or before[:1] == [""]:
        raise ValueError("the pattern may lead out of the folder")
    return File(verb="list", path=_folder(given, cwd), cwd=cwd, recursive=True)


def _searched(given: dict[str, Any], cwd: str) -> File:
    return File(verb="read", path=_folder(given, cwd), cwd=cwd, recursive=True)


def _read_many(given: dict[str, Any], cwd: str) -> File:
    """All below the folder. Raises where a pattern could lead out of it."""
    for name in ("include", "paths"):
        for pattern in msgspec.convert(given.get(name) or [], list[str]):
            if pattern.startswith(("/", "~", "\\")) or ".." in pattern:
                raise ValueError("a pattern may lead out of the folder")
    return File(verb="read", path=cwd, cwd=cwd, recursive=True)


def _fetched(given: dict[str, Any], cwd: str) -> Fetch | Tool:
    """The one address in the prompt; where there are several, or it is no plain one, a person reads the prompt."""
    words = [_text(given, name) for name in ("prompt", "url") if given.get(name) is not None]
    found = [word for text in words for word in text.split() if "://" in word]
    if len(found) == 1 and re.fullmatch(r"https?://[\w.~:/?#@!$&'*+,;=%-]+", found[0], re.ASCII):
        return Fetch(url=found[0])
    return Tool(name="web_fetch", arguments=given, cwd=cwd)


TOOLS: dict[str, Callable[[dict[str, Any], str], Action]] = {
    "run_shell_command": _shell,
    "read_file": _read,
    "write_file": _write,
    "replace": _replace,
    "list_directory": _listed,
    "glob": _globbed,
    "grep_search": _searched,
    "search_file_content": _searched,
    "read_many_files": _read_many,
    "web_fetch": _fetched,
}


def _text(given: dict[str, Any], name: str) -> str:
    return msgspec.convert(given.get(name), str)


def _folder(given: dict[str, Any], cwd: str) -> str:
    return _below(cwd, "" if given.get("dir_path") is None else _text(given, "dir_path"))


def _path(given: dict[str, Any], cwd: str) -> str:
    path = _text(given, "file_path")
    if not path.strip():
        raise ValueError("file_path is empty")
    return _below(cwd, path)


def _below(cwd: str, path: str) -> str:
    """As Gemini does it: by the text alone, and a ~ is a name like any other."""
    if "\0" in path:
        raise ValueError("a path holds a NUL, which Gemini leaves out")
    return os.path.normpath(os.path.join(cwd, path))


# --- answering ---------------------------------------------------------------------------------------


def answer_judgement(call: HookCall, decision: Decision | None) -> HookReply:
    """What BeforeTool is told where no person is asked; `decision` None: it is unreadable, or cannot be judged now.

    "ask" shows Gemini's dialog, even over a deny of Gemini's own policy: only said where a rule or guardrail asks by
    name. Questions to the person are Gemini's own.
    """
    if call.action is None and not call.unreadable:
        return HookReply()
    if decision is None:
        return _decided(call, "ask", call.unreadable or "it could not be judged, see: tmux-agent doctor")
    why = reading.ruled(decision)
    if decision.verdict is Verdict.DENY:
        return _decided(call, "deny", f"denied by {why}")
    if decision.named and decision.verdict is Verdict.ASK:
        return _decided(call, "ask", why)
    passes = decision.named and decision.verdict is Verdict.ALLOW and call.holds
    return _output(call, _marked(call, call.tool_input) if passes else _pinned(call, call.tool_input))


def answer_approval(call: HookCall, approval: Approval) -> HookReply:
    """What BeforeTool is told that waited for a person: without a yes or a no Gemini's own dialog asks."""
    if approval.state is ApprovalState.DENIED:
        return _decided(call, "deny", reading.refusal(approval))
    if approval.state is not ApprovalState.APPROVED:
        return _decided(call, "ask", f"nobody said yes in the popup: {approval.note or approval.state.value}")
    try:
        return _output(call, _marked(call, _changed_input(call, approval.action)))
    except ValueError as why:
        return _decided(call, "deny", f"a person said yes to an edit that cannot be handed over: {why}")


def _changed_input(call: HookCall, action: Action) -> dict[str, Any]:
    """The tool's input as the person wants it. Raises ValueError where what was shown would not run."""
    if action == call.action:
        return call.tool_input
    given = dict(call.tool_input)
    match action:
        case Shell(text=text):
            given["command"] = text
        case File(content=str(content)) if call.tool == "write_file":
            given["content"] = content
        case File(new_text=str(text)):
            given["new_string"] = text
    if _action(call.tool, given, call.cwd) != action:
        raise ValueError(f"only {call.tool}'s command, content or new text can be edited")
    return given


def _pinned(call: HookCall, given: dict[str, Any]) -> dict[str, Any]:
    """The input with the very file that was judged; empty where it says that already.

    Gemini would look for a file that is not there elsewhere in the project (replace), or leave an @ away.
    """
    path = given.get("file_path")
    if not isinstance(call.action, File) or not isinstance(path, str) or os.path.isabs(path):
        return {}
    return {**given, "file_path": call.action.path} if call.tool == "replace" or path.startswith("@") else {}


def _marked(call: HookCall, given: dict[str, Any]) -> dict[str, Any]:
    """The input with the mark. Gemini judges each part of a shell line anew, and keeps only the folder for that."""
    if call.tool != "run_shell_command":
        return {**given, **_pinned(call, given), MEMBER: call.mark}
    return {**given, "dir_path": os.path.join(given.get("dir_path") or "", f"{FOLDER}{call.mark}", "..")}


def _decided(call: HookCall, word: str, reason: str) -> HookReply:
    answer: dict[str, Any] = {"decision": word, "reason": said(reason)}
    if word == "ask":
        answer["systemMessage"] = said(reason)  # stands in its dialog
    return _output(call, {} if word == "deny" else _pinned(call, call.tool_input), answer)


def _output(call: HookCall, given: dict[str, Any], answer: dict[str, Any] | None = None) -> HookReply:
    """Our answer, with the tool's whole input where it is another now; silence where there is neither."""
    told = dict(answer or {})
    if given:
        told["hookSpecificOutput"] = {"hookEventName": call.event, "tool_input": given}
    return HookReply(json.dumps(told) + "\n") if told else HookReply()
