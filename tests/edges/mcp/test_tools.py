"""The tools: which there are, how they are described, and what a model reads of what came of a call."""

from __future__ import annotations

import jsonschema
import msgspec
import pytest

from tmux_agent.core import errors, protocol
from tmux_agent.edges.mcp import tools
from tmux_agent.edges.mcp.messages import Refused

LISTED = {tool["name"]: tool for tool in tools.listed()}


def test_what_is_offered() -> None:
    """Everything that is guarded, plans, questions, the pair for slow people; nothing that is a person's to do."""
    methods = {tool.method for tool in tools.TOOLS.values()} - {""}
    guarded = {name for name in protocol.METHODS if name.startswith(("file.", "command.", "plan.", "tmux."))}
    assert methods == guarded - {"tmux.attach"} | {"human.ask"}
    assert not {tool.params for tool in tools.TOOLS.values()} & protocol.OPERATOR_ONLY
    assert list(LISTED)[-2:] == ["request", "wait"]
    assert [tool["name"] for tool in tools.listed()] == list(LISTED)


@pytest.mark.parametrize("name", LISTED)
def test_each_is_described(name: str) -> None:
    """A valid flat schema that takes exactly what the Struct takes, words, and every hint."""
    described, params = LISTED[name], tools.TOOLS[name].params
    jsonschema.Draft202012Validator.check_schema(described["inputSchema"])
    assert "$ref" not in str(described["inputSchema"])
    assert list(described["inputSchema"]["properties"]) == [one.encode_name for one in msgspec.structs.fields(params)]
    assert described["inputSchema"]["additionalProperties"] is False
    assert described["description"]
    assert described["title"] == described["annotations"]["title"]
    hints = {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint", "title"}
    assert set(described["annotations"]) == hints


def test_notes_are_about_members_that_there_are() -> None:
    """A member that was renamed loses its note: this test says so."""
    members = {member for tool in LISTED.values() for member in tool["inputSchema"]["properties"]}
    assert set(tools._NOTES) <= members


def test_hints() -> None:
    """What only reads says so, what removes or runs something says that."""
    assert LISTED["file_read"]["annotations"]["readOnlyHint"]
    assert LISTED["file_delete"]["annotations"]["destructiveHint"]
    assert LISTED["command_run"]["annotations"]["openWorldHint"]
    for described in LISTED.values():
        hints = described["annotations"]
        assert not (hints["readOnlyHint"] and (hints["destructiveHint"] or hints["openWorldHint"]))


def test_request_names_what_it_can_begin() -> None:
    """Tools about which a person may be asked, and no others."""
    begins = LISTED["request"]["inputSchema"]["properties"]["tool"]["enum"]
    assert {"file_write", "command_run", "human_ask", "tmux_kill_pane"} <= set(begins)
    assert not {"request", "wait", "plan_create", "command_allowed", "tmux_panes"} & set(begins)


@pytest.mark.parametrize("arguments", [{}, {"path": 1}, {"path": "x", "pth": "y"}, {"path": "x", "start_line": "1"}])
def test_wrong_arguments(arguments: dict[str, object]) -> None:
    """What is wrong, and what the tool takes."""
    with pytest.raises(errors.InvalidParams, match=r"file_read: .*; it takes path, start_line, end_line"):
        tools.TOOLS["file_read"].request(arguments)


def test_unknown_tools() -> None:
    """An error of the protocol, with the nearest name; operators' methods are unknown here."""
    with pytest.raises(Refused, match="did you mean 'file_read'"):
        tools.find("file_raed")
    for name in ("human_respond", "sidecar_stop", "policy_reload", "grant_revoke", "", "x" * 5000):
        with pytest.raises(Refused) as found:
            tools.find(name)
        assert found.value.code == -32602
        assert len(found.value.message) < 300


def test_data_is_given_word_for_word() -> None:
    """The text is the sidecar's own JSON; structured data is the same."""
    raw = msgspec.Raw(b'{"a":1.50,"b":"\\u00e9"}')
    assert tools.done(raw, False) == {
        "content": [{"type": "text", "text": '{"a":1.50,"b":"\\u00e9"}'}],
        "isError": False,
    }
    assert b'"structuredContent":{"a":1.50,"b":"\\u00e9"}' in msgspec.json.encode(tools.done(raw, True))


@pytest.mark.parametrize(
    ("why", "says"),
    [
        (errors.Denied("a person said no: use staging", comment="use staging", rule="r"), "use staging. Nothing was"),
        (errors.Denied("denied by rule 'x': no"), "denied by rule 'x': no. Nothing was done"),
        (errors.Expired("nobody answered in time, so it was not done"), "Ask again when"),
        (errors.Conflict("it changed"), "conflict: it changed. Look at it"),
        (errors.LimitExceeded("over 60 questions a minute"), "limit: over 60 questions a minute. Do less"),
        (errors.Unavailable("no sidecar answers (…): start it with `tmux-agent sidecar start`"), "sidecar start"),
        (errors.NotFound("no such file"), "not_found: no such file"),
        (errors.Failed("exit"), "failed: exit"),
    ],
)
def test_a_no_is_a_result(why: errors.TmuxAgentError, says: str) -> None:
    """Words that a model can act on; kind and details as data."""
    found = tools.failed(why, True)
    assert found["isError"] is True
    assert says in found["content"][0]["text"]
    assert found["structuredContent"]["kind"] == why.kind
    assert found["structuredContent"].items() >= why.data.items()
    assert "structuredContent" not in tools.failed(why, False)
