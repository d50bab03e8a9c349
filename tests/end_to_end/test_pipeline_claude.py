"""A pipeline that moves a real Claude Code, which says how it went by markers on its screen, and asks in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.real_claude import PROGRAM, SKIP
from tests.end_to_end.whole import Whole

pytestmark = [pytest.mark.skipif(PROGRAM is None, reason=SKIP), pytest.mark.timeout(600)]

SCRIPT: dict[str, Any] = {
    "look-around": [
        {"shell": "ls"},
        {"text": 'Looked.\n\n    ### SENTRY {"type":"STATUS","stage":"look","ok":true}\n'},
    ],
    "tidy-up": [
        {"shell": "touch made"},
        {"text": 'Tidied.\n\n    ### SENTRY {"type":"STATUS","stage":"tidy","ok":true,"message":"one file"}\n'},
    ],
    "*": [{"text": "Hello."}],
}
PIPELINE = """
pipelines:
  - name: chores
    match: {agent: claude}
    stages:
      - name: look
        actions_on_start: [{send_keys: "Please look-around."}]
        timeout: 5m
      - name: tidy
        needs: look
        actions_on_start: [{send_keys: "Please tidy-up."}]
        timeout: 5m
"""


@pytest.fixture
def whole() -> Iterator[Whole]:
    one = Whole(SCRIPT)
    try:
        yield one
    finally:
        one.close()


def test_claude_is_told_says_how_it_went_and_is_asked_about_in_between(whole: Whole) -> None:
    folder = whole.folder / "config" / "pipelines"
    folder.mkdir()
    (folder / "chores.yaml").write_text(PIPELINE)
    whole.start()
    whole.popup("touch made")  # the second stage's own question, from Claude's hook
    assert [one["data"]["stage"] for one in whole.records("pipeline.stage") if one["data"]["state"] == "success"] == [
        "look"
    ]
    whole.answer("a", "Nothing waits")
    whole.leave_popup()
    whole.until(lambda: any(one["data"]["state"] == "success" for one in whole.records("pipeline.run")), "its end")
    assert (whole.project / "made").exists()
    told = [one["data"] for one in whole.records("marker")]
    assert [(one["stage"], one["by"]) for one in told] == [("look", "screen"), ("tidy", "screen")]
    assert "✓ tidy" in whole.run("pipeline", "show", "chores").stdout
