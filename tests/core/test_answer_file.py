"""Approval files as text: nothing that an agent asks is an answer, and what a person writes is read in one way only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.services.sidecar_values import AGENT, question

from tmux_agent.core import answer_file
from tmux_agent.core.errors import InvalidParams
from tmux_agent.core.model import Ask, File, Mcp, Shell, Stage, digest
from tmux_agent.core.sheet import LIMIT, sheet

HOSTILE = st.text(
    st.sampled_from("approve deny\n\r\x0b\x0c\x1c\x85\u2028\u2029#\t\x00\u202e\ufeff \ud800"), max_size=60
)


def asked(action: Any, **changes: Any) -> Any:
    return question(action=action, digest=digest(action), **changes)


def text_of(approval: Any, note: str = "") -> str:
    return answer_file.render(sheet(approval, UTC), note)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_nothing_that_is_asked_is_an_answer(prompt: str, option: str, where: str) -> None:
    """Whatever an agent's texts hold, the file that shows them has no answer in it, as bytes and back, too."""
    origin = replace(AGENT, name=prompt, place=where, branch=option, cwd=where)
    action = Ask(prompt=prompt, details=option, options=(option, prompt), action_type=where)
    one = asked(action, origin=origin, reason=prompt, rule=option, where=where, kind="question")
    text = text_of(one, note="why").encode(errors="replace").decode("utf-8-sig")
    assert answer_file.read(text, action.options) is None
    assert answer_file.read(text.replace("\n", "\r\n"), action.options) is None
    assert answer_file.read_name(answer_file.name(one)) == (one.request_id, one.digest[:16])


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("approve\n", (True, "", None)),
        ("Approve", (True, "", None)),
        ("  REJECT  too   early \r\n", (False, "too   early", None)),
        ("# x\n\ndeny\nfirst\n# not this\nsecond\n", (False, "first\nsecond", None)),
        ("approve the second time only", (True, "the second time only", None)),
        ("", None),
        ("# approve\n   # deny\n\n", None),
    ],
)
def test_an_answer_is_read(text: str, reply: Any) -> None:
    """One word, then a comment; lines with # and empty ones are passed by."""
    assert answer_file.read(text) == reply


@pytest.mark.parametrize(
    "text",
    [
        "yes", "approved", "approve, but later", "aprove", "not approve", "approve\ndeny", "deny\nAPPROVE",
        "approve\napprove", "deny\ndeny lists are short", "x\napprove", "\x00approve", "approve\u200b", "аpprove",
        "deny " + "x" * 5000,
    ],
)  # fmt: skip
def test_what_could_be_meant_otherwise_is_none(text: str) -> None:
    """Not one of the three words, two answers, letters that only look the part: it says why."""
    with pytest.raises(InvalidParams):
        answer_file.read(text)


def test_a_choice_is_a_number_or_the_option() -> None:
    """Neither may mean two of them."""
    options = ("blue", "dark green", "2")
    assert answer_file.read("approve 1\nas in the old one", options) == (True, "as in the old one", "blue")
    assert answer_file.read("approve dark green", options) == (True, "", "dark green")
    assert answer_file.read("reject 1", options) == (False, "1", None)
    for wrong in (
        "approve",
        "approve 0",
        "approve 4",
        "approve -1",
        "approve green",
        "approve 2",
        "approve ²",
        "approve 1 2",
    ):
        with pytest.raises(InvalidParams):
            answer_file.read(f"approve{wrong}", options)


def test_the_name_says_pane_and_stage() -> None:
    """As in `pane1__build__….txt`; no name leaves the folder or hides in it."""
    one = asked(Stage(pipeline="ci", stage="build"), origin=replace(AGENT, pane="%1"))
    assert answer_file.name(one) == f"pane1__build__{one.request_id}-{one.digest[:16]}.txt"
    for stage in ("../../etc/passwd", ".", "..", "\n", "", "a" * 500, "é/\x00"):
        name = answer_file.name(asked(Stage(pipeline="", stage=stage), origin=replace(AGENT, pane="%2/..")))
        assert "/" not in name
        assert len(name) < 200
        assert answer_file.read_name(name)
    assert answer_file.read_name("notes.txt") is None


def test_the_whole_is_shown_or_no_yes_is_taken() -> None:
    """Secrets are taken out; what is too long, or wants a proof, can only be refused there."""
    shown = sheet(asked(Shell(text="deploy --token=ghp_" + "a1" * 20, cwd="/src")), UTC)
    assert "ghp_" not in shown.body
    assert shown.body.startswith("deploy")
    assert not shown.only_no
    long = sheet(asked(File(verb="write", path="/src/x", content="y" * (LIMIT + 5))), UTC)
    assert "more characters" in long.body
    assert "popup" in long.only_no
    assert "no approve here" in answer_file.render(long)
    assert "sudo" in sheet(asked(Shell(text="x", cwd="/"), step_up=("sudo", "-v")), UTC).only_no
    assert sheet(asked(Mcp(server="s", tool="t", arguments={"a": "b\n\x1b"})), UTC).body.count("\x1b") == 0


def test_times_are_in_the_zone_of_the_reader() -> None:
    """And what happens then."""
    one = asked(Shell(text="x", cwd="/"), expires=datetime(2026, 5, 1, 12, tzinfo=UTC))
    assert ("expires", "2026-05-01 12:00:00 UTC, then it is denied") in sheet(one, UTC).facts
