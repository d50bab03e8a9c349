"""What holds for every adapter, also for the next one: nothing raises, nothing unreadable passes, nobody's yes is made
up. What each agent takes for a yes is told once, in YES."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.edges.adapters.calls import AMBIGUOUS, VALUES, approval, decision, event_of, recordings

from tmux_agent.core.hooks import HookCall, HookKind, HookReply
from tmux_agent.core.model import ApprovalState, Verdict
from tmux_agent.edges.adapters import ADAPTERS, gemini

MEGABYTES_10 = 10 << 20
ALL = [(agent, path) for agent in ADAPTERS for path in recordings(agent)]
SOME = pytest.mark.parametrize(("agent", "path"), ALL, ids=[f"{agent}-{path.stem}" for agent, path in ALL])
UNREADABLE = {("codex", AMBIGUOUS)}  # of what was recorded: a patch that was made to be ambiguous
EACH = pytest.mark.parametrize("agent", ADAPTERS)


def decided(reply: HookReply) -> dict[str, Any]:
    """All that a reply says, flat: agents put it at the top, in hookSpecificOutput, or in its decision."""
    said = json.loads(reply.stdout) if reply.stdout else {}
    said |= said.pop("hookSpecificOutput", {})
    return said | (said["decision"] if isinstance(said.get("decision"), dict) else {})


def _says(*members: str, words: tuple[str, ...] = ("allow",)) -> Callable[[HookCall, HookReply], bool]:
    return lambda call, reply: any(decided(reply).get(member) in words for member in members)


# Whether a reply lets a use run that the agent would otherwise ask about. Silence before a tool counts for Codex and
# opencode where it is the answer to a question of ours, or to what cannot be read.
YES: dict[str, Callable[[HookCall, HookReply], bool]] = {
    "claude": _says("permissionDecision", "behavior"),
    "codex": lambda call, reply: "deny" not in decided(reply).values() and (
        call.kind is HookKind.JUDGE or "allow" in decided(reply).values()
    ),
    "gemini": lambda call, reply: bool(
        {gemini.MEMBER, gemini.FOLDER} & set(re.findall(r"tmux_agent|approved-by-tmux-agent-", reply.stdout))
    ),
    "opencode": lambda call, reply: bool(
        decided(reply).get("reply") == "once" or decided(reply).get("decision") == "allow" or (
            not reply.stdout and call.kind is HookKind.JUDGE
        )
    ),
    "cursor": _says("permission"),
}  # fmt: skip


def events_that_judge(agent: str) -> list[str]:
    return [event for event in ADAPTERS[agent].EVENTS if ADAPTERS[agent].parse(event, {}).kind is HookKind.JUDGE]


def test_every_agent_is_covered() -> None:
    """The next agent has its recordings here, and says what it takes for a yes."""
    assert set(YES) == set(ADAPTERS)
    assert all(recordings(agent) for agent in ADAPTERS)


@SOME
def test_recorded_input_is_answered(agent: str, path: Any) -> None:
    """As text and as JSON alike; what can be judged is, and no answer is longer than agents read."""
    adapter, data = ADAPTERS[agent], path.read_bytes()
    call = adapter.parse(event_of(path), data)
    assert call.session
    assert bool(call.unreadable) is ((agent, path.stem) in UNREADABLE)
    assert adapter.parse(event_of(path), json.loads(data)) == call
    for verdict in Verdict:
        hostile = decision(verdict, reason="\x1b[2J\u202e" + "x" * 50_000)
        told = adapter.answer_judgement(call, hostile).stdout
        assert not set("\x1b\u202e") & set(told)
        assert len(told) < 10_000 + 2 * len(data)


def bad_inputs(whole: bytes) -> dict[str, bytes]:
    """The kinds of input that nobody can judge."""
    return {
        "empty": b"",
        "white": b" \n",
        "truncated": whole[: len(whole) // 2],
        "not JSON": b"tool_name=Bash",
        "no object": b"[1]",
        "null": b"null",
        "no text": b"\xff\xfe{}",
        "deep": b"[" * 100_000,
        "two": whole + whole,
    }


@EACH
@pytest.mark.parametrize("kind", bad_inputs(b"{}"))
def test_what_nobody_can_read_is_never_let_through(agent: str, kind: str) -> None:
    """Each hook before a tool is told something that is no yes, with the reason; no other hook is told anything."""
    adapter = ADAPTERS[agent]
    for event in [*adapter.EVENTS, "", "FutureEvent"]:
        whole = next((path.read_bytes() for path in recordings(agent) if event_of(path) == event), b'{"a": "b"}')
        call = adapter.parse(event, bad_inputs(whole)[kind])
        assert (call.event, call.action) == (event, None)
        reply = adapter.answer_judgement(call, None)
        if call.kind is HookKind.JUDGE:
            assert call.unreadable
            assert reply.stdout
            assert not YES[agent](call, reply)


@EACH
def test_input_of_another_agent_is_never_let_through(agent: str) -> None:
    """Where an agent runs the hooks of another one: judged as what it can be read as, or not at all."""
    adapter = ADAPTERS[agent]
    for other, path in ALL:
        for event in events_that_judge(agent):
            if other != agent and event_of(path) != event:
                call = adapter.parse(event, path.read_bytes())
                if call.unreadable:
                    assert not YES[agent](call, adapter.answer_judgement(call, None)), path


@SOME
def test_input_of_a_future_version_is_read_as_this_ones(agent: str, path: Any) -> None:
    """Members that nobody knows yet, and modes that nobody knows, change nothing."""
    adapter, raw = ADAPTERS[agent], json.loads(path.read_bytes())
    call = adapter.parse(event_of(path), raw)
    newer = adapter.parse(event_of(path), {**raw, "new_member": {"a": [1]}, "permission_mode": "sudo", "effort": 9})
    assert (newer.action, newer.unreadable, newer.state) == (call.action, call.unreadable, call.state)


@EACH
def test_ten_megabytes_are_read(agent: str) -> None:
    """A long input is no reason to let it through, nor to fall over: the text is judged whole."""
    adapter = ADAPTERS[agent]
    for path in recordings(agent):
        call = adapter.parse(event_of(path), path.read_bytes())
        if call.kind is HookKind.JUDGE and "command" in call.tool_input:
            text = path.read_text().replace(json.dumps(call.tool_input["command"]), f'"{"x" * MEGABYTES_10}"', 1)
            long = adapter.parse(event_of(path), text)
            assert long.unreadable or long.action != call.action
            assert len(adapter.answer_judgement(long, decision(Verdict.DENY)).stdout) < 10_000
            return
    raise AssertionError("no recorded command")


@EACH
@pytest.mark.parametrize("state", [state for state in ApprovalState if state is not ApprovalState.APPROVED])
def test_only_a_yes_is_a_yes(agent: str, state: ApprovalState) -> None:
    """Denied, withdrawn, expired, unknown, or still waiting: no hook is told to let the use run."""
    adapter = ADAPTERS[agent]
    for path in recordings(agent):
        call = adapter.parse(event_of(path), path.read_bytes())
        if call.action is not None:
            assert not YES[agent](call, adapter.answer_approval(call, approval(call, state))), path


@given(st.sampled_from([*ADAPTERS]), st.data(), st.binary(max_size=200))
def test_no_bytes_raise(agent: str, data: st.DataObject, content: bytes) -> None:
    """Any bytes at all give a call."""
    event = data.draw(st.sampled_from([*ADAPTERS[agent].EVENTS, "", "Else"]))
    assert ADAPTERS[agent].parse(event, content).event == event


@settings(max_examples=400)
@given(st.sampled_from(ALL), st.data())
def test_mutated_recordings_are_read_or_refused(one: tuple[str, Any], data: st.DataObject) -> None:
    """A member that is gone or of another type, a text that is cut: answered, and never a yes to what is not read."""
    agent, path = one
    adapter, raw = ADAPTERS[agent], json.loads(path.read_bytes())
    place = raw
    for name in ("tool_input", "args"):
        place = raw[name] if isinstance(raw.get(name), dict) and raw[name] and data.draw(st.booleans()) else place
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(VALUES)
    text = json.dumps(raw)
    for content in (text, text[: data.draw(st.integers(0, len(text)))]):
        call = adapter.parse(event_of(path), content)
        if call.kind is HookKind.JUDGE and call.unreadable:
            assert not YES[agent](call, adapter.answer_judgement(call, None))
        for verdict in Verdict:
            adapter.answer_judgement(call, decision(verdict))
        for state in ApprovalState if call.action else ():
            adapter.answer_approval(call, approval(call, state))
