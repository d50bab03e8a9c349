"""Tests of `tmux-agent audit`: what a person sees of the log."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.services.sidecar_values import AGENT, PERSON, in_loop, question, started

from tmux_agent.cli import main
from tmux_agent.core.model import Command, Event, Outcome, digest
from tmux_agent.edges.audit_lines import in_words
from tmux_agent.services.approvals import Approvals
from tmux_agent.services.grants import Grants

NASTY = "\x1b[31m\u202egnp.exe\x07"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with one request from ask to result, and one refusal with a hostile name."""
    monkeypatch.setenv("TMUX_AGENT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("TMUX_AGENT_SOCKET", str(tmp_path / "socket"))
    in_loop(_write)(tmp_path / "state")
    return tmp_path / "state"


async def _write(folder: Path) -> None:
    journal = await started(folder)
    approvals = Approvals(journal, Grants(journal))
    action = Command(argv=("rm", NASTY), cwd="/")
    one = await approvals.open(question(request_id="01REQUEST", action=action, digest=digest(action), rule="rm asks"))
    await approvals.answer(one.request_id, one.digest, True, PERSON, comment="go")
    await approvals.running(one.request_id)
    await approvals.finished(one.request_id, Outcome(ok=False, error="exit 1"))
    await journal.publish(Event(type="refused", origin=AGENT, data={"why": NASTY}))
    await journal.close()


def test_tail_is_one_aligned_line_a_record(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Number, time, who, what kind, which request, words; nothing hostile reaches the terminal, nothing is coloured."""
    assert main(["audit", "tail"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert "approval.opened" in lines[0]
    assert "⟨U+202E⟩" in lines[0]
    assert "approved · rm asks · go" in lines[1]
    assert "error · exit 1" in lines[3]
    assert "\x1b" not in "".join(lines)
    kinds = ["approval.", "approval.", "action.", "action.", "refused"]
    assert len({line.index(kind) for line, kind in zip(lines, kinds, strict=True)}) == 1


def test_tail_filters_and_speaks_json(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json gives the records themselves."""
    assert main(["audit", "tail", "--json", "--type", "action.", "-n", "1"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["type"], record["request_id"]) == ("action.finished", "01REQUEST")
    assert main(["audit", "tail", "--since", "yesterday"]) == 1
    assert "2026-11-20T10:30" in capsys.readouterr().err


def test_verify_says_ok_or_where(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code and words; a cut end is seen through the database."""
    assert main(["audit", "verify"]) == 0
    assert "5 records" in capsys.readouterr().out
    log = state / "audit.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:4]))
    assert main(["audit", "verify"]) == 1
    assert "record 5: the log ends with record 4" in capsys.readouterr().out
    assert main(["audit", "verify", str(log)]) == 0
    capsys.readouterr()
    log.write_bytes(b"".join([*lines[:1], *lines[2:]]))
    assert main(["audit", "verify", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["file"], found["line"], found["seq"], found["records"]) == (str(log), 2, 3, 1)


def test_show_gives_everything_of_a_request(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By request id or by a record's number; safe to look at."""
    assert main(["audit", "show", "01REQUEST"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("hash ") == 4
    assert "/dev/pts/1" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert main(["audit", "show", "5", "--json"]) == 0
    assert [one["type"] for one in json.loads(capsys.readouterr().out)] == ["refused"]
    assert main(["audit", "show", "01NOSUCH"]) == 1
    assert "no record of 01NOSUCH" in capsys.readouterr().err


def test_export_is_the_log_again(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unfiltered, byte for byte what verify accepts."""
    assert main(["audit", "export"]) == 0
    assert capsys.readouterr().out.encode() == (state / "audit.jsonl").read_bytes()
    assert main(["audit", "export", "--request", "01REQUEST"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_log_that_cannot_be_read_is_an_error(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not a traceback."""
    (state / "audit.jsonl").unlink()
    (state / "audit.jsonl").mkdir()
    assert main(["audit", "tail"]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_pipelines_and_markers_say_what_they_are() -> None:
    def said(type_: str, **data: object) -> tuple[str, str]:
        return in_words(SimpleNamespace(type=type_, data=data))

    stage = {"pipeline": "ci", "stage": "build", "reason": "its time ran out", "run_id": "x"}
    assert said("pipeline.stage", state="failed", **stage) == ("error", "ci · build · failed · its time ran out")
    assert said("pipeline.run", pipeline="ci", state="success") == ("done", "ci · success")
    assert said("marker", kind="STATUS", stage="build", ok=True) == ("", "STATUS · build · ok")
    assert said("marker", kind="PROGRESS", stage="build", percent=45.0) == ("", "PROGRESS · build · 45 %")
    assert said("marker.invalid", why="no JSON", text="### SENTRY {") == ("error", "no JSON · ### SENTRY {")
