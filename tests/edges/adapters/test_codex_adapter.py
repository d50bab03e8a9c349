"""Codex's hooks: recorded input read, answers that it accepts and that never let a tool run by accident."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.edges.adapters.calls import CORPUS, SHOP, VALUES, approval, decision, recordings

from tmux_agent.core.hooks import HookCall, HookKind, HookReply
from tmux_agent.core.model import (
    Action,
    AgentState,
    ApprovalState,
    File,
    Mcp,
    Patch,
    Shell,
    Tool,
    Verdict,
)
from tmux_agent.edges.adapters import codex

RECORDED = recordings("codex")


def recorded(name: str) -> HookCall:
    return codex.parse(name.partition("-")[0], (CORPUS / "codex" / f"{name}.json").read_bytes())


def use(tool: Any, tool_input: Any, event: str = "PreToolUse", **more: Any) -> HookCall:
    given = {"session_id": "s", "turn_id": "t", "cwd": SHOP, "tool_name": tool, "tool_input": tool_input}
    return codex.parse(event, json.dumps(given | more))


def accepted(reply: HookReply) -> bool:
    """Whether Codex 0.169.0 takes it for an answer: with any other member, or a reason missing, the tool would run."""
    if reply.exit_code or reply.stderr:
        return False
    if not reply.stdout:
        return True
    whole = json.loads(reply.stdout)
    said = whole.get("hookSpecificOutput", {})
    event = said.pop("hookEventName", "")
    if set(whole) != {"hookSpecificOutput"}:
        return False
    if event == "PreToolUse":
        reason = said.pop("permissionDecisionReason", "")
        if said == {"permissionDecision": "deny"}:
            return bool(reason)
        return not reason and said.pop("permissionDecision") == "allow" and list(said["updatedInput"]) == ["command"]
    decided = said.pop("decision", {})
    if event != "PermissionRequest" or said:
        return False
    message = decided.pop("message", "")
    return decided == {"behavior": "deny"} if message else decided == {"behavior": "allow"}


def denied(reply: HookReply) -> str:
    assert accepted(reply)
    said = json.loads(reply.stdout)["hookSpecificOutput"]
    if "decision" in said:
        assert said["decision"]["behavior"] == "deny"
        return str(said["decision"]["message"])
    assert said["permissionDecision"] == "deny"
    return str(said["permissionDecisionReason"])


_ALLOW = {"hookEventName": "PermissionRequest", "decision": {"behavior": "allow"}}
ALLOWED = HookReply(json.dumps({"hookSpecificOutput": _ALLOW}) + "\n")


# --- reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "state", "withdraw"),
    [
        ("SessionStart", AgentState.IDLE, ""),
        ("UserPromptSubmit", AgentState.WORKING, "before"),
        ("PreToolUse-Bash", AgentState.WORKING, ""),
        ("PermissionRequest-Bash", AgentState.WAITING, ""),
        ("PostToolUse-Bash", AgentState.WORKING, "over"),
        ("Interrupt", AgentState.IDLE, "turn"),
        ("Stop", AgentState.DONE, "turn"),
    ],
)
def test_events_tell_states(name: str, state: AgentState | None, withdraw: str) -> None:
    """Each event sets the agent's state, and says which open approvals it makes pointless."""
    call = recorded(name)
    assert (call.state, call.withdraw) == (state, withdraw)


@pytest.mark.parametrize(
    ("call", "action"),
    [
        (recorded("PreToolUse-Bash"), Shell(text="touch made && echo done", cwd=SHOP)),
        (recorded("PermissionRequest-Bash-escalated"), Shell(text="ls /", cwd=SHOP)),
        (recorded("PreToolUse-Bash-workdir"), Shell(text="ls", cwd="/etc")),
        (
            recorded("PreToolUse-apply_patch-add"),
            File(verb="write", path=f"{SHOP}/new.txt", cwd=SHOP, content="one\ntwo\n", create_dirs=True),
        ),
        (
            recorded("PreToolUse-apply_patch-update"),
            File(verb="edit", path="prices.txt", cwd=SHOP, old_text="apples 3\n", new_text="apples 4\n"),
        ),
        (
            recorded("PreToolUse-Bash-heredoc"),
            File(verb="write", path="heredoc.txt", cwd=SHOP, content="hi\n", create_dirs=True),
        ),
        (
            recorded("PermissionRequest-mcp"),
            Mcp(server="slow", tool="hello", arguments={"a": "1", "description": "mine"}),
        ),
        (use("mcp__github__get_me", {"a": 1}), Mcp(server="github", tool="get_me", arguments={"a": 1})),
        (use("view_image", {"path": "x"}), Tool(name="view_image", arguments={"path": "x"}, cwd=SHOP)),
    ],
)
def test_tools_become_actions(call: HookCall, action: Action) -> None:
    """Each tool of Codex is judged as what it does."""
    assert call.unreadable == ""
    assert call.action == action


def test_a_patch_of_several_files_is_all_of_them() -> None:
    """Each file is judged; the patch itself is what is shown."""
    action = recorded("PreToolUse-apply_patch-several").action
    assert isinstance(action, Patch)
    assert [(one.verb, one.path) for one in action.changes] == [
        ("edit", "prices.txt"),
        ("delete", "old.txt"),
        ("write", "n/x.txt"),
    ]
    assert "+pears 5" in action.text


@pytest.mark.parametrize(
    ("tool", "tool_input"),
    [
        ("Bash", {}),
        ("Bash", {"command": 7}),
        ("Bash", {"command": ["rm", "-rf"]}),
        ("Bash", "rm -rf /"),
        ("apply_patch", {"input": "*** Begin Patch"}),
        ("apply_patch", {"command": "rm -rf /"}),
        ("apply_patch", {"command": None}),
        (5, {}),
        ("", {}),
    ],
)
def test_what_cannot_be_read_is_denied(tool: Any, tool_input: Any) -> None:
    """Codex knows no "ask", so it is no free pass either; its own question stays its own."""
    assert "cannot be read" in denied(codex.answer_judgement(use(tool, tool_input), None))
    asked = use(tool, tool_input, "PermissionRequest")
    assert asked.action is None
    assert codex.answer_judgement(asked, None) == HookReply()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b'{"session_id":5}', b"[" * 100_000, b"{}"])
def test_broken_input_is_denied(data: bytes) -> None:
    """Half, binary, deep and wrong JSON."""
    call = codex.parse("PreToolUse", data)
    assert call.kind is HookKind.JUDGE
    assert denied(codex.answer_judgement(call, None))


def test_a_question_to_the_person_is_codexs_own() -> None:
    """No policy answers it, nothing is held for it; in plan mode, where it is asked, the agent waits."""
    call = recorded("PreToolUse-request_user_input")
    assert (call.action, call.unreadable, call.state) == (None, "", AgentState.WORKING)
    assert codex.answer_judgement(call, None) == HookReply()
    assert use("request_user_input", {}, permission_mode="plan").state is AgentState.WAITING


def test_unknown_members_andVALUES_are_fine() -> None:
    """New fields and new values of a newer Codex do not matter."""
    call = use("Bash", {"command": "ls", "new": [1]}, permission_mode="else", agent_id=None, more={"x": 9})
    assert call.unreadable == ""


def test_one_use_has_one_key() -> None:
    """Codex's question names no use, adds its reason, and lacks the last newline of a patch."""
    outside = [recorded(f"{event}-apply_patch-add-outside") for event in ("PreToolUse", "PermissionRequest")]
    escalated = [recorded(f"{event}-Bash-escalated") for event in ("PreToolUse", "PermissionRequest")]
    mcp = [recorded(f"{event}-mcp") for event in ("PreToolUse", "PermissionRequest")]
    for before, asked in (outside, escalated, mcp):
        assert before.key == asked.key
        assert before.action == asked.action
    assert escalated[1].preview == "need it"
    assert recorded("PostToolUse-apply_patch-add-outside").over == ((outside[0].tool_use, outside[0].key),)


def test_keys_tell_turns_helpers_and_tools_apart() -> None:
    """What was said of one is not said of another."""
    keys = {
        use("Bash", {"command": "ls"}).key,
        use("Bash", {"command": "ls "}).key,
        use("apply_patch", {"command": "ls"}).key,
        use("Bash", {"command": "ls"}, turn_id="u").key,
        use("Bash", {"command": "ls"}, cwd="/etc").key,
        use("Bash", {"command": "ls"}, agent_id="a").key,
        use("Bash", {"command": "ls"}, session_id="s:t").key,
    }
    assert len(keys) == 7


def test_only_what_is_the_same_question_is_joined() -> None:
    """A program that wants the network while it runs asks something new."""
    assert recorded("PermissionRequest-Bash-escalated").joins
    reason = {"command": "make", "description": "network-access example.com"}
    assert not use("Bash", reason, "PermissionRequest").joins


# --- answering ---------------------------------------------------------------------------------------


def test_the_hook_before_a_tool_says_deny_or_nothing() -> None:
    """An allow by name and what nothing matched are silence; an ask that could not be put to anybody is a no."""
    call = recorded("PreToolUse-Bash")
    assert codex.answer_judgement(call, decision(Verdict.ALLOW)) == HookReply()
    assert codex.answer_judgement(call, decision(Verdict.ASK, named=False)) == HookReply()
    assert "denied by rule 'a rule': because" in denied(codex.answer_judgement(call, decision(Verdict.DENY)))
    assert "cannot be asked" in denied(codex.answer_judgement(call, decision(Verdict.ASK)))


def test_codexs_question_is_answered_by_name_only() -> None:
    """A named allow answers it, a default never."""
    call = recorded("PermissionRequest-Bash")
    assert codex.answer_judgement(call, decision(Verdict.ALLOW)) == ALLOWED
    for verdict in (Verdict.ALLOW, Verdict.ASK):
        assert codex.answer_judgement(call, decision(verdict, named=False)) == HookReply()


@pytest.mark.parametrize("state", [state for state in ApprovalState if state is not ApprovalState.APPROVED])
def test_without_a_yes_nothing_runs(state: ApprovalState) -> None:
    """Held, it is a no with what to do; where Codex asks, only a person's no is one, and all else is left to Codex."""
    held, asked = recorded("PreToolUse-Bash"), recorded("PermissionRequest-Bash")
    why = denied(codex.answer_approval(held, approval(held, state, comment="use make")))
    reply = codex.answer_approval(asked, approval(asked, state, comment="use make"))
    if state is ApprovalState.DENIED:
        assert why == denied(reply) == "tmux-agent: a person said no: use make"
        return
    assert reply == HookReply()
    if state is ApprovalState.PENDING:
        assert why.endswith("a person has not answered yet; it waits in the popup: run the very same again")
    if state is ApprovalState.WITHDRAWN:
        assert "the agent's turn is over" in why


def test_a_yes_lets_it_run() -> None:
    """By silence before the tool, in so many words where Codex asks."""
    held, asked = recorded("PreToolUse-Bash"), recorded("PermissionRequest-Bash")
    assert codex.answer_approval(held, approval(held, ApprovalState.APPROVED)) == HookReply()
    assert codex.answer_approval(asked, approval(asked, ApprovalState.APPROVED)) == ALLOWED


def test_an_edit_is_what_runs_or_nothing() -> None:
    """The hook before a tool hands a changed command over; where that cannot be said, the model is told to."""
    held, asked = recorded("PreToolUse-Bash"), recorded("PermissionRequest-Bash")
    edited = Shell(text="touch other", cwd=SHOP)
    reply = codex.answer_approval(held, approval(held, ApprovalState.APPROVED, edited))
    assert accepted(reply)
    said = json.loads(reply.stdout)["hookSpecificOutput"]
    assert (said["permissionDecision"], said["updatedInput"]) == ("allow", {"command": "touch other"})
    assert "run instead: touch other" in denied(
        codex.answer_approval(asked, approval(asked, ApprovalState.APPROVED, edited))
    )
    elsewhere = Shell(text="touch other", cwd="/elsewhere")
    assert denied(codex.answer_approval(held, approval(held, ApprovalState.APPROVED, elsewhere)))
    update = recorded("PreToolUse-apply_patch-update")
    assert isinstance(update.action, File)
    changed = msgspec.structs.replace(update.action, new_text="apples 5\n")
    assert denied(codex.answer_approval(update, approval(update, ApprovalState.APPROVED, changed)))


def test_reasons_are_safe_and_bounded() -> None:
    """A hostile reason reaches neither terminal nor model as control characters, nor without end."""
    hostile = decision(Verdict.DENY, reason="\x1b[2J\u202e" + "x" * 50_000)
    reply = codex.answer_judgement(recorded("PreToolUse-Bash"), hostile)
    assert len(reply.stdout) < 10_000
    assert reply.stdout.isascii()
    assert not set("\x1b\u202e") & set(denied(reply))


# --- anything at all ---------------------------------------------------------------------------------


@settings(max_examples=300)
@given(st.sampled_from(RECORDED), st.data())
def test_mutated_input_is_answered_and_never_let_through(path: Path, data: st.DataObject) -> None:
    """Members of recorded input made other or added: what can be judged is the input's own, else it is a no."""
    raw = json.loads(path.read_bytes())
    for name in data.draw(st.lists(st.sampled_from([*raw, "agent_id", "new"]), max_size=3)):
        raw[name] = data.draw(VALUES)
    if "tool_input" in raw and isinstance(raw["tool_input"], dict) and data.draw(st.booleans()):
        raw["tool_input"]["command"] = data.draw(VALUES)
    call = codex.parse(path.stem.partition("-")[0], json.dumps(raw))
    if call.kind is HookKind.JUDGE:
        assert (call.action is None) is bool(call.unreadable) or call.tool == codex.QUESTION
        assert bool(codex.answer_judgement(call, None).stdout) is bool(call.unreadable)
    if isinstance(call.action, Shell):
        assert call.action.text == raw["tool_input"]["command"]
    for verdict in Verdict:
        assert accepted(codex.answer_judgement(call, decision(verdict))) or call.kind is HookKind.STATE
    for state in ApprovalState if call.action else ():
        assert accepted(codex.answer_approval(call, approval(call, state)))
