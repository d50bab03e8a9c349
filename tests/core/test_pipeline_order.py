"""core/pipeline_order.py: stages as they are shown, after what they need, and what each waits for."""

from __future__ import annotations

from datetime import UTC, datetime

from tmux_agent.core import config
from tmux_agent.core.pipeline import advance
from tmux_agent.core.pipeline_begin import begin
from tmux_agent.core.pipeline_file import PipelinesFile
from tmux_agent.core.pipeline_order import awaited, ordered
from tmux_agent.core.pipeline_run import Answered, Begun, Run

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
FILE = """
pipelines:
  - name: p
    stages:
      - {name: deploy, needs: [build, docs]}
      - {name: tell, triggers: [{after_stage_failure: build}]}
      - {name: build, needs: lint, require_approval: true}
      - {name: lint, require_approval: true, matrix: {v: [1, 2]}}
      - {name: docs, require_approval: true}
"""


def run() -> Run:
    file, wrong = config.load(FILE, "p.yaml", PipelinesFile)
    assert file, wrong
    return advance(begin(file.pipelines[0], "r", None, NOW), Begun(), NOW)[0]


def test_each_stage_comes_after_what_it_needs_else_as_in_the_file() -> None:
    names = [one.name for one in ordered(run())]
    assert names == ["lint (1)", "lint (2)", "docs", "build", "deploy", "tell"]


def test_a_stage_says_what_it_waits_for_until_that_has_ended() -> None:
    """Instances of one stage are waited for under its name; one that is under way waits for no stage."""
    one = run()
    assert awaited(one) == {
        "build": "lint", "deploy": "build, docs", "tell": "the failure of build",
    }  # fmt: skip
    for name in ("lint (1)", "docs"):
        one, _ = advance(one, Answered(name, ok=True), NOW)
    assert awaited(one)["build"] == "lint"
    assert awaited(one)["deploy"] == "build"
    one, _ = advance(one, Answered("lint (2)", ok=True), NOW)
    assert "build" not in awaited(one)
