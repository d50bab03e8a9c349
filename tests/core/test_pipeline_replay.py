"""A recorded session told to a pipeline: the same steps each time, by the recording's clock."""

from __future__ import annotations

from tmux_agent.core import config
from tmux_agent.core.pipeline_file import PipelinesFile
from tmux_agent.core.pipeline_replay import replay
from tmux_agent.core.recording import End, Entry, Happened, Output, Session

FILE = """
pipelines:
  - name: p
    stages:
      - name: lint
        actions_on_start: [{send_keys: npm run lint}]
        success_when: [{log_regex: 0 problems}]
        timeout: 10s
        retries: 1
      - name: build
        needs: lint
        require_approval: true
        actions_on_start: [{send_keys: npm run build}]
"""
RECORDED: list[Entry] = [
    Session(version=1, started="2026-11-20T12:00:00Z", by="0.1.0"),
    Output(at=2.0, server="s", pane="%8", text="0 problems"),
    Output(at=3.0, server="s", pane="%7", text="✖ 2 problems"),
    Output(at=14.0, server="s", pane="%7", text="✔ 0 problems"),
    Happened(at=20.0, type="marker", origin={"pane": "%7"}, data={"kind": "STATUS", "stage": "build", "ok": True}),
    End(at=21.0, why="interrupted"),
]


def test_the_recordings_clock_decides() -> None:
    file, wrong = config.load(FILE, "p.yaml", PipelinesFile)
    assert not wrong
    assert file is not None
    steps = [(one.at, one.stage, one.words) for one in replay(file.pipelines[0], RECORDED, "%7")]
    assert steps == [
        (0.0, "lint", "waiting → running"),
        (0.0, "lint", "type: npm run lint"),
        (10.0, "lint", "type: npm run lint"),
        (14.0, "lint", "running → success"),
        (14.0, "build", "waiting → approval"),
        (14.0, "build", "asks for approval (taken for given)"),
        (14.0, "build", "approval → running"),
        (14.0, "build", "type: npm run build"),
        (20.0, "build", "running → success"),
        (20.0, "", "success"),
    ]
    assert steps == [(one.at, one.stage, one.words) for one in replay(file.pipelines[0], RECORDED, "%7")]
