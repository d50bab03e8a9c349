"""A task of the queue with the real Claude Code: its hooks say that it works, waits for a person, and is done."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.real_claude import PROGRAM, SKIP
from tests.end_to_end.whole import ROOT, Whole

pytestmark = [pytest.mark.skipif(PROGRAM is None, reason=SKIP), pytest.mark.timeout(600)]

SCRIPT: dict[str, Any] = {
    "tidy-up": [{"shell": "touch made && git add made && git commit -qm made"}, {"text": "Tidied."}],
    "*": [{"text": "Hello."}],
}
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b.example")


@pytest.fixture
def whole() -> Iterator[Whole]:
    one = Whole(SCRIPT)
    try:
        (one.folder / "config" / "fleet.toml").write_text(f"[agents.claude]\ncommand = {json.dumps([PROGRAM])}\n")
        for argv in (
            ("add", "-A"), ("commit", "-q", "-m", "first"), ("config", "user.name", "a"),
            ("config", "user.email", "a@b.example"),
        ):  # fmt: skip
            subprocess.run([*GIT, *argv], cwd=one.project, check=True)
        one.server.run("new-session", "-d", "-s", "main", "-x", "120", "-y", "40", "-c", str(one.project), "sh")
        one.person = one.server.attach(columns=120, rows=40)
        one.server.run("run-shell", str(ROOT / "tmux-agent.tmux"))
        one.until(lambda: one.sidecar_pid() > 0, "the sidecar")
        assert one.run("setup", "claude", "--yes").returncode == 0
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
    heads = subprocess.run([*GIT, "branch"], cwd=whole.project, check=True, capture_output=True, text=True).stdout
    assert tried["branch"] in heads
