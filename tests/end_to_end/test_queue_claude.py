"""A task of the queue with the real Claude Code: its hooks say that it works, waits for a person, and is done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.real_claude import PROGRAM, SKIP
from tests.end_to_end.whole import Whole

pytestmark = [pytest.mark.skipif(PROGRAM is None, reason=SKIP), pytest.mark.timeout(600)]

SCRIPT: dict[str, Any] = {
    "tidy-up": [{"shell": "touch made && git add made && git commit -qm made"}, {"text": "Tidied."}],
    "*": [{"text": "Hello."}],
}


@pytest.fixture
def whole() -> Iterator[Whole]:
    one = Whole(SCRIPT)
    try:
        assert PROGRAM
        one.start_fleet("claude", PROGRAM)
        one.set_up("claude")
        yield one
    finally:
        one.close()


def task(whole: Whole) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(whole.run("queue", "show", "tidy", "--json").stdout or "{}")
    return found


def test_a_task_waits_for_the_popups_answer_and_is_done_by_claudes_own_word(whole: Whole) -> None:
    words = "queue add 'Please tidy-up.' --name tidy --check 'test -f made' --timeout 10m"
    whole.person.press(f"clear; {whole.command} {words}\r")
    whole.shows("1 waiting")
    whole.shows("then check: test -f made")
    whole.answer("a", "Nothing waits")
    whole.leave_popup()
    whole.until(lambda: task(whole).get("state") == "waiting", "it waits for a person")
    assert "reason" not in task(whole)  # whoever is no operator is not told what another pane asks
    whole.popup("touch made")
    whole.answer("a", "Nothing waits")
    whole.leave_popup()
    whole.until(lambda: task(whole)["state"] == "done", "it is done")
    (tried,) = task(whole)["tries"]
    assert (tried["kind"], tried["exit_code"], tried["diff"]) == ("claude", 0, "1 commit, 1 file")
    assert tried["branch"] in whole.git("branch")
