"""Claude's hooks: recorded input read, answers written exactly, nothing that raises."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.edges.adapters.calls import CORPUS, VALUES, approval, decision, recordings

from tmux_agent.core.hooks import HookCall, HookKind, HookReply
from tmux_agent.core.model import (
    Action,
    AgentState,
    ApprovalState,
    Ask,
    Fetch,
    File,
    Mcp,
    Shell,
    Tool,
    Verdict,
)
from tmux_agent.edges.adapters import claude

RECORDED = recordings("claude")


def recorded(name: str) -> HookCall:
    return claude.parse(name.partition("-")[0], (CORPUS / "claude" / f"{name}.json").read_bytes())


def use(tool: str, tool_input: Any, event: str = "PreToolUse", **more: Any) -> HookCall:
    given = {"session_id": "s", "prompt_id": "p", "cwd": "/home/u/shop", "tool_name": tool, "tool_input": tool_input}
    return claude.parse(event, json.dumps(given | more))


def said(reply: HookReply) -> dict[str, Any]:
    assert reply.exit_code == 0
    found: dict[str, Any] = json.loads(reply.stdout)["hookSpecificOutput"]
    return found


# --- reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "state", "withdraw"),
    [
        ("UserPromptSubmit", AgentState.WORKING, "before"),
        ("PreToolUse-Bash", AgentState.WORKING, ""),
        ("PermissionRequest-Bash", AgentState.WAITING, ""),
        ("Notification-permission_prompt", AgentState.WAITING, ""),
        ("PostToolUse-Bash", AgentState.WORKING, "over"),
        ("PostToolUseFailure-Bash", AgentState.WORKING, "over"),
        ("PostToolBatch", AgentState.WORKING, "over"),
        ("Stop", AgentState.DONE, "turn"),
        ("SubagentStop-subagent", None, "turn"),
        ("SessionStart", AgentState.IDLE, ""),
        ("CwdChanged", None, ""),
    ],
)
def test_events_tell_states(name: str, state: AgentState | None, withdraw: str) -> None:
    """Each event sets the agent's state, and says which open approvals it makes pointless."""
    call = recorded(name)
    assert (call.state, call.withdraw) == (state, withdraw)


@pytest.mark.parametrize(
    ("call", "action"),
    [
        (recorded("PreToolUse-Bash"), Shell(text="touch made && echo done", cwd="/home/u/shop")),
        (
            recorded("PreToolUse-Write"),
            File(
                verb="write", path="/home/u/shop/a.txt", cwd="/home/u/shop", content="one\ntwo\n", create_dirs=True
            ),
        ),
        (
            recorded("PreToolUse-Edit"),
            File(verb="edit", path="/home/u/shop/a.txt", cwd="/home/u/shop", old_text="two", new_text="TWO"),
        ),
        (use("Read", {"file_path": "/etc/x", "limit": 3}), File(verb="read", path="/etc/x", cwd="/home/u/shop")),
        (use("Monitor", {"command": "tail -f x"}), Shell(text="tail -f x", cwd="/home/u/shop")),
        (use("PowerShell", {"command": "ls"}), Shell(text="ls", cwd="/home/u/shop", dialect="powershell")),
        (
            use("Grep", {"pattern": "x"}),
            File(verb="read", path="/home/u/shop", cwd="/home/u/shop", recursive=True),
        ),
        (
            use("Glob", {"pattern": "src/**/*.py"}),
            File(verb="list", path="/home/u/shop/src", cwd="/home/u/shop", recursive=True),
        ),
        (use("Glob", {"pattern": "/etc/*"}), File(verb="list", path="/etc", cwd="/home/u/shop", recursive=True)),
        (use("Glob", {"pattern": "/*"}), File(verb="list", path="/", cwd="/home/u/shop", recursive=True)),
        (
            use("Glob", {"pattern": "../x/*", "path": "/home/u/shop"}),
            File(verb="list", path="/home/u/shop/../x", cwd="/home/u/shop", recursive=True),
        ),
        (
            use("NotebookEdit", {"notebook_path": "/n.ipynb", "new_source": "1"}),
            File(verb="edit", path="/n.ipynb", cwd="/home/u/shop", new_text="1"),
        ),
        (
            use("MultiEdit", {"file_path": "/f", "edits": [{"old_string": "a", "new_string": "b"}] * 2}),
            File(verb="edit", path="/f", cwd="/home/u/shop", old_text="a\na", new_text="b\nb"),
        ),
        (use("WebFetch", {"url": "https://x/", "prompt": "p"}), Fetch(url="https://x/")),
        (use("mcp__github__get_me", {"a": 1}), Mcp(server="github", tool="get_me", arguments={"a": 1})),
        (use("WebSearch", {"query": "q"}), Tool(name="WebSearch", arguments={"query": "q"}, cwd="/home/u/shop")),
        (use("NewTool", {"x": 1}), Tool(name="NewTool", arguments={"x": 1}, cwd="/home/u/shop")),
        (
            recorded("PermissionRequest-AskUserQuestion"),
            Ask(
                prompt="Which region?", action_type="question", options=("Europe", "Asia"),
                details="Europe: eu\nAsia: as",
            ),
        ),
        (use("ExitPlanMode", {"plan": "1. go"}), Ask(prompt="May it go ahead with its plan?", action_type="plan",
                                                     details="1. go")),
        (use("AskUserQuestion", {"questions": [{"question": "a"}, {"question": "b"}]}), None),
    ],
    ids=lambda value: value.tool if isinstance(value, HookCall) else "",
)  # fmt: skip
def test_tools_become_actions(call: HookCall, action: Action | None) -> None:
    """Each tool of Claude is judged as what it does."""
    assert call.unreadable == ""
    assert call.action == action


@pytest.mark.parametrize(
    ("tool", "tool_input"),
    [
        ("Bash", {}),
        ("Bash", {"command": 7}),
        ("Bash", {"command": None}),
        ("Bash", {"command": ["rm", "-rf"]}),
        ("Bash", "rm -rf /"),
        ("Write", {"content": "x"}),
        ("Edit", {"file_path": "/x", "replace_all": "yes"}),
        ("Glob", {"pattern": "*/../../x"}),
        ("Glob", {"pattern": 3}),
        ("Grep", {"pattern": "x", "path": {}}),
        ("MultiEdit", {"file_path": "/x"}),
        ("AskUserQuestion", {"questions": "?"}),
        (5, {}),
        ("", {}),
    ],
)
def test_what_cannot_be_read_is_asked(tool: Any, tool_input: Any) -> None:
    """A wrong type where the action is read from is never a free pass."""
    call = use(tool, tool_input)
    assert call.unreadable
    assert said(claude.answer_judgement(call, None))["permissionDecision"] == "ask"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"session_id":5}', b"[" * 100_000, b"{}",
     b'{"tool_name":"Bash","tool_input":{"command":"\\ud800"}}'],
)  # fmt: skip
def test_broken_input_is_asked(data: bytes) -> None:
    """Half, binary, deep and wrong JSON ends as ask."""
    call = claude.parse("PreToolUse", data)
    assert call.kind is HookKind.JUDGE
    assert said(claude.answer_judgement(call, None))["permissionDecision"] == "ask"


def test_unknown_members_andVALUES_are_fine() -> None:
    """New fields and new values of a newer Claude do not matter."""
    call = use("Bash", {"command": "ls", "new": [1]}, permission_mode="auto2", effort={"level": 9}, prompt_id=None)
    assert call.unreadable == ""
    assert call.mode == "auto2"


_inputs = st.dictionaries(
    st.sampled_from(
        ["command", "file_path", "content", "old_string", "pattern", "path", "questions", "edits", "url", "plan"]
    ),
    VALUES,
)


@settings(max_examples=300)
@given(st.sampled_from([*claude.EVENTS]), st.sampled_from([*claude.TOOLS, "MultiEdit", "AskUserQuestion"]), _inputs)
def test_no_json_raises(event: str, tool: str, tool_input: dict[str, Any]) -> None:
    """Any JSON gives a call that can be answered."""
    call = use(tool, tool_input, event, tool_calls=tool_input)
    if call.kind is HookKind.JUDGE:
        assert bool(call.unreadable) <= bool(claude.answer_judgement(call, None).stdout)


def test_key_is_the_same_from_asking_to_done() -> None:
    """PreToolUse, PermissionRequest and PostToolUse of one use of a tool share a key; the batch names it too."""
    asked = recorded("PermissionRequest-Bash")
    assert asked.key == recorded("PreToolUse-Bash").key
    assert recorded("PostToolUse-Bash").over == ((recorded("PreToolUse-Bash").tool_use, asked.key),)
    assert asked.key in dict(map(reversed, recorded("PostToolBatch").over))  # type: ignore[arg-type]


def test_key_tells_helpers_prompts_and_order_apart() -> None:
    """Another prompt, helper or input is another key; another order of members is not."""
    base = use("Bash", {"command": "ls", "description": "x"})
    assert base.key == use("Bash", {"description": "x", "command": "ls"}).key
    others = {
        use("Bash", {"command": "ls"}).key,
        use("Bash", {"command": "ls", "description": "x"}, prompt_id="q").key,
        use("Bash", {"command": "ls", "description": "x"}, agent_id="a").key,
        use("Bash", {"command": "ls", "description": "x"}, session_id="s:p").key,
    }
    assert len(others) == 4
    assert base.key not in others
    assert base.key.startswith(base.scope)


# --- answering ---------------------------------------------------------------------------------------


def test_only_named_decisions_speak() -> None:
    """allow, ask and deny by name are said; what is only the default for unmatched things is silence."""
    call = recorded("PreToolUse-Bash")
    for verdict in Verdict:
        assert said(claude.answer_judgement(call, decision(verdict))) == {
            "hookEventName": "PreToolUse",
            "permissionDecision": verdict.value,
            "permissionDecisionReason": said(claude.answer_judgement(call, decision(verdict)))[
                "permissionDecisionReason"
            ],
        }
    for verdict in (Verdict.ALLOW, Verdict.ASK):
        assert claude.answer_judgement(call, decision(verdict, named=False)) == HookReply()
    assert said(claude.answer_judgement(call, decision(Verdict.DENY, named=False)))["permissionDecision"] == "deny"


def test_questions_to_the_person_are_not_judged() -> None:
    """No policy answers a question that Claude asks the person."""
    for verdict in Verdict:
        assert claude.answer_judgement(recorded("PreToolUse-AskUserQuestion"), decision(verdict)) == HookReply()


def test_reasons_are_safe_and_bounded() -> None:
    """A hostile reason reaches neither terminal nor model as control characters, nor without end."""
    hostile = decision(Verdict.DENY, reason="\x1b[2J\u202e" + "x" * 50_000)
    reply = claude.answer_judgement(recorded("PreToolUse-Bash"), hostile)
    assert len(reply.stdout) < 10_000
    reason = said(reply)["permissionDecisionReason"]
    assert "\x1b" not in reason
    assert "\u202e" not in reason
    assert reply.stdout.isascii()


def test_yes_and_no() -> None:
    """A yes allows the input as it is, a no carries the person's words, everything else leaves Claude's dialog."""
    call = recorded("PermissionRequest-Bash")
    yes = claude.answer_approval(call, approval(call, ApprovalState.APPROVED))
    assert said(yes) == {"hookEventName": "PermissionRequest", "decision": {"behavior": "allow"}}
    no = claude.answer_approval(call, approval(call, ApprovalState.DENIED, comment="not today"))
    assert said(no)["decision"] == {"behavior": "deny", "message": "tmux-agent: a person said no: not today"}
    for state in (ApprovalState.WITHDRAWN, ApprovalState.EXPIRED, ApprovalState.UNKNOWN, ApprovalState.PENDING):
        assert claude.answer_approval(call, approval(call, state)) == HookReply()


def test_an_edit_runs_as_it_was_shown() -> None:
    """An edited action becomes the tool's whole input; the members that are not part of the action stay."""
    call = recorded("PermissionRequest-Bash")
    edited = Shell(text="touch other", cwd="/home/u/shop")
    decided = said(claude.answer_approval(call, approval(call, ApprovalState.APPROVED, edited)))["decision"]
    assert decided == {
        "behavior": "allow",
        "updatedInput": {"command": "touch other", "description": "scripted command"},
    }
    written = recorded("PermissionRequest-Write")
    assert isinstance(written.action, File)
    edited_file = msgspec.structs.replace(written.action, content="three\n")
    decided = said(claude.answer_approval(written, approval(written, ApprovalState.APPROVED, edited_file)))["decision"]
    assert decided["updatedInput"] == {"file_path": "/home/u/shop/a.txt", "content": "three\n"}
    tool = use("mcp__s__t", {"a": 1}, "PermissionRequest")
    changed = Mcp(server="s", tool="t", arguments={"a": 2})
    decided = said(claude.answer_approval(tool, approval(tool, ApprovalState.APPROVED, changed)))["decision"]
    assert decided["updatedInput"] == {"a": 2}


@pytest.mark.parametrize(
    "edited",
    [Shell(text="ls", cwd="/elsewhere"), Shell(text="ls", cwd="/home/u/shop", dialect="zsh"), Fetch(url="x")],
)
def test_an_edit_that_claude_cannot_run_is_refused(edited: Action) -> None:
    """A yes to something that the tool's input cannot express never runs something else."""
    call = recorded("PermissionRequest-Bash")
    decided = said(claude.answer_approval(call, approval(call, ApprovalState.APPROVED, edited)))["decision"]
    assert decided["behavior"] == "deny"


def test_a_question_is_answered_with_the_chosen_option() -> None:
    """The choice goes back as Claude's own dialog would send it; a plan needs its input repeated."""
    call = recorded("PermissionRequest-AskUserQuestion")
    decided = said(claude.answer_approval(call, approval(call, ApprovalState.APPROVED, choice="Asia")))["decision"]
    assert decided["updatedInput"]["answers"] == {"Which region?": "Asia"}
    assert decided["updatedInput"]["questions"] == call.tool_input["questions"]
    plan = use("ExitPlanMode", {"plan": "1. go"}, "PermissionRequest")
    decided = said(claude.answer_approval(plan, approval(plan, ApprovalState.APPROVED)))["decision"]
    assert decided == {"behavior": "allow", "updatedInput": {"plan": "1. go"}}


def test_a_rule_without_a_reason_is_named_alone() -> None:
    """No colon hangs in the air."""
    reply = claude.answer_judgement(recorded("PreToolUse-Bash"), decision(Verdict.ALLOW, reason=""))
    said = json.loads(reply.stdout)["hookSpecificOutput"]["permissionDecisionReason"]
    assert said == "tmux-agent: rule 'a rule'"


@pytest.mark.parametrize("blank", [" ", "\n", "\t", "\u00a0", "\ufeff", "\u3000", "\u2003"])
@pytest.mark.parametrize(
    ("tool", "member"), [("Grep", "path"), ("Glob", "path"), ("Glob", "pattern"), ("Read", "file_path"), ("LS", "path")]
)
def test_a_path_that_claude_takes_for_another_is_asked_about(tool: str, member: str, blank: str) -> None:
    """Claude cuts blanks off: " /etc" in its input is /etc, and nothing below the folder it works in."""
    assert "its path" in use(tool, {"pattern": "x", member: f"{blank}/etc"}).unreadable
    assert not use(tool, {"pattern": "x", member: "/home/u/shop/a b"}).unreadable


def test_a_path_that_claude_composes_is_asked_about() -> None:
    """e and an accent are one letter to Claude, and another file on the disk."""
    assert "its path" in use("Grep", {"pattern": "x", "path": "/home/u/shop/cafe\u0301"}).unreadable
    assert not use("Grep", {"pattern": "x", "path": "/home/u/shop/caf\u00e9"}).unreadable


@pytest.mark.parametrize("pattern", ["~/.ssh/*", "{../.ssh,a}/*", "a/{..,b}/../*", "@(..)/*"])
def test_a_pattern_that_may_lead_out_is_asked_about(pattern: str) -> None:
    """Home folders, and dots within braces."""
    assert use("Glob", {"pattern": pattern}).unreadable


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ("You've hit your session limit · resets 2:56am (Europe/Berlin)", True),
        ("You've hit your weekly limit · resets Dec 3, 9am (Europe/Berlin)", True),
        ("You're out of usage credits · resets 3pm (Europe/Berlin)", True),
        ("API Error: Request rejected (429) · You have hit your usage limit, try again at 3:15 PM.", True),
        ("API Error: Server is temporarily limiting requests (not your usage limit) · wait", False),
        ("API Error: Request rejected (429) · this may be a temporary capacity issue.", False),
        ("API Error: Request rejected (429) · This would exceed your account's rate limit.", False),
        ("", False),
    ],
)
def test_usage_limits(words: str, *, limit: bool) -> None:
    """A turn that its usage limit ended, not one that the servers did; only StopFailure tells of it."""
    told = {"session_id": "s", "error": "rate_limit", "last_assistant_message": words}
    found = claude.parse("StopFailure", told).limit
    assert (found is not None) is limit
    assert found is None or found.words == words
    assert claude.parse("StopFailure", told | {"error": "server_error"}).limit is None
    assert claude.parse("Stop", told).limit is None
