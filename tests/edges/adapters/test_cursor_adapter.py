"""Cursor's hooks: input after its documentation is read, answers are as documented. Never tried with the real one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.edges.adapters.calls import CORPUS, SHOP, approval, decision

from tmux_agent.core.hooks import HookCall, HookKind, HookReply
from tmux_agent.core.model import (
    Action,
    AgentState,
    ApprovalState,
    Decision,
    Fetch,
    File,
    Mcp,
    Shell,
    Tool,
    Verdict,
)
from tmux_agent.edges.adapters import cursor


def documented(name: str) -> HookCall:
    return cursor.parse(name.partition("-")[0], (CORPUS / "cursor" / f"{name}.json").read_bytes())


def use(tool: Any, tool_input: Any, **more: Any) -> HookCall:
    given = {"conversation_id": "c", "generation_id": "g", "cwd": SHOP, "tool_name": tool, "tool_input": tool_input}
    return cursor.parse("preToolUse", json.dumps(given | more))


def said(reply: HookReply) -> dict[str, Any]:
    assert (reply.stderr, reply.exit_code) == ("", 0)
    found: dict[str, Any] = json.loads(reply.stdout)
    return found


@pytest.mark.parametrize(
    ("name", "state", "withdraw"),
    [
        ("preToolUse-Shell", AgentState.WORKING, ""),
        ("beforeSubmitPrompt", AgentState.WORKING, "before"),
        ("postToolUse-Shell", AgentState.WORKING, "over"),
        ("postToolUseFailure-Shell", AgentState.WORKING, "over"),
        ("stop", AgentState.DONE, "turn"),
        ("stop-aborted", AgentState.IDLE, "turn"),
        ("stop-error", AgentState.ERROR, "turn"),
        ("sessionStart", AgentState.IDLE, ""),
        ("sessionEnd", None, "session"),
    ],
)
def test_events_tell_states(name: str, state: AgentState | None, withdraw: str) -> None:
    """Each event sets the agent's state, and says which open approvals it makes pointless."""
    call = documented(name)
    assert (call.state, call.withdraw, call.session) == (state, withdraw, "conv-1")
    assert call.ended is (name == "sessionEnd")


@pytest.mark.parametrize(
    ("call", "action"),
    [
        (documented("preToolUse-Shell"), Shell(text="npm install", cwd=SHOP)),
        (documented("beforeShellExecution"), Shell(text="npm install", cwd=SHOP)),
        (use("Shell", {"command": "ls", "working_directory": "src"}), Shell(text="ls", cwd=f"{SHOP}/src")),
        (documented("preToolUse-Read"), File(verb="read", path=f"{SHOP}/a.txt", cwd=SHOP)),
        (documented("beforeReadFile"), File(verb="read", path=f"{SHOP}/a.txt", cwd=SHOP)),
        (documented("preToolUse-Write"),
         File(verb="write", path=f"{SHOP}/a.txt", cwd=SHOP, content="one\n", create_dirs=True)),
        (use("Write", {"path": "/x", "contents": "1"}),
         File(verb="write", path="/x", cwd=SHOP, content="1", create_dirs=True)),
        (use("StrReplace", {"path": "a", "old_string": "x", "new_string": "y", "replace_all": True}),
         File(verb="edit", path=f"{SHOP}/a", cwd=SHOP, old_text="x", new_text="y", replace_all=True)),
        (use("MultiEdit", {"file_path": "a", "edits": [{"old_string": "x", "new_string": "y"}]}),
         File(verb="edit", path=f"{SHOP}/a", cwd=SHOP, old_text="x", new_text="y")),
        (use("Delete", {"file_path": "a"}), File(verb="delete", path=f"{SHOP}/a", cwd=SHOP)),
        (use("Grep", {"pattern": "x"}), File(verb="read", path=SHOP, cwd=SHOP, recursive=True)),
        (use("Glob", {"glob_pattern": "/etc/*"}), File(verb="list", path="/etc", cwd=SHOP, recursive=True)),
        (use("WebFetch", {"url": "https://a.example"}), Fetch(url="https://a.example")),
        (documented("preToolUse-MCP"), Mcp(server="", tool="database_query", arguments={"query": "SELECT 1"})),
        (documented("beforeMCPExecution"),
         Mcp(server="npx mcp-server", tool="database_query", arguments={"query": "SELECT 1"})),
        (documented("beforeMCPExecution-url"),
         Mcp(server="http://localhost:3000", tool="database_query", arguments={"query": "SELECT 1"})),
        (use("Task", {"a": 1}), Tool(name="Task", arguments={"a": 1}, cwd=SHOP)),
    ],
)  # fmt: skip
def test_tools_become_actions(call: HookCall, action: Action) -> None:
    """What can be judged is, whatever of a file's names Cursor uses."""
    assert (call.action, call.unreadable) == (action, "")


@pytest.mark.parametrize(
    "call",
    [
        use("Shell", {}), use("Shell", {"command": 7}), use("Shell", "ls"), use("Write", {"content": "x"}),
        use("Write", {"path": "/a", "file_path": "/b", "content": "x"}), use("Write", {"path": 7, "file_path": "/b"}),
        use("Write", {"path": "/a", "content": 7}), use("Read", {}), use("Delete", {"file_path": "a\0b"}),
        use("Glob", {"glob_pattern": "*/../../x"}), use("", {}), use("Shell", {"command": "ls"}, cwd="there"),
        cursor.parse("beforeMCPExecution", '{"conversation_id": "c", "cwd": "/", "tool_name": "t", "tool_input": "{"}'),
        cursor.parse("beforeShellExecution", '{"conversation_id": "c", "cwd": "/"}'),
        cursor.parse("beforeReadFile", '{"conversation_id": "c", "cwd": "/"}'),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_denied(call: HookCall) -> None:
    """An input that says nothing clear is denied, with why."""
    assert call.action is None
    assert call.unreadable
    assert said(cursor.answer_judgement(call, None))["permission"] == "deny"


def test_both_hooks_of_a_use_are_one() -> None:
    """By what both tell; other arguments, folders and prompts are another use."""
    for first, second in (
        ("preToolUse-Shell", "beforeShellExecution"),
        ("preToolUse-Read", "beforeReadFile"),
        ("preToolUse-MCP", "beforeMCPExecution"),
    ):
        assert documented(first).key == documented(second).key
        assert (documented(first).again, documented(second).again) == (False, True)
    base = use("MCP:t", {"command": "ls", "target": "a"})
    others = [use("MCP:t", {"command": "ls", "target": "b"}), use("MCP:t", {"command": "ls", "target": "a"}, cwd="/")]
    others.append(use("MCP:t", {"command": "ls", "target": "a"}, generation_id="h"))
    assert base.key not in {other.key for other in others}
    assert documented("postToolUse-Shell").over == (("abc123", documented("preToolUse-Shell").key),)


def test_only_named_decisions_speak() -> None:
    """What nothing matched is Cursor's own; who should be asked and cannot be is denied, as "ask" is not honoured."""
    call = documented("preToolUse-Shell")
    assert said(cursor.answer_judgement(call, decision(Verdict.ALLOW))) == {"permission": "allow"}
    for verdict in (Verdict.ALLOW, Verdict.ASK):
        assert cursor.answer_judgement(call, decision(verdict, named=False)) == HookReply()
    for verdict in (Verdict.DENY, Verdict.ASK):
        assert said(cursor.answer_judgement(call, decision(verdict)))["permission"] == "deny"
    away = Decision(verdict=Verdict.ASK, rule="on_unavailable", reason="the disk is full")
    assert said(cursor.answer_judgement(call, away))["permission"] == "ask"


def test_yes_no_and_edits() -> None:
    """A yes allows, an edited command is handed over by the first hook, a no says why to person and model."""
    call, again = documented("preToolUse-Shell"), documented("beforeShellExecution")
    assert said(cursor.answer_approval(call, approval(call, ApprovalState.APPROVED))) == {"permission": "allow"}
    edited = approval(call, ApprovalState.APPROVED, Shell(text="npm ci", cwd=SHOP))
    assert said(cursor.answer_approval(call, edited)) == {
        "permission": "allow",
        "updated_input": {"command": "npm ci", "working_directory": SHOP},
    }
    assert said(cursor.answer_approval(again, edited))["permission"] == "deny"
    elsewhere = approval(call, ApprovalState.APPROVED, Shell(text="npm ci", cwd="/"))
    assert said(cursor.answer_approval(call, elsewhere))["permission"] == "deny"
    no = said(cursor.answer_approval(call, approval(call, ApprovalState.DENIED, comment="use make")))
    assert no["agent_message"] == no["user_message"] == "tmux-agent: a person said no: use make"
    first, second = documented("preToolUse-MCP"), documented("beforeMCPExecution")
    yes = approval(first, ApprovalState.APPROVED)
    assert said(cursor.answer_approval(second, yes)) == {"permission": "allow"}
    read = documented("beforeReadFile")
    assert set(said(cursor.answer_judgement(read, decision(Verdict.DENY)))) == {"permission", "user_message"}


def test_states_are_not_answered() -> None:
    """Only what is about to happen is judged."""
    kinds = {event: cursor.parse(event, {}).kind for event in cursor.EVENTS}
    assert [event for event, kind in kinds.items() if kind is HookKind.JUDGE] == [
        "preToolUse", "beforeShellExecution", "beforeMCPExecution", "beforeReadFile",
    ]  # fmt: skip
