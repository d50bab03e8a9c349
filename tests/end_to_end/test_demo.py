"""scripts/demo as a newcomer runs it, with the test environment in the place of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pyte
from tests.patience import PATIENCE
from tests.plugin.terminal import Terminal

from tmux_agent.core.cast_safe import Safe
from tmux_agent.services.cast_files import read_file

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


def environ() -> dict[str, str]:
    return {**os.environ, "TMUX_AGENT_DEMO_PYTHON": sys.executable}


def started() -> subprocess.Popen[str]:
    """The demo by itself, with no terminal of its own."""
    return subprocess.Popen(
        [str(DEMO), "--auto"], env=environ(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )


def carries(process: psutil.Process, folder: str) -> bool:
    """Whether a process belongs to the demo of that folder."""
    with contextlib.suppress(psutil.Error):
        return process.environ().get("TMUX_AGENT_DEMO_FOLDER") == folder
    return False


def assert_nothing_is_left(printed: str) -> None:
    """The folder that the popup named is gone, and so is every process of it."""
    folders = set(re.findall(r"/tmp/ta-demo-\w+", printed))
    assert folders
    for folder in folders:
        assert not Path(folder).exists()
        assert not [one for one in psutil.process_iter() if carries(one, folder)]


def test_everything_holds() -> None:
    """Exit code 0, every expectation met by name; nothing of it stays."""
    with started() as demo:
        printed, _ = demo.communicate(timeout=4 * PATIENCE)
    assert demo.returncode == 0, printed
    for name in HELD:
        assert f"✓ {name}" in printed
    assert not re.search("^✗", printed, re.MULTILINE)
    assert_nothing_is_left(printed)


def test_recorded_by_itself(tmp_path: Path) -> None:
    """scripts/record_demo: the popup and all that was typed at it are in the recording; nothing of it stays."""
    script = [sys.executable, str(DEMO.with_name("record_demo")), "--pace", "0", "--no-picture", str(tmp_path)]
    done = subprocess.run(script, env=environ(), capture_output=True, text=True, timeout=4 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_shows_the_demo(tmp_path / "demo.cast")
    assert_nothing_is_left(done.stdout)


def test_the_recording_of_the_readme() -> None:
    """docs/demo.cast is one that scripts/record_demo made: it plays, is small, and shows the demo."""
    assert_shows_the_demo(DEMO.parents[1] / "docs" / "demo.cast")


def assert_shows_the_demo(file: Path) -> None:
    assert file.stat().st_size < 300_000
    found = read_file(file)
    assert (found.header.width, found.header.height) == (110, 34)
    assert found.header.tmux_agent is not None
    screen = pyte.Screen(110, 34)
    stream, safe, shown = pyte.Stream(screen), Safe(34), ""
    for one in found.events:
        stream.feed(safe.feed(one.data) if one.code == "o" else "")
        shown += "\n".join(screen.display)
    for words in ("4 waiting", "round(total, 2)", "never pipe the network into a shell", "Virginia", "Nothing waits"):
        assert words in shown, words
    assert "all five are answered" in "\n".join(screen.display)


def test_interrupted() -> None:
    """Ctrl-C while the popup is open: nothing of it stays."""
    with started() as demo:
        assert demo.stdout
        printed = ""
        while "✓ the edit is shown as a diff" not in printed:
            line = demo.stdout.readline()
            assert line, printed
            printed += line
        demo.send_signal(signal.SIGINT)
        printed += demo.communicate(timeout=PATIENCE)[0]
    assert demo.returncode == 130
    assert_nothing_is_left(printed)


def test_by_hand() -> None:
    """A person finds the hint, opens the popup, leaves with C-b d, and is told what is on record."""
    with Terminal([str(DEMO)], columns=110, rows=34, env=environ()) as terminal:
        terminal.wait(lambda text: "⏸4" in text and "press C-b A" in text, 2 * PATIENCE)
        opened = terminal.press_until(("\x02", "A"), lambda text: "4 waiting" in text and "? more" in text, "the popup")
        terminal.press("q")
        terminal.wait_gone("4 waiting")
        terminal.press("\x02", "d")
        terminal.wait_for("folder are gone")
        assert terminal.process.wait(PATIENCE) == 0
    assert_nothing_is_left(opened)


def test_wants_a_terminal() -> None:
    """Without --auto and without a terminal it says what to do, and starts nothing."""
    nothing = subprocess.DEVNULL
    done = subprocess.run([str(DEMO)], env=environ(), stdin=nothing, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert done.stderr == "demo: wants a terminal; without one: ./scripts/demo --auto\n"
