"""Tests of core/recording.py: what is written is read again, without secrets; what is none is named."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.services.sidecar_values import AGENT

from tmux_agent.core import recording
from tmux_agent.core.recording import PRINTED, VERSION, Damaged, End, Entry, Happened, Output, Session
from tmux_agent.core.replies import EventData

SESSION = Session(version=VERSION, started="2026-11-20T10:30:00Z", by="0.1.0")
TOKEN = "ghp_" + "a1" * 20
AT = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


def read(*entries: Entry | bytes) -> list[Entry]:
    lines = [one if isinstance(one, bytes) else recording.line(one) for one in entries]
    return list(recording.read(lines))


def test_what_is_written_is_read_again() -> None:
    """An event, what a pane printed, and the end."""
    data = {"verdict": "ask", "action": {"type": "shell", "text": f"echo {TOKEN}", "cwd": "/"}}
    event = EventData(seq=7, timestamp=AT, type="decision", request_id="r", origin=AGENT, data=data)
    printed = EventData(seq=0, timestamp=AT, type=PRINTED, data={"server": "/t", "pane": "%7", "text": f"x {TOKEN}\n"})
    happened, output = (recording.entry_of(one, 1.23456789) for one in (event, printed))
    assert read(SESSION, happened, output, End(at=2.0, why="time")) == [
        SESSION,
        happened,
        output,
        End(at=2.0, why="time"),
    ]
    assert isinstance(happened, Happened)
    assert (happened.at, happened.seq, happened.timestamp) == (1.234568, 7, "2026-11-20T10:30:00Z")
    assert isinstance(output, Output)
    assert output.pane == "%7"
    assert TOKEN not in str((happened, output))


def test_whose_it_is() -> None:
    """By its asker, by the agent that it is about, by the pane that printed it."""
    assert recording.pane_of(Happened(at=0, type="x", origin={"pane": "%1"})) == "%1"
    assert recording.pane_of(Happened(at=0, type="agent.state", data={"agent": {"pane": "%2"}})) == "%2"
    assert recording.pane_of(Happened(at=0, type="x", data={"agent": "odd"})) == ""
    assert recording.pane_of(Output(at=0, server="", pane="%3", text="")) == "%3"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([b"nonsense\n"], "line 1"),
        ([recording.line(End(at=0, why="x"))], "first line"),
        ([recording.line(SESSION), recording.line(SESSION)], "line 2"),
        ([recording.line(SESSION), b'{"kind":"event"}\n'], "line 2"),
        ([recording.line(SESSION), recording.line(End(at=2, why="")), recording.line(End(at=1, why=""))], "before"),
        ([recording.line(Session(version=99, started="", by=""))], "update"),
    ],
)
def test_what_is_no_recording_is_named(lines: list[bytes], why: str) -> None:
    with pytest.raises(Damaged, match=why):
        list(recording.read(lines))


def test_cut_short_it_ends_where_it_was_cut() -> None:
    """The recorder was killed in the middle of a line."""
    assert read(SESSION, recording.line(End(at=1, why="time"))[:-9]) == [SESSION]


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes_are_a_recording_or_damaged(lines: list[bytes]) -> None:
    """And nothing else is raised."""
    try:
        list(recording.read([recording.line(SESSION), *lines]))
    except Damaged:
        pass
