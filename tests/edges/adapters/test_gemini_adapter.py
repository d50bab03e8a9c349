"""Gemini's hooks: recorded input read, answers written exactly, nothing raises or passes by accident."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.edges.adapters.calls import CORPUS, SHOP, VALUES, approval, decision, recordings

from tmux_agent.core.hooks import HookCall, HookKind, HookReply
from tmux_agent.core.model import (
    Action,
    AgentState,
    ApprovalState,
    Fetch,
    File,
    Mcp,
    Shell,
    Tool,
    Verdict,
)
from tmux_agent.edges.adapters import gemini

RECORDED = recordings("gemini")
MARK = "0123456789abcdef"
HOLDS = f"BeforeTool:{MARK}"  # as the command line says it where our rules are in Gemini's policy


def recorded(name: str) -> HookCall:
    return gemini.parse(name.partition("-")[0], (CORPUS / "gemini" / f"{name}.json").read_bytes())


def use(tool: Any, tool_input: Any, event: str = "BeforeTool", **more: Any) -> HookCall:
    given = {"session_id": "s", "cwd": SHOP, "tool_name": tool, "tool_input": tool_input}
    return gemini.parse(event, json.dumps(given | more))


def shell(event: str = "BeforeTool", **more: Any) -> HookCall:
    return use("run_shell_command", {"command": "ls > x", **more}, event)


def said(reply: HookReply) -> dict[str, Any]:
    assert reply.exit_code == 0
    found: dict[str, Any] = json.loads(reply.stdout) if reply.stdout else {}
    return found


def new_input(reply: HookReply) -> dict[str, Any]:
    """The input that a reply without a verdict hands over."""
    found = said(reply)
    assert set(found) == {"hookSpecificOutput"}
    assert found["hookSpecificOutput"]["hookEventName"] == "BeforeTool"
    given: dict[str, Any] = found["hookSpecificOutput"]["tool_input"]
    return given


# --- reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "state", "withdraw"),
    [
        ("SessionStart", AgentState.IDLE, ""),
        ("BeforeAgent", AgentState.WORKING, "before"),
        ("BeforeTool-run_shell_command", AgentState.WORKING, ""),
        ("Notification-exec", AgentState.WAITING, ""),
        ("AfterTool-run_shell_command", AgentState.WORKING, ""),
        ("AfterAgent", AgentState.DONE, "turn"),
        ("SessionEnd", None, "session"),
    ],
)
def test_events_tell_states(name: str, state: AgentState | None, withdraw: str) -> None:
    """Each event sets the agent's state, and says which open approvals it makes pointless."""
    call = recorded(name)
    assert (call.state, call.withdraw, call.ended) == (state, withdraw, name == "SessionEnd")
    assert (call.kind is HookKind.JUDGE) == name.startswith("BeforeTool")


def test_a_turn_that_ended_without_a_word_is_not_done() -> None:
    """So Gemini tells of Esc."""
    assert gemini.parse("AfterAgent", {"prompt_response": "[no response text]"}).state is AgentState.IDLE


def test_other_notifications_tell_nothing() -> None:
    """A kind that is not known is no reason to call a person."""
    assert gemini.parse("Notification", {"notification_type": "New"}).state is None


@pytest.mark.parametrize(
    ("tool", "given", "action"),
    [
        ("run_shell_command", {"command": "ls"}, Shell(text="ls", cwd=SHOP)),
        ("run_shell_command", {"command": "ls", "dir_path": "a/../b"}, Shell(text="ls", cwd=f"{SHOP}/b")),
        ("run_shell_command", {"command": "ls", "dir_path": "/etc"}, Shell(text="ls", cwd="/etc")),
        ("read_file", {"file_path": "a.txt", "start_line": 2}, File(verb="read", path=f"{SHOP}/a.txt", cwd=SHOP)),
        ("read_file", {"file_path": "~/.netrc"}, File(verb="read", path=f"{SHOP}/~/.netrc", cwd=SHOP)),
        (
            "write_file",
            {"file_path": "../x", "content": "1"},
            File(verb="write", path="/home/u/x", cwd=SHOP, content="1", create_dirs=True),
        ),
        (
            "replace",
            {"file_path": "/x", "old_string": "a", "new_string": "b", "allow_multiple": True},
            File(verb="edit", path="/x", cwd=SHOP, old_text="a", new_text="b", replace_all=True),
        ),
        (
            "replace",
            {"file_path": "/x", "old_string": "", "new_string": "b"},
            File(verb="write", path="/x", cwd=SHOP, content="b", create_dirs=True),
        ),
        ("list_directory", {"dir_path": "/etc"}, File(verb="list", path="/etc", cwd=SHOP)),
        ("glob", {"pattern": "src/**/*.{ts,tsx}"}, File(verb="list", path=SHOP, cwd=SHOP, recursive=True)),
        ("glob", {"pattern": "*", "dir_path": ".."}, File(verb="list", path="/home/u", cwd=SHOP, recursive=True)),
        ("grep_search", {"dir_path": "b"}, File(verb="read", path=f"{SHOP}/b", cwd=SHOP, recursive=True)),
        ("search_file_content", {"pattern": "x"}, File(verb="read", path=SHOP, cwd=SHOP, recursive=True)),
        ("read_many_files", {"include": ["a", "b/*"]}, File(verb="read", path=SHOP, cwd=SHOP, recursive=True)),
        ("web_fetch", {"prompt": "sum up https://x.org/a?b=1 please"}, Fetch(url="https://x.org/a?b=1")),
        ("web_fetch", {"url": "http://x.org"}, Fetch(url="http://x.org")),
        ("ask_user", {"questions": []}, None),
        ("exit_plan_mode", {"plan_filename": "p.md"}, None),
    ],
)  # fmt: skip
def test_tools_become_actions(tool: str, given: dict[str, Any], action: Action | None) -> None:
    """Each tool of Gemini is judged as what it does, paths as Gemini resolves them."""
    call = use(tool, given)
    assert call.unreadable == ""
    assert call.action == action


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("google_web_search", {"query": "q"}),
        ("mcp_git_hub_get_me", {}),
        ("new_tool", {"x": [1]}),
        ("web_fetch", {"prompt": "https://a.org and https://b.org"}),
        ("web_fetch", {"prompt": "see (https://a.org)"}),
        ("web_fetch", {"prompt": "https://a.org", "url": "https://b.org"}),
    ],
)
def test_what_is_no_more_than_a_tool(tool: str, given: dict[str, Any]) -> None:
    """Tools that are not known, or of whose input one cannot say what they reach, go by their name."""
    assert use(tool, given).action == Tool(name=tool, arguments=given, cwd=SHOP)


def test_a_servers_tool_goes_by_what_gemini_says_of_it() -> None:
    """Where its own name cannot be taken apart; a server that names its tool like one of Gemini's gains nothing."""
    server = {"server_name": "git_hub", "tool_name": "get_me", "command": "x"}
    call = use("run_shell_command", {"command": "ls"}, HOLDS, mcp_context=server)
    assert call.action == Mcp(server="git_hub", tool="get_me", arguments={"command": "ls"})
    assert call.holds == ""
    assert gemini.answer_judgement(call, decision(Verdict.ALLOW)) == HookReply()
    assert use("mcp_x", {}, mcp_context={"server_name": 5}).unreadable


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("run_shell_command", {}),
        ("run_shell_command", {"command": 7}),
        ("run_shell_command", {"command": "ls", "dir_path": {}}),
        ("run_shell_command", {"command": "ls", "dir_path": "a\0b"}),
        ("run_shell_command", "rm -rf /"),
        ("write_file", {"content": "x"}),
        ("write_file", {"file_path": "a\0b", "content": "x"}),
        ("write_file", {"file_path": " ", "content": "x"}),
        ("replace", {"file_path": "/x", "old_string": "a", "new_string": None}),
        ("replace", {"file_path": "/x", "old_string": "a", "new_string": "b", "allow_multiple": "yes"}),
        ("glob", {"pattern": "../*"}),
        ("glob", {"pattern": "/etc/*"}),
        ("glob", {"pattern": "{.,x}./*"}),
        ("glob", {"pattern": "a\\..\\..\\*"}),
        ("glob", {"pattern": "x{/.,y}./../z"}),
        ("web_fetch", {"prompt": 1}),
        (5, {}),
        ("", {}),
    ],
)
@pytest.mark.parametrize("event", ["BeforeTool", HOLDS])
def test_what_cannot_be_read_is_asked(tool: Any, given: Any, event: str) -> None:
    """A wrong type, or a way out, where the action is read from is never a free pass."""
    call = use(tool, given, event)
    assert call.unreadable
    assert said(gemini.answer_judgement(call, None))["decision"] == "ask"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"session_id":5}', b"[" * 100_000, b"{}",
     b'{"tool_name":"run_shell_command","tool_input":{"command":"\\ud800"}}'],
)  # fmt: skip
@pytest.mark.parametrize("event", ["BeforeTool", HOLDS])
def test_broken_input_is_asked(data: bytes, event: str) -> None:
    """Half, binary, deep and wrong JSON ends as ask."""
    call = gemini.parse(event, data)
    assert call.kind is HookKind.JUDGE
    assert said(gemini.answer_judgement(call, None))["decision"] == "ask"


_members = ["command", "dir_path", "file_path", "content", "old_string", "new_string", "pattern", "prompt", "url"]
_inputs = st.dictionaries(st.sampled_from(_members), VALUES)


@settings(max_examples=300)
@given(st.sampled_from([*gemini.EVENTS, HOLDS]), st.sampled_from([*gemini.TOOLS, *gemini.OWN_DIALOG, "else"]), _inputs)
def test_no_json_raises(event: str, tool: str, tool_input: dict[str, Any]) -> None:
    """Any JSON gives a call that can be answered."""
    call = use(tool, tool_input, event, mcp_context=tool_input)
    if call.kind is HookKind.JUDGE and call.unreadable:
        assert said(gemini.answer_judgement(call, None))["decision"] == "ask"


# --- answering ---------------------------------------------------------------------------------------


def test_what_gemini_is_told() -> None:
    """A named deny and a named ask are said; all else is left to Gemini's own policy, which takes no allow."""
    for verdict in (Verdict.DENY, Verdict.ASK):
        told = said(gemini.answer_judgement(shell(), decision(verdict)))
        assert told["decision"] == verdict.value
        assert "rule 'a rule': because" in told["reason"]
    assert gemini.answer_judgement(shell(), decision(Verdict.ALLOW)) == HookReply()
    assert gemini.answer_judgement(shell(), decision(Verdict.ASK, named=False)) == HookReply()
    assert shell().holds == ""


def test_questions_to_the_person_are_geminis() -> None:
    """No policy answers a question to the person, and none is asked about twice."""
    call = use("ask_user", {"questions": []}, HOLDS)
    for one in (None, *(decision(verdict) for verdict in Verdict)):
        assert gemini.answer_judgement(call, one) == HookReply()


@pytest.mark.parametrize("mode", ["BeforeTool", HOLDS])
def test_only_what_was_approved_carries_the_mark(mode: str) -> None:
    """A named allow and a yes, where set-up has put rules for it; nothing else ever holds it."""
    call = shell(mode)
    replies = [gemini.answer_judgement(call, None)]
    replies += [gemini.answer_judgement(call, decision(one, named=named)) for one in Verdict for named in (True, False)]
    replies += [gemini.answer_approval(call, approval(call, state)) for state in ApprovalState]
    marked = [reply for reply in replies if MARK in reply.stdout]
    named = gemini.answer_judgement(call, decision(Verdict.ALLOW))
    yes = gemini.answer_approval(call, approval(call, ApprovalState.APPROVED))
    assert marked == ([named, yes] if mode == HOLDS else [])


def test_the_mark_changes_nothing_else() -> None:
    """The folder, the command and all other members are what they were."""
    call = shell(HOLDS, dir_path="sub", description="d")
    told = new_input(gemini.answer_approval(call, approval(call, ApprovalState.APPROVED)))
    assert told == {"command": "ls > x", "description": "d", "dir_path": f"sub/approved-by-tmux-agent-{MARK}/.."}
    assert use("run_shell_command", told).action == call.action
    call = use("write_file", {"file_path": "a", "content": "1"}, HOLDS)
    told = new_input(gemini.answer_judgement(call, decision(Verdict.ALLOW)))
    assert told == {"file_path": "a", "content": "1", "tmux_agent": MARK}


@pytest.mark.parametrize("tool_input", [
    {"command": "ls", "dir_path": f"approved-by-tmux-agent-{MARK}/.."},
    {"command": "ls", MARK: 1},
    {"command": f"cat {MARK}"},
])  # fmt: skip
def test_an_agent_that_knows_the_mark_is_asked_about(tool_input: dict[str, Any]) -> None:
    """What holds it before anybody said yes is put into Gemini's dialog, whatever the policy says."""
    call = use("run_shell_command", tool_input, HOLDS)
    assert call.unreadable
    assert call.action is None
    assert said(gemini.answer_judgement(call, None))["decision"] == "ask"


def test_who_is_asked() -> None:
    """With our rules a person is asked here about what Gemini would ask about, and of nothing else."""
    held = {tool for tool in [*gemini.TOOLS, "google_web_search"] if use(tool, {
        "command": "x", "file_path": "x", "content": "x", "old_string": "x", "new_string": "y", "pattern": "x",
        "prompt": "x", "dir_path": ".",
    }, HOLDS).holds}  # fmt: skip
    assert held == {"run_shell_command", "write_file", "replace", "web_fetch"}


def test_yes_and_no() -> None:
    """A no carries the person's words; without a yes or a no Gemini's own dialog asks."""
    call = shell(HOLDS)
    no = said(gemini.answer_approval(call, approval(call, ApprovalState.DENIED, comment="not today")))
    assert no == {"decision": "deny", "reason": "tmux-agent: a person said no: not today"}
    for state in (ApprovalState.WITHDRAWN, ApprovalState.EXPIRED, ApprovalState.UNKNOWN, ApprovalState.PENDING):
        assert said(gemini.answer_approval(call, approval(call, state)))["decision"] == "ask"


def test_an_edit_runs_as_it_was_shown() -> None:
    """The edited command, content or text is handed over; what Gemini's input cannot say is refused."""
    call = shell(HOLDS)
    assert isinstance(call.action, Shell)
    edited = approval(call, ApprovalState.APPROVED, replace(call.action, text="make"))
    assert new_input(gemini.answer_approval(call, edited))["command"] == "make"
    for other in (replace(call.action, cwd="/"), Fetch(url="x"), replace(call.action, dialect="zsh")):
        refused = gemini.answer_approval(call, approval(call, ApprovalState.APPROVED, other))
        assert said(refused)["decision"] == "deny"
    write = use("write_file", {"file_path": "/a", "content": "1"}, HOLDS)
    assert isinstance(write.action, File)
    edited = approval(write, ApprovalState.APPROVED, replace(write.action, content="2"))
    assert new_input(gemini.answer_approval(write, edited))["content"] == "2"
    edit = use("replace", {"file_path": "/a", "old_string": "1", "new_string": "2"}, HOLDS)
    assert isinstance(edit.action, File)
    edited = approval(edit, ApprovalState.APPROVED, replace(edit.action, new_text="3"))
    assert new_input(gemini.answer_approval(edit, edited))["new_string"] == "3"


@pytest.mark.parametrize(("tool", "path", "pinned"), [
    ("replace", "a.txt", True), ("replace", "/a.txt", False), ("write_file", "a.txt", False),
    ("write_file", "@x/a.txt", True), ("read_file", "@/a.txt", True), ("read_file", "a.txt", False),
])  # fmt: skip
@pytest.mark.parametrize("verdict", [Verdict.ALLOW, Verdict.ASK])
@pytest.mark.parametrize("named", [True, False])
def test_what_was_judged_is_what_is_changed(tool: str, path: str, pinned: bool, verdict: Verdict, named: bool) -> None:
    """Where Gemini might take another file than the path says, it is told which, also where we have no opinion."""
    call = use(tool, {"file_path": path, "content": "x", "old_string": "x", "new_string": "y", "instruction": "z"})
    told = said(gemini.answer_judgement(call, decision(verdict, named=named)))
    assert isinstance(call.action, File)
    handed = told.get("hookSpecificOutput", {}).get("tool_input", {})
    assert handed == ({**call.tool_input, "file_path": call.action.path} if pinned else {})


def test_reasons_are_safe_and_bounded() -> None:
    """A hostile reason reaches neither terminal nor model as control characters, nor without end."""
    reply = gemini.answer_judgement(shell(), decision(Verdict.DENY, reason="\x1b[2J\u202e" + "x" * 50_000))
    assert len(reply.stdout) < 10_000
    assert reply.stdout.isascii()
    assert "\x1b" not in said(reply)["reason"]


def test_key_is_the_same_where_the_use_is() -> None:
    """By session, tool and input, in whatever order; Gemini gives no id."""
    first = use("write_file", {"file_path": "/a", "content": "1"})
    assert first.key == use("write_file", {"content": "1", "file_path": "/a"}).key
    assert first.key.startswith(first.scope)
    others = {use("write_file", {"file_path": "/a", "content": "2"}).key, use("replace", first.tool_input).key}
    assert first.key not in others | {use("write_file", first.tool_input, session_id="t").key}


@pytest.mark.parametrize("name", ["include", "paths"])
@pytest.mark.parametrize("pattern", ["/etc/passwd", "../x/*", "a/{b,..}/*", "~/.ssh/*"])
def test_many_files_are_those_below_the_folder(name: str, pattern: str) -> None:
    """A pattern that may lead out of it is asked about, as one with only its folder judged."""
    given = {"session_id": "s", "cwd": SHOP, "tool_name": "read_many_files", "tool_input": {name: ["a", pattern]}}
    assert "may lead out" in gemini.parse("BeforeTool", json.dumps(given)).unreadable
