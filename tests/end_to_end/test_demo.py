"""scripts/demo --auto, as a newcomer runs it, with the test environment in the place of its own."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import psutil

DEMO = Path(__file__).parents[2] / "scripts" / "demo"
HELD = (
    "a read-only command was allowed without asking",
    "prefix + A opens the popup",
    "the edit is shown as a diff",
    "the agent was denied, with the reason",
    "what ran is what was shown after the edit",
    "the agent got the option chosen",
    "every answer is on record, and came from the popup",
    "the audit chain verifies",
)


def carries(process: psutil.Process, folder: str) -> bool:
    """Whether a process belongs to the demo of that folder."""
    with contextlib.suppress(psutil.Error):
        return process.environ().get("TMUX_AGENT_DEMO_FOLDER") == folder
    return False


def test_everything_holds() -> None:
    """Exit code 0, every expectation met, with no terminal of its own; nothing stays in its place."""
    environ = {**os.environ, "TMUX_AGENT_DEMO_PYTHON": sys.executable}
    done = subprocess.run(
        [str(DEMO), "--auto"], env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=55
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in HELD:
        assert f"✓ {name}" in done.stdout
    assert "✗" not in "".join(line[:1] for line in done.stdout.splitlines())
    folder = re.search(r"/tmp/ta-demo-[^/]+", done.stdout)
    assert folder
    assert not Path(folder[0]).exists()
    assert not [one for one in psutil.process_iter() if carries(one, folder[0])]


def test_wants_a_terminal() -> None:
    """Without --auto and without a terminal it says what to do, and starts nothing."""
    environ = {**os.environ, "TMUX_AGENT_DEMO_PYTHON": sys.executable}
    done = subprocess.run(
        [str(DEMO)], env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert done.stderr == "demo: wants a terminal; without one: ./scripts/demo --auto\n"
