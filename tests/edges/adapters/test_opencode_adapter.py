"""What opencode's plugin tells: recorded input read, answers written exactly, nothing that raises."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.edges.adapters.calls import CORPUS, SHOP, VALUES, approval, decision, event_of, recordings

from tmux_agent.core.hooks import HookCall, HookKind, HookReply
from tmux_agent.core.model import (
    Action,
    AgentState,
    ApprovalState,
    Ask,
    Fetch,
    File,
    Mcp,
    Patch,
    Shell,
    Tool,
    Verdict,
)
from tmux_agent.edges.adapters import opencode

RECORDED = recordings("opencode")


def recorded(name: str) -> HookCall:
    return opencode.parse(name.partition("-")[0], (CORPUS / "opencode" / f"{name}.json").read_bytes())


def use(tool: Any, args: Any, event: str = "tool.before", **more: Any) -> HookCall:
    given = {"sessionID": "ses_1", "directory": SHOP, "tool": tool, "callID": "c1", "args": args}
    return opencode.parse(event, json.dumps(given | more))


def said(reply: HookReply) -> dict[str, Any]:
    assert (reply.stderr, reply.exit_code) == ("", 0)
    found: dict[str, Any] = json.loads(reply.stdout)
    return found


# --- reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_input_is_of_a_session_and_of_its_events_kind(path: Path) -> None:
    event = event_of(path)
    call = opencode.parse(event, path.read_bytes())
    assert call.session.startswith("ses_")
    assert call.kind is opencode.EVENTS[event].kind


def test_every_event_was_recorded() -> None:
    """The corpus knows all that the adapter claims to read."""
    assert {path.stem.partition("-")[0] for path in RECORDED} == set(opencode.EVENTS)


@pytest.mark.parametrize(
    ("name", "state", "withdraw"),
    [
        ("tool.before-bash", AgentState.WORKING, ""),
        ("permission.asked-bash", AgentState.WAITING, ""),
        ("question.asked", AgentState.WAITING, ""),
        ("permission.replied", AgentState.WORKING, "over"),
        ("session.created", AgentState.IDLE, ""),
        ("session.status-busy", AgentState.WORKING, ""),
        ("session.status-idle", AgentState.DONE, "turn"),
        ("session.status-retry", AgentState.WORKING, ""),
        ("session.error", AgentState.ERROR, "turn"),
        ("session.error-aborted", AgentState.IDLE, "turn"),
        ("session.deleted", None, "session"),
    ],
)
def test_events_tell_states(name: str, state: AgentState | None, withdraw: str) -> None:
    """Each event sets the agent's state, and says which open approvals it makes pointless."""
    call = recorded(name)
    assert (call.state, call.withdraw, call.ended) == (state, withdraw, name == "session.deleted")


@pytest.mark.parametrize(
    ("refused", "state"), [(True, AgentState.IDLE), (False, AgentState.DONE), ("yes", AgentState.DONE)]
)
def test_a_turn_that_a_no_ended_rests(refused: Any, state: AgentState) -> None:
    """Nothing was done that a person might want to read."""
    told = {"sessionID": "ses_1", "status": {"type": "idle"}, "refused": refused}
    call = opencode.parse("session.status", told)
    assert (call.state, call.withdraw) == (state, "turn")


@pytest.mark.parametrize(
    ("call", "action"),
    [
        (recorded("tool.before-bash"), Shell(text="touch made-by-agent && echo done", cwd=SHOP)),
        (recorded("permission.asked-bash"), Shell(text="touch made-by-agent && echo done", cwd=SHOP)),
        (use("bash", {"command": "ls", "workdir": "src"}), Shell(text="ls", cwd=f"{SHOP}/src")),
        (use("bash", {"command": "ls", "workdir": "/etc"}), Shell(text="ls", cwd="/etc")),
        (recorded("tool.before-write"),
         File(verb="write", path=f"{SHOP}/a.txt", cwd=SHOP, content="one\ntwo\n", create_dirs=True)),
        (recorded("tool.before-edit"),
         File(verb="edit", path=f"{SHOP}/a.txt", cwd=SHOP, old_text="two", new_text="TWO")),
        (use("edit", {"filePath": "new", "oldString": "", "newString": "all"}),
         File(verb="write", path=f"{SHOP}/new", cwd=SHOP, content="all", create_dirs=True)),
        (use("edit", {"filePath": "a", "oldString": "x", "newString": "y", "replaceAll": True}),
         File(verb="edit", path=f"{SHOP}/a", cwd=SHOP, old_text="x", new_text="y", replace_all=True)),
        (use("read", {"filePath": "~/x"}), File(verb="read", path=f"{SHOP}/~/x", cwd=SHOP)),
        (recorded("permission.asked-external"), File(verb="read", path="/etc/hostname", cwd=SHOP)),
        (recorded("tool.before-grep"), File(verb="read", path=SHOP, cwd=SHOP, recursive=True)),
        (use("glob", {"pattern": "../x/*", "path": "a"}),
         File(verb="list", path=f"{SHOP}/a/../x", cwd=SHOP, recursive=True)),
        (use("glob", {"pattern": "/etc/*"}), File(verb="list", path="/etc", cwd=SHOP, recursive=True)),
        (use("list", {}), File(verb="list", path=SHOP, cwd=SHOP)),
        (use("multiedit", {"filePath": "f", "edits": [{"oldString": "a", "newString": "b"}] * 2}),
         File(verb="edit", path=f"{SHOP}/f", cwd=SHOP, old_text="a\na", new_text="b\nb")),
        (use("apply_patch", {"patchText": "*** Begin Patch\n*** Delete File: a\n*** End Patch"}),
         File(verb="delete", path="a", cwd=SHOP)),
        (recorded("tool.before-webfetch"), Fetch(url="http://127.0.0.1:9304/x")),
        (recorded("tool.before-mcp"), Mcp(server="my.slow", tool="wait", arguments={"seconds": 0})),
        (use("my_slow_wait", {"a": 1}), Tool(name="my_slow_wait", arguments={"a": 1}, cwd=SHOP)),
        (use("my_slow_", {}, servers=["my.slow"]), Tool(name="my_slow_", arguments={}, cwd=SHOP)),
        (use("a_b_c", {}, servers=["a", "a.b"]), Mcp(server="a.b", tool="c", arguments={})),
        (use("bash_x", {}, servers=["bash"]), Mcp(server="bash", tool="x", arguments={})),
        (use("websearch", {"query": "q"}), Tool(name="websearch", arguments={"query": "q"}, cwd=SHOP)),
        (recorded("tool.before-question"), None),
        (recorded("question.asked"),
         Ask(prompt="Which region?", action_type="question", options=("Europe", "Asia"),
             details="Europe: eu\nAsia: as")),
        (use("", {}, "permission.asked", permission="doom_loop", patterns=["bash"], metadata={"tool": "bash"}),
         Tool(name="permission doom_loop", arguments={"patterns": ["bash"], "metadata": {"tool": "bash"}}, cwd=SHOP)),
        (use("question", {}, "question.asked", questions=[{"question": "a"}, {"question": "b"}]), None),
        (use("question", {}, "question.asked", questions=[{"question": "a", "options": []}]), None),
    ],
    ids=lambda value: value.tool if isinstance(value, HookCall) else "",
)  # fmt: skip
def test_tools_become_actions(call: HookCall, action: Action | None) -> None:
    """Each tool of opencode is judged as what it does."""
    assert call.unreadable == ""
    assert call.action == action


def test_a_patch_of_several_files_is_one_action() -> None:
    """Each of its files is judged."""
    text = "*** Begin Patch\n*** Add File: a\n+x\n*** Delete File: b\n*** End Patch"
    call = use("patch", {"patchText": text})
    assert isinstance(call.action, Patch)
    assert [change.path for change in call.action.changes] == ["a", "b"]


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("bash", {}),
        ("bash", {"command": 7}),
        ("bash", {"command": None}),
        ("bash", {"command": ["rm", "-rf"]}),
        ("bash", {"command": "ls", "workdir": 3}),
        ("bash", "rm -rf /"),
        ("write", {"filePath": 7, "content": "x"}),
        ("edit", {"filePath": "/x", "oldString": "a", "replaceAll": "yes"}),
        ("read", {"filePath": "a\0b"}),
        ("glob", {"pattern": "*/../../x"}),
        ("glob", {"pattern": 3}),
        ("grep", {"pattern": "x", "path": {}}),
        ("multiedit", {"filePath": "/x"}),
        ("apply_patch", {"patchText": "rm"}),
        ("patch", {}),
        (5, {}),
        ("", {}),
        (None, None),
    ],
)
def test_what_cannot_be_read_is_denied(tool: Any, args: Any) -> None:
    """opencode runs what nobody forbids, so a wrong type where the action is read from is forbidden."""
    call = use(tool, args)
    assert call.unreadable
    assert said(opencode.answer_judgement(call, None))["decision"] == "deny"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"sessionID":5}', b"[" * 100_000, b"{}", b'{"directory":"x","tool":"bash"}',
     b'{"directory":"/x","tool":"bash","args":{"command":"\\ud800"}}'],
)  # fmt: skip
def test_broken_input_is_denied(data: bytes) -> None:
    """Half, binary, deep and wrong JSON ends as a deny, and is recorded as one (holds)."""
    call = opencode.parse("tool.before", data)
    assert (call.kind, call.holds) == (HookKind.JUDGE, "named")
    assert said(opencode.answer_judgement(call, None))["decision"] == "deny"


_names = ["command", "workdir", "filePath", "content", "oldString", "newString", "pattern", "path", "url", "edits",
          "patchText"]  # fmt: skip
_more = ["questions", "status", "servers", "subagent", "permission", "patterns", "metadata", "callID", "name"]


@settings(max_examples=300)
@given(
    st.sampled_from([*opencode.EVENTS]),
    st.sampled_from([*opencode.TOOLS, "multiedit", "patch", "question", "my_slow_wait", ""]),
    st.dictionaries(st.sampled_from(_names), VALUES) | VALUES,
    st.dictionaries(st.sampled_from(_more), VALUES),
)
def test_no_json_raises(event: str, tool: str, args: Any, more: dict[str, Any]) -> None:
    """Any JSON gives a call that can be answered; what cannot be read never passes."""
    call = use(tool, args, event, **more)
    if call.kind is HookKind.JUDGE and call.unreadable:
        assert said(opencode.answer_judgement(call, None))["decision"] == "deny"


def test_one_use_has_one_key_from_judging_to_asking() -> None:
    """Before it runs and where opencode asks about it; a helper's is another."""
    before, asked = recorded("tool.before-bash"), recorded("permission.asked-bash")
    assert (before.key, before.tool_use) == (asked.key, asked.tool_use)
    helper = recorded("tool.before-bash-helper")
    assert helper.session == before.session
    assert helper.subagent.startswith("ses_")
    assert helper.key != before.key
    assert recorded("permission.replied").over[0][0] == before.tool_use


# --- answering ---------------------------------------------------------------------------------------


def test_only_named_decisions_speak() -> None:
    """allow and deny by name are said; what is only the default for unmatched things is opencode's own to decide."""
    call = recorded("tool.before-bash")
    allowed = said(opencode.answer_judgement(call, decision(Verdict.ALLOW)))
    assert allowed == {"decision": "allow", "reason": "tmux-agent: rule 'a rule': because"}
    denied = said(opencode.answer_judgement(call, decision(Verdict.DENY)))
    assert denied == {"decision": "deny", "reason": "tmux-agent: denied by rule 'a rule': because"}
    for verdict in (Verdict.ALLOW, Verdict.ASK):
        assert opencode.answer_judgement(call, decision(verdict, named=False)) == HookReply()
    assert said(opencode.answer_judgement(call, decision(Verdict.DENY, named=False)))["decision"] == "deny"


def test_what_should_be_asked_and_cannot_be_is_denied() -> None:
    """opencode cannot ask in our place; only where nothing can be recorded it is left to it, as configured."""
    call = recorded("tool.before-bash")
    assert said(opencode.answer_judgement(call, decision(Verdict.ASK)))["decision"] == "deny"
    away = decision(Verdict.ASK, rule="on_unavailable")
    assert said(opencode.answer_judgement(call, away))["decision"] == "ask"
    assert said(opencode.answer_judgement(call, decision(Verdict.DENY, rule="on_unavailable")))["decision"] == "deny"


def test_questions_to_the_person_are_not_judged() -> None:
    """No policy answers a question that opencode asks the person."""
    for verdict in Verdict:
        assert opencode.answer_judgement(recorded("tool.before-question"), decision(verdict)) == HookReply()


def test_reasons_are_safe_and_bounded() -> None:
    """A hostile reason reaches neither terminal nor model as control characters, nor without end."""
    hostile = decision(Verdict.DENY, reason="\x1b[2J\u202e" + "x" * 50_000)
    reply = opencode.answer_judgement(recorded("tool.before-bash"), hostile)
    assert len(reply.stdout) < 10_000
    assert not {"\x1b", "\u202e"} & set(said(reply)["reason"])
    assert reply.stdout.isascii()


def test_yes_and_no_while_it_is_held() -> None:
    """A yes lets it run, a no carries the person's words, and whatever else becomes of the question runs nothing."""
    call = recorded("tool.before-bash")
    assert said(opencode.answer_approval(call, approval(call, ApprovalState.APPROVED)))["decision"] == "allow"
    no = said(opencode.answer_approval(call, approval(call, ApprovalState.DENIED, comment="not today")))
    assert no == {"decision": "deny", "reason": "tmux-agent: a person said no: not today"}
    for state in (ApprovalState.WITHDRAWN, ApprovalState.EXPIRED, ApprovalState.UNKNOWN, ApprovalState.PENDING):
        assert said(opencode.answer_approval(call, approval(call, state)))["decision"] == "deny"


def test_yes_and_no_to_opencodes_dialog() -> None:
    """once, never always; a no always has a message, as opencode ends the turn without one; else silence."""
    call = recorded("permission.asked-bash")
    assert said(opencode.answer_approval(call, approval(call, ApprovalState.APPROVED))) == {"reply": "once"}
    for comment, message in (("not today", "a person said no: not today"), ("", "a person said no")):
        no = said(opencode.answer_approval(call, approval(call, ApprovalState.DENIED, comment=comment)))
        assert no == {"reply": "reject", "message": f"tmux-agent: {message}"}
    for state in (ApprovalState.WITHDRAWN, ApprovalState.EXPIRED, ApprovalState.UNKNOWN, ApprovalState.PENDING):
        assert opencode.answer_approval(call, approval(call, state)) == HookReply()


def test_an_edit_runs_as_it_was_shown() -> None:
    """While it is held, an edited action becomes the tool's input; what is no part of the action stays."""
    call = recorded("tool.before-bash")
    edited = Shell(text="touch other", cwd=SHOP)
    got = said(opencode.answer_approval(call, approval(call, ApprovalState.APPROVED, edited)))
    assert got["args"] == {"command": "touch other", "description": "scripted command"}
    written = recorded("tool.before-write")
    assert isinstance(written.action, File)
    edited_file = msgspec.structs.replace(written.action, content="three\n")
    got = said(opencode.answer_approval(written, approval(written, ApprovalState.APPROVED, edited_file)))
    assert got["args"] == {"filePath": f"{SHOP}/a.txt", "content": "three\n"}
    tool = recorded("tool.before-mcp")
    changed = Mcp(server="my.slow", tool="wait", arguments={"seconds": 2})
    got = said(opencode.answer_approval(tool, approval(tool, ApprovalState.APPROVED, changed)))
    assert got["args"] == {"seconds": 2}


def test_an_edit_of_what_opencode_asks_about_is_told_to_the_model() -> None:
    """opencode takes no other input there: refused, with what the person wants."""
    call = recorded("permission.asked-bash")
    edited = Shell(text="touch other", cwd=SHOP)
    got = said(opencode.answer_approval(call, approval(call, ApprovalState.APPROVED, edited)))
    assert got["reply"] == "reject"
    assert '"command": "touch other"' in got["message"]


@pytest.mark.parametrize(
    "edited", [Shell(text="ls", cwd="/elsewhere"), Shell(text="ls", cwd=SHOP, dialect="zsh"), Fetch(url="x")]
)
def test_an_edit_that_opencode_cannot_run_is_refused(edited: Action) -> None:
    """A yes to something that the tool's input cannot express never runs something else."""
    call = recorded("tool.before-bash")
    assert said(opencode.answer_approval(call, approval(call, ApprovalState.APPROVED, edited)))["decision"] == "deny"


def test_a_question_is_answered_with_the_chosen_option() -> None:
    """The choice goes back as opencode's own dialog would send it, a no as words of the person's."""
    call = recorded("question.asked")
    got = said(opencode.answer_approval(call, approval(call, ApprovalState.APPROVED, choice="Asia")))
    assert got == {"answers": [["Asia"]]}
    got = said(opencode.answer_approval(call, approval(call, ApprovalState.DENIED, comment="Africa")))
    assert got == {"answers": [["tmux-agent: a person chose none of these: Africa"]]}
    assert opencode.answer_approval(call, approval(call, ApprovalState.APPROVED)) == HookReply()
    assert opencode.answer_approval(call, approval(call, ApprovalState.WITHDRAWN)) == HookReply()


def test_that_it_tries_again_by_itself_is_told_with_the_time() -> None:
    """Whether that is a usage limit or a busy server, the wait tells; a time that no clock has is none."""
    limit = recorded("session.status-retry").limit
    assert limit
    assert limit.words.startswith("You exceeded your current quota")
    assert (limit.ends, limit.alone) == (datetime(2026, 11, 30, 3, tzinfo=UTC), True)
    assert recorded("session.status-busy").limit is None
    for wrong in (None, "soon", 1e300, -1e300, float("nan"), [], {}):
        status = {"type": "retry", "message": "wait", "next": wrong}
        assert opencode.parse("session.status", {"sessionID": "s", "status": status}).limit is None
