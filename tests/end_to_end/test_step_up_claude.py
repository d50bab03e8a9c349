"""A rule's proof before real Claude Code runs anything: its dialog, which takes a yes without it, never shows."""

from __future__ import annotations

import os

import pytest
from tests.end_to_end.real_claude import PROGRAM, SKIP
from tests.end_to_end.whole import Whole

pytestmark = [pytest.mark.skipif(PROGRAM is None, reason=SKIP), pytest.mark.timeout(600)]

DIALOG = "Do you want to proceed?"
SCRIPT = {
    "go-proved": [{"shell": "touch made-proved"}, {"text": "The proved turn is over."}],
    "go-refused": [{"shell": "touch made-refused"}, {"text": "The refused turn is over."}],
    "*": [{"text": "Hello."}],
}
RULE = """
version: 1
rules:
  - {name: proved, when: {command: [touch, ...]}, verdict: ask, step_up: [grep, -qx, sesame]}
"""


def test_claude_waits_for_the_proof() -> None:
    whole = Whole(SCRIPT)
    try:
        (whole.folder / "config" / "policy.d").mkdir(mode=0o700)
        (whole.folder / "config" / "policy.d" / "10-proof.yaml").write_text(RULE)
        whole.start()
        whole.say("please go-proved")
        whole.shows("⏸1")
        assert DIALOG not in whole.server.run("capture-pane", "-p", "-t", whole.pane)
        whole.popup("touch made-proved")
        whole.answer("a", "wants a proof")
        whole.person.press("guess", "\r")
        whole.shows("the proof was not accepted")
        whole.answer("a", "wants a proof")
        whole.person.press("sesame", "\r")
        whole.shows("approved")
        whole.leave_popup()
        assert DIALOG not in whole.draws("The proved turn is over.")
        assert (whole.project / "made-proved").exists()
        whole.say("please go-refused")
        whole.shows("⏸1")
        whole.popup("touch made-refused")
        whole.answer("d", "The reason goes to the agent")
        whole.person.press("\r")
        whole.shows("denied")
        whole.leave_popup()
        assert DIALOG not in whole.draws("The refused turn is over.")
        assert not os.path.lexists(whole.project / "made-refused")
    finally:
        whole.close()
